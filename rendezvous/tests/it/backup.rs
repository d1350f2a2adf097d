//! Backups: made beside a running server, restored on a machine that has nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use warren_proto::keys::UnixTime;
use warren_rendezvous::app::App;
use warren_rendezvous::backup;
use warren_rendezvous::clock::SystemClock;
use warren_rendezvous::config::{Config, Settings};
use warren_rendezvous::store::{DatabaseUrl, Store};

use crate::common::TestApp;
use crate::store::{databases, postgres};

fn config(dir: &Path, url: &DatabaseUrl) -> Config {
    let mut config = toml::from_str::<Settings>(&format!("data-dir = {dir:?}")).unwrap().resolve().unwrap();
    config.database_url = url.clone();
    config
}

#[tokio::test]
async fn a_backup_restored_elsewhere_is_the_same_server_on_either_engine() {
    let server = TestApp::new().await;
    let device = server.device("laptop", 1).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("backup.tar.gz");
    backup::create(server.app.store(), server.app.config(), &file, server.app.now()).await.unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    for (fresh, url) in databases().await {
        let config = config(&fresh.path().join("data"), &url);
        backup::restore(&file, &config, false).await.unwrap();

        let restored = App::open(config, SystemClock, [1; 32]).await.unwrap();
        assert_eq!(restored.server_key().pin(), server.app.server_key().pin());
        assert_eq!(restored.store().device(device.id).await.unwrap().as_ref(), Some(&device));
        assert_eq!(restored.network().id, server.app.network().id);
    }
}

#[tokio::test]
async fn nothing_of_another_server_is_overwritten_unless_asked_and_then_it_is_kept_beside() {
    let (server, other) = (TestApp::new().await, TestApp::new().await);
    other.device("tablet", 1).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("backup.tar.gz");
    backup::create(server.app.store(), server.app.config(), &file, server.app.now()).await.unwrap();
    let config = other.app.config().clone();
    other.app.store().close().await;

    let refused = backup::restore(&file, &config, false).await.unwrap_err();
    backup::restore(&file, &config, true).await.unwrap();

    assert!(refused.to_string().contains("--force"), "{refused}");
    let aside = fs::read(config.data_dir.join("server.key.before-restore")).unwrap();
    assert_ne!(aside, fs::read(config.data_dir.join("server.key")).unwrap());
    assert!(config.data_dir.join("warren.db.before-restore").exists());
    let restored = App::open(config, SystemClock, [1; 32]).await.unwrap();
    assert_eq!(restored.network().id, server.app.network().id);
}

#[tokio::test]
async fn a_damaged_backup_is_refused_before_anything_is_touched() {
    let server = TestApp::new().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("backup.tar.gz");
    backup::create(server.app.store(), server.app.config(), &file, server.app.now()).await.unwrap();
    let whole = fs::read(&file).unwrap();

    let cut = whole[..whole.len() * 2 / 3].to_vec();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for damaged in [cut, flipped, b"no archive".to_vec()] {
        fs::write(&file, damaged).unwrap();
        let data = dir.path().join("data");
        let config = config(&data, &DatabaseUrl::Sqlite(data.join("warren.db")));

        assert!(backup::restore(&file, &config, false).await.is_err());
        assert!(!data.exists(), "something was made");
    }
}

#[tokio::test]
async fn a_backup_of_an_older_schema_is_brought_forward() {
    for (dir, url) in databases().await {
        let store = Store::open_at(&url, 1).await.unwrap();
        let config = config(&dir.path().join("data"), &url);
        let file = dir.path().join("old.tar.gz");
        let made = backup::create(&store, &config, &file, UnixTime::from_secs(1_795_436_311)).await.unwrap();
        store.close().await;
        let there = dir.path().join("there");
        let target = match postgres().await {
            Some(url) => DatabaseUrl::Postgres(url),
            None => DatabaseUrl::Sqlite(there.join("warren.db")),
        };
        let restored = self::config(&there, &target);

        backup::restore(&file, &restored, false).await.unwrap();

        assert_eq!(made.schema, 1);
        let status = Store::connect(&target).await.unwrap().migration_status().await.unwrap();
        assert_eq!(status.applied, Some(status.known));
    }
}

#[tokio::test]
async fn an_upgrade_saves_the_database_first() {
    for (dir, url) in databases().await {
        Store::open_at(&url, 1).await.unwrap().close().await;
        let config = config(&dir.path().join("data"), &url);

        App::open(config.clone(), SystemClock, [1; 32]).await.unwrap();
        App::open(config.clone(), SystemClock, [1; 32]).await.unwrap();

        let saved: Vec<_> = fs::read_dir(config.data_dir.join("backups")).unwrap().map(|file| file.unwrap()).collect();
        assert_eq!(saved.len(), 1, "{saved:?}");
        assert!(saved[0].file_name().to_str().unwrap().starts_with("before-schema-0001-"));
        assert_eq!(backup::read_manifest(&saved[0].path()).unwrap().schema, 1);
    }
}

#[tokio::test]
async fn a_week_of_nights_is_kept() {
    let server = TestApp::new().await;
    let night = Duration::from_secs(24 * 3600);
    let (store, config) = (server.app.store(), server.app.config());
    for _ in 0..9 {
        backup::keep_nightly(store, config, server.app.now()).await.unwrap();
        backup::keep_nightly(store, config, server.app.now()).await.unwrap();
        server.clock.advance(night);
    }

    let newest = backup::newest(config).unwrap().unwrap();

    assert_eq!(fs::read_dir(config.data_dir.join("backups")).unwrap().count(), 7);
    assert_eq!(newest.at.plus(night), server.app.now());
}

//! The store on both engines: SQLite always, PostgreSQL when `WARREN_TEST_POSTGRES` names a server where databases may be
//! made (`postgres://user@host/postgres`).

mod copies;
mod outbox;
mod schemas;
mod stories;

use std::collections::BTreeMap;

use sqlx::Executor as _;
use warren_rendezvous::store::{DatabaseUrl, OpenError, STATEMENTS, Store};

/// One database of each engine that is there, empty and migrated.
async fn stores() -> Vec<(tempfile::TempDir, Store)> {
    let mut stores = Vec::new();
    for (dir, url) in databases().await {
        stores.push((dir, Store::open(&url).await.unwrap()));
    }
    stores
}

/// A place for a database of each engine that is there.
pub(crate) async fn databases() -> Vec<(tempfile::TempDir, DatabaseUrl)> {
    let dir = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::Sqlite(dir.path().join("warren.db"));
    let mut databases = vec![(dir, url)];
    if let Some(url) = postgres().await {
        databases.push((tempfile::tempdir().unwrap(), DatabaseUrl::Postgres(url)));
    }
    databases
}

/// A new PostgreSQL database, if there is a server for tests.
pub(crate) async fn postgres() -> Option<String> {
    let server = std::env::var_os("WARREN_TEST_POSTGRES")?.into_string().unwrap();
    let name = format!("warren_test_{}", uuid::Uuid::new_v4().simple());
    let admin = sqlx::PgPool::connect(&server).await.unwrap();
    admin.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    admin.close().await;
    let (base, _) = server.rsplit_once('/').unwrap();
    Some(format!("{base}/{name}"))
}

#[tokio::test]
async fn every_statement_is_understood_by_every_engine() {
    for (_dir, store) in stores().await {
        for (name, sql) in STATEMENTS.iter().copied().flatten() {
            if let Err(error) = store.check(sql).await {
                panic!("{name}: {error}\n{sql}");
            }
        }
    }
}

#[test]
fn both_engines_have_the_same_migrations_tables_and_columns() {
    let read = |engine: &str| -> BTreeMap<String, Vec<String>> {
        let folder = format!("{}/../migrations/{engine}", env!("CARGO_MANIFEST_DIR"));
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        files
            .map(|file| {
                let text = std::fs::read_to_string(file.path()).unwrap();
                (file.file_name().into_string().unwrap(), outline(&text))
            })
            .collect()
    };

    assert_eq!(read("sqlite"), read("postgres"));
}

/// The first word or two of each line that is neither comment nor type: table, column and index names.
fn outline(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("--"));
    lines
        .map(|line| {
            let words = if line.starts_with("CREATE") { 5 } else { 1 };
            line.split_whitespace().take(words).collect::<Vec<_>>().join(" ")
        })
        .map(|line| line.trim_end_matches(';').to_owned())
        .collect()
}

#[tokio::test]
async fn opening_twice_migrates_once_and_a_newer_schema_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("warren.db");
    let url = DatabaseUrl::Sqlite(path.clone());
    Store::open(&url).await.unwrap().close().await;
    let store = Store::open(&url).await.unwrap();
    let status = store.migration_status().await.unwrap();
    assert_eq!(status.applied, Some(status.known));
    store.close().await;
    let raw = sqlx::SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    raw.execute(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'later', 1, x'00', 0)",
    )
    .await
    .unwrap();
    raw.close().await;

    let error = Store::open(&url).await.err().unwrap();

    assert!(matches!(error, OpenError::Newer { schema: 9999, .. }), "{error}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("warren.db");
    std::fs::write(&path, [0x5a; 8192]).unwrap();

    let error = Store::open(&DatabaseUrl::Sqlite(path)).await.err().unwrap();

    assert!(error.to_string().contains("warren.db"), "{error}");
}

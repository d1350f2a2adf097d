//! A database copied to another one, of either engine.

use std::collections::BTreeMap;

use warren_rendezvous::store::{CopyError, DatabaseUrl, Store, Tally};

use super::schemas::{FIRST, insert};
use super::{databases, postgres};

#[tokio::test]
async fn everything_is_copied_from_each_engine_to_each() {
    for (_dir, from) in databases().await {
        let store = filled(&from).await;
        for (_other, to) in databases().await {
            let copied = store.copy_to(&to).await.unwrap();

            assert_eq!(copied.iter().find(|(table, _)| table == "device"), Some(&("device".to_owned(), 1)));
            let there = Store::open(&to).await.unwrap();
            assert_eq!(tallies(&there).await, tallies(&store).await, "{from} to {to}");
            there.close().await;
            let again = store.copy_to(&to).await.unwrap_err();
            assert!(matches!(again, CopyError::NotEmpty), "{again}");
        }
        store.close().await;
    }
}

#[tokio::test]
async fn what_cannot_be_copied_whole_is_not_copied_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(&DatabaseUrl::Sqlite(dir.path().join("warren.db"))).await;
    let Some(url) = postgres().await else { return };
    let to = DatabaseUrl::Postgres(url.clone());
    // a text that PostgreSQL cannot hold
    let raw = sqlx::SqlitePool::connect(dir.path().join("warren.db").to_str().unwrap()).await.unwrap();
    sqlx::query("UPDATE audit SET detail = 'a' || char(0) || 'b'").execute(&raw).await.unwrap();

    let error = store.copy_to(&to).await.unwrap_err();

    assert!(matches!(error, CopyError::World(_)), "{error}");
    assert_eq!(Store::open(&to).await.unwrap().network().await.unwrap(), None, "something was kept");
}

#[tokio::test]
async fn an_older_schema_is_brought_forward_before_it_is_copied() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open_at(&DatabaseUrl::Sqlite(dir.path().join("warren.db")), 1).await.unwrap();

    let error = store.copy_to(&DatabaseUrl::Sqlite(dir.path().join("copy.db"))).await.unwrap_err();

    assert!(error.to_string().contains("db migrate"), "{error}");
}

/// A database with a row in every table of the first release.
async fn filled(url: &DatabaseUrl) -> Store {
    let store = Store::open(url).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    for (table, columns) in FIRST {
        insert(&mut tx, table, columns).await;
    }
    tx.commit().await.unwrap();
    store
}

async fn tallies(store: &Store) -> BTreeMap<String, Tally> {
    let mut tx = store.begin_snapshot().await.unwrap();
    let mut tallies = BTreeMap::new();
    for table in tx.tables().await.unwrap() {
        let tally = tx.read_rows(&table, tokio::sync::mpsc::channel(1).0).await.unwrap();
        tallies.insert(table.name, tally);
    }
    tallies
}

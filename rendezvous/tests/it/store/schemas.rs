//! From every schema that was released to this one, with rows in it.

use warren_rendezvous::store::{Store, Tx, Value};

use super::databases;

/// A value of a fixture.
#[derive(Clone, Copy, Debug)]
pub(super) enum Is {
    /// An id of this one byte.
    Id(u8),
    /// Bytes: this one, so many times.
    Bytes(u8, usize),
    Int(i64),
    Text(&'static str),
}

use Is::{Bytes, Id, Int, Text};

type Row = (&'static str, &'static [(&'static str, Is)]);

/// A row for each table of the first release, as that wrote them.
pub(super) const FIRST: &[Row] = &[
    (
        "network",
        &[
            ("id", Id(1)),
            ("name", Text("home")),
            ("signing_public", Bytes(2, 32)),
            ("v4", Text("100.64.0.0/10")),
            ("v6", Text("fd00::/48")),
            ("revision", Int(7)),
            ("only_one", Int(1)),
            ("created_at", Int(1000)),
        ],
    ),
    (
        "admin_user",
        &[
            ("id", Id(2)),
            ("name", Text("ada")),
            ("password_hash", Text("$argon2id$x")),
            ("role", Text("owner")),
            ("created_at", Int(1000)),
        ],
    ),
    (
        "session",
        &[
            ("token_hash", Bytes(3, 32)),
            ("user_id", Id(2)),
            ("csrf", Bytes(4, 32)),
            ("created_at", Int(1000)),
            ("last_seen_at", Int(2000)),
            ("address", Text("192.0.2.1")),
            ("user_agent", Text("a browser \u{1f98a}")),
        ],
    ),
    ("setup_token", &[("hash", Bytes(5, 32)), ("created_at", Int(1)), ("expires_at", Int(2)), ("used_at", Int(2))]),
    (
        "invite",
        &[
            ("id", Id(6)),
            ("hash", Bytes(7, 32)),
            ("reusable", Int(1)),
            ("tags", Text("[\"lab\"]")),
            ("created_by", Text("cli")),
            ("created_at", Int(1000)),
            ("used_count", Int(1)),
        ],
    ),
    (
        "device",
        &[
            ("id", Id(8)),
            ("name", Text("laptop")),
            ("hostname", Text("Läptop")),
            ("identity_key", Bytes(9, 32)),
            ("static_key", Bytes(10, 32)),
            ("v4", Text("100.64.0.1")),
            ("v6", Text("fd00::1")),
            ("certificate", Bytes(11, 300)),
            ("epoch", Int(1)),
            ("not_after", Int(i64::MAX)),
            ("tags", Text("[]")),
            ("os", Text("Debian")),
            ("agent_version", Text("0.1.0")),
            ("state", Text("active")),
            ("invite_id", Id(6)),
            ("created_at", Int(1000)),
        ],
    ),
    ("address", &[("address", Text("100.64.0.1")), ("device_id", Id(8)), ("allocated_at", Int(1000))]),
    ("change_log", &[("revision", Int(7)), ("kind", Text("device")), ("subject", Id(8)), ("at", Int(1000))]),
    (
        "audit",
        &[
            ("id", Id(12)),
            ("at", Int(1000)),
            ("actor", Text("cli")),
            ("action", Text("device.enrol")),
            ("subject", Text("laptop")),
            ("detail", Text("")),
        ],
    ),
];

#[tokio::test]
async fn rows_of_every_released_schema_are_there_in_the_newest() {
    let newest = newest().await;
    for released in 1..=newest {
        for (_dir, url) in databases().await {
            let store = Store::open_at(&url, 1).await.unwrap();
            let mut tx = store.begin().await.unwrap();
            for (table, columns) in FIRST {
                insert(&mut tx, table, columns).await;
            }
            tx.commit().await.unwrap();
            store.close().await;
            Store::open_at(&url, released).await.unwrap().close().await;

            let store = Store::open(&url).await.unwrap();

            let mut tx = store.begin_snapshot().await.unwrap();
            for (table, columns) in FIRST {
                assert!(holds(&mut tx, table, columns).await, "{table} of schema {released} in {url}");
            }
        }
    }
}

async fn newest() -> i64 {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&warren_rendezvous::store::DatabaseUrl::Sqlite(dir.path().join("x"))).await.unwrap();
    store.migration_status().await.unwrap().known
}

/// Adds a row that names only some of the columns; the others are left at what the schema says of a row without them.
pub(super) async fn insert(tx: &mut Tx, table: &str, columns: &[(&str, Is)]) {
    let mut table = tx.tables().await.unwrap().into_iter().find(|there| there.name == table).unwrap();
    table.columns.retain(|column| columns.iter().any(|(name, _)| *name == column.name));
    let values = table.columns.iter().map(|column| {
        let (_, is) = columns.iter().find(|(name, _)| *name == column.name).unwrap();
        value(*is)
    });
    let row = values.collect();
    tx.insert_rows(&table, &[row]).await.unwrap();
}

async fn holds(tx: &mut Tx, table: &str, columns: &[(&str, Is)]) -> bool {
    let table = tx.tables().await.unwrap().into_iter().find(|there| there.name == table).unwrap();
    let (send, mut batches) = tokio::sync::mpsc::channel(1000);
    tx.read_rows(&table, send).await.unwrap();
    let is_it = |row: &Vec<Value>| {
        columns.iter().all(|(name, is)| {
            table.columns.iter().zip(row).any(|(column, has)| column.name == *name && *has == value(*is))
        })
    };
    let mut rows = Vec::new();
    while let Some(batch) = batches.recv().await {
        rows.extend(batch);
    }
    rows.iter().any(is_it)
}

fn value(is: Is) -> Value {
    match is {
        Id(byte) => Value::Blob(vec![byte; 16]),
        Bytes(byte, len) => Value::Blob(vec![byte; len]),
        Int(number) => Value::Int(number),
        Text(text) => Value::Text(text.to_owned()),
    }
}

//! Whole tables as rows of plain values, the same for both engines: what copying a database and backing it up are made of.
//!
//! Which tables and columns there are is asked of the database itself, so that no migration can be forgotten here. The
//! statements are made at run time of names that the database gave, and none is in the registry.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::types::Uuid;
use sqlx::{AssertSqlSafe, Postgres, Row as _, Sqlite, TypeInfo as _, ValueRef as _};
use tokio::sync::mpsc::Sender;

use super::load::Stopwatch;
use super::{Engine, Result, Store, Tx, on_tx};

/// A table of the schema.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// In the order of `Values`.
    pub columns: Vec<Column>,
}

/// A column of a table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What PostgreSQL calls its type; empty on SQLite, whose values have types.
    kind: String,
}

/// A value as SQLite has it: a boolean is an integer, an id is its bytes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Value {
    /// Bytes, in base64 where it is written down.
    Blob(#[serde(with = "base64")] Vec<u8>),
    /// A number without fraction, or a truth.
    Int(i64),
    /// Nothing.
    Null,
    /// A number with a fraction.
    Real(f64),
    /// Text.
    Text(String),
}

/// The values of one row, in the order of the table's columns.
pub type Values = Vec<Value>;

/// How many rows, and a checksum of them that does not depend on their order.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// How many.
    pub rows: u64,
    /// The sum of the rows' SHA-256, word by word.
    pub sum: [u64; 4],
}

impl Tally {
    /// Counts one row.
    pub fn add(&mut self, row: &[Value]) {
        let text = serde_json::to_vec(row).expect("plain values always have a JSON form");
        for (word, bytes) in self.sum.iter_mut().zip(Sha256::digest(text).chunks_exact(8)) {
            *word = word.wrapping_add(u64::from_be_bytes(bytes.try_into().expect("eight bytes")));
        }
        self.rows += 1;
    }
}

impl Store {
    /// Begins to read the database as it is at this moment, whatever is written meanwhile.
    pub async fn begin_snapshot(&self) -> Result<Tx> {
        let watch = Stopwatch::start(&self.write_times);
        match &self.db {
            Engine::Sqlite(pools) => Ok(Tx(Engine::Sqlite(pools.read.begin().await?), watch, self.committed.pending())),
            Engine::Postgres(pool) => {
                let mut tx = pool.begin().await?;
                sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").execute(&mut *tx).await?;
                Ok(Tx(Engine::Postgres(tx), watch, self.committed.pending()))
            }
        }
    }
}

impl Tx {
    /// All tables of ours, each after those that it refers to.
    pub async fn tables(&mut self) -> Result<Vec<Table>> {
        let names: Vec<(String,)> = match &mut self.0 {
            Engine::Sqlite(tx) => sqlx::query_as(SQLITE_TABLES).fetch_all(&mut **tx).await?,
            Engine::Postgres(tx) => sqlx::query_as(POSTGRES_TABLES).fetch_all(&mut **tx).await?,
        };
        let (mut tables, mut refers) = (BTreeMap::new(), BTreeMap::new());
        for (name,) in names {
            let (columns, to): (Vec<(String, String)>, Vec<(String,)>) = match &mut self.0 {
                Engine::Sqlite(tx) => (
                    sqlx::query_as(SQLITE_COLUMNS).bind(&name).fetch_all(&mut **tx).await?,
                    sqlx::query_as(SQLITE_REFERS).bind(&name).fetch_all(&mut **tx).await?,
                ),
                Engine::Postgres(tx) => (
                    sqlx::query_as(POSTGRES_COLUMNS).bind(&name).fetch_all(&mut **tx).await?,
                    sqlx::query_as(POSTGRES_REFERS).bind(&name).fetch_all(&mut **tx).await?,
                ),
            };
            let columns = columns.into_iter().map(|(name, kind)| Column { name, kind }).collect();
            let to = to.into_iter().map(|(to,)| to).filter(|to| *to != name).collect::<BTreeSet<_>>();
            refers.insert(name.clone(), to);
            tables.insert(name.clone(), Table { name, columns });
        }
        Ok(in_order(&refers).into_iter().filter_map(|name| tables.remove(&name)).collect())
    }

    /// Sends all rows of a table to `take`, some at a time, and counts them whether or not anybody takes them.
    pub async fn read_rows(&mut self, table: &Table, take: Sender<Vec<Values>>) -> Result<Tally> {
        let sql = format!("SELECT {} FROM {}", list(table), quoted(&table.name));
        let (mut tally, mut batch) = (Tally::default(), Vec::new());
        macro_rules! drain {
            ($rows:expr, $read:ident) => {{
                let mut rows = $rows;
                while let Some(row) = rows.try_next().await? {
                    let values = $read(&row, table)?;
                    tally.add(&values);
                    batch.push(values);
                    if batch.len() == batch_size(table) {
                        let _ = take.send(std::mem::take(&mut batch)).await;
                    }
                }
            }};
        }
        match &mut self.0 {
            Engine::Sqlite(tx) => drain!(sqlx::query(AssertSqlSafe(sql)).fetch(&mut **tx), from_sqlite),
            Engine::Postgres(tx) => drain!(sqlx::query(AssertSqlSafe(sql)).fetch(&mut **tx), from_postgres),
        }
        if !batch.is_empty() {
            let _ = take.send(batch).await;
        }
        Ok(tally)
    }

    /// Adds rows to a table.
    pub async fn insert_rows(&mut self, table: &Table, rows: &[Values]) -> Result<()> {
        for rows in rows.chunks(batch_size(table)) {
            let width = table.columns.len();
            let row = |index: usize| {
                let marks: Vec<_> = (1..=width).map(|column| format!("${}", index * width + column)).collect();
                format!("({})", marks.join(", "))
            };
            let marks: Vec<_> = (0..rows.len()).map(row).collect();
            let sql = format!("INSERT INTO {} ({}) VALUES {}", quoted(&table.name), list(table), marks.join(", "));
            match &mut self.0 {
                Engine::Sqlite(tx) => {
                    let query = rows.iter().flatten().fold(sqlx::query(AssertSqlSafe(sql)), bind_sqlite);
                    query.execute(&mut **tx).await?;
                }
                Engine::Postgres(tx) => {
                    let values = rows.iter().flat_map(|row| row.iter().zip(&table.columns));
                    let mut query = sqlx::query(AssertSqlSafe(sql));
                    for (value, column) in values {
                        query = bind_postgres(query, value, column)?;
                    }
                    query.execute(&mut **tx).await?;
                }
            }
        }
        Ok(())
    }

    /// Removes what migrations have put into tables: the rows to come bring it along.
    pub async fn clear_tables(&mut self, tables: &[Table]) -> Result<()> {
        for table in tables.iter().rev() {
            let sql = format!("DELETE FROM {}", quoted(&table.name));
            on_tx!(self, db => sqlx::query(AssertSqlSafe(sql)).execute(db).await.map(drop)?);
        }
        Ok(())
    }
}

/// Each name after those that it refers to; a circle is broken anywhere.
fn in_order(refers: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut order = Vec::new();
    while order.len() < refers.len() {
        let left = || refers.iter().filter(|(name, _)| !order.contains(*name));
        let is_ready = |to: &BTreeSet<String>| to.iter().all(|to| order.contains(to) || !refers.contains_key(to));
        let Some((next, _)) = left().find(|(_, to)| is_ready(to)).or_else(|| left().next()) else { break };
        order.push(next.clone());
    }
    order
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn list(table: &Table) -> String {
    table.columns.iter().map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", ")
}

fn batch_size(table: &Table) -> usize {
    (MAX_BOUND / table.columns.len().max(1)).clamp(1, MAX_BATCH)
}

fn from_sqlite(row: &SqliteRow, table: &Table) -> Result<Values> {
    let value = |index| {
        let raw = row.try_get_raw(index)?;
        if raw.is_null() {
            return Ok(Value::Null);
        }
        Ok(match raw.type_info().name() {
            "INTEGER" | "BOOLEAN" => Value::Int(row.try_get_unchecked(index)?),
            "REAL" => Value::Real(row.try_get_unchecked(index)?),
            "TEXT" => Value::Text(row.try_get_unchecked(index)?),
            _ => Value::Blob(row.try_get_unchecked(index)?),
        })
    };
    (0..table.columns.len()).map(value).collect()
}

fn from_postgres(row: &PgRow, table: &Table) -> Result<Values> {
    let value = |(index, column): (usize, &Column)| {
        let value = match column.kind.as_str() {
            "bool" => row.try_get::<Option<bool>, _>(index)?.map(|truth| Value::Int(truth.into())),
            "bytea" => row.try_get::<Option<Vec<u8>>, _>(index)?.map(Value::Blob),
            "float4" => row.try_get::<Option<f32>, _>(index)?.map(|number| Value::Real(number.into())),
            "float8" => row.try_get::<Option<f64>, _>(index)?.map(Value::Real),
            "int2" => row.try_get::<Option<i16>, _>(index)?.map(|number| Value::Int(number.into())),
            "int4" => row.try_get::<Option<i32>, _>(index)?.map(|number| Value::Int(number.into())),
            "int8" => row.try_get::<Option<i64>, _>(index)?.map(Value::Int),
            "text" | "varchar" => row.try_get::<Option<String>, _>(index)?.map(Value::Text),
            "uuid" => row.try_get::<Option<Uuid>, _>(index)?.map(|id| Value::Blob(id.as_bytes().to_vec())),
            _ => return Err(foreign(column)),
        };
        Ok(value.unwrap_or(Value::Null))
    };
    table.columns.iter().enumerate().map(value).collect()
}

type SqliteQuery<'q> = sqlx::query::Query<'q, Sqlite, sqlx::sqlite::SqliteArguments>;
type PostgresQuery<'q> = sqlx::query::Query<'q, Postgres, sqlx::postgres::PgArguments>;

fn bind_sqlite<'q>(query: SqliteQuery<'q>, value: &'q Value) -> SqliteQuery<'q> {
    match value {
        Value::Blob(bytes) => query.bind(bytes.as_slice()),
        Value::Int(number) => query.bind(number),
        Value::Null => query.bind(None::<i64>),
        Value::Real(number) => query.bind(number),
        Value::Text(text) => query.bind(text),
    }
}

fn bind_postgres<'q>(query: PostgresQuery<'q>, value: &'q Value, column: &Column) -> Result<PostgresQuery<'q>> {
    let int = if let Value::Int(number) = value { Some(*number) } else { None };
    let real = if let Value::Real(number) = value { Some(*number) } else { None };
    let blob = if let Value::Blob(bytes) = value { Some(bytes.as_slice()) } else { None };
    let text = if let Value::Text(text) = value { Some(text.as_str()) } else { None };
    let is_null = *value == Value::Null;
    let narrow = || foreign(column);
    let (fits, query) = match column.kind.as_str() {
        "bool" => (int.is_some(), query.bind(int.map(|number| number != 0))),
        "bytea" => (blob.is_some(), query.bind(blob)),
        // SQLite keeps a whole number as one, whatever its column is called
        "float4" | "float8" => {
            let number = real.or_else(|| int.map(|number| number as f64));
            (number.is_some(), query.bind(number))
        }
        "int2" => (int.is_some(), query.bind(int.map(i16::try_from).transpose().map_err(|_| narrow())?)),
        "int4" => (int.is_some(), query.bind(int.map(i32::try_from).transpose().map_err(|_| narrow())?)),
        "int8" => (int.is_some(), query.bind(int)),
        "text" | "varchar" => (text.is_some(), query.bind(text)),
        "uuid" => {
            let id = blob.map(Uuid::from_slice).transpose().map_err(|_| narrow())?;
            (id.is_some(), query.bind(id))
        }
        _ => return Err(foreign(column)),
    };
    if fits || is_null { Ok(query) } else { Err(foreign(column)) }
}

/// A column that no migration of ours has made so, or a value that does not fit it.
fn foreign(column: &Column) -> sqlx::Error {
    let source = format!("a value or type ({}) that is not known here", column.kind).into();
    sqlx::Error::ColumnDecode { index: column.name.clone(), source }
}

/// Bytes as text in a backup.
mod base64 {
    use data_encoding::BASE64;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        BASE64.decode(String::deserialize(deserializer)?.as_bytes()).map_err(D::Error::custom)
    }
}

const SQLITE_TABLES: &str = "SELECT name FROM sqlite_master WHERE type = 'table' \
                             AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name <> '_sqlx_migrations' ORDER BY name";
const SQLITE_COLUMNS: &str = "SELECT name, '' FROM pragma_table_info($1) ORDER BY name";
const SQLITE_REFERS: &str = "SELECT DISTINCT \"table\" FROM pragma_foreign_key_list($1)";
const POSTGRES_TABLES: &str = "SELECT table_name::text FROM information_schema.tables \
                               WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' \
                               AND table_name <> '_sqlx_migrations' ORDER BY table_name";
// in the order of bytes, which is SQLite's
const POSTGRES_COLUMNS: &str = "SELECT column_name::text, udt_name::text FROM information_schema.columns \
                                WHERE table_schema = current_schema() AND table_name = $1 \
                                ORDER BY column_name::text COLLATE \"C\"";
const POSTGRES_REFERS: &str = "SELECT DISTINCT f.relname::text FROM pg_constraint c \
                               JOIN pg_class t ON t.oid = c.conrelid JOIN pg_class f ON f.oid = c.confrelid \
                               JOIN pg_namespace n ON n.oid = t.relnamespace \
                               WHERE c.contype = 'f' AND n.nspname = current_schema() AND t.relname = $1";

/// Below the 32,766 that SQLite binds in one statement.
const MAX_BOUND: usize = 16_000;
/// Of rows with certificates, about a quarter of a megabyte.
const MAX_BATCH: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_comes_after_those_it_refers_to() {
        let refers =
            [("address", &["device"][..]), ("device", &["invite"]), ("invite", &[]), ("a", &["b"]), ("b", &["a"])];
        let refers = refers
            .into_iter()
            .map(|(name, to)| (name.to_owned(), to.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>()));

        let order = in_order(&refers.collect());

        assert_eq!(order, ["invite", "device", "address", "a", "b"]);
    }

    #[test]
    fn the_order_of_rows_does_not_change_their_checksum_and_their_content_does() {
        let row = |number| vec![Value::Int(number), Value::Text("a".to_owned()), Value::Null, Value::Blob(vec![1, 2])];
        let tally = |numbers: [i64; 2]| {
            let mut tally = Tally::default();
            numbers.into_iter().for_each(|number| tally.add(&row(number)));
            tally
        };

        assert_eq!(tally([1, 2]), tally([2, 1]));
        assert_ne!(tally([1, 2]), tally([1, 3]));
    }

    #[test]
    fn values_read_back_as_they_were_written() {
        let row =
            vec![Value::Int(-1), Value::Real(1.0), Value::Null, Value::Blob(vec![0, 255]), Value::Text("ä".to_owned())];

        let text = serde_json::to_string(&row).unwrap();

        assert_eq!(serde_json::from_str::<Values>(&text).unwrap(), row, "{text}");
    }
}

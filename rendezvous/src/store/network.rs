//! The one row that says which mesh this is.

use sqlx::types::Uuid;
use warren_proto::keys::{NetworkId, NetworkPublic, UnixTime};

use super::value::{millis, parsed, unsigned};
use super::{Result, Store, Tx, on_reader, on_tx, statements};

/// The mesh as stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetworkRow {
    /// Bound into every handshake.
    pub id: NetworkId,
    /// For people.
    pub name: String,
    /// Public half of the key that signs certificates.
    pub signing_public: NetworkPublic,
    /// Overlay prefix in CIDR form, IPv4.
    pub v4: String,
    /// Overlay prefix in CIDR form, IPv6.
    pub v6: String,
    /// The host the last `run` was reached at.
    pub public_host: Option<String>,
    /// "host:port" of the last `run`'s control plane.
    pub control_addr: Option<String>,
    /// Base of the dashboard's links, of the last `run`.
    pub web_url: Option<String>,
    /// Of the newest change.
    pub revision: u64,
}

statements! {
    SELECT = "SELECT id, name, signing_public, v4, v6, public_host, control_addr, web_url, revision FROM network";
    INSERT = "INSERT INTO network (id, name, signing_public, v4, v6, created_at) VALUES ($1, $2, $3, $4, $5, $6)";
    SET_PUBLIC = "UPDATE network SET public_host = $1, control_addr = $2, web_url = $3";
    LOCK = "UPDATE network SET revision = revision";
    RENAME = "UPDATE network SET name = $1";
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    signing_public: Vec<u8>,
    v4: String,
    v6: String,
    public_host: Option<String>,
    control_addr: Option<String>,
    web_url: Option<String>,
    revision: i64,
}

impl Row {
    fn read(self) -> Result<NetworkRow> {
        Ok(NetworkRow {
            id: NetworkId::new(*self.id.as_bytes()),
            name: self.name,
            signing_public: parsed(NetworkPublic::from_slice(&self.signing_public), "signing_public")?,
            v4: self.v4,
            v6: self.v6,
            public_host: self.public_host,
            control_addr: self.control_addr,
            web_url: self.web_url,
            revision: unsigned(self.revision),
        })
    }
}

impl Store {
    /// The mesh, if one was made.
    pub async fn network(&self) -> Result<Option<NetworkRow>> {
        let row: Option<Row> = on_reader!(self, db => sqlx::query_as(SELECT).fetch_optional(db).await?);
        row.map(Row::read).transpose()
    }
}

impl Tx {
    /// Makes this the only writer until it ends, as SQLite's transactions are from their start.
    pub(super) async fn lock_network(&mut self) -> Result<()> {
        on_tx!(self, db => sqlx::query(LOCK).execute(db).await.map(drop))
    }

    /// The mesh, if one was made.
    pub async fn network(&mut self) -> Result<Option<NetworkRow>> {
        let row: Option<Row> = on_tx!(self, db => sqlx::query_as(SELECT).fetch_optional(db).await?);
        row.map(Row::read).transpose()
    }

    /// Makes the mesh.
    pub async fn insert_network(&mut self, network: &NetworkRow, now: UnixTime) -> Result<()> {
        on_tx!(self, db => sqlx::query(INSERT)
            .bind(Uuid::from_bytes(*network.id.as_bytes()))
            .bind(&network.name)
            .bind(network.signing_public.as_bytes().as_slice())
            .bind(&network.v4)
            .bind(&network.v6)
            .bind(millis(now))
            .execute(db).await.map(drop))
    }

    /// Remembers how the world reaches this server.
    pub async fn set_public(&mut self, host: &str, control_addr: &str, web_url: &str) -> Result<()> {
        on_tx!(self, db => sqlx::query(SET_PUBLIC).bind(host).bind(control_addr).bind(web_url).execute(db).await.map(drop))
    }

    /// Gives the mesh another name.
    pub async fn rename_network(&mut self, name: &str) -> Result<()> {
        on_tx!(self, db => sqlx::query(RENAME).bind(name).execute(db).await.map(drop))
    }
}

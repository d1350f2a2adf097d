//! One-time links that make an account or reset a password, by the SHA-256 of their token.

use sqlx::types::Uuid;
use warren_proto::keys::UnixTime;

use super::value::{millis, parsed, time};
use super::{Result, Store, Tx, on_reader, on_tx, statements};
use crate::domain::Role;

/// A link as stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccountLink {
    /// UUIDv7.
    pub id: Uuid,
    /// What it is for.
    pub purpose: LinkPurpose,
    /// For those who look at the list.
    pub note: String,
    /// The actor that made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it stops working.
    pub expires_at: UnixTime,
}

/// What a link does for whoever opens it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkPurpose {
    /// Makes an account of this role.
    Invite(Role),
    /// Gives an account another password.
    Reset {
        /// Whose.
        user: Uuid,
        /// Whether their passkeys and authenticator app are removed with it.
        drops_factors: bool,
    },
}

statements! {
    BY_HASH = "SELECT id, role, user_id, drops_factors, note, created_by, created_at, expires_at \
               FROM account_link WHERE hash = $1 AND expires_at > $2";
    BY_ID = "SELECT id, role, user_id, drops_factors, note, created_by, created_at, expires_at \
             FROM account_link WHERE id = $1 AND expires_at > $2";
    INVITES = "SELECT id, role, user_id, drops_factors, note, created_by, created_at, expires_at \
               FROM account_link WHERE role IS NOT NULL AND expires_at > $1 ORDER BY id DESC LIMIT $2";
    INSERT = "INSERT INTO account_link (id, hash, role, user_id, drops_factors, note, created_by, created_at, expires_at) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    DELETE = "DELETE FROM account_link WHERE id = $1";
    DELETE_RESETS = "DELETE FROM account_link WHERE user_id = $1";
    DELETE_OLD = "DELETE FROM account_link WHERE expires_at <= $1";
    COUNT = "SELECT COUNT(*) FROM account_link";
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    role: Option<String>,
    user_id: Option<Uuid>,
    drops_factors: bool,
    note: String,
    created_by: String,
    created_at: i64,
    expires_at: i64,
}

impl Row {
    fn read(self) -> Result<AccountLink> {
        let purpose = match (self.user_id, self.role) {
            (Some(user), _) => LinkPurpose::Reset { user, drops_factors: self.drops_factors },
            (None, role) => LinkPurpose::Invite(parsed(role.as_deref().and_then(Role::parse), "role")?),
        };
        Ok(AccountLink {
            id: self.id,
            purpose,
            note: self.note,
            created_by: self.created_by,
            created_at: time(self.created_at),
            expires_at: time(self.expires_at),
        })
    }
}

impl Store {
    /// The link of this token, while it works.
    pub async fn account_link(&self, hash: &[u8; 32], now: UnixTime) -> Result<Option<AccountLink>> {
        let row: Option<Row> = on_reader!(self, db => sqlx::query_as(BY_HASH)
            .bind(hash.as_slice()).bind(millis(now)).fetch_optional(db).await?);
        row.map(Row::read).transpose()
    }

    /// The newest `limit` invites that work, newest first.
    pub async fn account_invites(&self, limit: u32, now: UnixTime) -> Result<Vec<AccountLink>> {
        let rows: Vec<Row> = on_reader!(self, db => sqlx::query_as(INVITES)
            .bind(millis(now)).bind(i64::from(limit)).fetch_all(db).await?);
        rows.into_iter().map(Row::read).collect()
    }
}

impl Tx {
    /// The link of this token, while it works.
    pub async fn account_link(&mut self, hash: &[u8; 32], now: UnixTime) -> Result<Option<AccountLink>> {
        let row: Option<Row> = on_tx!(self, db => sqlx::query_as(BY_HASH)
            .bind(hash.as_slice()).bind(millis(now)).fetch_optional(db).await?);
        row.map(Row::read).transpose()
    }

    /// The link of this id, while it works.
    pub async fn account_link_by_id(&mut self, id: Uuid, now: UnixTime) -> Result<Option<AccountLink>> {
        let row: Option<Row> =
            on_tx!(self, db => sqlx::query_as(BY_ID).bind(id).bind(millis(now)).fetch_optional(db).await?);
        row.map(Row::read).transpose()
    }

    /// How many links there are.
    pub async fn account_link_count(&mut self) -> Result<u64> {
        let (count,): (i64,) = on_tx!(self, db => sqlx::query_as(COUNT).fetch_one(db).await?);
        Ok(super::value::unsigned(count))
    }

    /// Adds a link.
    pub async fn insert_account_link(&mut self, link: &AccountLink, hash: &[u8; 32]) -> Result<()> {
        let (role, user, drops_factors) = match link.purpose {
            LinkPurpose::Invite(role) => (Some(role.name()), None, false),
            LinkPurpose::Reset { user, drops_factors } => (None, Some(user), drops_factors),
        };
        on_tx!(self, db => sqlx::query(INSERT)
            .bind(link.id)
            .bind(hash.as_slice())
            .bind(role)
            .bind(user)
            .bind(drops_factors)
            .bind(&link.note)
            .bind(&link.created_by)
            .bind(millis(link.created_at))
            .bind(millis(link.expires_at))
            .execute(db).await.map(drop))
    }

    /// Uses up or withdraws a link; false when there was none.
    pub async fn delete_account_link(&mut self, id: Uuid) -> Result<bool> {
        on_tx!(self, db => Ok(sqlx::query(DELETE).bind(id).execute(db).await?.rows_affected() > 0))
    }

    /// Withdraws every reset link of a person.
    pub async fn delete_reset_links(&mut self, user: Uuid) -> Result<()> {
        on_tx!(self, db => sqlx::query(DELETE_RESETS).bind(user).execute(db).await.map(drop))
    }

    /// Forgets links that stopped working before `now`.
    pub async fn delete_expired_account_links(&mut self, now: UnixTime) -> Result<()> {
        on_tx!(self, db => sqlx::query(DELETE_OLD).bind(millis(now)).execute(db).await.map(drop))
    }
}

//! Browser sessions: a row per signed-in browser, found by the SHA-256 of its cookie's token.

use sqlx::types::Uuid;
use warren_proto::keys::UnixTime;

use super::value::{millis, parsed, time};
use super::{Result, Store, Tx, on_reader, on_tx, statements};
use crate::domain::Role;

/// A session to be made.
#[derive(Clone, PartialEq, Eq)]
pub struct NewSession {
    /// SHA-256 of the token in the cookie.
    pub token_hash: [u8; 32],
    /// Whose it is.
    pub user_id: Uuid,
    /// The secret that form tokens are made from.
    pub csrf: [u8; 32],
    /// Where the browser was.
    pub address: String,
    /// What the browser called itself.
    pub user_agent: String,
}

/// A session as its person sees it in a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionView {
    /// SHA-256 of the token in the cookie; names the session.
    pub token_hash: [u8; 32],
    /// When it began.
    pub created_at: UnixTime,
    /// When it was last used.
    pub last_seen_at: UnixTime,
    /// Where the browser was when it began.
    pub address: String,
    /// What the browser called itself.
    pub user_agent: String,
}

/// A live session with its person.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// SHA-256 of the token in the cookie.
    pub token_hash: [u8; 32],
    /// Whose it is.
    pub user_id: Uuid,
    /// Their name.
    pub user_name: String,
    /// Their role.
    pub role: Role,
    /// The secret that form tokens are made from.
    pub csrf: [u8; 32],
    /// When it began.
    pub created_at: UnixTime,
    /// When it was last used.
    pub last_seen_at: UnixTime,
}

statements! {
    FIND = "SELECT s.token_hash, s.user_id, u.name, u.role, s.csrf, s.created_at, s.last_seen_at \
            FROM session s JOIN admin_user u ON u.id = s.user_id WHERE s.token_hash = $1 AND u.disabled_at IS NULL";
    OF_USER = "SELECT token_hash, created_at, last_seen_at, address, user_agent FROM session WHERE user_id = $1 \
               ORDER BY last_seen_at DESC";
    INSERT = "INSERT INTO session (token_hash, user_id, csrf, created_at, last_seen_at, address, user_agent) \
              VALUES ($1, $2, $3, $4, $4, $5, $6)";
    TOUCH = "UPDATE session SET last_seen_at = $2 WHERE token_hash = $1";
    DELETE = "DELETE FROM session WHERE token_hash = $1";
    DELETE_OF_USER = "DELETE FROM session WHERE user_id = $1";
    DELETE_ONE_OF = "DELETE FROM session WHERE user_id = $1 AND token_hash = $2";
    DELETE_OTHERS_OF = "DELETE FROM session WHERE user_id = $1 AND token_hash <> $2";
    TRIM_OF_USER = "DELETE FROM session WHERE user_id = $1 AND token_hash NOT IN \
                    (SELECT token_hash FROM session WHERE user_id = $1 ORDER BY last_seen_at DESC LIMIT $2)";
    DELETE_OLD = "DELETE FROM session WHERE last_seen_at < $1 OR created_at < $2";
}

#[derive(sqlx::FromRow)]
struct Row {
    token_hash: Vec<u8>,
    user_id: Uuid,
    name: String,
    role: String,
    csrf: Vec<u8>,
    created_at: i64,
    last_seen_at: i64,
}

impl Row {
    fn read(self) -> Result<Session> {
        Ok(Session {
            token_hash: parsed(self.token_hash.try_into().ok(), "token_hash")?,
            user_id: self.user_id,
            user_name: self.name,
            role: parsed(Role::parse(&self.role), "role")?,
            csrf: parsed(self.csrf.try_into().ok(), "csrf")?,
            created_at: time(self.created_at),
            last_seen_at: time(self.last_seen_at),
        })
    }
}

impl Store {
    /// The session whose token hashes to this; age limits are the caller's.
    pub async fn session(&self, token_hash: &[u8; 32]) -> Result<Option<Session>> {
        let row: Option<Row> =
            on_reader!(self, db => sqlx::query_as(FIND).bind(token_hash.as_slice()).fetch_optional(db).await?);
        row.map(Row::read).transpose()
    }

    /// A person's sessions, the one used last first.
    pub async fn sessions_of(&self, user_id: Uuid) -> Result<Vec<SessionView>> {
        let rows: Vec<(Vec<u8>, i64, i64, String, String)> =
            on_reader!(self, db => sqlx::query_as(OF_USER).bind(user_id).fetch_all(db).await?);
        let read =
            |(token_hash, created_at, last_seen_at, address, user_agent): (Vec<u8>, i64, i64, String, String)| {
                Ok(SessionView {
                    token_hash: parsed(token_hash.try_into().ok(), "token_hash")?,
                    created_at: time(created_at),
                    last_seen_at: time(last_seen_at),
                    address,
                    user_agent,
                })
            };
        rows.into_iter().map(read).collect()
    }
}

impl Tx {
    /// Begins a session.
    pub async fn insert_session(&mut self, session: &NewSession, now: UnixTime) -> Result<()> {
        on_tx!(self, db => sqlx::query(INSERT)
            .bind(session.token_hash.as_slice())
            .bind(session.user_id)
            .bind(session.csrf.as_slice())
            .bind(millis(now))
            .bind(&session.address)
            .bind(&session.user_agent)
            .execute(db).await.map(drop))
    }

    /// Notes that a session was used.
    pub async fn touch_session(&mut self, token_hash: &[u8; 32], now: UnixTime) -> Result<()> {
        on_tx!(self, db => sqlx::query(TOUCH)
            .bind(token_hash.as_slice()).bind(millis(now)).execute(db).await.map(drop))
    }

    /// Ends a session.
    pub async fn delete_session(&mut self, token_hash: &[u8; 32]) -> Result<()> {
        on_tx!(self, db => sqlx::query(DELETE).bind(token_hash.as_slice()).execute(db).await.map(drop))
    }

    /// Ends every session of a person.
    pub async fn delete_sessions_of(&mut self, user_id: Uuid) -> Result<()> {
        on_tx!(self, db => sqlx::query(DELETE_OF_USER).bind(user_id).execute(db).await.map(drop))
    }

    /// Ends one session of a person; false when they have no such.
    pub async fn delete_session_of(&mut self, user_id: Uuid, token_hash: &[u8; 32]) -> Result<bool> {
        on_tx!(self, db => Ok(sqlx::query(DELETE_ONE_OF)
            .bind(user_id).bind(token_hash.as_slice()).execute(db).await?.rows_affected() > 0))
    }

    /// Ends every session of a person but this one.
    pub async fn delete_other_sessions_of(&mut self, user_id: Uuid, kept: &[u8; 32]) -> Result<()> {
        on_tx!(self, db => sqlx::query(DELETE_OTHERS_OF)
            .bind(user_id).bind(kept.as_slice()).execute(db).await.map(drop))
    }

    /// Ends a person's sessions but the `kept` that were used last.
    pub async fn trim_sessions_of(&mut self, user_id: Uuid, kept: u32) -> Result<()> {
        on_tx!(self, db => sqlx::query(TRIM_OF_USER)
            .bind(user_id).bind(i64::from(kept)).execute(db).await.map(drop))
    }

    /// Forgets sessions last used before `idle_since` or begun before `begun_since`.
    pub async fn delete_old_sessions(&mut self, idle_since: UnixTime, begun_since: UnixTime) -> Result<()> {
        on_tx!(self, db => sqlx::query(DELETE_OLD)
            .bind(millis(idle_since)).bind(millis(begun_since)).execute(db).await.map(drop))
    }
}

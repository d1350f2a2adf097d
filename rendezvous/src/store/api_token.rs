//! What programs sign in with: one row a token, found by the SHA-256 of its secret.

use sqlx::types::Uuid;
use warren_proto::keys::UnixTime;

use super::value::{millis, parsed, tags, tags_text, time};
use super::{Result, Store, Tx, on_reader, on_tx, statements};

/// A token as stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApiToken {
    /// UUIDv7.
    pub id: Uuid,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// Whose it is.
    pub user_id: Uuid,
    /// What its owner calls it.
    pub name: String,
    /// The words of the rights it was given.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it stops working.
    pub expires_at: UnixTime,
    /// When it was last used, to the minute.
    pub last_used_at: Option<UnixTime>,
    /// From where.
    pub last_used_from: Option<String>,
}

statements! {
    BY_HASH = "SELECT id, hash, user_id, name, scopes, created_at, expires_at, last_used_at, last_used_from \
               FROM api_token WHERE hash = $1";
    BY_ID = "SELECT id, hash, user_id, name, scopes, created_at, expires_at, last_used_at, last_used_from \
             FROM api_token WHERE id = $1";
    OF_USER = "SELECT id, hash, user_id, name, scopes, created_at, expires_at, last_used_at, last_used_from \
               FROM api_token WHERE user_id = $1 ORDER BY id DESC";
    INSERT = "INSERT INTO api_token (id, hash, user_id, name, scopes, created_at, expires_at) \
              VALUES ($1, $2, $3, $4, $5, $6, $7)";
    USED = "UPDATE api_token SET last_used_at = $2, last_used_from = $3 WHERE id = $1";
    DELETE = "DELETE FROM api_token WHERE id = $1";
    DELETE_EXPIRED = "DELETE FROM api_token WHERE expires_at < $1";
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    hash: Vec<u8>,
    user_id: Uuid,
    name: String,
    scopes: String,
    created_at: i64,
    expires_at: i64,
    last_used_at: Option<i64>,
    last_used_from: Option<String>,
}

impl Row {
    fn read(self) -> Result<ApiToken> {
        Ok(ApiToken {
            id: self.id,
            hash: parsed(self.hash.try_into().ok(), "hash")?,
            user_id: self.user_id,
            name: self.name,
            scopes: tags(&self.scopes)?,
            created_at: time(self.created_at),
            expires_at: time(self.expires_at),
            last_used_at: self.last_used_at.map(time),
            last_used_from: self.last_used_from,
        })
    }
}

impl Store {
    /// The token whose secret hashes to this; whether it still works is the caller's question.
    pub async fn api_token_by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiToken>> {
        let row: Option<Row> =
            on_reader!(self, db => sqlx::query_as(BY_HASH).bind(hash.as_slice()).fetch_optional(db).await?);
        row.map(Row::read).transpose()
    }

    /// A person's tokens, newest first.
    pub async fn api_tokens_of(&self, user_id: Uuid) -> Result<Vec<ApiToken>> {
        let rows: Vec<Row> = on_reader!(self, db => sqlx::query_as(OF_USER).bind(user_id).fetch_all(db).await?);
        rows.into_iter().map(Row::read).collect()
    }
}

impl Tx {
    /// The token of this id.
    pub async fn api_token(&mut self, id: Uuid) -> Result<Option<ApiToken>> {
        let row: Option<Row> = on_tx!(self, db => sqlx::query_as(BY_ID).bind(id).fetch_optional(db).await?);
        row.map(Row::read).transpose()
    }

    /// A person's tokens, newest first.
    pub async fn api_tokens_of(&mut self, user_id: Uuid) -> Result<Vec<ApiToken>> {
        let rows: Vec<Row> = on_tx!(self, db => sqlx::query_as(OF_USER).bind(user_id).fetch_all(db).await?);
        rows.into_iter().map(Row::read).collect()
    }

    /// Adds a token that was never used.
    pub async fn insert_api_token(&mut self, token: &ApiToken) -> Result<()> {
        on_tx!(self, db => sqlx::query(INSERT)
            .bind(token.id)
            .bind(token.hash.as_slice())
            .bind(token.user_id)
            .bind(&token.name)
            .bind(tags_text(&token.scopes))
            .bind(millis(token.created_at))
            .bind(millis(token.expires_at))
            .execute(db).await.map(drop))
    }

    /// Notes that a token was used, and from where.
    pub async fn note_api_token_use(&mut self, id: Uuid, from: &str, now: UnixTime) -> Result<()> {
        on_tx!(self, db => sqlx::query(USED).bind(id).bind(millis(now)).bind(from).execute(db).await.map(drop))
    }

    /// Ends a token.
    pub async fn delete_api_token(&mut self, id: Uuid) -> Result<()> {
        on_tx!(self, db => sqlx::query(DELETE).bind(id).execute(db).await.map(drop))
    }

    /// Forgets tokens that stopped working before `since`.
    pub async fn delete_expired_api_tokens(&mut self, since: UnixTime) -> Result<()> {
        on_tx!(self, db => sqlx::query(DELETE_EXPIRED).bind(millis(since)).execute(db).await.map(drop))
    }
}

//! Who a person is at an OpenID provider.

use sqlx::types::Uuid;
use warren_proto::keys::UnixTime;

use super::value::millis;
use super::{Result, Store, Tx, on_reader, on_tx, statements};

statements! {
    FIND = "SELECT user_id FROM oidc_identity WHERE issuer = $1 AND subject = $2";
    OF_USER = "SELECT issuer FROM oidc_identity WHERE user_id = $1 ORDER BY issuer";
    INSERT = "INSERT INTO oidc_identity (issuer, subject, user_id, created_at) VALUES ($1, $2, $3, $4)";
    DELETE = "DELETE FROM oidc_identity WHERE user_id = $1 AND issuer = $2";
    DELETE_OF_USER = "DELETE FROM oidc_identity WHERE user_id = $1";
}

impl Store {
    /// The issuers at which a person is known.
    pub async fn oidc_issuers_of(&self, user: Uuid) -> Result<Vec<String>> {
        let rows: Vec<(String,)> = on_reader!(self, db => sqlx::query_as(OF_USER).bind(user).fetch_all(db).await?);
        Ok(rows.into_iter().map(|(issuer,)| issuer).collect())
    }
}

impl Tx {
    /// The issuers at which a person is known.
    pub async fn oidc_issuers_of(&mut self, user: Uuid) -> Result<Vec<String>> {
        let rows: Vec<(String,)> = on_tx!(self, db => sqlx::query_as(OF_USER).bind(user).fetch_all(db).await?);
        Ok(rows.into_iter().map(|(issuer,)| issuer).collect())
    }

    /// Whose identity this is.
    pub async fn oidc_user(&mut self, issuer: &str, subject: &str) -> Result<Option<Uuid>> {
        let row: Option<(Uuid,)> =
            on_tx!(self, db => sqlx::query_as(FIND).bind(issuer).bind(subject).fetch_optional(db).await?);
        Ok(row.map(|(user,)| user))
    }

    /// Says whose identity this is.
    pub async fn insert_oidc_identity(&mut self, issuer: &str, subject: &str, user: Uuid, now: UnixTime) -> Result<()> {
        on_tx!(self, db => sqlx::query(INSERT)
            .bind(issuer).bind(subject).bind(user).bind(millis(now)).execute(db).await.map(drop))
    }

    /// Forgets a person's identity at an issuer; false when they have none.
    pub async fn delete_oidc_identity(&mut self, user: Uuid, issuer: &str) -> Result<bool> {
        on_tx!(self, db => Ok(sqlx::query(DELETE).bind(user).bind(issuer).execute(db).await?.rows_affected() > 0))
    }

    /// Forgets all of a person's identities.
    pub async fn delete_oidc_identities_of(&mut self, user: Uuid) -> Result<()> {
        on_tx!(self, db => sqlx::query(DELETE_OF_USER).bind(user).execute(db).await.map(drop))
    }
}

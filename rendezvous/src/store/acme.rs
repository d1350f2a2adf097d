//! What is kept of an ACME authority: account, certificates, the answer to its question, and attempts in vain.
//!
//! Secrets come and go sealed.

use warren_proto::keys::UnixTime;

use super::value::{millis, parsed, time, unsigned};
use super::{Result, Store, Tx, on_reader, on_tx, statements};

/// A certificate as stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredCertificate {
    /// PEM, the host's own first.
    pub chain: String,
    /// PEM, sealed.
    pub private_key: Vec<u8>,
}

/// Attempts in vain since the last certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AcmeFailure {
    /// How many.
    pub failures: u64,
    /// Of the last one, for a person.
    pub reason: String,
    /// When it is worth trying again.
    pub retry_at: UnixTime,
}

statements! {
    ACCOUNT = "SELECT credentials FROM acme_account WHERE directory = $1";
    PUT_ACCOUNT = "INSERT INTO acme_account (directory, credentials, created_at) VALUES ($1, $2, $3) \
                   ON CONFLICT (directory) DO UPDATE \
                   SET credentials = excluded.credentials, created_at = excluded.created_at";
    DELETE_ACCOUNT = "DELETE FROM acme_account WHERE directory = $1";
    CERTIFICATE = "SELECT chain, private_key FROM acme_certificate WHERE directory = $1 AND name = $2";
    PUT_CERTIFICATE = "INSERT INTO acme_certificate (directory, name, chain, private_key, obtained_at) \
                       VALUES ($1, $2, $3, $4, $5) ON CONFLICT (directory, name) DO UPDATE \
                       SET chain = excluded.chain, private_key = excluded.private_key, \
                       obtained_at = excluded.obtained_at";
    CHALLENGE = "SELECT digest FROM acme_challenge WHERE name = $1";
    PUT_CHALLENGE = "INSERT INTO acme_challenge (name, digest) VALUES ($1, $2) \
                     ON CONFLICT (name) DO UPDATE SET digest = excluded.digest";
    DELETE_CHALLENGE = "DELETE FROM acme_challenge WHERE name = $1";
    FAILURE = "SELECT failures, reason, retry_at FROM acme_failure WHERE directory = $1 AND name = $2";
    PUT_FAILURE = "INSERT INTO acme_failure (directory, name, failures, reason, retry_at) VALUES ($1, $2, $3, $4, $5) \
                   ON CONFLICT (directory, name) DO UPDATE SET failures = excluded.failures, \
                   reason = excluded.reason, retry_at = excluded.retry_at";
    DELETE_FAILURE = "DELETE FROM acme_failure WHERE directory = $1 AND name = $2";
}

impl Store {
    /// The account at an authority, sealed.
    pub async fn acme_account(&self, directory: &str) -> Result<Option<Vec<u8>>> {
        let row: Option<(Vec<u8>,)> =
            on_reader!(self, db => sqlx::query_as(ACCOUNT).bind(directory).fetch_optional(db).await?);
        Ok(row.map(|(credentials,)| credentials))
    }

    /// The newest certificate for a host.
    pub async fn acme_certificate(&self, directory: &str, name: &str) -> Result<Option<StoredCertificate>> {
        let row: Option<(String, Vec<u8>)> =
            on_reader!(self, db => sqlx::query_as(CERTIFICATE).bind(directory).bind(name).fetch_optional(db).await?);
        Ok(row.map(|(chain, private_key)| StoredCertificate { chain, private_key }))
    }

    /// What answers the question who serves a host, while one is open.
    pub async fn acme_challenge(&self, name: &str) -> Result<Option<[u8; 32]>> {
        let row: Option<(Vec<u8>,)> =
            on_reader!(self, db => sqlx::query_as(CHALLENGE).bind(name).fetch_optional(db).await?);
        row.map(|(digest,)| parsed(digest.try_into().ok(), "digest")).transpose()
    }

    /// Why there is no newer certificate.
    pub async fn acme_failure(&self, directory: &str, name: &str) -> Result<Option<AcmeFailure>> {
        let row: Option<(i64, String, i64)> =
            on_reader!(self, db => sqlx::query_as(FAILURE).bind(directory).bind(name).fetch_optional(db).await?);
        Ok(row.map(|(failures, reason, retry_at)| AcmeFailure {
            failures: unsigned(failures),
            reason,
            retry_at: time(retry_at),
        }))
    }
}

impl Tx {
    /// Remembers an account, in the place of an earlier one.
    pub async fn put_acme_account(&mut self, directory: &str, credentials: &[u8], now: UnixTime) -> Result<()> {
        on_tx!(self, db => sqlx::query(PUT_ACCOUNT)
            .bind(directory).bind(credentials).bind(millis(now)).execute(db).await.map(drop))
    }

    /// Forgets an account that its authority does not know.
    pub async fn delete_acme_account(&mut self, directory: &str) -> Result<()> {
        on_tx!(self, db => sqlx::query(DELETE_ACCOUNT).bind(directory).execute(db).await.map(drop))
    }

    /// Has a question about a host answered by every server.
    pub async fn put_acme_challenge(&mut self, name: &str, digest: &[u8; 32]) -> Result<()> {
        on_tx!(self, db => sqlx::query(PUT_CHALLENGE).bind(name).bind(digest.as_slice()).execute(db).await.map(drop))
    }

    /// The question is closed.
    pub async fn delete_acme_challenge(&mut self, name: &str) -> Result<()> {
        on_tx!(self, db => sqlx::query(DELETE_CHALLENGE).bind(name).execute(db).await.map(drop))
    }

    /// Keeps a certificate, in the place of an earlier one.
    pub async fn put_acme_certificate(
        &mut self,
        directory: &str,
        name: &str,
        certificate: &StoredCertificate,
        now: UnixTime,
    ) -> Result<()> {
        let StoredCertificate { chain, private_key } = certificate;
        on_tx!(self, db => sqlx::query(PUT_CERTIFICATE)
            .bind(directory).bind(name).bind(chain).bind(private_key).bind(millis(now)).execute(db).await.map(drop))
    }

    /// Remembers an attempt in vain.
    pub async fn put_acme_failure(&mut self, directory: &str, name: &str, failure: &AcmeFailure) -> Result<()> {
        let failures = i64::try_from(failure.failures).unwrap_or(i64::MAX);
        on_tx!(self, db => sqlx::query(PUT_FAILURE)
            .bind(directory).bind(name).bind(failures).bind(&failure.reason).bind(millis(failure.retry_at))
            .execute(db).await.map(drop))
    }

    /// It went well.
    pub async fn delete_acme_failure(&mut self, directory: &str, name: &str) -> Result<()> {
        on_tx!(self, db => sqlx::query(DELETE_FAILURE).bind(directory).bind(name).execute(db).await.map(drop))
    }
}

//! Sign-ins and registrations under way, by the SHA-256 of the secret that the browser holds; a bounded number of rows.

use sqlx::types::Uuid;
use warren_proto::keys::UnixTime;

use super::value::{millis, time};
use super::{Result, Store, Tx, on_reader, on_tx, statements};

/// A sign-in or registration under way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ceremony {
    /// Whose, if that is known.
    pub user_id: Option<Uuid>,
    /// What the next step needs to know.
    pub state: String,
    /// When it is too late.
    pub expires_at: UnixTime,
}

statements! {
    FIND = "SELECT user_id, state, expires_at FROM ceremony WHERE hash = $1 AND kind = $2 AND expires_at > $3";
    TAKE = "DELETE FROM ceremony WHERE hash = $1 AND kind = $2 AND expires_at > $3 \
            RETURNING user_id, state, expires_at";
    INSERT = "INSERT INTO ceremony (hash, kind, user_id, state, expires_at) VALUES ($1, $2, $3, $4, $5)";
    DELETE_OLD = "DELETE FROM ceremony WHERE expires_at <= $1";
    COUNT = "SELECT COUNT(*) FROM ceremony";
    DELETE_NEXT = "DELETE FROM ceremony WHERE hash IN (SELECT hash FROM ceremony ORDER BY expires_at LIMIT $1)";
}

type Row = (Option<Uuid>, String, i64);

fn read((user_id, state, expires_at): Row) -> Ceremony {
    Ceremony { user_id, state, expires_at: time(expires_at) }
}

impl Store {
    /// The ceremony of this secret, which goes on.
    pub async fn ceremony(&self, hash: &[u8; 32], kind: &str, now: UnixTime) -> Result<Option<Ceremony>> {
        let row: Option<Row> = on_reader!(self, db => sqlx::query_as(FIND)
            .bind(hash.as_slice()).bind(kind).bind(millis(now)).fetch_optional(db).await?);
        Ok(row.map(read))
    }
}

impl Tx {
    /// The ceremony of this secret, which ends here: nobody gets it twice.
    pub async fn take_ceremony(&mut self, hash: &[u8; 32], kind: &str, now: UnixTime) -> Result<Option<Ceremony>> {
        let row: Option<Row> = on_tx!(self, db => sqlx::query_as(TAKE)
            .bind(hash.as_slice()).bind(kind).bind(millis(now)).fetch_optional(db).await?);
        Ok(row.map(read))
    }

    /// Begins a ceremony.
    pub async fn insert_ceremony(&mut self, hash: &[u8; 32], kind: &str, ceremony: &Ceremony) -> Result<()> {
        on_tx!(self, db => sqlx::query(INSERT)
            .bind(hash.as_slice())
            .bind(kind)
            .bind(ceremony.user_id)
            .bind(&ceremony.state)
            .bind(millis(ceremony.expires_at))
            .execute(db).await.map(drop))
    }

    /// Forgets what is over at `now`, and what would be next while there are more than `max`.
    pub async fn trim_ceremonies(&mut self, max: u32, now: UnixTime) -> Result<()> {
        on_tx!(self, db => sqlx::query(DELETE_OLD).bind(millis(now)).execute(db).await.map(drop))?;
        let (count,): (i64,) = on_tx!(self, db => sqlx::query_as(COUNT).fetch_one(db).await?);
        let surplus = count - i64::from(max);
        if surplus <= 0 {
            return Ok(());
        }
        on_tx!(self, db => sqlx::query(DELETE_NEXT).bind(surplus).execute(db).await.map(drop))
    }
}

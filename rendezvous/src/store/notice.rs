//! Telling the other processes on the same PostgreSQL that something was committed.
//!
//! A transaction that logged a change notes its revision; after the commit the highest one goes out by `NOTIFY`, at most once
//! in `NOTIFY_EVERY` and never inside a transaction: there it takes a lock that all commits of the database wait for. A notice
//! is only a reason to look. One that is lost costs time until the next look, and nothing else. SQLite has one server, which
//! knows what it commits.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgListener;
use tokio::sync::watch;
use tracing::debug;

use super::{Engine, Result, Store};

/// The newest revision that this process has committed, for whoever waits for it.
#[derive(Clone, Debug)]
pub(super) struct Committed(Arc<watch::Sender<u64>>);

impl Default for Committed {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Committed {
    pub(super) fn pending(&self) -> Pending {
        Pending { revision: 0, committed: self.clone() }
    }
}

/// What a transaction will have changed once it is committed.
#[derive(Debug)]
pub(super) struct Pending {
    revision: u64,
    committed: Committed,
}

impl Pending {
    pub(super) fn note(&mut self, revision: u64) {
        self.revision = self.revision.max(revision);
    }

    pub(super) fn publish(self) {
        self.committed.0.send_if_modified(|newest| {
            let is_newer = self.revision > *newest;
            *newest = self.revision.max(*newest);
            is_newer
        });
    }
}

/// Hears what other processes commit.
#[derive(Debug)]
pub struct Listener(PgListener);

impl Listener {
    /// Waits for the next notice and gives its revision; `None` when some may have been missed.
    pub async fn next(&mut self) -> Result<Option<u64>> {
        let notice = self.0.try_recv().await?;
        Ok(notice.and_then(|notice| notice.payload().parse().ok()))
    }
}

impl Store {
    /// Begins to listen; `None` where there is nobody else to hear.
    pub async fn listen(&self) -> Result<Option<Listener>> {
        let Engine::Postgres(pool) = &self.db else { return Ok(None) };
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(CHANNEL).await?;
        Ok(Some(Listener(listener)))
    }

    /// Tells others of what this process commits, for as long as it runs.
    pub async fn run_notices(&self) {
        let mut committed = self.committed.0.subscribe();
        while committed.changed().await.is_ok() {
            let revision = *committed.borrow_and_update();
            self.notify(revision).await;
            tokio::time::sleep(NOTIFY_EVERY).await;
        }
    }

    /// For a process that ends before anybody waited: others are told of its newest revision once more.
    pub(super) async fn notify_rest(&self) {
        let revision = *self.committed.0.borrow();
        if revision > 0 {
            self.notify(revision).await;
        }
    }

    async fn notify(&self, revision: u64) {
        let Engine::Postgres(pool) = &self.db else { return };
        // PostgreSQL's own words, so that it is not in the registry of what both engines understand
        let sent = sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(revision.to_string());
        if let Err(error) = sent.execute(pool).await {
            debug!(%error, "cannot tell other servers of a change; they will see it when they look");
        }
    }
}

const CHANNEL: &str = "warren_change";
/// A burst of enrolments is one notice or two; what nobody hears of for 25 ms is still told in less than 100.
const NOTIFY_EVERY: Duration = Duration::from_millis(25);

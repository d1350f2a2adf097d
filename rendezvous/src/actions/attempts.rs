//! Counts attempts to sign in before anything is looked at, in the database: a restart forgets none, and replicas count
//! together.

use std::net::IpAddr;

use crate::app::App;
use crate::domain::{Attempts, account_subject, begin_subject, client_subject, code_subject};
use crate::error::Error;

/// One more attempt of this client for this account, or the wait that is due first.
pub(crate) async fn count_attempt(app: &App, client: IpAddr, account: &str) -> Result<(), Error> {
    let now = app.now();
    let (client, account) = (client_subject(client), account_subject(account));
    let mut tx = app.store().begin().await?;
    let by_account = Attempts::for_account(tx.attempts(&account).await?, now)?;
    let by_client = Attempts::by_client(tx.attempts(&client).await?, now)?;
    tx.put_attempts(&account, &by_account).await?;
    tx.put_attempts(&client, &by_client).await?;
    tx.trim_attempts(MAX_REMEMBERED, now).await?;
    Ok(tx.commit().await?)
}

/// One more attempt of this client that is for no account.
pub(crate) async fn count_client(app: &App, client: IpAddr) -> Result<(), Error> {
    count(app, client_subject(client)).await
}

/// One more sign-in or registration that this client begins.
pub(super) async fn count_begin(app: &App, client: IpAddr) -> Result<(), Error> {
    count(app, begin_subject(client)).await
}

async fn count(app: &App, subject: [u8; 32]) -> Result<(), Error> {
    let now = app.now();
    let mut tx = app.store().begin().await?;
    let attempts = Attempts::by_client(tx.attempts(&subject).await?, now)?;
    tx.put_attempts(&subject, &attempts).await?;
    tx.trim_attempts(MAX_REMEMBERED, now).await?;
    Ok(tx.commit().await?)
}

/// One more attempt at the six digits of this account.
pub(super) async fn count_code(app: &App, client: IpAddr, user: sqlx::types::Uuid) -> Result<(), Error> {
    let now = app.now();
    let (client, code) = (client_subject(client), code_subject(user));
    let mut tx = app.store().begin().await?;
    let by_code = Attempts::for_code(tx.attempts(&code).await?, now)?;
    let by_client = Attempts::by_client(tx.attempts(&client).await?, now)?;
    tx.put_attempts(&code, &by_code).await?;
    tx.put_attempts(&client, &by_client).await?;
    tx.trim_attempts(MAX_REMEMBERED, now).await?;
    Ok(tx.commit().await?)
}

/// The last attempt was none to count: whoever it was proved to be who they say.
pub(super) async fn forgive(app: &App, subject: [u8; 32]) -> Result<(), Error> {
    let mut tx = app.store().begin().await?;
    tx.delete_attempts(&subject).await?;
    Ok(tx.commit().await?)
}

/// Rows of 60 bytes; an attacker with more networks than that is not stopped by counting.
const MAX_REMEMBERED: u32 = 50_000;

//! Finishes a sign-in whose password was right: by a code of the authenticator app, or by a recovery code.

use sqlx::types::Uuid;

use super::attempts::{count_code, forgive};
use super::ceremony::Kind;
use super::secret_hash;
use super::sign_in::insert_session;
use crate::app::App;
use crate::auth::{Client, Token, TotpSecret};
use crate::domain::code_subject;
use crate::error::Error;
use crate::store::{AdminUser, Tx};

/// Whether this token may answer the question for a code.
pub(crate) async fn awaits_code(app: &App, token: &Token) -> Result<bool, Error> {
    Ok(app.store().ceremony(&token.digest(), Kind::SecondFactor.name(), app.now()).await?.is_some())
}

/// Begins the session if the code is right. A wrong one leaves the question open, under growing waits.
pub(crate) async fn sign_in_with_code(
    app: &App,
    token: &Token,
    code: &str,
    client: &Client,
    replaces: Option<[u8; 32]>,
) -> Result<Token, Error> {
    let (hash, kind) = (token.digest(), Kind::SecondFactor.name());
    let found = app.store().ceremony(&hash, kind, app.now()).await?;
    let user_id = found.and_then(|ceremony| ceremony.user_id).ok_or(Error::CeremonyOver)?;
    count_code(app, client.address, user_id).await?;
    let mut tx = app.store().begin().await?;
    let user = tx.admin_by_id(user_id).await?.filter(|user| user.disabled_at.is_none()).ok_or(Error::CeremonyOver)?;
    use_code(app, &mut tx, &user, code).await?;
    tx.take_ceremony(&hash, kind, app.now()).await?.ok_or(Error::CeremonyOver)?;
    let session = insert_session(app, &mut tx, (user.id, &user.name), client, replaces).await?;
    tx.commit().await?;
    forgive(app, code_subject(user_id)).await?;
    Ok(session)
}

/// Uses up a code of the app or a recovery code within a transaction.
pub(super) async fn use_code(app: &App, tx: &mut Tx, user: &AdminUser, code: &str) -> Result<(), Error> {
    if let Some(secret) = secret_of(app, user)
        && let Some(step) = secret.accepts(code, user.totp_step, app.now())
        && tx.take_totp_step(user.id, step).await?
    {
        return Ok(());
    }
    let hash = recovery_hash(user.id, code);
    if tx.use_recovery_code(user.id, &hash, app.now()).await? { Ok(()) } else { Err(Error::CodeWrong) }
}

/// What the person's app shares with us.
fn secret_of(app: &App, user: &AdminUser) -> Option<TotpSecret> {
    let opened = app.seal().open(user.totp_secret.as_deref()?, user.id.as_bytes())?;
    TotpSecret::from_slice(&opened)
}

/// What is stored of a recovery code, however it is typed. The account is hashed with it, as the key of its row says.
pub(super) fn recovery_hash(user: Uuid, code: &str) -> [u8; 32] {
    let typed = code.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase());
    let text: String = typed.collect();
    secret_hash(&[user.as_bytes(), text.as_bytes()].concat())
}

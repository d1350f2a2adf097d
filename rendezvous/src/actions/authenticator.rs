//! An authenticator app: begun, confirmed by a code, switched off by one; and the recovery codes that come with it.

use data_encoding::BASE32_NOPAD;

use super::attempts::count_code;
use super::attempts::forgive;
use super::audit;
use super::second_factor::{recovery_hash, use_code};
use super::sign_in::insert_session;
use crate::app::App;
use crate::auth::{Person, Token, TotpSecret};
use crate::domain::code_subject;
use crate::error::Error;
use crate::store::Tx;

/// A secret that nobody uses yet.
pub(crate) struct NewAuthenticator {
    /// For the app.
    pub(crate) secret: TotpSecret,
    /// The same, for our own form only.
    pub(crate) sealed: Vec<u8>,
}

/// Recovery codes, shown this once, and the session that takes the place of every other.
pub(crate) struct RecoveryCodes {
    /// To be written down.
    pub(crate) codes: Vec<String>,
    /// The session from here on.
    pub(crate) session: Token,
}

/// Makes a secret for the person's app. It counts for nothing until a code of it comes back.
pub(crate) fn begin_authenticator(app: &App, person: &Person) -> NewAuthenticator {
    let secret = TotpSecret::new(app.random());
    let sealed = app.seal().seal(secret.as_bytes(), &pending(person), app.random());
    NewAuthenticator { secret, sealed }
}

/// The secret of a form that was begun for this person.
pub(crate) fn resume_authenticator(app: &App, person: &Person, sealed: Vec<u8>) -> Result<NewAuthenticator, Error> {
    let opened = app.seal().open(&sealed, &pending(person)).ok_or(Error::CeremonyOver)?;
    let secret = TotpSecret::from_slice(&opened).ok_or(Error::CeremonyOver)?;
    Ok(NewAuthenticator { secret, sealed })
}

/// Switches the app on: from here on a password alone lets nobody in. Every other session ends.
pub(crate) async fn confirm_authenticator(
    app: &App,
    person: &Person,
    new: &NewAuthenticator,
    code: &str,
) -> Result<RecoveryCodes, Error> {
    count_code(app, person.client.address, person.id).await?;
    let step = new.secret.accepts(code, 0, app.now()).ok_or(Error::CodeWrong)?;
    let sealed = app.seal().seal(new.secret.as_bytes(), person.id.as_bytes(), app.random());
    let mut tx = app.store().begin().await?;
    tx.set_totp(person.id, Some(&sealed), step).await?;
    audit(app, &mut tx, &person.actor(), "user.add-authenticator", &person.name, "").await?;
    let codes = renew_codes(app, &mut tx, person).await?;
    tx.commit().await?;
    forgive(app, code_subject(person.id)).await?;
    Ok(codes)
}

/// Switches the app off, and forgets the recovery codes.
pub(crate) async fn remove_authenticator(app: &App, person: &Person, code: &str) -> Result<(), Error> {
    count_code(app, person.client.address, person.id).await?;
    let mut tx = app.store().begin().await?;
    let user = tx.admin_by_id(person.id).await?.ok_or(Error::AccountUnknown)?;
    use_code(app, &mut tx, &user, code).await?;
    tx.set_totp(person.id, None, 0).await?;
    tx.set_recovery_codes(person.id, &[]).await?;
    audit(app, &mut tx, &person.actor(), "user.remove-authenticator", &person.name, "").await?;
    tx.commit().await?;
    forgive(app, code_subject(person.id)).await
}

/// Replaces the recovery codes.
pub(crate) async fn replace_recovery_codes(app: &App, person: &Person, code: &str) -> Result<RecoveryCodes, Error> {
    count_code(app, person.client.address, person.id).await?;
    let mut tx = app.store().begin().await?;
    let user = tx.admin_by_id(person.id).await?.ok_or(Error::AccountUnknown)?;
    use_code(app, &mut tx, &user, code).await?;
    audit(app, &mut tx, &person.actor(), "user.renew-recovery-codes", &person.name, "").await?;
    let codes = renew_codes(app, &mut tx, person).await?;
    tx.commit().await?;
    forgive(app, code_subject(person.id)).await?;
    Ok(codes)
}

async fn renew_codes(app: &App, tx: &mut Tx, person: &Person) -> Result<RecoveryCodes, Error> {
    let codes: Vec<String> = (0..CODES).map(|_| recovery_code(&app.random())).collect();
    let hashes: Vec<[u8; 32]> = codes.iter().map(|code| recovery_hash(person.id, code)).collect();
    tx.set_recovery_codes(person.id, &hashes).await?;
    tx.delete_sessions_of(person.id).await?;
    let session = insert_session(app, tx, (person.id, &person.name), &person.client, None).await?;
    Ok(RecoveryCodes { codes, session })
}

/// 80 bits in four groups of four: nothing to guess, even with the hashes at hand.
fn recovery_code(random: &[u8; 10]) -> String {
    let text = BASE32_NOPAD.encode(random).to_lowercase();
    let groups: Vec<&str> = (0..text.len()).step_by(4).map(|at| &text[at..at + 4]).collect();
    groups.join("-")
}

/// Where a secret is sealed for that nobody uses yet.
fn pending(person: &Person) -> Vec<u8> {
    [b"authenticator begun by ".as_slice(), person.id.as_bytes()].concat()
}

const CODES: usize = 10;

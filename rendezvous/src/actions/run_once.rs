//! A request that a caller may send again under a key of its own is done once: the first runs, those that arrive while it
//! runs are told so, and those that come later get its answer.
//!
//! The answer is kept for a day, sealed under a key that is made from the caller's credential, which nobody has but the
//! caller: an answer may hold a secret that is shown once. What was not done is forgotten, and may be tried again. When
//! the server dies between the deed and the answer, the next request under the key waits out `GIVEN_UP_AFTER` and runs.

use std::time::Duration;

use anyhow::anyhow;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::{Digest as _, Sha256};
use warren_proto::keys::UnixTime;

use crate::app::App;
use crate::auth::Identity;
use crate::error::Error;

/// A request under a key.
#[derive(Debug)]
pub(crate) struct OnceKey {
    hash: [u8; 32],
    caller: [u8; 32],
    seal: [u8; 32],
    request: [u8; 32],
}

/// What to do with a request.
#[derive(Debug)]
pub(crate) enum Once {
    /// It was done: this was the answer.
    Answered(Vec<u8>),
    /// Nobody came before: do it.
    First,
    /// The key belongs to another request.
    Reused,
    /// It is being done at this moment.
    Running,
}

impl OnceKey {
    /// The request that says `parts`, under a key of this caller.
    pub(crate) fn new(identity: &Identity, key: &[u8], parts: &[&[u8]]) -> Self {
        let mut request = Sha256::new();
        for part in parts {
            request.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            request.update(part);
        }
        Self {
            hash: identity.derive("idempotency key", key),
            caller: identity.derive("idempotency caller", b""),
            seal: identity.derive("idempotency seal", key),
            request: request.finalize().into(),
        }
    }
}

/// Asks whether a request is to be done, and if so notes that it is.
pub(crate) async fn begin_once(app: &App, key: &OnceKey) -> Result<Once, Error> {
    let now = app.now();
    let mut tx = app.store().begin().await?;
    if let Some(earlier) = tx.earlier_request(&key.hash).await? {
        let is_old = now >= earlier.created_at.plus(KEPT_FOR);
        match earlier.response {
            _ if is_old => {}
            _ if earlier.request_hash != key.request => return Ok(Once::Reused),
            Some(sealed) => return Ok(Once::Answered(open(key, sealed)?)),
            None if now < earlier.created_at.plus(GIVEN_UP_AFTER) => return Ok(Once::Running),
            None => {}
        }
        tx.forget_request(&key.hash).await?;
    }
    tx.forget_old_requests(UnixTime::new(now.since_epoch().saturating_sub(KEPT_FOR))).await?;
    if tx.remembered_requests(&key.caller).await? >= MAX_REMEMBERED {
        tx.forget_oldest_requests(&key.caller, FORGOTTEN_AT_ONCE).await?;
    }
    tx.begin_request(&key.hash, &key.caller, &key.request, now).await?;
    tx.commit().await?;
    Ok(Once::First)
}

/// Keeps the answer of a request that was done.
pub(crate) async fn keep_answer(app: &App, key: &OnceKey, answer: Vec<u8>) -> Result<(), Error> {
    let sealed = seal(key, app.random(), answer)?;
    let mut tx = app.store().begin().await?;
    tx.answer_request(&key.hash, &sealed).await?;
    Ok(tx.commit().await?)
}

/// Forgets a request that was not done.
pub(crate) async fn forget_once(app: &App, key: &OnceKey) -> Result<(), Error> {
    let mut tx = app.store().begin().await?;
    tx.forget_request(&key.hash).await?;
    Ok(tx.commit().await?)
}

fn seal(key: &OnceKey, nonce: [u8; NONCE_LEN], mut answer: Vec<u8>) -> Result<Vec<u8>, Error> {
    let aead = cipher(key);
    aead.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(key.request), &mut answer)
        .map_err(|_| anyhow!("seal an answer"))?;
    Ok([nonce.as_slice(), &answer].concat())
}

fn open(key: &OnceKey, sealed: Vec<u8>) -> Result<Vec<u8>, Error> {
    let broken = || anyhow!("open a sealed answer");
    let (nonce, rest) = sealed.split_at_checked(NONCE_LEN).ok_or_else(broken)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| broken())?;
    let mut rest = rest.to_vec();
    let plain = cipher(key).open_in_place(nonce, Aad::from(key.request), &mut rest).map_err(|_| broken())?;
    Ok(plain.to_vec())
}

fn cipher(key: &OnceKey) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key.seal).expect("a digest is as long as the key"))
}

/// A client that retries for longer has another problem.
const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);
/// Far longer than any request takes: whoever ran it is gone.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(60);
/// Answers kept of one caller; the oldest give way.
const MAX_REMEMBERED: u64 = 1000;
/// Makes room seldom.
const FORGOTTEN_AT_ONCE: u32 = 100;

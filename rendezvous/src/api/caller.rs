//! Who calls, as extractors: a handler that takes a `Caller<R>` is reached only by those who have the right `R`, one that
//! takes `SignedIn` by anybody with an account. Everybody else gets a problem.
//!
//! `enter` has looked at the credential once, before anything else, and left what it found with the request.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use warren_proto::keys::NodeId;

use super::problem::{Code, Problem};
use crate::app::App;
use crate::auth::{By, Identity, Required};
use crate::domain::{Device, Right};

/// Somebody with an account.
#[derive(Clone, Debug)]
pub(super) struct SignedIn(pub(super) Arc<Identity>);

/// Somebody who has the right `R`.
#[derive(Debug)]
pub(super) struct Caller<R> {
    /// Who.
    pub(super) identity: Arc<Identity>,
    right: PhantomData<R>,
}

/// Somebody who has the right `R` over the device that `{id}` in the path names: by its id, or the name of an active one.
#[derive(Debug)]
pub(super) struct OnDevice<R> {
    /// Who.
    pub(super) identity: Arc<Identity>,
    /// The device, in whatever state.
    pub(super) device: Device,
    right: PhantomData<R>,
}

/// Somebody who has the right `R` over both devices that `{a}` and `{b}` in the path name.
#[derive(Debug)]
pub(super) struct OnPair<R> {
    /// Who.
    pub(super) identity: Arc<Identity>,
    /// The devices, two different ones.
    pub(super) devices: [Device; 2],
    right: PhantomData<R>,
}

/// A person in a browser: tokens are not enough for what would let a stolen one outlive its theft.
#[derive(Debug)]
pub(super) struct InPerson(pub(super) Arc<Identity>);

impl<S: Send + Sync> FromRequestParts<S> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| Code::SignInFirst.into())
    }
}

impl<S: Send + Sync, R: Required> FromRequestParts<S> for Caller<R> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let SignedIn(identity) = SignedIn::from_request_parts(parts, state).await?;
        if !identity.has::<R>() {
            return Err(lacking(&identity, R::RIGHT));
        }
        Ok(Self { identity, right: PhantomData })
    }
}

impl<S: Send + Sync, R: Required> FromRequestParts<S> for OnDevice<R>
where
    App: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let SignedIn(identity) = SignedIn::from_request_parts(parts, state).await?;
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| Code::QueryInvalid)?;
        let named = params.iter().find(|(name, _)| *name == "id").map_or("", |(_, text)| text);
        let device = find_device(&App::from_ref(state), &identity, named, R::RIGHT).await?;
        Ok(Self { identity, device, right: PhantomData })
    }
}

impl<S: Send + Sync, R: Required> FromRequestParts<S> for OnPair<R>
where
    App: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let SignedIn(identity) = SignedIn::from_request_parts(parts, state).await?;
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| Code::QueryInvalid)?;
        let named = |wanted: &str| params.iter().find(|(name, _)| *name == wanted).map_or("", |(_, text)| text);
        let app = App::from_ref(state);
        let first = find_device(&app, &identity, named("a"), R::RIGHT).await?;
        let second = find_device(&app, &identity, named("b"), R::RIGHT).await?;
        if first.id == second.id {
            return Err(Code::DeviceUnknown.into());
        }
        Ok(Self { identity, devices: [first, second], right: PhantomData })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for InPerson {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let SignedIn(identity) = SignedIn::from_request_parts(parts, state).await?;
        if !matches!(identity.by, By::Session(_)) {
            return Err(Code::SessionNeeded.into());
        }
        Ok(Self(identity))
    }
}

/// The refusal that says what is lacking, and whether the token or the role lacks it.
pub(super) fn lacking(identity: &Identity, right: Right) -> Problem {
    let lacks = if identity.is_scoped(right) { "the role" } else { "the token" };
    Problem::with_detail(Code::Forbidden, format!("{lacks} lacks the right {}", right.name()))
}

/// The device of an id or an active one's name, if the caller has the right over it. One that they may not even see is one
/// that does not exist.
pub(super) async fn find_device(app: &App, caller: &Identity, text: &str, right: Right) -> Result<Device, Problem> {
    if !caller.is_scoped(right) {
        return Err(lacking(caller, right));
    }
    let device = match NodeId::parse(text) {
        Some(id) => app.store().device(id).await?,
        None => app.store().active_devices().await?.into_iter().find(|device| device.name.as_str() == text),
    };
    let device = device.ok_or(Code::DeviceUnknown)?;
    if caller.may_on(right, &device) {
        return Ok(device);
    }
    Err(if caller.may_on(Right::ReadMesh, &device) { lacking(caller, right) } else { Code::DeviceUnknown.into() })
}

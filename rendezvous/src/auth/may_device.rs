//! `MayDevice<R>`: somebody who has the right `R` over the device in the path, by role or because it is theirs.
//!
//! A device that one may not see is answered like one that does not exist.

use std::marker::PhantomData;

use axum::extract::{FromRef, FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use warren_proto::keys::NodeId;

use super::form::PersonForm;
use super::may::Required;
use super::{Person, Refusal};
use crate::app::App;
use crate::domain::{Right, may_on_device};

/// A person who has the right `R` over the device that `{id}` in the path names.
#[derive(Clone, Debug)]
pub(crate) struct MayDevice<R> {
    /// Who.
    pub(crate) person: Person,
    /// The device, in whatever state.
    pub(crate) device: NodeId,
    right: PhantomData<R>,
}

/// A form posted by a person who has the right `R` over the device that `{id}` in the path names.
#[derive(Debug)]
pub(crate) struct MayDeviceForm<R, F> {
    /// Who posted it.
    pub(crate) person: Person,
    /// The device, in whatever state.
    pub(crate) device: NodeId,
    /// What the form says.
    pub(crate) form: F,
    right: PhantomData<R>,
}

impl<S: Send + Sync, R: Required> FromRequestParts<S> for MayDevice<R>
where
    App: FromRef<S>,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let person = <Person as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| Refusal::NotFound)?;
        let named = params.iter().find(|(name, _)| *name == "id").and_then(|(_, text)| NodeId::parse(text));
        let stored = App::from_ref(state).store().device(named.ok_or(Refusal::NotFound)?).await;
        let device = stored.map_err(|error| Refusal::World(error.into()))?.ok_or(Refusal::NotFound)?;
        if !may_on_device(person.role, person.id, Right::ReadMesh, &device) {
            return Err(Refusal::NotFound);
        }
        if !may_on_device(person.role, person.id, R::RIGHT, &device) {
            return Err(Refusal::Forbidden(R::RIGHT));
        }
        Ok(Self { person, device: device.id, right: PhantomData })
    }
}

impl<S: Send + Sync, R: Required, F: DeserializeOwned> FromRequest<S> for MayDeviceForm<R, F>
where
    App: FromRef<S>,
{
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let (mut parts, body) = request.into_parts();
        let MayDevice { device, .. } = MayDevice::<R>::from_request_parts(&mut parts, state).await?;
        let PersonForm { person, form } = PersonForm::from_request(Request::from_parts(parts, body), state).await?;
        Ok(Self { person, device, form, right: PhantomData })
    }
}

//! `MayPair<R>`: somebody who has the right `R` over both devices in the path, by role or because both are theirs.
//!
//! A device that one may not see is answered like one that does not exist.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use warren_proto::keys::NodeId;

use super::form::PersonForm;
use super::may::Required;
use super::{Person, Refusal};
use crate::app::App;
use crate::domain::{Device, Right, may_on_device};

/// A person who has the right `R` over the active devices that `{a}` and `{b}` in the path name, each by its id or name.
#[derive(Clone, Debug)]
pub(crate) struct MayPair<R> {
    /// Who.
    pub(crate) person: Person,
    /// The devices, two different ones.
    pub(crate) devices: [Arc<Device>; 2],
    right: PhantomData<R>,
}

/// A form posted by a person who has the right `R` over the pair in the path.
#[derive(Debug)]
pub(crate) struct MayPairForm<R, F> {
    /// Who posted it.
    pub(crate) person: Person,
    /// The devices, two different ones.
    pub(crate) devices: [NodeId; 2],
    /// What the form says.
    pub(crate) form: F,
    right: PhantomData<R>,
}

impl<R> MayPair<R> {
    /// Whether they have another right over both as well.
    pub(crate) fn may(&self, right: Right) -> bool {
        self.devices.iter().all(|device| may_on_device(self.person.role, self.person.id, right, device))
    }
}

impl<S: Send + Sync, R: Required> FromRequestParts<S> for MayPair<R>
where
    App: FromRef<S>,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let person = <Person as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| Refusal::NotFound)?;
        let active = App::from_ref(state).devices().await.map_err(|error| Refusal::World(error.into()))?;
        let find = |wanted: &str| {
            let text = params.iter().find(|(name, _)| *name == wanted).map_or("", |(_, text)| text);
            let id = NodeId::parse(text);
            let named = |device: &&Arc<Device>| Some(device.id) == id || device.name.as_str() == text;
            let seen = |device: &&Arc<Device>| may_on_device(person.role, person.id, Right::ReadMesh, device);
            active.iter().find(named).filter(seen).cloned().ok_or(Refusal::NotFound)
        };
        let pair = Self { devices: [find("a")?, find("b")?], person, right: PhantomData };
        if pair.devices[0].id == pair.devices[1].id {
            return Err(Refusal::NotFound);
        }
        if pair.may(R::RIGHT) { Ok(pair) } else { Err(Refusal::Forbidden(R::RIGHT)) }
    }
}

impl<S: Send + Sync, R: Required, F: DeserializeOwned> FromRequest<S> for MayPairForm<R, F>
where
    App: FromRef<S>,
{
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let (mut parts, body) = request.into_parts();
        let MayPair { devices, .. } = MayPair::<R>::from_request_parts(&mut parts, state).await?;
        let PersonForm { person, form } = PersonForm::from_request(Request::from_parts(parts, body), state).await?;
        Ok(Self { person, devices: devices.map(|device| device.id), form, right: PhantomData })
    }
}

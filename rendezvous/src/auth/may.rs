//! `May<R>`: somebody who is signed in and whose role has the right `R`. A handler that takes one need ask no more.

use std::marker::PhantomData;

use axum::extract::{FromRef, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::form::PersonForm;
use super::{Person, Refusal};
use crate::app::App;
use crate::domain::{Right, Role};

/// A right as a type, for `May<R>` and its like.
pub trait Required: Send + Sync {
    /// The right.
    const RIGHT: Right;

    /// Whether a person of this role passes.
    fn is_met_by(role: Role) -> bool {
        role.has(Self::RIGHT)
    }
}

/// Declares a marker type for a right.
macro_rules! markers {
    ($($name:ident)*) => {
        $(
            #[doc = concat!("`Right::", stringify!($name), "`")]
            #[derive(Clone, Copy, Debug)]
            pub enum $name {}

            impl Required for $name {
                const RIGHT: Right = Right::$name;
            }
        )*
    };
}

markers! { ManageDevices ManageInvites ManageServer ManageUsers ReadActivity ReadMesh }

/// Bringing devices of one's own: what a member may too.
#[derive(Clone, Copy, Debug)]
pub enum AddDevices {}

impl Required for AddDevices {
    const RIGHT: Right = Right::ManageDevices;

    fn is_met_by(role: Role) -> bool {
        role.may_add_devices()
    }
}

/// A person who has the right `R`.
#[derive(Clone, Debug)]
pub(crate) struct May<R> {
    /// Who.
    pub(crate) person: Person,
    right: PhantomData<R>,
}

/// A form posted by a person who has the right `R`.
#[derive(Debug)]
pub(crate) struct MayForm<R, F> {
    /// Who posted it.
    pub(crate) person: Person,
    /// What it says.
    pub(crate) form: F,
    right: PhantomData<R>,
}

impl<S: Send + Sync, R: Required> FromRequestParts<S> for May<R>
where
    App: FromRef<S>,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let person = <Person as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        if !R::is_met_by(person.role) {
            return Err(Refusal::Forbidden(R::RIGHT));
        }
        Ok(Self { person, right: PhantomData })
    }
}

impl<S: Send + Sync, R: Required, F: DeserializeOwned> FromRequest<S> for MayForm<R, F>
where
    App: FromRef<S>,
{
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let (mut parts, body) = request.into_parts();
        // the right before the form: what may not be done is refused in those words, however it was asked
        May::<R>::from_request_parts(&mut parts, state).await?;
        let PersonForm { person, form } = PersonForm::from_request(Request::from_parts(parts, body), state).await?;
        Ok(Self { person, form, right: PhantomData })
    }
}

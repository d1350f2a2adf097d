//! Who is asking, and whether the form came from one of our own pages: extractors, so that a handler that compiles is
//! authorised.
//!
//! `Person` and `Visitor` say who, `May<R>`, `MayDevice<R>` and `MayPair<R>` what they may do. Each has its form, which is the only way
//! to read a posted one and does not exist for a forged one. Rows are `store`'s, pages are `web`'s.

mod api_token;
mod client;
mod cookies;
mod form;
mod identity;
mod may;
mod may_device;
mod may_pair;
pub mod password;
mod person;
mod seal;
mod token;
mod totp;
mod visitor;
mod webauthn;

pub(crate) use api_token::ApiSecret;
pub(crate) use client::{Client, is_secure, peer};
pub(crate) use cookies::{
    clear_cookie, clear_factor_cookie, factor_cookie, factor_token, invite_cookie, link_cookie, read_invite_cookie,
    read_link_cookie, read_secret_cookie, secret_cookie, session_cookie,
};
pub(crate) use form::{PersonForm, VisitorForm};
pub(crate) use identity::{By, Identity, Unidentified, is_from_own_page};
pub use may::{AddDevices, ManageDevices, ManageInvites, ManageServer, ManageUsers, ReadActivity, ReadMesh, Required};
pub(crate) use may::{May, MayForm};
pub(crate) use may_device::{MayDevice, MayDeviceForm};
pub(crate) use may_pair::{MayPair, MayPairForm};
pub(crate) use password::{NewPassword, Passwords};
pub(crate) use person::{Person, SESSION_ABSOLUTE, SESSION_IDLE};
pub(crate) use seal::Seal;
pub(crate) use token::{FormSecret, Token};
pub(crate) use totp::TotpSecret;
pub(crate) use visitor::Visitor;
pub(crate) use webauthn::{ALGORITHMS, Assertion, NoRelyingParty, Registration, RelyingParty, challenge_in};

use crate::domain::Right;

/// Why a request is turned away before its handler runs.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Their role lacks this right.
    Forbidden(Right),
    /// A posted form that none of our pages made, or one that has outlived its session.
    Forged,
    /// What the path names does not exist, or not for them.
    NotFound,
    /// Nobody is signed in; `next` is where to go afterwards.
    SignInFirst {
        /// A path of ours.
        next: String,
    },
    /// A form that is too long, or lacks a field.
    Unreadable,
    /// The database failed.
    World(anyhow::Error),
}

//! Who is asking, and whether the form came from one of our own pages: extractors, so that a handler that compiles is
//! authorised.
//!
//! `Admin` and `Visitor` say who; `AdminForm` and `VisitorForm` are the only ways to read a posted form, and neither
//! exists for a forged one. Rows are `store`'s, pages are `web`'s.

mod admin;
mod client;
mod cookies;
mod form;
pub mod password;
mod throttle;
mod token;
mod visitor;

pub(crate) use admin::{Admin, SESSION_ABSOLUTE, SESSION_IDLE};
pub(crate) use client::Client;
pub(crate) use cookies::{clear_cookie, invite_cookie, read_invite_cookie, session_cookie};
pub(crate) use form::{AdminForm, VisitorForm};
pub(crate) use password::{NewPassword, Passwords};
pub(crate) use throttle::{Throttle, TooMany};
pub(crate) use token::{FormSecret, Token};
pub(crate) use visitor::Visitor;

/// What signing in goes through: the hashing of passwords and the counting of attempts.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Hashes and checks.
    pub(crate) passwords: Passwords,
    /// Counts.
    pub(crate) throttle: Throttle,
}

impl Gate {
    /// An open one.
    pub(crate) fn new() -> Self {
        Self { passwords: Passwords::new(), throttle: Throttle::default() }
    }
}

/// Why a request is turned away before its handler runs.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// A posted form that none of our pages made, or one that has outlived its session.
    Forged,
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

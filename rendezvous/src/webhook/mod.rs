//! Telling a web server of somebody's what happened: one signed `POST`, to an address that may be called.
//!
//! Whom to tell what and when is `actions`' business. A small client of our own over hyper and rustls, which serve the
//! dashboard anyway: a general one follows redirects, reads proxies from the environment and resolves names out of sight,
//! each of which is a way around `guard`.

mod guard;
mod post;
mod signature;
mod target;

pub(crate) use post::{Message, Outcome, post};
pub(crate) use target::Target;

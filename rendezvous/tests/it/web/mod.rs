//! The dashboard through its router: journeys without scripts, and what must never happen.

mod accounts;
mod activity;
mod devices;
mod factors;
mod headers;
mod live;
mod map;
mod oidc;
mod pairs;
mod roles;
mod setup;
mod system;
mod users;

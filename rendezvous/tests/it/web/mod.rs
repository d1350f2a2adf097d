//! The dashboard through its router: journeys without scripts, and what must never happen.

mod accounts;
mod activate;
mod activity;
mod devices;
mod factors;
mod fleet;
mod headers;
mod keys;
mod live;
mod map;
mod oidc;
mod overview;
mod pairs;
mod roles;
mod setup;
mod system;
mod users;
mod webhooks;

//! The REST API, through the router.

mod access;
mod client;
mod devices;
mod document;
mod enrollments;
mod events;
mod fuzz;
mod keys;
mod once;
mod own;
mod pairs;
mod tokens;
mod users;
mod webhooks;

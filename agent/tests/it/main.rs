//! The agent's parts together, in one binary: data planes over memory and real devices, the host's network settings.

#![expect(clippy::unwrap_used, reason = "in a helper, too, it fails the test")]

mod common;
mod data_plane;
mod device;
mod hostile;

//! The control plane: agents' connections, and what they are told.

mod hub;

pub use hub::{Hub, LiveEvent};

//! The pair of two devices: its page, and what can be asked of both ends from there.

pub(super) mod ask;
pub(super) mod show;

//! What pages show, as plain values: rows, paths, moments, already in words. No HTML and no database here.
//!
//! A value's hash stands for what the page says, so that a stream sends a part again only when it says something else;
//! the ageing of relative times does not count, since the browser ages them itself.

mod device;
mod device_list;
mod enrolment;
mod network;
mod pair;
mod path;
mod plots;

pub(super) use device::Device;
pub(super) use device_list::{DeviceList, ListRow, NATS, is_older};
pub(super) use enrolment::{Enrolment, Stage};
pub(super) use pair::{ChangeView, PairView};
pub(super) use path::{PathKind, via};
pub(super) use plots::Plots;

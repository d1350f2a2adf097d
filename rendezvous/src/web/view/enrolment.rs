//! How far the device has come that an invite was made for.

use std::time::Duration;

use warren_proto::keys::UnixTime;

use super::super::format::Moment;
use super::device::{DeviceRow, names};
use crate::actions::DeviceView;
use crate::store::StoredInvite;

/// An invite's page.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in crate::web) struct Enrolment {
    pub(in crate::web) id: String,
    pub(in crate::web) stage: Stage,
}

/// What the page says.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in crate::web) enum Stage {
    /// Nobody came, and nobody can any more.
    Expired,
    /// The device is a member.
    Joined {
        /// With its paths, once it has any.
        device: Box<DeviceRow>,
    },
    /// A device came, and has left or was revoked since.
    Left,
    /// Nobody came yet.
    Waiting {
        /// When the invite stops working.
        expires: Moment,
    },
}

impl Enrolment {
    /// The stage of `invite` among the active devices.
    pub(in crate::web) fn new(invite: &StoredInvite, active: &[DeviceView], now: UnixTime) -> Self {
        let joined = active.iter().find(|view| view.device.invite_id == Some(invite.id));
        let expires = invite.expires_at.unwrap_or_else(|| now.plus(Duration::from_secs(900)));
        let stage = match joined {
            Some(view) => Stage::Joined { device: Box::new(DeviceRow::new(view, &names(active), now)) },
            None if invite.used_count > 0 => Stage::Left,
            None if invite.revoked_at.is_some() || expires <= now => Stage::Expired,
            None => Stage::Waiting { expires: Moment::new(expires, now) },
        };
        Self { id: invite.id.to_string(), stage }
    }
}

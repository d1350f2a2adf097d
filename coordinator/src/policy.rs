//! Devices that are to use the relay only: by an administrator's word, or by their owner's.
//!
//! A pair of which one is so gets its relay channel, and neither candidates nor starts. Its agents learn from the map why.

use std::time::Instant;

use warren_proto::control::Preferences;
use warren_proto::keys::NodeId;

use super::Coordinator;

impl Coordinator {
    /// What a device's owner wants, for as long as its connection lasts.
    pub fn handle_preferences(&mut self, device: NodeId, preferences: Preferences, now: Instant) {
        let before = self.is_relay_only(device);
        let Some(online) = self.online.get_mut(&device) else { return };
        if std::mem::replace(&mut online.relay_only, preferences.relay_only) != preferences.relay_only {
            self.roster.mark(device, now);
            self.follow_policy(device, before, now);
        }
    }

    pub(super) fn is_relay_only(&self, device: NodeId) -> bool {
        self.roster.member(device).is_some_and(|member| member.relay_only)
            || self.online.get(&device).is_some_and(|online| online.relay_only)
    }

    /// Takes what may have changed for a device to its pairs.
    pub(super) fn follow_policy(&mut self, device: NodeId, was_relay_only: bool, now: Instant) {
        let is_relay_only = self.is_relay_only(device);
        if is_relay_only == was_relay_only {
            return;
        }
        // before the pairs: an agent that does not know yet that it may would refuse the candidates
        self.broadcast_marked();
        for peer in self.pairs.open_with(device) {
            if is_relay_only { self.hold_to_relay(device, peer) } else { self.release_from_relay(device, peer, now) }
        }
    }
}

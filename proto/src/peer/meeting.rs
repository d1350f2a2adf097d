//! One peer's part in introductions: can it help, is it missed, and what happens when a common peer gives the sign.
//!
//! Who asks whom, and how often, is `node`'s business; the messages are `wire::introduction`'s.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Peer, Shared};
use crate::candidate::CandidateSet;
use crate::io::Remote;
use crate::wire::introduction::Introduction;

/// The direct path to a peer.
#[derive(Clone, Copy)]
pub(crate) struct Direct {
    /// Where it is, as we see it.
    pub(crate) addr: SocketAddr,
    /// How far.
    pub(crate) rtt: Duration,
}

impl Peer {
    /// The direct path in use, if there is one.
    pub(crate) fn direct(&self) -> Option<Direct> {
        let selection = self.path.selection()?;
        match selection.remote {
            Remote::Direct(addr) => Some(Direct { addr, rtt: selection.rtt }),
            Remote::Relay(_) => None,
        }
    }

    /// Whether something can be said to it: a relay that is left is gone with the rendezvous.
    pub(crate) fn is_reachable(&self, shared: &Shared) -> bool {
        self.direct().is_some() || (shared.control_up && self.path.selection().is_some())
    }

    /// Whether we may be told where it is, and it where we are.
    pub(crate) fn may_meet(&self, shared: &Shared) -> bool {
        !self.is_relay_only(shared)
    }

    /// Whether it is wanted and cannot be reached.
    pub(crate) fn is_missed(&self, shared: &Shared, now: Instant) -> bool {
        self.direct().is_none() && self.may_meet(shared) && self.is_wanted(shared, now)
    }

    /// Whether help has been wished for since the last time.
    pub(crate) fn take_wish(&mut self) -> bool {
        std::mem::take(&mut self.wants_meeting)
    }

    /// Says something about another peer, if it can be said.
    pub(crate) fn say(&mut self, message: &Introduction, shared: &mut Shared) {
        if let Some(selection) = self.path.selection() {
            self.send_payload(&message.encode(), selection.remote, shared);
        }
    }

    /// A common peer brings us together: at the same moment this one begins to look for us.
    pub(crate) fn handle_meeting(
        &mut self,
        attempt: u64,
        set: &CandidateSet,
        delay: Duration,
        shared: &Shared,
        now: Instant,
    ) {
        if self.may_meet(shared) {
            self.path.handle_meeting(attempt, set, delay, now);
        }
    }

    pub(super) fn hear_introduction(&self, payload: &[u8], shared: &mut Shared) {
        match Introduction::decode(payload) {
            Ok(message) => shared.introduction(self.node(), message),
            Err(reason) => self.stats.count_dropped(reason),
        }
    }
}

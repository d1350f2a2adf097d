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
    /// How far.
    pub(crate) rtt: Duration,
}

impl Peer {
    /// The direct path in use, if there is one.
    pub(crate) fn direct(&self) -> Option<Direct> {
        let selection = self.path.selection()?;
        selection.remote.straight().map(|_| Direct { rtt: selection.rtt })
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

    /// Where it is now: where it was heard a moment ago, for it may have restarted elsewhere and the path that data takes
    /// not be given up yet; else at the end of that path.
    fn whereabouts(&self, now: Instant) -> Option<Remote> {
        let lately = self.heard_from.filter(|(_, at)| now.saturating_duration_since(*at) < LATELY);
        lately.map(|(from, _)| from).or_else(|| self.path.selection().map(|selection| selection.remote))
    }

    /// The address that we see it at.
    pub(crate) fn seen_at(&self, now: Instant) -> Option<SocketAddr> {
        self.whereabouts(now)?.straight()
    }

    /// Says something about another peer, if it can be said.
    pub(crate) fn say(&mut self, message: &Introduction, shared: &mut Shared, now: Instant) {
        if let Some(to) = self.whereabouts(now) {
            self.send_payload(&message.encode(), to, shared);
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

/// A peer that is looked for says something every few seconds.
const LATELY: Duration = Duration::from_secs(5);

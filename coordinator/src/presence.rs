//! Who hears that a device has come or gone.
//!
//! In a mesh that fits one message everybody does, by the broadcast that also tells of changed members. In a larger one
//! those hear at once that share a pair with it; everybody else learns by a census, a bit for each member, which a device
//! gets soon after its arrival and again when somebody has come or gone since the last.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use warren_proto::control::ToAgent;
use warren_proto::keys::NodeId;

use super::pair::Key;
use super::{Coordinator, Output, standing};

/// What is to be told to some.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Who has come or gone, for those that share a pair with it.
    moved: BTreeSet<NodeId>,
    /// Who has just come and knows of nobody.
    arrived: BTreeSet<NodeId>,
    due: Option<Instant>,
}

impl News {
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }
}

impl Coordinator {
    /// A device that is here knows of nobody.
    pub(super) fn note_newcomer(&mut self, device: NodeId) {
        if self.roster.is_large() {
            self.news.arrived.insert(device);
        }
    }

    /// A device has come or gone.
    pub(super) fn note_move(&mut self, device: NodeId, now: Instant) {
        if !self.roster.is_large() {
            return self.roster.mark(device, now);
        }
        if self.roster.member(device).is_some() {
            self.news.moved.insert(device);
            self.news.due.get_or_insert(now + GATHER_FOR);
            self.roster.call_census(now);
        }
    }

    /// Tells what is due.
    pub(super) fn tell_presence(&mut self, now: Instant) {
        let census_due = self.roster.census_at().is_some_and(|at| at <= now);
        if self.news.due.is_some_and(|at| at <= now) {
            self.news.due = None;
            for device in std::mem::take(&mut self.news.moved) {
                for peer in self.pairs.of(device) {
                    self.tell_entry(peer, device);
                }
            }
            let arrived = std::mem::take(&mut self.news.arrived);
            if !census_due && !arrived.is_empty() {
                let census = self.census();
                for device in arrived.into_iter().filter(|device| self.online.contains_key(device)) {
                    self.outputs.push_back(Output::Send { to: device, message: census.clone() });
                }
            }
        }
        if census_due {
            self.roster.end_census();
            let census = self.census();
            self.outputs.push_back(Output::Broadcast(census));
        }
    }

    /// Good for whoever holds the newest map, so that goes before it.
    fn census(&mut self) -> ToAgent {
        while self.roster.flush_at().is_some() {
            self.broadcast_marked();
        }
        ToAgent::Presence(self.roster.census(|id| standing(&self.online, id)))
    }

    /// Before their pair opens, the two learn of each other what others learn later.
    pub(super) fn tell_of_each_other(&mut self, [low, high]: Key) {
        // of one that enrolled elsewhere a moment ago, the other's server may not have told yet
        let apart = [low, high].iter().any(|device| self.online.get(device).is_some_and(|online| online.elsewhere));
        if (self.roster.is_large() || apart) && !self.pairs.is_open([low, high]) {
            self.tell_entry(low, high);
            self.tell_entry(high, low);
        }
    }

    /// Whoever asks for a peer that is away may have an old census.
    pub(super) fn tell_of_absence(&mut self, asker: NodeId, peer: NodeId) {
        if self.roster.is_large() && !self.online.contains_key(&peer) {
            self.tell_entry(asker, peer);
        }
    }

    fn tell_entry(&mut self, to: NodeId, about: NodeId) {
        if self.online.contains_key(&to) && self.roster.member(about).is_some() {
            let map = self.roster.entry_of(about, |id| standing(&self.online, id));
            self.send(to, ToAgent::Map(map));
        }
    }
}

/// As for changed members: news of many in a row are one.
const GATHER_FOR: Duration = Duration::from_millis(20);

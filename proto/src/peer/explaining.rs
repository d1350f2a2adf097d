//! Why the pair uses the path it uses: our log goes to the rendezvous, which puts both ends' together, and its verdict
//! comes back.
//!
//! What this end sees for itself (the path is straight, the peer is gone, a search is on) needs no verdict. Why a search
//! found nothing is better known to who saw both ends; what `path` makes of our half stands in while nobody says.

use std::net::SocketAddr;
use std::time::Instant;

use super::{Event, Peer, Shared};
use crate::control::{self, AttemptReport, ToServer, Verdict};
use crate::io::{Auxiliary, Remote};
use crate::path::Attempt;

/// A verdict, and when it came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeldVerdict {
    /// When it came: the ages of its attempts count from here.
    pub at: Instant,
    /// What it says.
    pub verdict: Verdict,
}

/// Why a pair uses the path it uses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reason {
    /// Stable, for programs.
    pub code: String,
    /// For people.
    pub text: String,
    /// What would make it better; empty if nothing needs to.
    pub remedy: String,
    /// Whether it is made from the reports of both ends.
    pub joined: bool,
}

impl Peer {
    /// Whether the peer uses the relay only.
    pub(crate) fn set_relay_only(&mut self, relay_only: bool, shared: &Shared, now: Instant) {
        self.relay_only = relay_only;
        self.apply_policy(shared, now);
    }

    /// Whether the pair may use the relay alone, by the word of either device.
    pub(super) fn is_relay_only(&self, shared: &Shared) -> bool {
        self.relay_only || shared.relay_only
    }

    /// Holds the path to what both devices' settings allow.
    pub(crate) fn apply_policy(&mut self, shared: &Shared, now: Instant) {
        self.path.set_relay_only(self.is_relay_only(shared), now);
    }

    pub(crate) fn handle_verdict(&mut self, verdict: Verdict, now: Instant) {
        self.verdict = Some(HeldVerdict { at: now, verdict });
    }

    pub(crate) fn forget_verdict(&mut self) {
        self.verdict = None;
    }

    /// The verdict where it knows better than we do, else what we make of it ourselves.
    pub(super) fn reason(&self, shared: &Shared) -> Reason {
        let own = self.path.explain(self.may_be_there(shared));
        let verdict = self.verdict.as_ref().map(|held| &held.verdict);
        match verdict.filter(|verdict| !SEEN_HERE.contains(&own.code) && !SEEN_HERE.contains(&verdict.code.as_str())) {
            Some(verdict) => Reason {
                code: verdict.code.clone(),
                text: verdict.text.clone(),
                remedy: verdict.remedy.clone(),
                joined: true,
            },
            None => Reason {
                code: own.code.to_owned(),
                text: own.text.to_owned(),
                remedy: own.remedy.to_owned(),
                joined: false,
            },
        }
    }

    /// Tells the rendezvous what this end tried.
    pub(super) fn report_attempts(&self, shared: &mut Shared, now: Instant) {
        if !shared.control_up {
            return;
        }
        let numbered = self.path.attempts().filter(|attempt| attempt.attempt != 0);
        let report = AttemptReport {
            peer: self.node(),
            attempt: numbered.last().map_or(0, |attempt| attempt.attempt),
            via: self.path.selection().map_or("", |selection| selection.via.name()).to_owned(),
            udp_blocked: self.path.is_udp_blocked(),
            attempts: self.path.attempts().map(|attempt| entry(attempt, now)).collect(),
        };
        shared.event(Event::Control(ToServer::AttemptReport(report)));
    }
}

fn entry(attempt: &Attempt, now: Instant) -> control::Attempt {
    let ago = now.saturating_duration_since(attempt.at);
    control::Attempt {
        technique: attempt.technique.name().to_owned(),
        local: attempt.local,
        remote: Some(address(attempt.remote)),
        probes: attempt.probes,
        heard: attempt.heard,
        result: attempt.result.name().to_owned(),
        ago_ms: u64::try_from(ago.as_millis()).unwrap_or(u64::MAX),
        attempt: attempt.attempt,
    }
}

fn address(remote: Remote) -> SocketAddr {
    match remote {
        Remote::Auxiliary(Auxiliary { peer: addr, .. }) | Remote::Direct(addr) => addr,
        Remote::Relay(channel) => channel.relay,
    }
}

/// Reasons that each end sees for itself, and sooner than anybody could tell it.
const SEEN_HERE: [&str; 4] = ["direct", "peer-offline", "probing", "same-lan"];

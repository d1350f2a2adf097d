//! Pings and pongs: what is asked, what is answered, and what an answer proves.
//!
//! Everything that arrives here was opened and replay-checked by the session, so it comes from the peer; the address it
//! came from proves nothing until a ping to that very address is answered from it.

use std::time::{Duration, Instant};

use rand_core::Rng;

use super::agent::{Agent, REPLIES_MAX};
use super::explain::{AttemptResult, Technique};
use super::pair::{Stage, Tally};
use super::schedule::{PROBES, Plan};
use super::{Charge, Probe, ProbeBody};
use crate::io::{Discard, Remote};
use crate::wire::path_probe::{PING_MIN, Ping, Pong, ProbeId};

impl Agent {
    /// A session to seal probes with is there. A successor of it changes nothing but, maybe, how long probes become:
    /// `esp_overhead` bytes longer than a path message whose length is 2 above a multiple of 4.
    pub fn session_ready(&mut self, esp_overhead: usize, now: Instant) {
        self.esp_overhead = esp_overhead;
        self.end_knocking();
        if !self.ready {
            self.ready = true;
            self.try_relay(now);
            self.session_began(now);
        }
        self.advance(now);
    }

    /// There is no session any more; nothing that was proved under it counts.
    pub fn session_lost(&mut self, now: Instant) {
        self.ready = false;
        self.session_ended();
        self.drop_sealed_probes();
        self.disprove_all(true);
        self.advance(now);
    }

    /// A ping that arrived from `from`: answered at once, and asked back if that address is not proved.
    pub fn handle_ping(&mut self, from: Remote, ping: &Ping, now: Instant) {
        if !self.ready || (self.relay_only && from.straight().is_some()) {
            return;
        }
        self.log.heard(from);
        let seen = from.straight();
        let body = ProbeBody::Pong(Pong { id: ping.id, seen });
        self.push_probe(Probe { to: from, ttl: None, body, charge: Charge::Nothing });
        if self.is_selected(from) {
            // our answer refreshes our NAT as well as a keepalive would
            self.keepalive_at = None;
        }
        match seen {
            Some(_) => self.ask_back(from, now),
            None => self.handle_relayed_ping(now),
        }
        self.advance(now);
    }

    /// A pong that arrived from `from`. One that answers no ping to exactly that address moves nothing.
    pub fn handle_pong(&mut self, from: Remote, pong: &Pong, now: Instant) -> Result<(), Discard> {
        self.adopt_answer(from, pong.id, now);
        let Some(pair) = self.pairs.get_mut(&from) else { return self.stray(from, pong, now) };
        let Some(answer) = pair.take(pong.id, now) else { return self.stray(from, pong, now) };
        let fit = pair.answered(answer, pong.seen, now);
        if fit {
            let (result, local) = (AttemptResult::Answered(pair.srtt()), pair.seen);
            self.log.close(from, result, local);
            if let Some(searched) = self.searched.take() {
                self.log.close(searched, result, local);
            }
        }
        match from {
            Remote::Auxiliary(_) => {}
            Remote::Direct(addr) => self.ledger.forgive(addr),
            Remote::Relay(_) => self.log.close(from, AttemptResult::Answered(answer.rtt), None),
        }
        if self.is_selected(from) {
            self.traffic.heard();
            self.keepalive_at = None;
        }
        self.reply(pong.id, answer.rtt, from);
        self.advance(now);
        Ok(())
    }

    /// Pings the peer on the path in use for somebody who waits for `PingReply`. Returns whether a ping went out.
    pub fn request_ping(&mut self, token: u64, now: Instant) -> bool {
        let Some(remote) = self.selected.map(|selected| selected.remote) else { return false };
        let Some(id) = self.send_ping(remote, 0, now) else { return false };
        if self.asked.len() == REPLIES_MAX {
            self.asked.remove(0);
        }
        self.asked.push((id, token));
        true
    }

    /// Measures the path in use for somebody who looks at it. Nothing but an estimate follows from the answer.
    pub fn measure(&mut self, now: Instant) {
        if let Some(selected) = self.selected {
            self.send_ping(selected.remote, 0, now);
        }
    }

    /// What became of the pings on the paths in use, since the last call.
    pub fn take_tally(&mut self, now: Instant) -> Tally {
        let taken = self.pairs.values_mut().map(|pair| pair.take_tally(now));
        taken.fold(Tally::default(), |sum, one| Tally { probes: sum.probes + one.probes, lost: sum.lost + one.lost })
    }

    /// Asks a path whether it lives; no answer in time raises doubt if it is the one in use.
    pub(super) fn check(&mut self, remote: Remote, now: Instant) {
        if self.send_ping(remote, 0, now).is_none() {
            return;
        }
        let in_use = self.is_selected(remote);
        if let Some(pair) = self.pairs.get_mut(&remote).filter(|pair| in_use && pair.is_direct()) {
            pair.check = pair.check.or_else(|| Some(pair.overdue(now)));
        }
    }

    /// Measures the relay, which needs no proof.
    pub(super) fn try_relay(&mut self, now: Instant) {
        let Some(remote) = self.relay().map(|pair| pair.remote).filter(|_| self.ready) else { return };
        self.log.open(0, Technique::Relay, remote, now);
        self.send_ping(remote, 0, now);
    }

    /// Queues a ping that makes a UDP payload of about `udp_payload` bytes, never below the smallest. Refused without
    /// a session, and where an address that does not answer has cost enough.
    pub(super) fn send_ping(&mut self, remote: Remote, udp_payload: usize, now: Instant) -> Option<ProbeId> {
        if !self.ready {
            return None;
        }
        let overhead = self.esp_overhead;
        let length = udp_payload.saturating_sub(overhead).max(PING_MIN);
        // ESP pads payload and two trailer bytes to a multiple of four
        let on_wire = (length + 2).next_multiple_of(4) - 2 + overhead;
        let pair = self.pairs.get_mut(&remote)?;
        // a padded probe asks whether a size passes, one elsewhere whether anybody is there: neither tells of loss
        let tells = udp_payload == 0 && self.selected.is_some_and(|selected| selected.remote == remote);
        let mut charge = Charge::Nothing;
        if let Some(addr) = remote.straight()
            && !pair.answered_within(CONSENT, now)
        {
            charge = Charge::Stranger;
            if !self.ledger.charge(addr, on_wire, now) {
                self.log.refused(remote);
                return None;
            }
        }
        let mut id = ProbeId([0; 12]);
        self.rng.fill_bytes(&mut id.0);
        pair.pinged(id, on_wire, tells, now);
        pair.probed_at = Some(now);
        self.log.sent(remote);
        let ping = Ping { id, length: u16::try_from(length).unwrap_or(u16::MAX) };
        self.push_probe(Probe { to: remote, ttl: None, body: ProbeBody::Ping(ping), charge });
        Some(id)
    }

    /// Probes an address that has just probed us: its NAT is open to us at this moment.
    pub(super) fn ask_back(&mut self, remote: Remote, now: Instant) {
        let known = self.pairs.contains_key(&remote);
        if !self.learn(remote, now) {
            return;
        }
        let (number, spare) = (self.round_number(), !self.is_selected(remote));
        let found_by = self.search_technique().unwrap_or(Technique::PeerReflexive);
        let Some(pair) = self.pairs.get_mut(&remote) else { return };
        pair.heard_at = Some(now);
        let since_probe = pair.probed_at.map(|at| now.saturating_duration_since(at));
        match pair.stage {
            Stage::Unproven => {
                if since_probe.is_some_and(|since| since < ENOUGH) {
                    return;
                }
                if since_probe.is_none_or(|since| since >= NEW_ROUND) {
                    pair.probes = 0;
                }
                // also when its share of probes is spent: this is the news that it is open now, and the budget still holds
                let left = PROBES.saturating_sub(pair.probes).max(1);
                match &mut pair.plan {
                    Some(plan) => plan.hurry(now),
                    None => pair.plan = Some(Plan::direct(left, now)),
                }
                let technique = if known { Technique::Recheck } else { found_by };
                if !known || number == 0 {
                    self.log.open(number, technique, remote, now);
                }
            }
            Stage::Usable if spare && !pair.answered_within(STALE, now) => {
                self.send_ping(remote, 0, now);
            }
            Stage::Sizing | Stage::Suspect(_) | Stage::Usable => {}
        }
    }

    /// A pong from elsewhere than its ping went to: that address is worth a probe of its own, no more.
    fn stray(&mut self, from: Remote, pong: &Pong, now: Instant) -> Result<(), Discard> {
        let asked = self.pairs.values().find(|pair| pair.awaits(pong.id)).map(|pair| pair.remote);
        if let (Some(_), Some(asked)) = (from.straight(), asked) {
            self.log.strayed(asked);
            self.ask_back(from, now);
            self.advance(now);
        }
        Err(Discard::ProbeUnmatched)
    }

    fn reply(&mut self, id: ProbeId, rtt: Duration, remote: Remote) {
        if let Some(index) = self.asked.iter().position(|(asked, _)| *asked == id) {
            let (_, token) = self.asked.remove(index);
            self.push_reply(token, rtt, remote);
        }
    }
}

/// How long an answer is consent to be probed (RFC 7675 section 5.1).
const CONSENT: Duration = Duration::from_secs(30);
/// A probe that left this shortly before needs no companion.
const ENOUGH: Duration = Duration::from_millis(20);
/// Without a probe for so long, the next one begins a new count.
const NEW_ROUND: Duration = Duration::from_secs(10);
/// A spare path whose last answer is older is asked again when it shows signs of life.
const STALE: Duration = Duration::from_secs(10);

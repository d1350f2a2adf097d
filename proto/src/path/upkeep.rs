//! What becomes of the path in use: chosen, kept open, measured, doubted, given up.

use std::time::{Duration, Instant};

use super::agent::{Agent, Selected};
use super::explain::AttemptResult;
use super::liveness::{self, Suspicion};
use super::mtu;
use super::pair::Stage;
use super::schedule::jitter;
use crate::io::Remote;

impl Agent {
    /// Packets sealed and opened under the session so far, probes included; to be told once to five times a second
    /// while any move, and first thing after a pause.
    pub fn note_traffic(&mut self, sent: u64, received: u64, now: Instant) {
        let sends = self.traffic.note(sent, received, now);
        if self.ready {
            self.ask_silent_peer(now);
        }
        if sends && self.ready {
            self.review_if_due(now);
            if let Some(pair) = self.selected_pair().filter(|pair| pair.is_direct()) {
                let (remote, srtt) = (pair.remote, pair.srtt());
                let idle = !pair.answered_within(PROVE_EVERY, now) && pair.check.is_none();
                if self.traffic.is_doubtful(srtt, now) {
                    self.doubt(remote, false, now);
                } else if idle {
                    // the counters may rise by what arrives on other paths: this one has to answer for itself
                    self.check(remote, now);
                }
            }
        }
        self.advance(now);
    }

    /// Bytes of inner packets sent so far, told as often. What is large may vanish while small packets go on being heard, and
    /// then no silence shows it: a path that carries much has its size confirmed time and again.
    pub fn note_load(&mut self, sent_bytes: u64, now: Instant) {
        // a counter never goes back, but another agent may have seen less of it
        let load = sent_bytes.saturating_sub(self.confirmed_load);
        let selected = self.selected.and_then(|selected| self.pairs.get_mut(&selected.remote));
        if self.ready && load >= LOAD && selected.is_some_and(|pair| pair.mtu.confirm(now)) {
            self.confirmed_load = sent_bytes;
        }
    }

    /// The same counters, raised by path messages alone: nobody used the path, and nothing follows from it.
    pub fn pass_over_traffic(&mut self, sent: u64, received: u64) {
        self.traffic.pass_over(sent, received);
    }

    /// A peer that has nothing to say is not deaf, but that shows only when it is asked. Doubting a direct path asks as
    /// well, so this one ping is for what is not doubted: a relay, and a path that has carried too little.
    fn ask_silent_peer(&mut self, now: Instant) {
        let Some(pair) = self.selected_pair() else { return };
        // ever more seldom: each question is something sent, for which the silence would be watched longer
        let (remote, pause) = (pair.remote, liveness::patience(pair.srtt()).max(self.traffic.waited(now) / 2));
        let asked = pair.probed_at.is_some_and(|at| now.saturating_duration_since(at) < pause);
        if !asked && self.traffic.is_doubtful(pair.srtt(), now) && !matches!(pair.stage, Stage::Suspect(_)) {
            self.send_ping(remote, 0, now);
            // an answer ends the silence, but what is not heard of may have been too large: TCP then sends ever more
            // seldom, and would be silent again only when nobody looks
            if let Some(pair) = self.pairs.get_mut(&remote) {
                pair.mtu.confirm(now);
            }
        }
    }

    /// Our own addresses or routes changed: nothing that was proved counts, data goes by the relay until it is again.
    pub fn handle_network_change(&mut self, now: Instant) {
        self.ledger.clear(now);
        self.disprove_all(true);
        // their external ports were the old NAT's choice, and nobody could find the new ones
        self.close_auxiliaries(|_| false);
        self.selected.take_if(|selected| selected.remote.socket().is_some());
        self.start_over(now);
        self.knock_anew(now);
        self.advance(now);
    }

    /// The peer says that it moved.
    pub(super) fn doubt_selected(&mut self, now: Instant) {
        if let Some(selected) = self.selected {
            self.doubt(selected.remote, true, now);
        }
    }

    pub(super) fn disprove_all(&mut self, forget_pings: bool) {
        self.pairs.values_mut().for_each(|pair| pair.disprove(forget_pings));
    }

    /// Runs suspicions, and raises one where a check stayed unanswered.
    pub(super) fn run_checks(&mut self, now: Instant) {
        for remote in self.remotes() {
            let Some(pair) = self.pairs.get_mut(&remote) else { continue };
            if pair.check.take_if(|at| *at <= now).is_some() {
                self.doubt(remote, true, now);
            }
            while let Some(step) = self.pairs.get_mut(&remote).and_then(|pair| pair.suspicion()?.poll(now)) {
                match step {
                    liveness::Step::Probe => {
                        self.send_ping(remote, 0, now);
                        self.tell_of_doubt(now);
                    }
                    liveness::Step::Dead => self.give_up(remote, now),
                }
            }
        }
    }

    /// Sends the size probes that are due. Only the path in use is searched for more than the base size.
    pub(super) fn run_sizes(&mut self, now: Instant) {
        if let Some(Selected { remote, since }) = self.selected
            && let Some(pair) = self.pairs.get_mut(&remote)
        {
            let begin = if pair.is_direct() { now } else { now.max(since + RELAY_SEARCH_AFTER) };
            pair.mtu.search(begin, now);
        }
        for remote in self.remotes() {
            while let Some(pair) = self.pairs.get_mut(&remote) {
                match pair.mtu.poll(pair.srtt(), now) {
                    Some(mtu::Step::Probe(size)) => {
                        self.send_ping(remote, size, now);
                    }
                    Some(mtu::Step::Unfit) => {
                        self.log.close(remote, AttemptResult::TooNarrow, pair.seen);
                        pair.unfit();
                        if self.is_selected(remote) && self.is_direct() {
                            self.recover(now);
                        }
                    }
                    None => break,
                }
            }
        }
    }

    /// Chooses the path that data is sent on.
    pub(super) fn select(&mut self, now: Instant) {
        let held = self
            .selected
            .filter(|selected| self.ready && self.pairs.get(&selected.remote).is_some_and(|pair| pair.may_keep_data()));
        let fit = self.pairs.values().filter(|pair| self.ready && pair.may_take_data(now));
        let best = fit.map(|pair| (pair.score(&self.site), pair.remote)).min();
        let current = held.and_then(|held| self.pairs.get(&held.remote)).map(|pair| pair.score(&self.site));
        let chosen = match (held, current, best) {
            (Some(held), Some(current), Some((score, remote))) => {
                if remote != held.remote && score.is_worth_leaving(&current) { Some(remote) } else { Some(held.remote) }
            }
            (held, _, best) => held.map(|held| held.remote).or_else(|| best.map(|(_, remote)| remote)),
        };
        if chosen != self.selected.map(|selected| selected.remote) {
            self.switch(chosen, now);
        }
    }

    /// Pings the path in use when it has been quiet for long.
    pub(super) fn run_keepalive(&mut self, now: Instant) {
        let Some(Selected { remote, .. }) = self.selected else {
            self.keepalive_at = None;
            return;
        };
        if self.keepalive_at.is_some_and(|at| at <= now) {
            self.keepalive_at = None;
            self.check(remote, now);
        }
        if self.keepalive_at.is_none() {
            self.keepalive_at = Some(now + self.keepalive_pause());
        }
    }

    /// When this end next pings the path, if it is the one that keeps it open. The other end's ping would only come on top.
    pub fn keepalive_at(&self) -> Option<Instant> {
        self.keepalive_at.filter(|_| self.ready && self.settings.we_keepalive)
    }

    /// Pings the path that is kept open now instead of then.
    pub fn keep_alive(&mut self, now: Instant) {
        if self.keepalive_at().is_some() {
            self.keepalive_at = Some(now);
            self.advance(now);
        }
    }

    /// The end that keeps the path open pings after 0.9 to 1.1 of the interval. The other one would after 1.2 to 1.3,
    /// still below 30 s, if it heard no ping on the path it sends on: the two may have chosen different ones.
    fn keepalive_pause(&mut self) -> Duration {
        let interval = self.settings.keepalive;
        if self.settings.we_keepalive {
            jitter(interval, 10, &mut self.rng)
        } else {
            jitter(interval * 5 / 4, 3, &mut self.rng)
        }
    }

    fn switch(&mut self, chosen: Option<Remote>, now: Instant) {
        if let Some(pair) = self.selected.and_then(|old| self.pairs.get_mut(&old.remote)) {
            pair.mtu.pause();
            pair.check = None;
            if matches!(pair.stage, Stage::Suspect(_)) {
                pair.stage = Stage::Usable;
            }
        }
        let was_direct = self.is_direct();
        self.selected = chosen.map(|remote| Selected { remote, since: now });
        if was_direct || self.is_direct() {
            self.want_report();
        }
        self.keepalive_at = None;
        self.traffic.heard();
        if self.is_direct() {
            self.arrived();
        }
    }

    /// Begins to doubt a path, if it is the one in use, direct, and not in doubt already.
    pub(super) fn doubt(&mut self, remote: Remote, certain: bool, now: Instant) {
        if !self.is_selected(remote) {
            return;
        }
        if let Some(pair) = self.pairs.get_mut(&remote).filter(|pair| pair.is_direct())
            && matches!(pair.stage, Stage::Usable)
        {
            pair.check = None;
            pair.stage = Stage::Suspect(Suspicion::new(pair.srtt(), certain, now));
        }
    }

    /// The path in use is dead, and what was proved of the others is not believed either: they share the way to the
    /// Internet with it. A late pong may still revive any of them.
    fn give_up(&mut self, remote: Remote, now: Instant) {
        self.log.lost(remote);
        self.disprove_all(false);
        self.select(now);
        self.recover(now);
    }

    /// A ping came by the relay though we send straight: the peer may be in doubt, and its data, which comes by the
    /// relay as well then, keeps us from noticing that our half is dead too.
    pub(super) fn handle_relayed_ping(&mut self, now: Instant) {
        let direct = self.selected_pair().filter(|pair| pair.is_direct() && !pair.answered_within(RECENTLY, now));
        if let Some(remote) = direct.map(|pair| pair.remote) {
            self.doubt(remote, false, now);
        }
    }

    /// From the moment that data goes by the relay as well, the peer is to know.
    fn tell_of_doubt(&mut self, now: Instant) {
        if let Some(relay) = self.hedge() {
            self.send_ping(relay, 0, now);
        }
    }

    /// Once a minute of use: is another path better by now, is this one still as wide as it was?
    fn review_if_due(&mut self, now: Instant) {
        let Some(pair) = self.selected_pair() else { return };
        if now.saturating_duration_since(self.reviewed_at) < REVIEW_EVERY {
            return;
        }
        let short = pair.is_direct() && pair.srtt() <= SHORT;
        let selected = pair.remote;
        self.reviewed_at = now;
        for remote in self.remotes() {
            let Some(pair) = self.pairs.get_mut(&remote) else { continue };
            if remote == selected {
                pair.mtu.confirm(now);
            } else if pair.answered_at.is_some() && !short {
                self.send_ping(remote, 0, now);
            }
        }
    }
}

/// Most pairs leave the relay long before; only one that stays is worth large probes.
const RELAY_SEARCH_AFTER: Duration = Duration::from_secs(5);
/// A path in use answers for itself at least this often.
const PROVE_EVERY: Duration = Duration::from_secs(10);
/// A path that answered this lately is not doubted because the peer pings by the relay.
const RECENTLY: Duration = Duration::from_millis(500);
/// Sent since the size was last confirmed: three packets that are too large for any narrower path, as a TCP that is not
/// acknowledged repeats them within a second or two.
const LOAD: u64 = 4000;
const REVIEW_EVERY: Duration = Duration::from_secs(60);
/// No other path could be better by enough to leave this one.
const SHORT: Duration = Duration::from_millis(10);

//! A peer's unfinished handshakes: when the next INIT is due, which are outstanding, and how stale ones are refused.
//!
//! Every retry is a fresh INIT with its own ephemeral key and SPI base. Over a slow relay several are under way at
//! once, so the answer to any of the last few completes the session.

use std::time::{Duration, Instant};

use crate::handshake::{Cookie, Initiator, Tai64n};
use crate::io::{Discard, Remote};
use crate::keys::{SpiBase, UnixTime};

/// INITs sent and not yet answered.
#[derive(Default)]
pub(super) struct Handshaking {
    outstanding: Vec<Outstanding>,
    tries: usize,
    since: Option<Instant>,
    /// What the peer asked to see in the next INIT, a cookie under load or a challenge to our clock, and where that
    /// INIT must go: the proof is bound to the address from which the peer sees us there.
    proof: Option<(Remote, Cookie)>,
    /// The greatest timestamp of the peer's INITs (replay protection, as WireGuard section 5.1).
    pub(super) latest_init: Option<Tai64n>,
    latest_sent: Option<Tai64n>,
}

/// An INIT without an answer.
struct Outstanding {
    base: SpiBase,
    /// Where it went; as a probe it may have gone to several addresses.
    to: Vec<Remote>,
    initiator: Initiator,
}

impl Handshaking {
    /// Whether INITs are being sent.
    pub(super) fn is_running(&self) -> bool {
        self.since.is_some()
    }

    /// How many INITs this attempt has sent.
    pub(super) fn tries(&self) -> usize {
        self.tries
    }

    /// Whether this attempt has gone on long enough without an answer.
    pub(super) fn has_failed(&self, now: Instant) -> bool {
        self.since.is_some_and(|since| now.saturating_duration_since(since) >= GIVE_UP)
    }

    /// The time to put into the next INIT: later than the last one even where the clock stands.
    pub(super) fn timestamp(&mut self, wall: UnixTime) -> Tai64n {
        let time = Tai64n::from_unix(wall);
        let next = self.latest_sent.map_or(time, |last| time.after(last));
        self.latest_sent = Some(next);
        next
    }

    /// Notes an INIT; returns the base that gives way and when the next one is due.
    pub(super) fn sent(
        &mut self,
        base: SpiBase,
        to: Remote,
        initiator: Initiator,
        now: Instant,
    ) -> (Option<SpiBase>, Instant) {
        self.since.get_or_insert(now);
        let gone = self.knocked(base, vec![to], initiator);
        let pause = RETRIES.get(self.tries).copied().unwrap_or(RETRY_LATER);
        self.tries += 1;
        (gone, now + pause)
    }

    /// Notes an INIT that went to several places at once as a probe: nothing waits for its answer. Returns the base that
    /// gives way.
    pub(super) fn knocked(&mut self, base: SpiBase, to: Vec<Remote>, initiator: Initiator) -> Option<SpiBase> {
        let gone = (self.outstanding.len() == MAX_OUTSTANDING).then(|| self.outstanding.remove(0).base);
        self.outstanding.push(Outstanding { base, to, initiator });
        gone
    }

    /// The INIT that an answer names. It stays: a forged answer must not cost the true one its chance.
    pub(super) fn get(&self, base: SpiBase) -> Option<&Initiator> {
        self.find(base).map(|outstanding| &outstanding.initiator)
    }

    /// Takes what a COOKIE asks for, if it answers the INIT of `base`. Says where the next INIT should go at once, unless
    /// it was asked for there before: then the peer did not like what it got, and the timer will do.
    pub(super) fn take_cookie(
        &mut self,
        base: SpiBase,
        datagram: &[u8],
        from: Remote,
    ) -> Result<Option<Remote>, Discard> {
        let asked = self.find(base).ok_or(Discard::Unsolicited)?;
        let to = asked.to.iter().copied().find(|to| *to == from).or_else(|| asked.to.first().copied());
        let (to, cookie) = (to.ok_or(Discard::Unsolicited)?, asked.initiator.read_cookie(datagram)?);
        let first = self.proof_for(to).is_none();
        self.proof = Some((to, cookie));
        Ok(first.then_some(to))
    }

    /// The proof to put into an INIT to `to`.
    pub(super) fn proof_for(&self, to: Remote) -> Option<&Cookie> {
        self.proof.as_ref().filter(|(remote, _)| *remote == to).map(|(_, cookie)| cookie)
    }

    fn find(&self, base: SpiBase) -> Option<&Outstanding> {
        self.outstanding.iter().find(|outstanding| outstanding.base == base)
    }

    /// Waits no longer to send the next INIT; one that is under way may still be answered.
    pub(super) fn pause(&mut self) {
        (self.tries, self.since) = (0, None);
    }

    /// Ends the attempt because the INIT of `base` was answered; returns the other bases.
    pub(super) fn finish_with(&mut self, base: SpiBase) -> Vec<SpiBase> {
        self.finish().into_iter().filter(|other| *other != base).collect()
    }

    /// Ends the attempt, done or not; returns the bases it held.
    pub(super) fn finish(&mut self) -> Vec<SpiBase> {
        self.tries = 0;
        self.since = None;
        self.proof = None;
        self.outstanding.drain(..).map(|outstanding| outstanding.base).collect()
    }
}

/// Pauses after the first INITs: faster than WireGuard's 5 s, because a NAT eats the first ones as a rule.
const RETRIES: [Duration; 4] =
    [Duration::from_millis(200), Duration::from_millis(400), Duration::from_millis(800), Duration::from_millis(1600)];
/// WireGuard's REKEY_TIMEOUT.
const RETRY_LATER: Duration = Duration::from_secs(5);
/// WireGuard's REKEY_ATTEMPT_TIME.
const GIVE_UP: Duration = Duration::from_secs(90);
/// Answers may be this many INITs late: retries 0.2 + 0.4 + 0.8 + 1.6 s apart, or the first 0.4 s of two rows of probes.
const MAX_OUTSTANDING: usize = 8;

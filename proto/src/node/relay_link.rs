//! Our address at one relay: bound by a token of the control connection, kept bound by repeating it.
//!
//! The relay forwards a channel's frames only from and to the bound address, so one binding serves every pair. Frames
//! themselves are `wire::relay`'s.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::control::Relay;
use crate::io::Remote;
use crate::wire::relay::Message;

/// One relay of the rendezvous.
pub(super) struct RelayLink {
    relay: Relay,
    bound: bool,
    unanswered: u32,
    asked_at: Option<Instant>,
    next: Instant,
}

impl RelayLink {
    pub(super) fn new(relay: Relay, now: Instant) -> Self {
        Self { relay, bound: false, unanswered: 0, asked_at: None, next: now }
    }

    pub(super) fn relay(&self) -> &Relay {
        &self.relay
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.relay.addr
    }

    /// Where the frames of channel 0 go: they are whole, so the driver adds nothing.
    pub(super) fn remote(&self) -> Remote {
        Remote::Direct(self.relay.addr)
    }

    /// Binds anew at once: our address may have changed.
    pub(super) fn rebind(&mut self, now: Instant) {
        self.bound = false;
        self.unanswered = 0;
        self.next = now;
    }

    /// Repeats the binding now, unless that was done a moment ago. A path that fell silent may have done so because our NAT
    /// has another address, and then the relay listens to nobody until it is told.
    pub(super) fn ask(&mut self, now: Instant) {
        if self.asked_at.is_none_or(|at| now.saturating_duration_since(at) >= REPEAT) {
            self.next = self.next.min(now);
        }
    }

    pub(super) fn is_bound(&self) -> bool {
        self.bound
    }

    /// Whether it was asked often enough to be sure that nobody answers.
    pub(super) fn is_silent(&self) -> bool {
        !self.bound && self.unanswered >= EAGER
    }

    /// A message of the relay; the answer to send, if any.
    pub(super) fn handle(&mut self, message: &Message, keepalive: Duration, now: Instant) -> Option<Vec<u8>> {
        match message {
            Message::Bound => {
                self.bound = true;
                self.unanswered = 0;
                self.next = now + keepalive;
                None
            }
            Message::Challenge(nonce) => Some(Message::BindProof(self.relay.token, *nonce).encode()),
            Message::Bind(_) | Message::BindProof(..) => None,
        }
    }

    /// The BIND that is due, if one is.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<Vec<u8>> {
        if now < self.next {
            return None;
        }
        self.unanswered += 1;
        self.asked_at = Some(now);
        self.bound &= self.unanswered <= LOST_AFTER;
        // one lost datagram is no lost binding, but another silent interval would be the end of the NAT's mapping
        self.next = now
            + match self.unanswered {
                _ if self.bound => REPEAT,
                tries @ ..=EAGER => REPEAT.min(FIRST_RETRY * (1 << (tries - 1))),
                _ => RARE,
            };
        Some(Message::Bind(self.relay.token).encode())
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        self.next
    }
}

/// Unanswered BINDs after which the binding counts as lost.
const LOST_AFTER: u32 = 3;
/// Pause before a keepalive is repeated that was not answered.
const REPEAT: Duration = Duration::from_secs(1);
/// First pause between unanswered BINDs; doubles to `REPEAT`, since nothing reaches us before one is answered.
const FIRST_RETRY: Duration = Duration::from_millis(250);
/// So many BINDs unanswered were no bad luck: the relay is gone.
const EAGER: u32 = 10;
const RARE: Duration = Duration::from_secs(8);

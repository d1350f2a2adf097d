//! Sealed datagrams on their way out, gathered into runs: one system call sends up to 64 of one length to one address.
//!
//! A run is open for each of the last few addresses that were sent to, so that peers served in turn do not break up each
//! other's runs. To one address datagrams leave in the order in which they came; what does not fit the open run (a longer
//! one, other congestion bits) sends that run first. [`Departures::send_all`] is called before the thread waits, so nothing
//! stays here longer than a burst.

use std::net::SocketAddr;

use warren_proto::io::{Auxiliary, Ecn, RelayChannel, Remote, SocketId};
use warren_proto::session::TAILROOM;
use warren_proto::wire::relay;

/// The open runs.
pub(super) struct Departures {
    runs: [Run; OPEN_RUNS],
    /// Which run was begun last; the one after it is the oldest.
    newest: usize,
    /// Most datagrams in a run.
    longest: usize,
}

/// Datagrams of one length to one address; the last may be shorter, and then the run is full.
pub(super) struct Run {
    to: Remote,
    ecn: Ecn,
    buffer: Box<[u8]>,
    len: usize,
    stride: usize,
    count: usize,
}

impl Departures {
    /// With room for all runs; without `offload` a run is one datagram.
    pub(super) fn new(offload: bool) -> Self {
        let longest = if offload { MAX_DATAGRAMS } else { 1 };
        Self { runs: std::array::from_fn(|_| Run::new()), newest: 0, longest }
    }

    /// Room for a datagram of `len` bytes to `to`, and [`TAILROOM`] more. To be filled at once; `send` is called for
    /// what has to leave before it.
    pub(super) fn place(&mut self, to: Remote, ecn: Ecn, len: usize, send: impl FnMut(&Run)) -> &mut [u8] {
        let index = self.run_for(to, ecn, len, send);
        self.runs[index].append(len)
    }

    /// Lets the datagram that was placed last, for `first`, leave for `second` too.
    pub(super) fn repeat(&mut self, first: Remote, second: Remote, ecn: Ecn, len: usize, send: impl FnMut(&Run)) {
        let Some(from) = self.runs.iter().position(|run| run.count > 0 && run.to == first) else { return };
        let at = self.runs[from].len - len;
        if (self.newest + 1) % OPEN_RUNS == from {
            // the oldest makes room, and that must not be the one that holds the datagram
            self.newest = from;
        }
        let to = self.run_for(second, ecn, len, send);
        if let Ok([from, to]) = self.runs.get_disjoint_mut([from, to]) {
            to.append(len)[..len].copy_from_slice(&from.buffer[at..at + len]);
        }
    }

    /// Sends all that waits.
    pub(super) fn send_all(&mut self, mut send: impl FnMut(&Run)) {
        for age in 1..=OPEN_RUNS {
            let run = &mut self.runs[(self.newest + age) % OPEN_RUNS];
            run.depart(&mut send);
        }
    }

    /// The run that takes a datagram; what must leave before it has left.
    fn run_for(&mut self, to: Remote, ecn: Ecn, len: usize, mut send: impl FnMut(&Run)) -> usize {
        let index = match self.runs.iter().position(|run| run.count > 0 && run.to == to) {
            Some(index) => index,
            None => {
                self.newest = (self.newest + 1) % OPEN_RUNS;
                self.newest
            }
        };
        let run = &mut self.runs[index];
        if !run.takes(to, ecn, len, self.longest) {
            run.depart(&mut send);
        }
        (run.to, run.ecn) = (to, ecn);
        index
    }
}

impl Run {
    fn new() -> Self {
        let nowhere = Remote::Direct(SocketAddr::from(([0; 4], 0)));
        // pages that no datagram reaches are never touched
        let buffer = vec![0; MAX_BYTES + TAILROOM].into_boxed_slice();
        Self { to: nowhere, ecn: Ecn::NotEct, buffer, len: 0, stride: 0, count: 0 }
    }

    /// The socket address that it goes to.
    pub(super) const fn address(&self) -> SocketAddr {
        match self.to {
            Remote::Auxiliary(Auxiliary { peer: address, .. }) | Remote::Direct(address) => address,
            Remote::Relay(RelayChannel { relay, .. }) => relay,
        }
    }

    /// The socket that it leaves by, unless it is the one that everything uses.
    pub(super) const fn socket(&self) -> Option<SocketId> {
        self.to.socket()
    }

    /// The outer congestion bits.
    pub(super) const fn ecn(&self) -> Ecn {
        self.ecn
    }

    /// The datagrams in a row, relay frames and all.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[..self.len]
    }

    /// Bytes of each but the last.
    pub(super) const fn stride(&self) -> usize {
        self.stride
    }

    fn takes(&self, to: Remote, ecn: Ecn, len: usize, longest: usize) -> bool {
        let len = frame_len(to) + len;
        let is_full = self.count == longest || !self.len.is_multiple_of(self.stride.max(1));
        self.count == 0
            || self.to == to && self.ecn == ecn && len <= self.stride && !is_full && self.len + len <= MAX_BYTES
    }

    fn append(&mut self, len: usize) -> &mut [u8] {
        let start = self.len + frame_len(self.to);
        if let Remote::Relay(RelayChannel { channel, .. }) = self.to {
            self.buffer[self.len..start].copy_from_slice(&relay::encode_header(channel));
        }
        if self.count == 0 {
            self.stride = start + len - self.len;
        }
        self.len = start + len;
        self.count += 1;
        &mut self.buffer[start..start + len + TAILROOM]
    }

    fn depart(&mut self, send: &mut impl FnMut(&Self)) {
        if self.count > 0 {
            send(self);
        }
        (self.len, self.stride, self.count) = (0, 0, 0);
    }
}

/// Bytes of relay frame before a datagram.
const fn frame_len(to: Remote) -> usize {
    match to {
        Remote::Auxiliary(_) | Remote::Direct(_) => 0,
        Remote::Relay(_) => relay::HEADER_LEN,
    }
}

/// Peers that take turns within a burst; each run costs a send of its own anyway.
const OPEN_RUNS: usize = 8;

/// `UDP_MAX_SEGMENTS` of Linux before 6.9.
pub(super) const MAX_DATAGRAMS: usize = 64;

/// The longest UDP payload over IPv4, which also bounds a run (RFC 768, RFC 791).
const MAX_BYTES: usize = 65_507;

#[cfg(test)]
mod tests;

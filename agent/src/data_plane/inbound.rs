//! UDP -> TUN: tells what each datagram is, opens ESP in place and writes the packet to the device.
//!
//! Everything else goes up or is counted; nothing that arrives here is believed before its ICV has verified.

use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::Arc;

use arc_swap::Cache;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use warren_proto::io::{Discard, Ecn, RelayChannel, Remote};
use warren_proto::keys::Spi;
use warren_proto::session::{HEADROOM, Opened, TAILROOM};
use warren_proto::wire::{Kind, classify, relay};

use super::Shared;
use super::fib::{Fib, Receiver};
use super::upcall::Upcall;
use crate::tun::Tun;
use crate::udp::{Batch, QuicFeed, Received};

/// The inbound thread's state.
pub(super) struct Inbound<T> {
    shared: Shared<T>,
    quic: QuicFeed,
    batch: Batch,
}

/// A datagram out of any relay frame, and where it came from in that sense.
struct Unwrapped {
    from: Remote,
    /// Bytes of the relay frame's header in front of it.
    skip: usize,
    kind: Kind,
}

impl<T: Tun> Inbound<T> {
    pub(super) fn new(shared: Shared<T>, quic: QuicFeed) -> Self {
        Self { shared, quic, batch: Batch::new(HEADROOM, TAILROOM) }
    }

    /// Receives until told to stop.
    pub(super) fn run(self) {
        let Self { shared, quic, mut batch } = self;
        let mut table = Cache::new(Arc::clone(&shared.fib));
        while let Some(ready) = shared.wait_for_datagrams() {
            for index in (0..ready.len()).filter(|index| ready[*index]) {
                // an error is about an earlier send or about nothing left to read; the next poll tells
                if shared.sockets.receive(index, &mut batch).is_ok() {
                    // looked at after receiving: who uses a new association has been told of it, and so is the table
                    let fib = table.load();
                    batch.for_each(|received| shared.accept(fib, &quic, received));
                }
            }
        }
    }
}

impl<T: Tun> Shared<T> {
    /// Which sockets have something, IPv4 first; `None` when told to stop.
    fn wait_for_datagrams(&self) -> Option<[bool; 2]> {
        let (v4, v6) = self.sockets.descriptors();
        let stop = self.stop.as_fd();
        // a host without IPv6 waits for the order to stop twice
        let watch = |descriptor| PollFd::new(descriptor, PollFlags::POLLIN);
        let mut waiting = [watch(stop), watch(v4), watch(v6.unwrap_or(stop))];
        match poll(&mut waiting, PollTimeout::NONE) {
            Err(Errno::EINTR) => Some([false; 2]),
            Err(_) => None,
            Ok(_) => {
                let [stopped, v4, v6] = waiting.map(|descriptor| descriptor.any().unwrap_or(true));
                (!stopped).then_some([v4, v6])
            }
        }
    }

    fn accept(&self, fib: &Fib, quic: &QuicFeed, received: Received<'_>) {
        let Received { slot, datagram, from, ecn } = received;
        let outcome = unwrap(fib, &slot[datagram.clone()], from).and_then(|unwrapped| {
            let at = datagram.start + unwrapped.skip..datagram.end;
            match unwrapped.kind {
                Kind::Esp(spi) => self.accept_esp(fib, spi, slot, at, unwrapped.from, ecn),
                Kind::Handshake | Kind::Relay => {
                    self.upcalls.unproven(|| Upcall::Datagram { from: unwrapped.from, bytes: slot[at].to_vec() })
                }
                Kind::Keepalive => Ok(()),
                Kind::Quic => quic.offer(from, ecn, &slot[at]),
                Kind::Stun => self.upcalls.unproven(|| Upcall::Stun { from, bytes: slot[at].to_vec() }),
            }
        });
        if let Err(reason) = outcome {
            self.counters.count(reason);
        }
    }

    fn accept_esp(
        &self,
        fib: &Fib,
        spi: Spi,
        slot: &mut [u8],
        datagram: Range<usize>,
        from: Remote,
        ecn: Ecn,
    ) -> Result<(), Discard> {
        let Some(Receiver { sa, stats }) = fib.receiver(spi) else { return Err(Discard::UnknownSpi) };
        let outcome = sa.open(slot, datagram, ecn).and_then(|opened| match opened {
            Opened::Control(payload) => {
                let payload = slot[payload].to_vec();
                self.upcalls.authentic(Upcall::Control { spi, from, payload })
            }
            Opened::Dummy => Ok(()),
            Opened::Packet(packet) => {
                stats.count_received(packet.len());
                if self.tun.send(&slot[packet]).is_err() {
                    self.counters.count_tun_refused();
                }
                Ok(())
            }
        });
        match outcome {
            // charged to the peer whose association it names, whoever sent it
            Err(reason) => stats.count_dropped(reason),
            Ok(()) if sa.take_wake() && self.upcalls.authentic(Upcall::WakeInbound(spi)).is_err() => sa.arm_wake(),
            Ok(()) => {}
        }
        Ok(())
    }
}

/// Takes a datagram out of its relay frame, if it came in one. `Kind::Relay` is then what a relay says for itself.
fn unwrap(fib: &Fib, datagram: &[u8], from: SocketAddr) -> Result<Unwrapped, Discard> {
    let kind = classify(datagram)?;
    if kind != Kind::Relay {
        return Ok(Unwrapped { from: Remote::Direct(from), skip: 0, kind });
    }
    let (channel, inside) = relay::decode(datagram)?;
    if !fib.is_relay(from) {
        return Err(Discard::RelayChannel);
    }
    let from = Remote::Relay(RelayChannel { relay: from, channel });
    let skip = relay::HEADER_LEN;
    if channel == relay::RELAY_ITSELF {
        return Ok(Unwrapped { from, skip, kind: Kind::Relay });
    }
    match classify(inside)? {
        kind @ (Kind::Esp(_) | Kind::Handshake | Kind::Keepalive) => Ok(Unwrapped { from, skip, kind }),
        // frames do not nest, and servers are not reached through relays
        Kind::Quic | Kind::Relay | Kind::Stun => Err(Discard::Unclassified),
    }
}

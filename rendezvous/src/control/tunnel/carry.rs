//! Moves datagrams between one WebSocket and its two loopback sockets, and never lets them queue for long.
//!
//! The stream takes them in batches. While it does not, for a slow link or a lost segment, what arrives waits in a queue
//! that is bounded in bytes and in time, and is dropped there as a router would.

use std::future::pending;
use std::io;
use std::time::{Duration, Instant};

use axum::extract::ws::{Message, WebSocket};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::net::UdpSocket;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};
use tokio_util::bytes::Bytes;
use tracing::debug;
use warren_proto::control::tunnel::{MAX_MESSAGE, PING_EVERY, Queue, Service, Silence, Vigil, decode};

use super::registry::Ends;

/// Carries until either side ends it, or nothing is heard for too long, or no device proves itself through it.
pub(super) async fn carry(socket: WebSocket, ends: Ends) {
    let (sink, stream) = socket.split();
    let mut ticks = interval(PING_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let vigil = Vigil::new(Instant::now());
    let carrier = Carrier { sink, stream, queue: Queue::default(), busy: false, vigil, ticks, invalid: 0 };
    let dropped = carrier.run(ends).await;
    debug!(dropped, "a WebSocket ended");
}

struct Carrier {
    sink: SplitSink<WebSocket, Message>,
    stream: SplitStream<WebSocket>,
    queue: Queue,
    /// Whether a batch is on its way into the stream.
    busy: bool,
    vigil: Vigil,
    ticks: Interval,
    invalid: u64,
}

impl Carrier {
    /// Returns how many datagrams were dropped.
    async fn run(mut self, mut ends: Ends) -> u64 {
        let unproved = sleep(PROVE_WITHIN);
        tokio::pin!(unproved);
        let mut proved = false;
        loop {
            let going = tokio::select! {
                message = self.stream.next() => self.take(message, &ends),
                ready = ends.control.readable() => ready.is_ok() && receive(Service::Control, &ends.control, &mut self.queue),
                ready = ends.relay.readable() => ready.is_ok() && receive(Service::Relay, &ends.relay, &mut self.queue),
                flushed = flush(&mut self.sink, self.busy) => {
                    self.busy = false;
                    flushed.is_ok()
                }
                _ = self.ticks.tick() => self.look().await,
                changed = ends.proved.changed(), if !proved => {
                    proved = true;
                    changed.is_ok()
                }
                () = &mut unproved, if !proved => false,
            };
            if !going || !self.fill().await {
                return self.queue.dropped() + self.invalid;
            }
        }
    }

    /// A message of the agent; false when it was the last.
    fn take(&mut self, message: Option<Result<Message, axum::Error>>, ends: &Ends) -> bool {
        let Some(Ok(message)) = message else { return false };
        self.vigil.hear(Instant::now());
        match message {
            Message::Binary(message) => {
                // a full socket buffer, or an answer to an earlier datagram: lost, as on any network
                let sent = match decode(&message) {
                    Ok((Service::Control, datagram)) => ends.control.try_send(datagram),
                    Ok((Service::Relay, datagram)) => ends.relay.try_send(datagram),
                    Err(_) => Err(io::ErrorKind::InvalidData.into()),
                };
                self.invalid += u64::from(sent.is_err());
                true
            }
            // the pong to a ping is sent by the library
            Message::Ping(_) | Message::Pong(_) => true,
            Message::Close(_) | Message::Text(_) => false,
        }
    }

    /// Asks a silent other end whether it is there; false when it is not.
    async fn look(&mut self) -> bool {
        match self.vigil.look(Instant::now()) {
            Silence::Bearable => true,
            // what is under way asks as well
            Silence::Ask if self.busy => true,
            Silence::Ask => {
                self.busy = true;
                self.sink.feed(Message::Ping(Bytes::new())).await.is_ok()
            }
            Silence::Over => false,
        }
    }

    /// Gives the stream the next batch when it has taken the one before.
    async fn fill(&mut self) -> bool {
        if self.busy {
            return true;
        }
        for message in self.queue.pop_batch(Instant::now()) {
            self.busy = true;
            if self.sink.feed(Message::Binary(message.into())).await.is_err() {
                return false;
            }
        }
        true
    }
}

/// Done when the stream has taken all it was given; never, when it was given nothing.
async fn flush(sink: &mut SplitSink<WebSocket, Message>, busy: bool) -> Result<(), axum::Error> {
    if busy { sink.flush().await } else { pending().await }
}

/// Takes what a service has sent. An error is an ICMP answer to an earlier datagram.
fn receive(service: Service, socket: &UdpSocket, queue: &mut Queue) -> bool {
    let mut buffer = [0; MAX_MESSAGE];
    for _ in 0..AT_ONCE {
        match socket.try_recv(&mut buffer) {
            Ok(len) => queue.push(service, &buffer[..len], Instant::now()),
            Err(_) => break,
        }
    }
    true
}

/// One run of packets of an agent.
const AT_ONCE: usize = 64;
/// A QUIC handshake and a proof, with the patience that the listener has for them.
const PROVE_WITHIN: Duration = Duration::from_secs(20);

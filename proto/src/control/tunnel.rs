//! Datagrams inside a WebSocket, for networks that let no UDP out (docs/protocol.md section 6.1).
//!
//! One binary message is one byte that names the service and one UDP payload for it; nothing of what is inside is looked
//! at. `Queue` keeps a stream from turning a datagram service into one that delivers everything, too late, `Vigil` says when a
//! silent one is asked whether it lives, and when it is over. Sockets are left to agent and rendezvous.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Where on the rendezvous's web origin the WebSocket is opened.
pub const PATH: &str = "/tunnel";
/// The subprotocol that both ends must name (RFC 6455 section 1.9).
pub const SUBPROTOCOL: &str = "warren-datagrams.1";
/// Longest message either end reads; a UDP payload is shorter.
pub const MAX_MESSAGE: usize = 65_535;

/// What a datagram is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Service {
    /// The control plane: QUIC.
    Control = 0,
    /// The relay: frames.
    Relay = 1,
}

/// A message that is ignored and counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the error texts say it")]
pub enum InvalidMessage {
    #[error("a message without a datagram")]
    Empty,
    #[error("a message longer than its limit")]
    Length,
    #[error("a service that this version does not know")]
    Service,
}

/// The message that carries a datagram.
pub fn encode(service: Service, datagram: &[u8]) -> Vec<u8> {
    [&[service as u8], datagram].concat()
}

/// The datagram that a message carries.
pub fn decode(message: &[u8]) -> Result<(Service, &[u8]), InvalidMessage> {
    if message.len() > MAX_MESSAGE {
        return Err(InvalidMessage::Length);
    }
    match message.split_first() {
        None | Some((_, [])) => Err(InvalidMessage::Empty),
        Some((0, datagram)) => Ok((Service::Control, datagram)),
        Some((1, datagram)) => Ok((Service::Relay, datagram)),
        Some(_) => Err(InvalidMessage::Service),
    }
}

/// Messages that wait for the stream to take them: control first, the oldest dropped when there are too many or when
/// they have waited for so long that whoever sent them has given them up.
#[derive(Debug, Default)]
pub struct Queue {
    control: Lane,
    relay: Lane,
    dropped: u64,
}

#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
}

impl Queue {
    /// Adds the message that carries a datagram.
    pub fn push(&mut self, service: Service, datagram: &[u8], now: Instant) {
        let (lane, room) = match service {
            Service::Control => (&mut self.control, CONTROL_ROOM),
            Service::Relay => (&mut self.relay, RELAY_ROOM),
        };
        let message = encode(service, datagram);
        lane.bytes += message.len();
        lane.waiting.push_back((now, message));
        while lane.bytes > room && lane.pop().is_some() {
            self.dropped += 1;
        }
    }

    /// The next message to send.
    pub fn pop(&mut self, now: Instant) -> Option<Vec<u8>> {
        for lane in [&mut self.control, &mut self.relay] {
            while let Some((since, message)) = lane.pop() {
                if now.saturating_duration_since(since) <= LONGEST_WAIT {
                    return Some(message);
                }
                self.dropped += 1;
            }
        }
        None
    }

    /// What the stream is given at a time, when it has taken what it was given before: one TLS record's worth. With the longest
    /// message it stays below the 128 KiB of the libraries' buffers, so that giving it never waits.
    pub fn pop_batch(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let (mut batch, mut room) = (Vec::new(), BATCH);
        while room > 0
            && let Some(message) = self.pop(now)
        {
            room = room.saturating_sub(message.len());
            batch.push(message);
        }
        batch
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.control.waiting.is_empty() && self.relay.waiting.is_empty()
    }

    /// How many messages were dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

impl Lane {
    fn pop(&mut self) -> Option<(Instant, Vec<u8>)> {
        let (since, message) = self.waiting.pop_front()?;
        self.bytes -= message.len();
        Some((since, message))
    }
}

/// Whether the other end of a WebSocket is there.
#[derive(Clone, Copy, Debug)]
pub struct Vigil {
    heard: Instant,
}

/// What a silence means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Silence {
    /// Ask by a ping.
    Ask,
    /// Nothing yet.
    Bearable,
    /// Nobody is there.
    Over,
}

impl Vigil {
    /// It was opened at `now`.
    pub const fn new(now: Instant) -> Self {
        Self { heard: now }
    }

    /// Anything came.
    pub const fn hear(&mut self, now: Instant) {
        self.heard = now;
    }

    /// To be looked at every [`PING_EVERY`].
    pub fn look(&self, now: Instant) -> Silence {
        match now.saturating_duration_since(self.heard) {
            silence if silence >= SILENCE_MAX => Silence::Over,
            silence if silence >= PING_EVERY => Silence::Ask,
            _ => Silence::Bearable,
        }
    }
}

/// Proxies end connections that are silent for a minute.
pub const PING_EVERY: Duration = Duration::from_secs(20);
/// Two pings unanswered, and as long again.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// One TLS record.
const BATCH: usize = 16 * 1024;
/// Two flights of a full congestion window of QUIC; the largest map goes in many of them.
const CONTROL_ROOM: usize = 128 * 1024;
/// Some runs of packets as an agent sends them whole (64 KiB each); 4 ms at 1 Gb/s. A slower stream is bounded by time.
const RELAY_ROOM: usize = 512 * 1024;
/// What waits longer delays everything behind it; a congested home router's queue is no longer.
const LONGEST_WAIT: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::test_clock;

    #[test]
    fn a_silent_websocket_is_asked_after_twenty_seconds_and_over_after_a_minute() {
        let start = test_clock::start();
        let after = |secs| start + Duration::from_secs(secs);
        let mut vigil = Vigil::new(start);

        let seen = [19, 20, 40, 59, 60].map(|secs| vigil.look(after(secs)));
        assert_eq!(seen, [Silence::Bearable, Silence::Ask, Silence::Ask, Silence::Ask, Silence::Over]);
        vigil.hear(after(59));

        assert_eq!([60, 79, 119].map(|secs| vigil.look(after(secs))), [Silence::Bearable, Silence::Ask, Silence::Over]);
    }

    #[test]
    fn a_batch_is_a_record_and_at_most_one_message_more() {
        let now = test_clock::start();
        let mut queue = Queue::default();
        (0..40).for_each(|_| queue.push(Service::Relay, &[7; 999], now));

        let batches = [queue.pop_batch(now), queue.pop_batch(now), queue.pop_batch(now), queue.pop_batch(now)];

        assert_eq!(batches.map(|batch| batch.len()), [17, 17, 6, 0]);
    }

    proptest! {
        #[test]
        fn a_datagram_arrives_as_it_was_sent(datagram in prop::collection::vec(any::<u8>(), 1..2000), relay: bool) {
            let service = if relay { Service::Relay } else { Service::Control };
            let message = encode(service, &datagram);

            prop_assert_eq!(decode(&message), Ok((service, datagram.as_slice())));
        }

        #[test]
        fn whatever_is_accepted_is_what_would_be_sent(message in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Ok((service, datagram)) = decode(&message) {
                prop_assert_eq!(encode(service, datagram), message);
            }
        }
    }

    #[test]
    fn what_is_no_message_is_told_apart() {
        assert_eq!(decode(&[]), Err(InvalidMessage::Empty));
        assert_eq!(decode(&[1]), Err(InvalidMessage::Empty));
        assert_eq!(decode(&[2, 9]), Err(InvalidMessage::Service));
        assert_eq!(decode(&[1; MAX_MESSAGE + 1]), Err(InvalidMessage::Length));
        assert!(decode(&[1; MAX_MESSAGE]).is_ok());
    }

    #[test]
    fn control_goes_first_and_each_service_keeps_its_order() {
        let now = test_clock::start();
        let mut queue = Queue::default();
        for (service, byte) in [(Service::Relay, 1), (Service::Control, 2), (Service::Relay, 3), (Service::Control, 4)]
        {
            queue.push(service, &[byte], now);
        }

        let sent: Vec<u8> = std::iter::from_fn(|| queue.pop(now)).map(|message| message[1]).collect();

        assert_eq!(sent, [2, 4, 1, 3]);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_full_queue_drops_the_oldest_and_keeps_its_bound() {
        let now = test_clock::start();
        let mut queue = Queue::default();

        for number in 0..1000_u32 {
            queue.push(Service::Relay, &[&number.to_be_bytes()[..], &[0; 1400]].concat(), now);
        }

        let first = queue.pop(now).unwrap();
        assert_eq!(u64::from(u32::from_be_bytes(*first[1..].first_chunk().unwrap())), queue.dropped());
        assert!(queue.dropped() > 0 && queue.relay.bytes <= RELAY_ROOM);
    }

    #[test]
    fn what_waited_for_too_long_is_dropped_not_delivered_late() {
        let now = test_clock::start();
        let mut queue = Queue::default();
        queue.push(Service::Relay, b"old", now);
        queue.push(Service::Relay, b"new", now + Duration::from_millis(150));

        let sent = queue.pop(now + Duration::from_millis(201)).unwrap();

        assert_eq!((&sent[1..], queue.dropped()), (&b"new"[..], 1));
    }
}

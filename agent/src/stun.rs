//! A STUN client (RFC 8489 section 2) over a socket that is not its own: asks servers what address they see.
//!
//! It makes and reads datagrams and keeps time; sending, and which servers to ask, are left to `slow_path`. Only an
//! answer to an outstanding question, from the very address asked, is believed. A question may leave by an auxiliary
//! socket: its answer tells what the NAT made of a mapping that did not exist before.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use stun_rs::attributes::stun::XorMappedAddress;
use stun_rs::methods::BINDING;
use stun_rs::{MessageClass, MessageDecoder, MessageEncoder, StunMessageBuilder, TransactionId};
use warren_proto::control::voucher::{self, Voucher};
use warren_proto::io::SocketId;

/// Questions under way.
#[derive(Debug, Default)]
pub struct Stun {
    queries: Vec<Query>,
}

/// What a server saw.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The server asked.
    pub server: SocketAddr,
    /// The auxiliary socket it was asked by.
    pub socket: Option<SocketId>,
    /// Our address, seen from there.
    pub mapped: SocketAddr,
    /// From the last time it was asked to the answer.
    pub rtt: Duration,
    /// The server's word for it, where the server is a rendezvous.
    pub voucher: Option<Voucher>,
}

#[derive(Debug)]
struct Query {
    id: [u8; 12],
    server: SocketAddr,
    socket: Option<SocketId>,
    give_up_at: Instant,
    send_at: Instant,
    sent_at: Instant,
}

impl Stun {
    /// Starts to ask `server` by a socket, under a transaction id that nobody can guess. The same question already under
    /// way is dropped.
    pub fn ask(&mut self, server: SocketAddr, socket: Option<SocketId>, id: [u8; 12], now: Instant) {
        self.queries.retain(|query| (query.server, query.socket) != (server, socket));
        if self.queries.len() < MAX_QUERIES {
            let give_up_at = now + GIVE_UP_AFTER;
            self.queries.push(Query { id, server, socket, give_up_at, send_at: now, sent_at: now });
        }
    }

    /// Takes a datagram that looks like STUN; `None` when it answers nothing we asked.
    pub fn handle_datagram(&mut self, from: SocketAddr, datagram: &[u8], now: Instant) -> Option<Answer> {
        let (message, _) = MessageDecoder::default().decode(datagram).ok()?;
        let position = self
            .queries
            .iter()
            .position(|query| query.server == from && message.transaction_id().as_ref() == query.id.as_slice())?;
        if message.method() != BINDING || message.class() != MessageClass::SuccessResponse {
            return None;
        }
        let mapped = *message.get::<XorMappedAddress>()?.as_xor_mapped_address().ok()?.socket_address();
        let query = self.queries.swap_remove(position);
        let rtt = now.saturating_duration_since(query.sent_at);
        Some(Answer { server: from, socket: query.socket, mapped, rtt, voucher: voucher::find(datagram) })
    }

    /// The next request that is due, with where to send it and by which socket.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<(SocketAddr, Option<SocketId>, Vec<u8>)> {
        self.queries.retain(|query| now < query.give_up_at);
        let query = self.queries.iter_mut().find(|query| query.send_at <= now)?;
        query.send_at = now + RETRANSMIT_AFTER;
        query.sent_at = now;
        Some((query.server, query.socket, request(query.id)))
    }

    /// There is no way to a server from here: nothing more is asked there.
    pub fn give_up(&mut self, server: SocketAddr) {
        self.queries.retain(|query| query.server != server);
    }

    /// When `poll_transmit` has something to do next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.queries.iter().map(|query| query.send_at.min(query.give_up_at)).min()
    }

    /// Whether every question was answered or given up.
    pub fn is_idle(&self) -> bool {
        self.queries.is_empty()
    }

    /// Whether a question is under way that left by an auxiliary socket.
    pub fn uses_auxiliaries(&self) -> bool {
        self.queries.iter().any(|query| query.socket.is_some())
    }
}

fn request(id: [u8; 12]) -> Vec<u8> {
    let message =
        StunMessageBuilder::new(BINDING, MessageClass::Request).with_transaction_id(TransactionId::from(id)).build();
    let mut datagram = vec![0; HEADER_LEN];
    MessageEncoder::default().encode(&mut datagram, &message).expect("a request without attributes is a header");
    voucher::append(&mut datagram, &[0; 16]);
    datagram
}

/// RFC 8489 section 5: the header.
const HEADER_LEN: usize = 20;
/// RFC 8489's 500 ms are for the whole internet and all servers; a lost packet should not cost half a second here.
const RETRANSMIT_AFTER: Duration = Duration::from_millis(200);
/// No answer to 15 requests is no answer.
const GIVE_UP_AFTER: Duration = Duration::from_secs(3);
/// Two ports of every replica a server may name, and a look at how the NAT numbers its mappings.
const MAX_QUERIES: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_from_the_server_asked_tells_our_address() {
        let now = Instant::now();
        let mut stun = Stun::default();
        stun.ask(server(), None, [7; 12], now);
        let (to, _, asked) = stun.poll_transmit(now).unwrap();

        let answer = stun.handle_datagram(to, &answer_to(&asked), now + Duration::from_millis(30)).unwrap();

        assert_eq!((answer.mapped, answer.voucher), (mapped(), Some([7; 16])));
        assert_eq!(answer.rtt, Duration::from_millis(30));
        assert!(stun.is_idle());
    }

    #[test]
    fn nobody_else_can_answer() {
        let now = Instant::now();
        let mut stun = Stun::default();
        stun.ask(server(), None, [7; 12], now);
        let (to, _, asked) = stun.poll_transmit(now).unwrap();
        let mut other_id = answer_to(&asked);
        other_id[8] ^= 1;

        assert_eq!(stun.handle_datagram("203.0.113.9:3478".parse().unwrap(), &answer_to(&asked), now), None);
        assert_eq!(stun.handle_datagram(to, &other_id, now), None);
        assert_eq!(stun.handle_datagram(to, &asked, now), None);
        assert_eq!(stun.handle_datagram(to, b"", now), None);
        assert!(!stun.is_idle());
    }

    #[test]
    fn a_silent_server_is_asked_again_and_given_up_in_the_end() {
        let start = Instant::now();
        let mut stun = Stun::default();
        stun.ask(server(), None, [7; 12], start);
        let mut requests = 0;

        while let Some(at) = stun.poll_timeout() {
            if stun.poll_transmit(at).is_some() {
                requests += 1;
            }
        }

        assert_eq!(requests, 15);
        assert!(stun.is_idle());
    }

    #[test]
    fn a_server_there_is_no_way_to_is_not_asked_again() {
        let now = Instant::now();
        let mut stun = Stun::default();
        stun.ask("[2001:db8::1]:3478".parse().unwrap(), None, [7; 12], now);
        stun.ask(server(), None, [8; 12], now);

        stun.give_up("[2001:db8::1]:3478".parse().unwrap());

        assert_eq!(stun.poll_transmit(now).map(|(to, ..)| to), Some(server()));
        assert_eq!(stun.poll_transmit(now), None);
    }

    fn server() -> SocketAddr {
        "203.0.113.1:3478".parse().unwrap()
    }

    fn mapped() -> SocketAddr {
        "198.51.100.7:40000".parse().unwrap()
    }

    fn answer_to(request: &[u8]) -> Vec<u8> {
        let (asked, _) = MessageDecoder::default().decode(request).unwrap();
        let message = StunMessageBuilder::new(BINDING, MessageClass::SuccessResponse)
            .with_transaction_id(*asked.transaction_id())
            .with_attribute(XorMappedAddress::from(mapped()))
            .build();
        let mut datagram = vec![0; 100];
        let length = MessageEncoder::default().encode(&mut datagram, &message).unwrap();
        datagram.truncate(length);
        assert_eq!(voucher::find(request), Some([0; 16]));
        voucher::append(&mut datagram, &[7; 16]);
        datagram
    }
}

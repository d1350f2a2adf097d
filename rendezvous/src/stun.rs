//! STUN binding service (RFC 8489) on two ports: tells a device its address as seen from outside; two ports tell it
//! whether its NAT maps by destination.
//!
//! A response is longer than a bare request, so a forged source could be made to receive a little more than was sent:
//! each source prefix gets a small rate, and nothing but a well-formed binding request is answered. The answer comes from
//! the address that was asked, wherever the host has several: whoever asks believes no other. Who asks for it gets our
//! word for the address as well (`voucher`).

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Instant;

use nix::sys::socket::{setsockopt, sockopt};
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use stun_rs::attributes::stun::XorMappedAddress;
use stun_rs::methods::BINDING;
use stun_rs::{MessageClass, MessageDecoderBuilder, MessageEncoderBuilder, StunMessageBuilder};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use warren_proto::control::voucher;
use warren_proto::keys::UnixTime;

use crate::limits::{SourceLimit, canonical};
use crate::meters::Meters;
use crate::voucher::Vouchers;

/// The two sockets.
#[derive(Debug)]
pub struct Stun {
    sockets: [Socket; 2],
}

/// A socket that tells which of our addresses was asked, and answers from it.
#[derive(Debug)]
struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
}

impl Socket {
    async fn bind(listen: SocketAddr) -> io::Result<Self> {
        let io = UdpSocket::bind(listen).await?;
        let state = UdpSocketState::new((&io).into())?;
        // Requests of one source must stay apart; a kernel that does not know the option does not join them either.
        let _ = setsockopt(&io, sockopt::UdpGroSegment, &false);
        Ok(Self { io, state })
    }

    /// The next datagram: its length, where it came from, and which address of ours it came to.
    async fn receive(&self, buffer: &mut [u8]) -> io::Result<RecvMeta> {
        let receive = || {
            let mut meta = [RecvMeta::default()];
            self.state.recv((&self.io).into(), &mut [IoSliceMut::new(buffer)], &mut meta)?;
            Ok(meta[0])
        };
        self.io.async_io(Interest::READABLE, receive).await
    }

    fn answer(&self, request: &RecvMeta, response: &[u8]) {
        let (destination, src_ip) = (request.addr, request.dst_ip);
        let transmit = Transmit { destination, ecn: None, contents: response, segment_size: None, src_ip };
        // a response that cannot be sent is lost, as on any network
        let _ = self.state.try_send((&self.io).into(), &transmit);
    }
}

impl Stun {
    /// Binds the address and the next port; port 0 takes any two.
    pub async fn bind(listen: SocketAddr) -> io::Result<Self> {
        let first = Socket::bind(listen).await?;
        let next = match listen.port() {
            0 => 0,
            port => port.checked_add(1).ok_or_else(|| io::Error::other("there is no port after 65535"))?,
        };
        let second = Socket::bind(SocketAddr::new(listen.ip(), next)).await?;
        Ok(Self { sockets: [first, second] })
    }

    /// The sockets' addresses.
    pub fn addrs(&self) -> io::Result<[SocketAddr; 2]> {
        Ok([self.sockets[0].io.local_addr()?, self.sockets[1].io.local_addr()?])
    }

    /// Answers until it is dropped.
    pub async fn run(self, vouchers: &Vouchers, meters: &Meters, now: impl Fn() -> UnixTime) {
        let limit = Mutex::new(SourceLimit::new(PER_SECOND, BURST, Instant::now()));
        let [first, second] = self.sockets;
        let answer = |request: &[u8], from| answer(request, from, vouchers, now());
        tokio::join!(serve(first, &limit, meters, &answer), serve(second, &limit, meters, &answer));
    }
}

async fn serve(
    socket: Socket,
    limit: &Mutex<SourceLimit>,
    meters: &Meters,
    answer: &impl Fn(&[u8], SocketAddr) -> Option<Vec<u8>>,
) {
    let mut buffer = [0; LARGEST];
    loop {
        // an error is an ICMP answer to an earlier response: it does not concern the next request
        let Ok(request) = socket.receive(&mut buffer).await else { continue };
        let Some(response) = answer(&buffer[..request.len], canonical(request.addr)) else { continue };
        let source = request.addr.ip();
        let allowed = limit.lock().expect("nothing panics while it holds the limit").allow(source, Instant::now());
        meters.count_stun(allowed);
        if allowed {
            socket.answer(&request, &response);
        }
    }
}

/// The response to a binding request; `None` for anything else.
fn answer(request: &[u8], from: SocketAddr, vouchers: &Vouchers, at: UnixTime) -> Option<Vec<u8>> {
    // two zero bits, the method and class of a binding request, a length of whole words, the magic cookie
    let [0x00, 0x01, _, _, 0x21, 0x12, 0xa4, 0x42, ..] = request else { return None };
    let (message, len) = MessageDecoderBuilder::default().build().decode(request).ok()?;
    if len != request.len() || message.method() != BINDING || message.class() != MessageClass::Request {
        return None;
    }
    let response = StunMessageBuilder::new(BINDING, MessageClass::SuccessResponse)
        .with_transaction_id(*message.transaction_id())
        .with_attribute(XorMappedAddress::from(from))
        .build();
    let mut buffer = [0; 64];
    let len = MessageEncoderBuilder::default().build().encode(&mut buffer, &response).ok()?;
    let mut response = buffer[..len].to_vec();
    if voucher::find(request).is_some() {
        voucher::append(&mut response, &vouchers.make(from, at));
    }
    Some(response)
}

/// Longer than any request we would answer.
const LARGEST: usize = 1280;
/// A device asks two ports on each change of its network and every half minute; a NAT may hide a hundred of them.
const PER_SECOND: f32 = 20.0;
const BURST: f32 = 100.0;

#[cfg(test)]
mod tests {
    use warren_proto::control::Vouched;

    use super::*;

    const VOUCHERS: Vouchers = Vouchers::new([7; 32]);
    const AT: UnixTime = UnixTime::from_secs(1_000_000);

    fn reply(request: &[u8], from: SocketAddr) -> Option<Vec<u8>> {
        answer(request, from, &VOUCHERS, AT)
    }

    fn request() -> Vec<u8> {
        let mut bytes = vec![0x00, 0x01, 0x00, 0x00, 0x21, 0x12, 0xa4, 0x42];
        bytes.extend([7; 12]);
        bytes
    }

    #[test]
    fn a_binding_request_is_answered_with_its_source() {
        for from in ["203.0.113.9:40000", "[2001:db8::9]:40000"] {
            let from: SocketAddr = from.parse().unwrap();

            let response = reply(&request(), from).unwrap();

            let (message, _) = MessageDecoderBuilder::default().build().decode(&response).unwrap();
            let attribute = message.get::<XorMappedAddress>().unwrap().as_xor_mapped_address().unwrap();
            assert_eq!(*attribute.socket_address(), from);
            assert_eq!(message.transaction_id().as_bytes(), &[7; 12]);
            assert_eq!(response.len(), if from.is_ipv4() { 32 } else { 44 });
        }
    }

    #[test]
    fn who_asks_for_our_word_gets_it_for_hardly_more_than_it_sent() {
        let from: SocketAddr = "203.0.113.9:40000".parse().unwrap();
        let mut asking = request();
        voucher::append(&mut asking, &[0; 16]);

        let response = reply(&asking, from).unwrap();

        let voucher = voucher::find(&response).unwrap();
        assert!(VOUCHERS.is_ours(&Vouched { addr: from, voucher }, AT));
        assert_eq!((asking.len(), response.len()), (40, 52));
        let (message, _) = MessageDecoderBuilder::default().build().decode(&response).unwrap();
        let mapped = message.get::<XorMappedAddress>().unwrap().as_xor_mapped_address().unwrap();
        assert_eq!(*mapped.socket_address(), from);
    }

    #[tokio::test]
    async fn the_answer_comes_from_the_address_that_was_asked() {
        let stun = Stun::bind("0.0.0.0:0".parse().unwrap()).await.unwrap();
        let port = stun.addrs().unwrap()[0].port();
        let service = tokio::spawn(async move { stun.run(&VOUCHERS, &Meters::default(), || AT).await });
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();

        for asked in [[127, 0, 0, 1], [127, 0, 0, 2]].map(|ip| SocketAddr::from((ip, port))) {
            client.send_to(&request(), asked).await.unwrap();
            let (_, from) = client.recv_from(&mut [0; 64]).await.unwrap();

            assert_eq!(from, asked);
        }
        service.abort();
    }

    #[test]
    fn nothing_else_is_answered() {
        let from = "203.0.113.9:40000".parse().unwrap();
        let mut response = request();
        response[0] = 0x01;
        let mut long = request();
        long.push(0);
        let mut no_cookie = request();
        no_cookie[4] = 0;

        for bad in [&b""[..], &request()[..19], &response, &long, &no_cookie] {
            assert_eq!(reply(bad, from), None, "{bad:?}");
        }
    }
}

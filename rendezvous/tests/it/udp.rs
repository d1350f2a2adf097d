//! The relay and the STUN service over real sockets.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;
use warren_proto::certificate::VerifiedCertificate;
use warren_proto::control::{PairOpened, ToAgent, ToServer};
use warren_proto::keys::NodeId;

use crate::control::Running;
use crate::control::agent::{Agent, Joined};

/// A device with a socket of its own, bound at the relay.
struct Device {
    joined: Joined,
    socket: UdpSocket,
    relay: SocketAddr,
}

impl Device {
    async fn join(server: &Running, key: u8) -> Self {
        let joined = Agent::enrol(&server.invite().await, key, "node").await.unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let relay = joined.welcome.relays[0].addr;
        let device = Self { joined, socket, relay };
        let bind = [&[0x0c, 1, 0, 0, 0, 0, 0, 0, 1], &device.joined.welcome.relays[0].token[..]].concat();
        device.socket.send_to(&bind, relay).await.unwrap();
        assert_eq!(device.receive().await.unwrap(), [0x0c, 1, 0, 0, 0, 0, 0, 0, 2]);
        device
    }

    fn id(&self) -> NodeId {
        let (welcome, network) = (&self.joined.welcome, &self.joined.welcome.network);
        let now = warren_proto::keys::UnixTime::new(std::time::UNIX_EPOCH.elapsed().unwrap());
        VerifiedCertificate::verify(&welcome.certificate, &network.id, &network.signing_key, now).unwrap().node
    }

    async fn channel(&mut self) -> PairOpened {
        let opened = |message| if let ToAgent::PairOpened(pair) = message { Some(pair) } else { None };
        self.joined.agent.until(opened).await
    }

    async fn receive(&self) -> Option<Vec<u8>> {
        let mut buffer = [0; 2048];
        let received = timeout(Duration::from_secs(2), self.socket.recv_from(&mut buffer)).await;
        received.ok().map(|received| buffer[..received.unwrap().0].to_vec())
    }
}

fn frame(channel: u32, datagram: &[u8]) -> Vec<u8> {
    [&[0x0c, 1, 0, 0], &channel.to_be_bytes()[..], datagram].concat()
}

#[tokio::test]
async fn a_pair_talks_through_the_relay_and_nobody_else_into_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path()).await;
    let (mut anna, mut bert, carl) =
        (Device::join(&server, 1).await, Device::join(&server, 2).await, Device::join(&server, 3).await);
    anna.joined.agent.send(&ToServer::Connect(bert.id())).await;
    let (to_bert, to_anna) = (anna.channel().await, bert.channel().await);

    anna.socket.send_to(&frame(to_bert.channel, b"hello"), anna.relay).await.unwrap();
    let heard = bert.receive().await.unwrap();
    bert.socket.send_to(&frame(to_anna.channel, b"hello yourself"), bert.relay).await.unwrap();
    let answered = anna.receive().await.unwrap();
    carl.socket.send_to(&frame(to_bert.channel, b"spoofed"), carl.relay).await.unwrap();
    carl.socket.send_to(&frame(to_anna.channel, b"spoofed"), carl.relay).await.unwrap();
    anna.socket.send_to(&frame(to_bert.channel, b"last"), anna.relay).await.unwrap();
    let next = bert.receive().await.unwrap();

    assert_eq!(heard, frame(to_anna.channel, b"hello"));
    assert_eq!(answered, frame(to_bert.channel, b"hello yourself"));
    assert_eq!(next, frame(to_anna.channel, b"last"));
    assert_eq!(server.app.hub().relay().lock().unwrap().counters().forwarded, 3);
    server.stop().await;
}

#[tokio::test]
async fn an_ended_connection_takes_its_binding_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path()).await;
    let (mut anna, mut bert) = (Device::join(&server, 1).await, Device::join(&server, 2).await);
    anna.joined.agent.send(&ToServer::Connect(bert.id())).await;
    let (to_bert, to_anna) = (anna.channel().await, bert.channel().await);
    let mut live = server.app.hub().subscribe();

    anna.joined.agent.connection.close(0u32.into(), b"");
    timeout(Duration::from_secs(5), live.recv()).await.unwrap().unwrap();
    anna.socket.send_to(&frame(to_bert.channel, b"from nowhere"), anna.relay).await.unwrap();
    bert.socket.send_to(&frame(to_anna.channel, b"to nowhere"), bert.relay).await.unwrap();
    let bind = [&[0x0c, 1, 0, 0, 0, 0, 0, 0, 1], &bert.joined.welcome.relays[0].token[..]].concat();
    bert.socket.send_to(&bind, bert.relay).await.unwrap();

    assert_eq!(bert.receive().await.unwrap(), [0x0c, 1, 0, 0, 0, 0, 0, 0, 2], "nothing came before");
    server.stop().await;
}

#[tokio::test]
async fn both_stun_ports_tell_a_client_its_address() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path()).await;
    let joined = Agent::enrol(&server.invite().await, 1, "laptop").await.unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    let request = [&[0x00, 0x01, 0x00, 0x00, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat();

    for server in &joined.welcome.stun {
        socket.send_to(&request, server).await.unwrap();
        let mut response = [0; 64];
        let (len, from) = timeout(Duration::from_secs(2), socket.recv_from(&mut response)).await.unwrap().unwrap();

        assert_eq!((len, from), (32, *server));
        assert_eq!(response[..2], [0x01, 0x01]);
        let mapped = u16::from_be_bytes([response[26], response[27]]) ^ 0x2112;
        assert_eq!(mapped, port);
    }
    server.stop().await;
}

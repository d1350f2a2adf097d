//! Control plane and relay through a WebSocket, as an agent uses it whose network lets no UDP out.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use warren_proto::certificate::VerifiedCertificate;
use warren_proto::control::tunnel::{MAX_MESSAGE, PATH, SUBPROTOCOL, Service, decode, encode};
use warren_proto::control::{Invite, PairOpened, ToAgent, ToServer};
use warren_proto::keys::{NodeId, UnixTime};

use super::Running;
use super::agent::{Agent, Joined};

#[tokio::test]
async fn a_device_enrols_and_is_relayed_to_one_that_has_udp() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path()).await;
    let tunnel = Bridge::open(&server, &[]).await;
    let invite = server.invite().await;
    let direct = server.invite().await;

    let mut inside = Agent::enrol(&through(&tunnel, &invite), 1, "inside").await.unwrap();
    let mut outside = Agent::enrol(&direct, 2, "outside").await.unwrap();
    let inside_socket = bind(&inside, tunnel.relay).await;
    let outside_socket = bind(&outside, outside.welcome.relays[0].addr).await;
    inside.agent.send(&ToServer::Connect(id(&outside))).await;
    let [to_outside, to_inside] = [channel(&mut inside).await, channel(&mut outside).await];
    inside_socket.send_to(&frame(to_outside.channel, b"\x80out"), tunnel.relay).await.unwrap();
    let out = receive(&outside_socket).await;
    outside_socket.send_to(&frame(to_inside.channel, b"\x80in"), to_inside.relay).await.unwrap();
    let back = receive(&inside_socket).await;

    assert_eq!(out, frame(to_inside.channel, b"\x80out"));
    assert_eq!(back, frame(to_outside.channel, b"\x80in"));
    assert_eq!(inside.welcome.observed, "127.0.0.1:0".parse().unwrap(), "a TCP port is nobody's candidate");
}

#[tokio::test]
async fn behind_a_proxy_it_is_the_client_that_counts() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path()).await;
    let tunnel = Bridge::open(&server, &[("x-forwarded-for", "198.51.100.1, 203.0.113.9")]).await;
    let invite = server.invite().await;

    let joined = Agent::enrol(&through(&tunnel, &invite), 1, "inside").await.unwrap();

    assert_eq!(joined.welcome.observed, "203.0.113.9:0".parse().unwrap());
}

#[tokio::test]
async fn whoever_is_no_agent_is_turned_away() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path()).await;

    for (headers, protocol, status) in [
        (&[("origin", "https://elsewhere.example")][..], SUBPROTOCOL, 403),
        (&[], "warren-datagrams.99", 400),
        (&[("sec-websocket-version", "9")], SUBPROTOCOL, 400),
    ] {
        let refused = connect(&server, protocol, headers).await.unwrap_err();

        let Error::Http(response) = refused else { panic!("{refused}") };
        assert_eq!(response.status(), status, "{headers:?}");
    }
}

#[tokio::test]
async fn a_source_has_its_share_and_gets_it_back() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path()).await;
    let mut open = Vec::new();

    let refused = loop {
        match connect(&server, SUBPROTOCOL, &[("x-forwarded-for", "203.0.113.9")]).await {
            Ok(socket) => open.push(socket),
            Err(refused) => break refused,
        }
    };
    let others = connect(&server, SUBPROTOCOL, &[("x-forwarded-for", "203.0.113.10")]).await;
    open.pop().unwrap().close(None).await.unwrap();
    let again = timeout(PATIENCE, async {
        while connect(&server, SUBPROTOCOL, &[("x-forwarded-for", "203.0.113.9")]).await.is_err() {}
    });

    let Error::Http(response) = refused else { panic!("{refused}") };
    assert_eq!((response.status().as_u16(), open.len()), (429, 127));
    assert!(others.is_ok(), "others are not concerned");
    again.await.unwrap();
}

#[tokio::test]
async fn what_is_no_datagram_is_ignored_and_what_is_too_long_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path()).await;
    let mut socket = connect(&server, SUBPROTOCOL, &[]).await.unwrap();

    for message in [&[][..], &[0], &[1], &[7, 7], &[0, 0x40], &[1, 0x0c], &[1; MAX_MESSAGE]] {
        socket.send(Message::Binary(message.to_vec().into())).await.unwrap();
    }
    socket.send(Message::Ping(b"alive?".to_vec().into())).await.unwrap();
    let alive = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
    socket.send(Message::Binary(vec![1; MAX_MESSAGE + 1].into())).await.unwrap();
    let ended = timeout(PATIENCE, async { while let Some(Ok(_)) = socket.next().await {} }).await;

    assert_eq!(alive, Message::Pong(b"alive?".to_vec().into()));
    assert!(ended.is_ok());
}

/// An agent's end of a WebSocket: whoever sends to these sockets speaks to the server's.
struct Bridge {
    control: SocketAddr,
    relay: SocketAddr,
}

impl Bridge {
    async fn open(server: &Running, headers: &[(&'static str, &'static str)]) -> Self {
        let socket = connect(server, SUBPROTOCOL, headers).await.unwrap();
        let [control, relay] = [local().await, local().await];
        let bridge = Self { control: control.local_addr().unwrap(), relay: relay.local_addr().unwrap() };
        tokio::spawn(carry(socket, control, relay));
        bridge
    }
}

async fn carry(mut socket: WebSocketStream<TcpStream>, control: UdpSocket, relay: UdpSocket) {
    let (mut buffers, mut users) = ([vec![0; 2048], vec![0; 2048]], [None; 2]);
    loop {
        let [first, second] = &mut buffers;
        let (service, len) = tokio::select! {
            Some(Ok(message)) = socket.next() => {
                let message = message.into_data();
                let Ok((service, datagram)) = decode(&message) else { continue };
                let (socket, user) = match service {
                    Service::Control => (&control, users[0]),
                    Service::Relay => (&relay, users[1]),
                };
                socket.send_to(datagram, user.unwrap()).await.unwrap();
                continue;
            }
            received = control.recv_from(first) => {
                let (len, from) = received.unwrap();
                users[0] = Some(from);
                (Service::Control, len)
            }
            received = relay.recv_from(second) => {
                let (len, from) = received.unwrap();
                users[1] = Some(from);
                (Service::Relay, len)
            }
            else => return,
        };
        let message = encode(service, &buffers[service as usize][..len]);
        socket.send(Message::Binary(message.into())).await.unwrap();
    }
}

async fn connect(
    server: &Running,
    protocol: &'static str,
    headers: &[(&'static str, &'static str)],
) -> Result<WebSocketStream<TcpStream>, Error> {
    let mut request = format!("ws://{}{PATH}", server.web).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let stream = TcpStream::connect(server.web).await.unwrap();
    Ok(client_async(request, stream).await?.0)
}

/// The invite as one follows it who knows the server at the end of the tunnel.
fn through(tunnel: &Bridge, invite: &Invite) -> Invite {
    Invite { servers: vec![tunnel.control.to_string()], ..invite.clone() }
}

/// A socket that is bound at the relay, by whatever way that is reached.
async fn bind(device: &Joined, relay: SocketAddr) -> UdpSocket {
    let socket = local().await;
    let token = &device.welcome.relays[0].token[..];
    socket.send_to(&[&frame(0, &[1]), token].concat(), relay).await.unwrap();
    let mut answer = receive(&socket).await;
    if answer[8] == 3 {
        socket.send_to(&[&frame(0, &[4]), token, &answer[9..]].concat(), relay).await.unwrap();
        answer = receive(&socket).await;
    }
    assert_eq!(answer, frame(0, &[2]));
    socket
}

fn id(device: &Joined) -> NodeId {
    let (certificate, network) = (&device.welcome.certificate, &device.welcome.network);
    let now = UnixTime::new(std::time::UNIX_EPOCH.elapsed().unwrap());
    VerifiedCertificate::verify(certificate, &network.id, &network.signing_key, now).unwrap().node
}

async fn channel(device: &mut Joined) -> PairOpened {
    device.agent.until(|message| if let ToAgent::PairOpened(pair) = message { Some(pair) } else { None }).await
}

async fn local() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}

async fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = [0; 2048];
    let (len, _) = timeout(PATIENCE, socket.recv_from(&mut buffer)).await.unwrap().unwrap();
    buffer[..len].to_vec()
}

fn frame(channel: u32, datagram: &[u8]) -> Vec<u8> {
    [&[0x0c, 1, 0, 0], &channel.to_be_bytes()[..], datagram].concat()
}

const PATIENCE: Duration = Duration::from_secs(5);

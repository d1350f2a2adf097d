//! A host and the rendezvous: the control connection, what servers see of the host, and frames over a stream where UDP
//! is blocked.
//!
//! Control messages are encoded and decoded, arrive in order and are never lost while the connection lives, as over
//! QUIC; an old connection's messages reach nobody.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use warren_proto::control::{ToAgent, ToServer};
use warren_proto::io::SocketId;

use crate::host::HostId;
use crate::net::{Realm, USUAL_TTL};
use crate::rendezvous::{CONTROL, Outgoing, RELAY, STUN, Visitor};
use crate::world::{What, World};

/// What happens between a host and the servers; each with the number of the connection it belongs to.
pub(crate) enum Message {
    /// The server has ended it.
    Ended(u32),
    /// A relay frame came down the stream.
    FrameDown(u32, Vec<u8>),
    /// A relay frame went up the stream.
    FrameUp(u32, Vec<u8>),
    /// The connection is kept alive, and with it the NATs' mappings.
    KeepAlive,
    /// STUN servers' answers to questions from fresh sockets, in the order in which they were asked.
    Looked(u32, Vec<u16>),
    /// A STUN server's answer.
    Seen(u32, SocketAddr, SocketAddr),
    ToAgent(u32, Vec<u8>),
    ToServer(u32, Vec<u8>),
}

impl World {
    /// A device connects to the rendezvous (again).
    pub fn join(&mut self, host: HostId) {
        let device = &mut self.hosts[host];
        device.connection += 1;
        device.is_connected = self.rendezvous.is_up();
        if !self.rendezvous.is_up() {
            return;
        }
        let observed = self.seen_by_control(host);
        let device = &self.hosts[host];
        let visitor =
            Visitor { node: device.id, observed, rtt: device.link.one_way * 2, revision: device.node.revision() };
        let out = self.rendezvous.arrive(&visitor, &mut self.rng, self.now);
        self.post(out);
        self.offer(host);
    }

    /// Begins to keep the control connections of a host alive, whenever it has one.
    pub(crate) fn keep_control(&mut self, host: HostId) {
        self.enqueue(KEEP_ALIVE, What::Control(host, Message::KeepAlive));
    }

    pub(crate) fn handle_message(&mut self, host: HostId, message: Message) {
        let number = match message {
            Message::KeepAlive => {
                self.enqueue(KEEP_ALIVE, What::Control(host, Message::KeepAlive));
                return self.measure(host);
            }
            Message::Ended(number)
            | Message::FrameDown(number, _)
            | Message::FrameUp(number, _)
            | Message::Looked(number, _)
            | Message::Seen(number, ..)
            | Message::ToAgent(number, _)
            | Message::ToServer(number, _) => number,
        };
        let device = &self.hosts[host];
        if !(device.up && device.is_connected && device.connection == number) {
            return;
        }
        match message {
            Message::Ended(_) => self.notice_loss(host),
            Message::FrameDown(_, frame) => self.hand_over(host, RELAY, &frame),
            Message::FrameUp(_, frame) => self.relay(stream_address(host), &frame),
            Message::KeepAlive => {}
            Message::Looked(_, ports) => {
                self.hosts[host].surroundings.note_fresh(&ports);
                self.offer(host);
            }
            Message::Seen(_, server, mapped) => self.note_seen(host, server, mapped),
            Message::ToAgent(_, bytes) => self.handle_to_agent(host, &bytes),
            Message::ToServer(_, bytes) => {
                let message = ToServer::decode(&bytes).expect("an agent's message can be read");
                let out = self.rendezvous.handle(self.hosts[host].id, message, self.now);
                self.post(out);
            }
        }
    }

    /// The connection has moved to another address, as QUIC connections do: the server notices by its next packet.
    pub(crate) fn measure(&mut self, host: HostId) {
        let device = &self.hosts[host];
        if device.up && device.is_connected && self.rendezvous.is_up() {
            let (id, rtt, observed) = (device.id, device.link.one_way * 2, self.seen_by_control(host));
            let out = self.rendezvous.measure(id, observed, rtt);
            self.post(out);
        }
    }

    /// Sends what the rendezvous says.
    pub(crate) fn post(&mut self, out: Vec<Outgoing>) {
        for Outgoing { to, message, is_last } in out {
            let Some(host) = self.host_of(to) else { continue };
            let device = &self.hosts[host];
            let (delay, connection) = (device.link.one_way, device.connection);
            let message = Message::ToAgent(connection, message.encode());
            self.enqueue(delay, What::Control(host, message));
            if is_last {
                self.enqueue(delay, What::Control(host, Message::Ended(connection)));
            }
        }
    }

    pub(crate) fn tell_server(&mut self, host: HostId, message: &ToServer) {
        let device = &self.hosts[host];
        if device.is_connected && self.rendezvous.is_up() {
            let (delay, message) = (device.link.one_way, Message::ToServer(device.connection, message.encode()));
            self.enqueue(delay, What::Control(host, message));
        }
    }

    fn handle_to_agent(&mut self, host: HostId, bytes: &[u8]) {
        let message = ToAgent::decode(bytes).expect("the rendezvous's message can be read");
        let observed = match &message {
            ToAgent::Welcome(welcome) => Some(welcome.observed),
            ToAgent::Observed(observed) => Some(*observed),
            ToAgent::Enrolled(_)
            | ToAgent::LoggedOut
            | ToAgent::Map(_)
            | ToAgent::PairOpened(_)
            | ToAgent::PeerCandidates { .. }
            | ToAgent::Ping { .. }
            | ToAgent::Pending(_)
            | ToAgent::Refused(_)
            | ToAgent::Retry(_)
            | ToAgent::Start(_)
            | ToAgent::Presence(_)
            | ToAgent::Servers(_)
            | ToAgent::Verdict(_)
            | ToAgent::Watch { .. } => None,
        };
        self.hosts[host].node.handle_control(message, self.now);
        self.drain(host);
        if let Some(observed) = observed {
            self.note_seen(host, CONTROL, observed);
            self.ask_stun(host);
        }
    }

    /// Asks every STUN server from the one socket.
    fn ask_stun(&mut self, host: HostId) {
        for server in STUN {
            let Some(flight) = self.leave(host, server, USUAL_TTL) else { continue };
            let number = self.hosts[host].connection;
            let delay = self.hosts[host].link.one_way * 2 + self.link.one_way * 2;
            self.enqueue(delay, What::Control(host, Message::Seen(number, server, flight.from)));
        }
    }

    /// Asks the servers by two new sockets, which are closed afterwards: every answer shows the next mapping's port.
    pub(crate) fn look_at_nat(&mut self, host: HostId) {
        let mut ports = Vec::new();
        for socket in SAMPLERS {
            let port = self.hosts[host].port_of(socket);
            let seen = STUN.map(|server| self.leave_by(host, port, server, USUAL_TTL));
            ports.extend(seen.into_iter().flatten().map(|flight| flight.from.port()));
        }
        self.hosts[host].node.note_mappings(SAMPLERS.len() * STUN.len(), self.now);
        self.hosts[host].close_unused_sockets();
        let number = self.hosts[host].connection;
        let delay = self.hosts[host].link.one_way * 2 + self.link.one_way * 2;
        self.enqueue(delay, What::Control(host, Message::Looked(number, ports)));
    }

    fn note_seen(&mut self, host: HostId, server: SocketAddr, mapped: SocketAddr) {
        if self.has_udp(host) && self.hosts[host].surroundings.note_seen(server, mapped) {
            self.offer(host);
        }
        // the second one's answer tells whether there is anything to look at
        if server == STUN[1] && self.hosts[host].surroundings.wants_look() {
            self.look_at_nat(host);
        }
    }

    /// Tells the node where it may be reached.
    pub(crate) fn offer(&mut self, host: HostId) {
        let set = self.hosts[host].surroundings.candidates();
        self.hosts[host].node.handle_candidates(set, self.now);
        self.drain(host);
    }

    /// The address that the rendezvous sees a control connection come from.
    fn seen_by_control(&mut self, host: HostId) -> SocketAddr {
        match self.leave(host, CONTROL, USUAL_TTL) {
            Some(flight) => flight.from,
            // over TCP: the port means nothing
            None => SocketAddr::new(self.outermost_address(host), 0),
        }
    }

    /// Whether UDP of a host gets out at all; if not, relay frames go over a stream, as control messages do.
    pub(crate) fn has_udp(&self, host: HostId) -> bool {
        let interface = self.hosts[host].interface(CONTROL.ip());
        interface.is_some_and(|interface| match interface.realm {
            Realm::Public => true,
            realm @ Realm::Inside(_) => self.net.lets_udp_out(realm),
        })
    }

    /// A relay frame goes up the stream.
    pub(crate) fn stream(&mut self, host: HostId, frame: Vec<u8>) {
        let device = &self.hosts[host];
        if device.is_connected {
            let (delay, message) = (device.link.one_way, Message::FrameUp(device.connection, frame));
            self.enqueue(delay, What::Control(host, message));
        }
    }

    /// A frame has come to the relay.
    pub(crate) fn relay(&mut self, from: SocketAddr, frame: &[u8]) {
        let Some((to, frame)) = self.rendezvous.relay(from, frame) else { return };
        self.relayed_bytes += frame.len() as u64;
        let Some(host) = self.streaming_host(to) else { return self.answer(to, frame) };
        let device = &self.hosts[host];
        let (delay, message) = (device.link.one_way, Message::FrameDown(device.connection, frame));
        self.enqueue(delay, What::Control(host, message));
    }

    fn outermost_address(&self, host: HostId) -> IpAddr {
        let interface = self.hosts[host].interface(CONTROL.ip());
        interface.map_or(STREAMS, |interface| self.net.seen_outside(interface.realm).unwrap_or(interface.ip))
    }

    /// The host that has its frames by a stream, if the address stands for one.
    fn streaming_host(&self, addr: SocketAddr) -> Option<HostId> {
        (addr.ip() == STREAMS).then(|| usize::from(addr.port() - FIRST_STREAM))
    }
}

fn stream_address(host: HostId) -> SocketAddr {
    SocketAddr::new(STREAMS, FIRST_STREAM + u16::try_from(host).expect("few hosts"))
}

/// As the agent's: the upper half of the numbers is the driver's.
const SAMPLERS: [SocketId; 2] = [SocketId(1 << 63), SocketId(1 << 63 | 1)];
/// Stands for the web server's side of streams in the relay's table.
const STREAMS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
const FIRST_STREAM: u16 = 10_000;
/// As the agent's control connection: well within the life of a mapping.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

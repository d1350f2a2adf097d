//! Being part of the mesh: the control connection, from enrolment to revocation, and the core that lives beside it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use ipnet::IpNet;
use tokio::sync::watch;
use tracing::{debug, info, warn};
use warren_proto::certificate::{CertificateError, VerifiedCertificate};
use warren_proto::control::{
    Enrolled, Map, Network, Pending, Refused, RefusedCode, Servers, ToAgent, Welcome, usual_web,
};
use warren_proto::node::{Forwarding, LocalDevice, Node};
use zeroize::Zeroizing;

use super::refusal::{is_passing, problem_code, refusal, unusable, wrong_key};
use super::surroundings::Surroundings;
use super::vicinity::Vicinity;
use super::{SlowPath, random, settings};
use crate::control::{Client, Event, Link, Opening, Parts, ServerPlace, Transport, Unreached};
use crate::data_plane::Upcall;
use crate::discovery::Sighting;
use crate::exit::{Exit, Failure};
use crate::identity::Identity;
use crate::ipc::Call;
use crate::mesh_cache;
use crate::netcfg::{self, Exclude, HostNetwork};
use crate::port_mapping::Outlook;
use crate::report::Problem;
use crate::state::{Enrolment, Wanted};

/// What may happen next.
pub(super) enum Input {
    Call(Call),
    Control(Option<Event>),
    Mapping(Outlook),
    Network(HostNetwork),
    Sighting(Sighting),
    Timer,
    Upcall(Upcall),
}

/// A device that is, or tries to be, in touch with its rendezvous.
pub(super) struct Attachment {
    pub(super) client: Client,
    pub(super) identity: Arc<Identity>,
    pub(super) place: ServerPlace,
    /// The server's last greeting; `None` while the connection is down.
    pub(super) welcome: Option<Welcome>,
    /// From the first greeting on, for people.
    pub(super) dashboard: Option<String>,
    /// Relays named in the last greeting; their frames are taken though the connection may be down.
    pub(super) relays: Vec<SocketAddr>,
    /// Whether it asks to be let in without an invite.
    pub(super) asks: bool,
    /// What the server said while a person decides.
    pub(super) pending: Option<Pending>,
    /// The core; `None` until there is a certificate.
    pub(super) mesh: Option<Mesh>,
}

/// The core and what it needs to know of this host.
pub(super) struct Mesh {
    pub(super) node: Node,
    pub(super) overlays: Vec<IpNet>,
    pub(super) surroundings: Surroundings,
    pub(super) vicinity: Vicinity,
    host: watch::Receiver<HostNetwork>,
}

impl Mesh {
    /// Whether all questions about this network are answered or given up.
    pub(super) fn is_settled(&self) -> bool {
        self.surroundings.is_settled() && self.vicinity.outlook().settled
    }
}

impl Attachment {
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let mesh = self.mesh.as_ref()?;
        [mesh.node.poll_timeout(), mesh.surroundings.poll_timeout()].into_iter().flatten().min()
    }
}

/// The next event of an attachment; never, without one.
pub(super) async fn next(attachment: &mut Option<Attachment>) -> Input {
    let Some(Attachment { client, mesh, .. }) = attachment else { return std::future::pending().await };
    tokio::select! {
        event = client.event() => Input::Control(event),
        change = change_around(mesh) => change,
    }
}

async fn change_around(mesh: &mut Option<Mesh>) -> Input {
    let Some(Mesh { vicinity, host, .. }) = mesh else { return std::future::pending().await };
    tokio::select! {
        network = network_change(host) => Input::Network(network),
        input = vicinity.next() => input,
    }
}

async fn network_change(host: &mut watch::Receiver<HostNetwork>) -> HostNetwork {
    if host.changed().await.is_ok() {
        return host.borrow_and_update().clone();
    }
    std::future::pending().await
}

impl SlowPath {
    /// After a start: connects if the owner had wanted it.
    pub(super) async fn resume(&mut self) {
        if self.state.wanted == Wanted::Down || self.state.enrolment.is_none() {
            return;
        }
        if let Err(failure) = self.attach().await {
            warn!("{failure}");
            self.problem = Some(Problem { code: "start".to_owned(), text: failure.to_string() });
        }
    }

    /// Connects an enrolled device.
    pub(super) async fn attach(&mut self) -> Result<(), Failure> {
        let Some(enrolment) = self.state.enrolment.clone() else { return Err(Failure::not_enrolled()) };
        let usual = || enrolment.servers.first().map(|server| usual_web(server)).unwrap_or_default();
        let place = ServerPlace {
            web: enrolment.web.unwrap_or_else(usual),
            names: enrolment.servers,
            remembered: enrolment.addresses,
            pin: enrolment.pin,
        };
        self.connect(place, Opening::Hello(enrolment.node))?;
        match self.verify(&enrolment.certificate, &enrolment.network) {
            Ok(certificate) => self.raise_mesh(certificate, enrolment.network).await,
            Err(error) => {
                warn!(%error, "this device's certificate is not valid now; the server is asked for another");
                Ok(())
            }
        }
    }

    /// Starts the control connection.
    pub(super) fn connect(&mut self, place: ServerPlace, opening: Opening) -> Result<(), Failure> {
        let identity = Arc::new(Identity::load_or_create(&self.tools.state_dir)?);
        let quic = Arc::clone(&self.tools.quic);
        let parts = Parts {
            endpoint: self.tools.endpoint.clone(),
            identity: Arc::clone(&identity),
            admit: Box::new(move |servers: &[SocketAddr]| quic.set_servers(servers.iter().copied())),
            proxies: self.tools.config.proxies.clone(),
        };
        let asks = matches!(opening, Opening::Enroll { secret: None, .. });
        let client = Client::start(parts, place.clone(), opening);
        self.problem = None;
        self.attachment = Some(Attachment {
            client,
            identity,
            place,
            welcome: None,
            dashboard: None,
            relays: Vec::new(),
            asks,
            pending: None,
            mesh: None,
        });
        Ok(())
    }

    /// Sets up the device and starts the core.
    async fn raise_mesh(&mut self, certificate: VerifiedCertificate, network: Network) -> Result<(), Failure> {
        let overlays = settings::overlays(&network);
        let tools = &mut self.tools;
        tools.settings.order(Some(settings::desired(&certificate, &overlays, &Forwarding::default())));
        tools.settings.settle().await.map_err(|error| Failure::new(Exit::Failure, error))?;
        let exclude = Exclude { interface: Some(tools.tun_index), prefixes: overlays.clone() };
        let mut host = netcfg::watch(exclude).await.map_err(|error| Failure::new(Exit::Failure, error.to_string()))?;
        let Some(attachment) = &mut self.attachment else { return Ok(()) };
        let now = tools.clock.now();
        let local = LocalDevice { static_secret: attachment.identity.static_secret.clone(), certificate, network };
        let first = host.borrow_and_update().clone();
        let vicinity = tools.look_around(&local, &first);
        let mut node = Node::new(tools.config.node.clone(), local, random(), tools.clock.wall(), now);
        node.resume(std::mem::take(&mut self.spent));
        let mut surroundings = Surroundings::new(tools.sockets.port(), tools.clock.wall().as_secs());
        surroundings.set_network(&first, attachment.place.remembered.first().copied(), now);
        let mut mesh = Mesh { node, overlays, surroundings, vicinity, host };
        mesh.node.handle_candidates(mesh.surroundings.candidates(), now);
        tools.restore(&mut mesh, now);
        attachment.mesh = Some(mesh);
        Ok(())
    }

    /// Takes leave of peers and server, and takes the device down.
    pub(super) async fn detach(&mut self) {
        self.record_last(self.tools.clock.now()).await;
        let Some(mut attachment) = self.attachment.take() else { return };
        if let Some(mesh) = &mut attachment.mesh {
            mesh.node.close(self.tools.clock.now());
            self.tools.send_all(mesh);
        }
        self.close_unused_sockets();
        self.tools.fib.store(Arc::default());
        self.tools.settings.order(None);
        let vicinity = attachment.mesh.take().map(|Mesh { node, vicinity, .. }| {
            self.spent = node.into_allowance();
            vicinity
        });
        // A failure was logged where it happened, and there is nothing to be done about it here.
        let _ = tokio::join!(self.tools.settings.settle(), attachment.client.close(), async {
            if let Some(vicinity) = vicinity {
                vicinity.end().await;
            }
        });
        self.fail_pings();
    }

    pub(super) async fn handle_control(&mut self, event: Option<Event>) {
        match event {
            Some(Event::Message(message)) => self.handle_message(*message).await,
            Some(Event::Lost(unreached)) => self.handle_lost(&unreached).await,
            Some(Event::Refused { refused, retry }) => self.handle_refused(refused, retry).await,
            None => self.detach().await,
        }
    }

    async fn handle_message(&mut self, message: ToAgent) {
        match message {
            ToAgent::Enrolled(enrolled) => {
                if let Err(failure) = self.handle_enrolled(enrolled).await {
                    self.give_up(failure).await;
                }
            }
            ToAgent::Welcome(welcome) => {
                if let Err(failure) = self.handle_welcome(welcome).await {
                    self.give_up(failure).await;
                }
            }
            ToAgent::LoggedOut => self.finish_logout(None).await,
            ToAgent::Map(map) => self.handle_map(map),
            ToAgent::Servers(servers) => self.handle_servers(servers),
            ToAgent::Observed(observed) => self.note_observed(observed),
            ToAgent::Ping { peer, token } => self.ping_for_server(peer, token),
            ToAgent::Pending(pending) => {
                info!("a person is to let this device in");
                if let Some(attachment) = &mut self.attachment {
                    attachment.pending = Some(pending);
                }
                self.tell_code();
            }
            message @ (ToAgent::PairOpened(_)
            | ToAgent::PeerCandidates { .. }
            | ToAgent::Presence(_)
            | ToAgent::Refused(_)
            | ToAgent::Retry(_)
            | ToAgent::Start(_)
            | ToAgent::Verdict(_)
            | ToAgent::Watch { .. }) => {
                let now = self.tools.clock.now();
                if let Some(mesh) = self.mesh() {
                    mesh.node.handle_control(message, now);
                }
            }
        }
    }

    fn handle_map(&mut self, map: Map) {
        let now = self.tools.clock.now();
        // a full map removes whoever it does not name, with its last part
        let removes = !map.removed.is_empty() || (map.full && map.revision != 0);
        if removes {
            self.recorder.note_removal(now)
        } else {
            self.recorder.note(now)
        }
        if let Some(mesh) = self.mesh() {
            mesh.node.handle_control(ToAgent::Map(map), now);
        }
    }

    /// The server took this device in, and will know it from now on: so must we, before anything else.
    async fn handle_enrolled(&mut self, enrolled: Enrolled) -> Result<(), Failure> {
        let certificate = self.verify_now(&enrolled.certificate, &enrolled.network)?;
        let Some(attachment) = &self.attachment else { return Ok(()) };
        if certificate.identity_key != attachment.identity.identity.public()
            || certificate.static_key != attachment.identity.static_secret.public()
        {
            return Err(Failure::new(Exit::Failure, "the server certified keys that are not this device's"));
        }
        attachment.client.set_opening(Opening::Hello(certificate.node));
        self.state.enrolment = Some(Enrolment {
            servers: attachment.place.names.clone(),
            addresses: attachment.client.link().and_then(|link| link.udp_server()).into_iter().collect(),
            web: Some(attachment.place.web.clone()),
            pin: attachment.place.pin,
            node: certificate.node,
            certificate: enrolled.certificate,
            network: enrolled.network.clone(),
        });
        self.state.wanted = Wanted::Up;
        self.state.ended = None;
        self.tools.state_dir.save(&self.state)?;
        info!("enrolled");
        self.raise_mesh(certificate, enrolled.network).await
    }

    async fn handle_welcome(&mut self, welcome: Welcome) -> Result<(), Failure> {
        if self.mesh().is_none() && self.state.enrolment.is_some() {
            let certificate = self.verify_now(&welcome.certificate, &welcome.network)?;
            self.keep_certificate(welcome.certificate.clone());
            self.raise_mesh(certificate, welcome.network.clone()).await?;
        }
        let now = self.tools.clock.now();
        let Some(attachment) = &mut self.attachment else { return Ok(()) };
        let link = attachment.client.link();
        let server = link.as_ref().and_then(Link::udp_server);
        attachment.dashboard = Some(welcome.dashboard.clone()).filter(|url| !url.is_empty());
        attachment.welcome = Some(welcome.clone());
        let relays = welcome.relays.iter().map(|relay| relay.addr);
        // of an earlier greeting: something may still be under way
        let earlier = std::mem::take(&mut attachment.relays);
        attachment.relays = relays.chain(earlier).take(MAX_RELAYS).collect();
        if let Some(mesh) = &mut attachment.mesh {
            // The packet path must take the relays' answers before they are asked.
            self.tools.publish(mesh, &attachment.relays);
            if link.is_some_and(|link| link.transport() == Transport::WebSocket) {
                // what servers saw of us was seen by UDP, and is no longer there
                mesh.surroundings.forget_seen();
                mesh.node.handle_candidates(mesh.surroundings.candidates(), now);
            }
            mesh.surroundings.set_servers(welcome.stun.clone(), now);
            mesh.node.handle_control(ToAgent::Welcome(welcome.clone()), now);
        }
        info!("connected to the rendezvous");
        self.problem = None;
        self.note_observed(welcome.observed);
        self.remember_server(server, welcome.dashboard);
        self.answer_ups();
        Ok(())
    }

    /// The mesh has several servers: a channel may be on the relay of any.
    fn handle_servers(&mut self, servers: Servers) {
        let now = self.tools.clock.now();
        let Some(attachment) = &mut self.attachment else { return };
        let own = attachment.welcome.iter().flat_map(|welcome| &welcome.relays);
        let mut relays: Vec<_> = own.chain(&servers.relays).map(|relay| relay.addr).collect();
        relays.extend(std::mem::take(&mut attachment.relays));
        let mut seen = BTreeSet::new();
        relays.retain(|relay| seen.insert(*relay));
        relays.truncate(MAX_RELAYS);
        attachment.relays = relays;
        if let Some(mesh) = &mut attachment.mesh {
            self.tools.publish(mesh, &attachment.relays);
            mesh.node.handle_control(ToAgent::Servers(servers), now);
        }
    }

    async fn handle_lost(&mut self, unreached: &Unreached) {
        let Some(attachment) = &mut self.attachment else { return };
        if attachment.welcome.take().is_some() {
            info!("the connection to the rendezvous is lost; tunnels go on");
        }
        if let Some(mesh) = &mut attachment.mesh {
            mesh.node.handle_control_lost();
        }
        let text = unreached.to_string();
        if self.problem.as_ref().is_none_or(|problem| problem.text != text) {
            warn!("no connection to the rendezvous: {}", unreached.code());
            debug!("{text}");
        }
        self.problem = Some(Problem { code: unreached.code().to_owned(), text });
        if matches!(unreached, Unreached::WrongKey(_)) {
            // Waiting longer makes it no other server: whoever asked is told, and an enrolment ends here.
            self.fail_ups(&wrong_key(unreached));
            self.end_enrolment().await;
        }
    }

    async fn handle_refused(&mut self, refused: Refused, retry: bool) {
        warn!(code = ?refused.code, "the rendezvous refused this device");
        if let Some(attachment) = &mut self.attachment {
            attachment.welcome = None;
            if let Some(mesh) = &mut attachment.mesh {
                mesh.node.handle_control_lost();
            }
        }
        let failure = refusal(&refused);
        self.problem = Some(Problem { code: problem_code(refused.code).to_owned(), text: failure.to_string() });
        if refused.code == RefusedCode::DeviceRevoked {
            self.leave(Some(failure.text.clone())).await;
        }
        if !retry {
            self.give_up(failure).await;
        } else if !is_passing(refused.code) {
            self.fail_ups(&failure);
        }
    }

    /// Ends what cannot go on, and tells those who wait for it.
    async fn give_up(&mut self, failure: Failure) {
        self.detach().await;
        let problem = Problem { code: "refused".to_owned(), text: failure.to_string() };
        self.problem.get_or_insert(problem);
        self.fail_ups(&failure);
    }

    /// Ends an attempt to enrol that nobody waits for any more; a device that is enrolled keeps trying.
    pub(super) async fn end_enrolment(&mut self) {
        if self.state.enrolment.is_none() && self.waiting.ups.is_empty() {
            self.detach().await;
        }
    }

    /// Forgets the mesh and the keys that were known in it.
    pub(super) async fn leave(&mut self, ended: Option<String>) {
        self.detach().await;
        self.state.enrolment = None;
        self.state.wanted = Wanted::Down;
        self.state.ended = ended;
        let forgotten = self.tools.state_dir.save(&self.state).map_err(Failure::from);
        let forgotten = forgotten.and_then(|()| Identity::remove(&self.tools.state_dir));
        if let Err(failure) = forgotten.and_then(|()| Ok(mesh_cache::remove(&self.tools.state_dir)?)) {
            warn!("{failure}");
        }
    }

    pub(super) fn handle_network(&mut self, network: &HostNetwork) {
        let now = self.tools.clock.now();
        info!("the network of this host changed");
        let Some(attachment) = &mut self.attachment else { return };
        let server = attachment.client.link().map(|link| link.server());
        attachment.client.hurry();
        if let Some(mesh) = &mut attachment.mesh {
            mesh.surroundings.set_network(network, server, now);
            mesh.vicinity.set_network(network);
            mesh.node.handle_network_change(now);
            mesh.node.handle_candidates(mesh.surroundings.candidates(), now);
        }
    }

    fn note_observed(&mut self, observed: SocketAddr) {
        let now = self.tools.clock.now();
        let Some(Attachment { client, mesh: Some(mesh), .. }) = &mut self.attachment else { return };
        let Some(server) = client.link().and_then(|link| link.udp_server()) else { return };
        if mesh.surroundings.note_observed(server, observed, now) {
            mesh.node.handle_candidates(mesh.surroundings.candidates(), now);
        }
    }

    /// Keeps the server's address for a day without DNS, and that of its web server for one without UDP.
    fn remember_server(&mut self, server: Option<SocketAddr>, web: String) {
        let Some(enrolment) = &mut self.state.enrolment else { return };
        let before = (enrolment.addresses.clone(), enrolment.web.clone());
        if let Some(server) = server {
            enrolment.addresses.retain(|known| *known != server);
            enrolment.addresses.insert(0, server);
            enrolment.addresses.truncate(MAX_REMEMBERED);
        }
        if !web.is_empty() {
            enrolment.web = Some(web);
        }
        if before != (enrolment.addresses.clone(), enrolment.web.clone()) {
            self.save();
        }
    }

    /// Keeps a certificate that replaces ours.
    pub(super) fn keep_certificate(&mut self, certificate: Vec<u8>) {
        if let Some(enrolment) = &mut self.state.enrolment {
            enrolment.certificate = certificate;
            self.save();
        }
    }

    pub(super) fn save(&self) {
        if let Err(error) = self.tools.state_dir.save(&self.state) {
            warn!(error = format!("{error:#}"), "what happened cannot be remembered");
        }
    }

    pub(super) fn mesh(&mut self) -> Option<&mut Mesh> {
        self.attachment.as_mut()?.mesh.as_mut()
    }

    /// Starts to enrol with an invite's secret, or asks to be let in.
    pub(super) fn enrol(
        &mut self,
        place: ServerPlace,
        secret: Option<[u8; 16]>,
        hostname: String,
    ) -> Result<(), Failure> {
        self.connect(place, Opening::Enroll { secret: secret.map(Zeroizing::new), hostname })
    }

    fn verify_now(&self, bytes: &[u8], network: &Network) -> Result<VerifiedCertificate, Failure> {
        self.verify(bytes, network).map_err(|error| unusable(error, self.tools.clock.wall()))
    }

    fn verify(&self, bytes: &[u8], network: &Network) -> Result<VerifiedCertificate, CertificateError> {
        VerifiedCertificate::verify(bytes, &network.id, &network.signing_key, self.tools.clock.wall())
    }
}

/// Addresses of as many replicas and families as are worth a try.
const MAX_REMEMBERED: usize = 8;
/// Of every server of the mesh, and of two greetings.
const MAX_RELAYS: usize = 16;

//! Carries out what the core asks for, until it asks for nothing: datagrams first, then what it has to tell.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, info};
use warren_proto::control::{PingAnswer, Pinged, ToServer};
use warren_proto::keys::NodeId;
use warren_proto::node::Event;
use warren_proto::path::{Selection, Via};

use super::attachment::{Attachment, Mesh};
use super::waiting::Asker;
use super::{SlowPath, Tools, settings, status};
use crate::data_plane::{Fib, Upcall};
use crate::ipc::Reply;
use crate::report::{Path, Pong, SCHEMA, milliseconds};
use crate::udp::obstacle_of;

impl SlowPath {
    /// Gives the core what the packet path could not deal with.
    pub(super) fn handle_upcall(&mut self, upcall: Upcall) {
        let now = self.tools.clock.now();
        let Some(mesh) = self.mesh() else { return };
        match upcall {
            Upcall::Control { spi, from, payload } => mesh.node.handle_opened(spi, from, &payload, now),
            Upcall::Datagram { from, bytes } => mesh.node.handle_datagram(from, &bytes, now),
            // The slow path ends before it comes here.
            Upcall::DeviceLost => {}
            Upcall::Obstacle { to, obstacle } => {
                debug!(?obstacle, "a router will not carry a datagram");
                mesh.node.handle_obstacle(to, obstacle, now);
            }
            Upcall::Packet(packet) => mesh.node.handle_packet(packet, now),
            Upcall::Stun { from, bytes } => {
                if mesh.surroundings.handle_stun(from, &bytes, now) {
                    mesh.node.handle_candidates(mesh.surroundings.candidates(), now);
                }
                mesh.node.note_mappings(mesh.surroundings.take_made(), now);
                self.show_voucher();
                self.close_unused_sockets();
            }
            Upcall::WakeInbound(spi) => mesh.node.handle_wake(spi, now),
            Upcall::WakeOutbound(peer) => mesh.node.handle_wake_outbound(peer, now),
        }
    }

    /// Shows the server where its STUN service saw us, unless its control plane sees that for itself.
    fn show_voucher(&mut self) {
        let Some(Attachment { client, mesh: Some(mesh), .. }) = &mut self.attachment else { return };
        let Some(vouched) = mesh.surroundings.take_vouched() else { return };
        let seen = client.link().and_then(|link| link.udp_server()).is_some_and(|server| server.is_ipv4());
        if !seen && !client.send(ToServer::Vouched(vouched)) {
            debug!("a message to the rendezvous found its queue full");
        }
    }

    /// Empties the core's queues.
    pub(super) fn drain(&mut self) {
        loop {
            let Some(attachment) = &mut self.attachment else { return };
            let Some(mesh) = &mut attachment.mesh else { return };
            self.tools.send_all(mesh);
            let Some(event) = mesh.node.poll_event() else { return };
            match event {
                Event::CertificateReplaced(certificate) => self.keep_certificate(certificate),
                Event::Control(mut message) => {
                    if let ToServer::PathReport(report) = &mut message
                        && let Some(link) = attachment.client.link()
                    {
                        report.remote = report.remote.map(|remote| link.shown(remote));
                    }
                    if !attachment.client.send(message) {
                        debug!("a message to the rendezvous found its queue full");
                    }
                }
                Event::ForwardingChanged => self.tools.publish(mesh, &attachment.relays),
                Event::PathChanged { peer, selection } => {
                    tell_path(peer, selection.as_ref());
                    self.recorder.note(self.tools.clock.now());
                }
                Event::PingReply { peer, token, rtt, remote, via } => {
                    self.answer_ping(peer, token, status::ping_path(rtt, remote, via), rtt);
                }
                Event::SocketsChanged => self.close_unused_sockets(),
                Event::WantSample => {
                    let now = self.tools.clock.now();
                    mesh.surroundings.sample(now);
                    mesh.node.note_mappings(mesh.surroundings.take_made(), now);
                    mesh.surroundings.send_due(&self.tools.sockets, now);
                }
                Event::SaKeys(keys) => {
                    if let Some(keylog) = &mut self.tools.keylog {
                        keylog.note(keys.spi, keys.suite, &keys.key_material);
                    }
                }
            }
        }
    }

    /// Closes the sockets beside the one that everything uses which neither the core nor a look at the NAT needs.
    pub(super) fn close_unused_sockets(&mut self) {
        let mesh = self.attachment.as_ref().and_then(|attachment| attachment.mesh.as_ref());
        let uses = |socket| mesh.is_some_and(|mesh| mesh.node.uses(socket) || mesh.surroundings.uses(socket));
        self.tools.sockets.retain_auxiliaries(uses);
    }

    fn answer_ping(&mut self, peer: NodeId, token: u64, path: Path, rtt: Duration) {
        let Some(ping) = self.waiting.pings.remove(&token) else { return };
        let known = self.mesh().and_then(|mesh| mesh.node.peer(peer));
        let clock = self.tools.clock;
        let current =
            known.map(|peer| status::path(&peer, None, &clock)).filter(|current| current.remote == path.remote);
        let path = Path {
            mtu: current.as_ref().and_then(|current| current.mtu),
            since: current.and_then(|current| current.since),
            ..path
        };
        let path = self.shown(path);
        let (caller, seq) = match ping.asker {
            Asker::Command { caller, seq } => (caller, seq),
            Asker::Server { peer, token } => {
                let rtt_us = u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX);
                let answer = PingAnswer { rtt_us, via: path.via.unwrap_or_default(), remote: path.remote };
                return self.tell_server(Pinged { peer, token, answer: Some(answer) });
            }
        };
        let pong = Pong { schema: SCHEMA, seq, rtt_ms: milliseconds(rtt), path };
        let _ = caller.send(Reply::Pong(pong));
    }
}

impl Tools {
    /// Sends every datagram that the core has ready. One that cannot be sent is one that got lost.
    pub(super) fn send_all(&self, mesh: &mut Mesh) {
        while let Some(transmit) = mesh.node.poll_transmit() {
            if let Err(error) = self.sockets.transmit(&transmit) {
                debug!(%error, "a datagram could not be sent");
                if let Some(obstacle) = obstacle_of(&error) {
                    mesh.node.handle_obstacle(transmit.to, obstacle, self.clock.now());
                }
            }
        }
    }

    /// Gives the packet path a new table, and the kernel the routes that go with it.
    pub(super) fn publish(&self, mesh: &Mesh, relays: &[SocketAddr]) {
        let forwarding = mesh.node.forwarding();
        let desired = settings::desired(mesh.node.certificate(), &mesh.overlays, &forwarding);
        self.settings.order(Some(desired));
        mesh.vicinity.set_peers(forwarding.peers.iter().map(|peer| peer.node), mesh.node.is_relay_only());
        self.fib.store(Arc::new(Fib::build(forwarding.peers, forwarding.inbound, relays.iter().copied())));
    }
}

fn tell_path(peer: NodeId, selection: Option<&Selection>) {
    match selection.map(|selection| selection.via) {
        Some(via @ (Via::Ipv4 | Via::Ipv6 | Via::Lan)) => {
            info!(peer.id = %peer, path.via = via.name(), "peer {peer} is direct");
        }
        Some(via @ (Via::UdpRelay | Via::WebSocketRelay)) => {
            info!(peer.id = %peer, path.via = via.name(), "peer {peer} is relayed")
        }
        None => info!(peer.id = %peer, "peer {peer} has no path"),
    }
}

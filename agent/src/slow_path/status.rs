//! Puts reports together from what the core, the control connection and the packet path know.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use warren_proto::candidate::CandidateKind;
use warren_proto::control::{self, CandidateSet, NatReport};
use warren_proto::io::{Auxiliary, Remote};
use warren_proto::keys::NodeId;
use warren_proto::node::{Forwarding, HeldVerdict, PeerStatus};
use warren_proto::path::Via;
use warren_proto::stats::PeerStats;

use super::SlowPath;
use super::attachment::Mesh;
use crate::clock::{Clock, rfc3339};
use crate::control::{Link, Transport};
use crate::judgement::{Measured, judge};
use crate::report::{
    Attempt, Candidate, Candidates, Counters, Device, Nat, Netcheck, Path, PathKind, PathReport, Peer, Problem, Reason,
    Rendezvous, SCHEMA, ServerDistance, Session, State, Status, milliseconds,
};
use crate::state::Wanted;

impl SlowPath {
    /// `warren status`.
    pub(super) fn status(&self) -> Status {
        let mesh = self.attachment.as_ref().and_then(|attachment| attachment.mesh.as_ref());
        let clock = &self.tools.clock;
        let mtus = mesh.map(|mesh| inner_mtus(&mesh.node.forwarding())).unwrap_or_default();
        let peer = |peer: PeerStatus| {
            let peer = self::peer(&peer, &mtus, clock);
            Peer { path: self.shown(peer.path), ..peer }
        };
        let peers = mesh.map(|mesh| mesh.node.peers().map(peer).collect());
        Status {
            schema: SCHEMA,
            state: self.standing(),
            device: mesh.map(device),
            rendezvous: self.rendezvous(),
            nat: mesh.map(nat).unwrap_or_else(|| nat_of(NatReport::default(), Vec::new())),
            peers: peers.unwrap_or_default(),
            dropped: self.dropped(),
            problem: self.current_problem(),
        }
    }

    /// Everything that is counted.
    pub(super) fn counters(&self) -> Counters {
        let mesh = self.attachment.as_ref().and_then(|attachment| attachment.mesh.as_ref());
        let of_peers = |count: fn(&PeerStats) -> &AtomicU64| {
            let count = |peer: PeerStatus| (peer.node.to_string(), count(&peer.stats).load(Ordering::Relaxed));
            mesh.iter().flat_map(|mesh| mesh.node.peers()).map(count).collect()
        };
        let plane = self.tools.plane.counters();
        Counters {
            status: self.status(),
            probes: of_peers(|stats| &stats.probes),
            whole: of_peers(|stats| &stats.tx_whole),
            udp_port: self.tools.sockets.port(),
            udp_refused: plane.udp_refused(),
            tun_refused: plane.tun_refused(),
        }
    }

    /// `warren netcheck`, once the questions are answered.
    pub(super) fn netcheck(&self) -> Option<Netcheck> {
        let attachment = self.attachment.as_ref()?;
        let mesh = attachment.mesh.as_ref()?;
        let gatherer = mesh.surroundings.gatherer();
        let report = gatherer.nat();
        let outlook = mesh.vicinity.outlook();
        let link = attachment.client.link();
        let by_udp = link.as_ref().is_some_and(|link| link.transport() == Transport::Quic);
        let control = link.map(|link| ServerDistance { addr: link.server(), rtt_ms: Some(milliseconds(link.rtt())) });
        let (sequential_delta, mapped) =
            (report.allocation.and_then(|allocation| allocation.delta).map(i32::from), outlook.mapping);
        let rendezvous: Vec<ServerDistance> = control.into_iter().chain(mesh.surroundings.distances()).collect();
        let stun = mesh.surroundings.distances().any(|server| server.rtt_ms.is_some());
        let answered =
            |v4: bool| rendezvous.iter().any(|server| server.rtt_ms.is_some() && server.addr.is_ipv4() == v4);
        let udp = by_udp || stun;
        let judgement = judge(&Measured {
            udp,
            mapping: report.mapping.name(),
            sequential: sequential_delta.is_some(),
            forwarded: is_forwarded(mesh),
            relay_only: mesh.node.is_relay_only(),
            searches: self.tools.config.node.port_search,
            port: self.tools.sockets.port(),
        });
        Some(Netcheck {
            schema: SCHEMA,
            udp,
            ipv4: answered(true),
            ipv6: answered(false),
            mapping: report.mapping.name().to_owned(),
            preserves_port: report.preserves_port,
            sequential_delta,
            port_mapping: outlook.protocols.iter().map(|protocol| protocol.name().to_owned()).collect(),
            mapped,
            observed: gatherer.observed(),
            rendezvous,
            judgement,
        })
    }

    /// `warren path PEER`.
    pub(super) fn path_report(&self, id: NodeId) -> Option<PathReport> {
        let mesh = self.attachment.as_ref()?.mesh.as_ref()?;
        let peer = mesh.node.peer(id)?;
        let clock = &self.tools.clock;
        let mtu = inner_mtus(&mesh.node.forwarding()).get(&id).copied();
        Some(PathReport {
            schema: SCHEMA,
            peer: peer.name.clone(),
            path: self.shown(path(&peer, mtu, clock)),
            reason: Reason {
                code: peer.reason.code.clone(),
                text: peer.reason.text.clone(),
                remedy: Some(peer.reason.remedy.clone()).filter(|remedy| !remedy.is_empty()),
                joined: peer.reason.joined,
            },
            relay_only: peer.relay_only,
            candidates: Candidates {
                local: candidates(&mesh.surroundings.candidates()),
                peer: candidates(&peer.candidates),
            },
            attempts: peer.attempts.iter().map(|attempt| self::attempt(attempt, clock)).collect(),
            peer_attempts: peer.verdict.iter().flat_map(|held| peer_attempts(held, clock)).collect(),
        })
    }

    /// A path as people are to see it: through a WebSocket its remote is the far end of that.
    pub(super) fn shown(&self, path: Path) -> Path {
        let link = self.attachment.as_ref().and_then(|attachment| attachment.client.link());
        let shown = |address| link.as_ref().map_or(address, |link| link.shown(address));
        Path { remote: path.remote.map(shown), ..path }
    }

    fn standing(&self) -> State {
        match (&self.state.enrolment, &self.attachment) {
            (None, _) => State::NeedsEnrolment,
            (Some(_), None) => State::Stopped,
            (Some(_), Some(attachment)) if attachment.welcome.is_some() => State::Connected,
            (Some(_), Some(_)) => State::Connecting,
        }
    }

    fn rendezvous(&self) -> Rendezvous {
        let servers = self.state.enrolment.as_ref().and_then(|enrolment| enrolment.servers.first().cloned());
        let Some(attachment) = &self.attachment else { return Rendezvous { url: servers, ..Rendezvous::default() } };
        let link = attachment.client.link().filter(|_| attachment.welcome.is_some());
        Rendezvous {
            url: attachment.dashboard.clone().or(servers).or_else(|| attachment.place.names.first().cloned()),
            connected: link.is_some(),
            transport: link.as_ref().map(|link| link.transport().name().to_owned()),
            rtt_ms: link.map(|link| milliseconds(link.rtt())),
        }
    }

    fn dropped(&self) -> BTreeMap<String, u64> {
        let core = self.attachment.iter().flat_map(|attachment| &attachment.mesh).flat_map(|mesh| mesh.node.discards());
        let mut dropped = BTreeMap::new();
        for (reason, count) in core.chain(self.tools.plane.counters().discards()).filter(|(_, count)| *count > 0) {
            *dropped.entry(reason.name().to_owned()).or_insert(0) += count;
        }
        dropped
    }

    fn current_problem(&self) -> Option<Problem> {
        let ended =
            self.state.ended.as_ref().map(|text| Problem { code: "device-revoked".to_owned(), text: text.clone() });
        let wanted = self.state.wanted == Wanted::Up || self.attachment.is_some();
        ended.or_else(|| self.problem.clone().filter(|_| wanted)).or_else(|| self.detour())
    }

    /// That the relay is reached through a WebSocket though UDP works.
    fn detour(&self) -> Option<Problem> {
        let link = self.attachment.as_ref()?.client.link().filter(Link::is_detour)?;
        let text = format!(
            "UDP reaches the rendezvous ({}), but not its relay: relayed packets go through a WebSocket. Allow outgoing UDP to \
             port 3480 on this network.",
            link.server().ip()
        );
        Some(Problem { code: "relay-blocked".to_owned(), text })
    }
}

/// A peer's path; `mtu` is that of inner packets.
pub(super) fn path(peer: &PeerStatus, mtu: Option<u32>, clock: &Clock) -> Path {
    let Some(selection) = &peer.selection else { return Path::default() };
    Path {
        kind: kind(selection.via),
        via: Some(selection.via.name().to_owned()),
        remote: Some(address(selection.remote)),
        rtt_ms: Some(milliseconds(selection.rtt)).filter(|rtt| *rtt > 0.0),
        mtu,
        since: Some(rfc3339(clock.wall_at(selection.since))),
    }
}

/// The path that one ping took.
pub(super) fn ping_path(rtt: Duration, remote: Remote, via: Via) -> Path {
    Path {
        kind: kind(via),
        via: Some(via.name().to_owned()),
        remote: Some(address(remote)),
        rtt_ms: Some(milliseconds(rtt)),
        mtu: None,
        since: None,
    }
}

/// The largest inner packet to each peer, in the form that most packets take.
pub(super) fn inner_mtus(forwarding: &Forwarding) -> BTreeMap<NodeId, u32> {
    let mtu = |peer: &warren_proto::node::PeerRoute| {
        let [v4, _] = peer.outbound.as_ref()?;
        peer.remote?;
        Some((peer.node, u32::try_from(v4.inner_mtu(peer.udp_payload).0).ok()?))
    };
    forwarding.peers.iter().filter_map(mtu).collect()
}

fn peer(peer: &PeerStatus, mtus: &BTreeMap<NodeId, u32>, clock: &Clock) -> Peer {
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    Peer {
        id: peer.node.to_string(),
        name: peer.name.clone(),
        addresses: [IpAddr::V4(peer.v4), IpAddr::V6(peer.v6)],
        online: peer.online,
        from_memory: peer.from_memory,
        path: path(peer, mtus.get(&peer.node).copied(), clock),
        session: peer.session.map(|session| Session {
            suite: session.suite.name().to_owned(),
            post_quantum: false,
            established_at: rfc3339(clock.wall_at(session.established)),
            rekeys: session.rekeys.into(),
        }),
        rx_bytes: count(&peer.stats.rx_bytes),
        tx_bytes: count(&peer.stats.tx_bytes),
        rx_packets: count(&peer.stats.rx_packets),
        tx_packets: count(&peer.stats.tx_packets),
        dropped: peer.stats.dropped().map(|(reason, count)| (reason.name().to_owned(), count)).collect(),
    }
}

fn attempt(attempt: &warren_proto::path::Attempt, clock: &Clock) -> Attempt {
    Attempt {
        at: rfc3339(clock.wall_at(attempt.at)),
        technique: attempt.technique.name().to_owned(),
        local: attempt.local,
        remote: Some(address(attempt.remote)),
        result: attempt.result.name().to_owned(),
        ago_ms: whole_millis(clock.now().saturating_duration_since(attempt.at)),
        probes: attempt.probes,
        heard: attempt.heard,
        attempt: number(attempt.attempt),
    }
}

/// What the peer tried, as old as it is now.
fn peer_attempts(held: &HeldVerdict, clock: &Clock) -> Vec<Attempt> {
    let now = clock.now();
    let since = whole_millis(now.saturating_duration_since(held.at));
    let entry = |attempt: &control::Attempt| {
        let ago_ms = attempt.ago_ms.saturating_add(since);
        let began = now.checked_sub(Duration::from_millis(ago_ms)).unwrap_or(held.at);
        Attempt {
            at: rfc3339(clock.wall_at(began)),
            technique: attempt.technique.clone(),
            local: attempt.local,
            remote: attempt.remote,
            result: attempt.result.clone(),
            ago_ms,
            probes: attempt.probes,
            heard: attempt.heard,
            attempt: number(attempt.attempt),
        }
    };
    held.verdict.attempts.iter().map(entry).collect()
}

/// The name of a common start; as text, for it has 64 bits.
fn number(attempt: u64) -> Option<String> {
    (attempt != 0).then(|| format!("{attempt:016x}"))
}

fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn candidates(set: &CandidateSet) -> Vec<Candidate> {
    let entry = |candidate: &warren_proto::candidate::Candidate| Candidate {
        addr: candidate.addr,
        kind: candidate.kind.name().to_owned(),
    };
    set.candidates.iter().map(entry).collect()
}

/// Whether the gateway forwards a port that the outside can reach.
fn is_forwarded(mesh: &Mesh) -> bool {
    mesh.surroundings.candidates().candidates.iter().any(|candidate| candidate.kind == CandidateKind::Mapped)
}

fn device(mesh: &Mesh) -> Device {
    let certificate = mesh.node.certificate();
    Device {
        id: certificate.node.to_string(),
        name: certificate.name.clone(),
        addresses: [IpAddr::V4(certificate.v4), IpAddr::V6(certificate.v6)],
    }
}

fn nat(mesh: &Mesh) -> Nat {
    let gatherer = mesh.surroundings.gatherer();
    nat_of(gatherer.nat(), gatherer.observed())
}

fn nat_of(report: NatReport, observed: Vec<SocketAddr>) -> Nat {
    Nat { mapping: report.mapping.name().to_owned(), preserves_port: report.preserves_port, observed }
}

fn kind(via: Via) -> PathKind {
    match via {
        Via::Ipv4 | Via::Ipv6 | Via::Lan => PathKind::Direct,
        Via::UdpRelay | Via::WebSocketRelay => PathKind::Relay,
    }
}

fn address(remote: Remote) -> SocketAddr {
    match remote {
        Remote::Auxiliary(Auxiliary { peer: address, .. }) | Remote::Direct(address) => address,
        Remote::Relay(channel) => channel.relay,
    }
}

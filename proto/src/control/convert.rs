//! Generated protobuf types to our values and back; the limits are checked here and nowhere else.

use std::net::SocketAddr;

use prost::Message;

use super::{
    Attempt, AttemptReport, CandidateSet, DecodeError, Enroll, Enrolled, Hello, MAX_ATTEMPTS, MAX_MEMBERS,
    MAX_PEERS_PER_MAP, MAX_SENTENCE, MAX_TEXT, Map, NatMapping, NatReport, Network, PairOpened, PathReport, Peer,
    Pending, PingAnswer, Pinged, Preferences, Presence, Refused, RefusedCode, Relay, Servers, Start, ToAgent, ToServer,
    Verdict, Vouched, Welcome,
};
use crate::candidate::{Allocation, Candidate, CandidateKind, MAX_CANDIDATES, MAX_DELTA, is_usable};
use crate::keys::{IdentityPublic, NetworkId, NetworkPublic, NodeId, StaticPublic};

#[expect(unreachable_pub, unnameable_types, reason = "generated from control.proto, which documents every field")]
mod wire {
    include!(concat!(env!("OUT_DIR"), "/warren.control.rs"));
}

type Result<T> = std::result::Result<T, DecodeError>;

pub(super) fn encode_to_server(message: &ToServer) -> Vec<u8> {
    use wire::to_server::Body;
    let body = match message.clone() {
        ToServer::Enroll(enroll) => Body::Enroll(wire::Enroll {
            protocol: enroll.protocol,
            secret: enroll.secret,
            identity_key: enroll.identity_key.as_bytes().to_vec(),
            static_key: enroll.static_key.as_bytes().to_vec(),
            proof: enroll.proof.to_vec(),
            hostname: enroll.hostname,
            os: enroll.os,
            agent_version: enroll.agent_version,
        }),
        ToServer::Hello(hello) => Body::Hello(wire::Hello {
            protocol: hello.protocol,
            node_id: id(hello.node),
            proof: hello.proof.to_vec(),
            revision: hello.revision,
            agent_version: hello.agent_version,
            os: hello.os,
        }),
        ToServer::Connect(peer) => Body::Connect(wire::Connect { peer: id(peer) }),
        ToServer::Candidates(set) => Body::Candidates(wire_candidates(&set)),
        ToServer::PathReport(report) => Body::PathReport(wire::PathReport {
            peer: id(report.peer),
            kind: report.kind,
            via: report.via,
            remote: report.remote.map(|addr| addr.to_string()).unwrap_or_default(),
            rtt_us: report.rtt_us,
            mtu: report.mtu,
            since_unix_ms: report.since_unix_ms,
            rx_bytes: report.rx_bytes,
            tx_bytes: report.tx_bytes,
            reason_code: report.reason_code,
            rx_packets: report.rx_packets,
            tx_packets: report.tx_packets,
            probes: report.probes,
            probes_lost: report.probes_lost,
        }),
        ToServer::Logout => Body::Logout(wire::Logout {}),
        ToServer::AttemptReport(report) => Body::AttemptReport(wire::AttemptReport {
            peer: id(report.peer),
            attempt: report.attempt,
            via: report.via,
            udp_blocked: report.udp_blocked,
            attempts: report.attempts.into_iter().map(encode_attempt).collect(),
        }),
        ToServer::Preferences(preferences) => {
            Body::Preferences(wire::Preferences { relay_only: preferences.relay_only })
        }
        ToServer::Search(peer) => Body::Search(wire::Search { peer: id(peer) }),
        ToServer::Pinged(pinged) => Body::Pinged(encode_pinged(pinged)),
        ToServer::Vouched(vouched) => {
            Body::Vouched(wire::Vouched { addr: vouched.addr.to_string(), voucher: vouched.voucher.to_vec() })
        }
        ToServer::Alive => Body::Alive(wire::Alive {}),
    };
    wire::ToServer { body: Some(body) }.encode_to_vec()
}

pub(super) fn decode_to_server(bytes: &[u8]) -> Result<ToServer> {
    use wire::to_server::Body;
    let message = wire::ToServer::decode(bytes).map_err(|_| DecodeError::Encoding)?;
    Ok(match message.body.ok_or(DecodeError::UnknownBody)? {
        Body::Enroll(enroll) => ToServer::Enroll(Enroll {
            protocol: enroll.protocol,
            secret: limited(enroll.secret, "secret")?,
            identity_key: IdentityPublic::from_slice(&enroll.identity_key).ok_or(DecodeError::Field("identity_key"))?,
            static_key: StaticPublic::from_slice(&enroll.static_key).ok_or(DecodeError::Field("static_key"))?,
            proof: signature(&enroll.proof)?,
            hostname: text(enroll.hostname, "hostname")?,
            os: text(enroll.os, "os")?,
            agent_version: text(enroll.agent_version, "agent_version")?,
        }),
        Body::Hello(hello) => ToServer::Hello(Hello {
            protocol: hello.protocol,
            node: node(&hello.node_id)?,
            proof: signature(&hello.proof)?,
            revision: hello.revision,
            agent_version: text(hello.agent_version, "agent_version")?,
            os: text(hello.os, "os")?,
        }),
        Body::Connect(connect) => ToServer::Connect(node(&connect.peer)?),
        Body::Candidates(set) => ToServer::Candidates(candidates(set.epoch, set.candidates, set.nat)?),
        Body::PathReport(report) => ToServer::PathReport(PathReport {
            peer: node(&report.peer)?,
            kind: text(report.kind, "kind")?,
            via: text(report.via, "via")?,
            remote: if report.remote.is_empty() { None } else { Some(addr(&report.remote, "remote")?) },
            rtt_us: report.rtt_us,
            mtu: report.mtu,
            since_unix_ms: report.since_unix_ms,
            rx_bytes: report.rx_bytes,
            tx_bytes: report.tx_bytes,
            reason_code: text(report.reason_code, "reason_code")?,
            rx_packets: report.rx_packets,
            tx_packets: report.tx_packets,
            probes: report.probes,
            probes_lost: report.probes_lost,
        }),
        Body::Logout(wire::Logout {}) => ToServer::Logout,
        Body::AttemptReport(report) => ToServer::AttemptReport(AttemptReport {
            peer: node(&report.peer)?,
            attempt: report.attempt,
            via: word(report.via, "via")?,
            udp_blocked: report.udp_blocked,
            attempts: attempts(report.attempts)?,
        }),
        Body::Preferences(preferences) => ToServer::Preferences(Preferences { relay_only: preferences.relay_only }),
        Body::Search(search) => ToServer::Search(node(&search.peer)?),
        Body::Pinged(pinged) => ToServer::Pinged(decode_pinged(pinged)?),
        Body::Vouched(vouched) => {
            let voucher = vouched.voucher.as_slice().try_into().map_err(|_| DecodeError::Field("voucher"))?;
            ToServer::Vouched(Vouched { addr: addr(&vouched.addr, "addr")?, voucher })
        }
        Body::Alive(wire::Alive {}) => ToServer::Alive,
    })
}

pub(super) fn encode_candidates(set: &CandidateSet) -> Vec<u8> {
    wire_candidates(set).encode_to_vec()
}

pub(super) fn decode_candidates(bytes: &[u8]) -> Result<CandidateSet> {
    let set = wire::Candidates::decode(bytes).map_err(|_| DecodeError::Encoding)?;
    candidates(set.epoch, set.candidates, set.nat)
}

pub(super) fn encode_to_agent(message: &ToAgent) -> Vec<u8> {
    use wire::to_agent::Body;
    let body = match message.clone() {
        ToAgent::Refused(refused) => {
            Body::Refused(wire::Refused { code: refused.code.to_wire().into(), text: refused.text })
        }
        ToAgent::Enrolled(enrolled) => Body::Enrolled(wire::Enrolled {
            certificate: enrolled.certificate,
            network: Some(encode_network(enrolled.network)),
        }),
        ToAgent::Welcome(welcome) => Body::Welcome(wire::Welcome {
            protocol: welcome.protocol,
            certificate: welcome.certificate,
            network: Some(encode_network(welcome.network)),
            observed: welcome.observed.to_string(),
            relays: welcome.relays.iter().map(encode_relay).collect(),
            stun: welcome.stun.iter().map(SocketAddr::to_string).collect(),
            server_version: welcome.server_version,
            dashboard: welcome.dashboard,
        }),
        ToAgent::Map(map) => Body::Map(wire::Map {
            revision: map.revision,
            full: map.full,
            peers: map
                .peers
                .into_iter()
                .map(|peer| wire::Peer {
                    certificate: peer.certificate,
                    online: peer.online,
                    relay_only: peer.relay_only,
                })
                .collect(),
            removed: map.removed.into_iter().map(id).collect(),
        }),
        ToAgent::PairOpened(pair) => Body::PairOpened(wire::PairOpened {
            peer: id(pair.peer),
            relay: pair.relay.to_string(),
            channel: pair.channel,
            attempt: pair.attempt,
        }),
        ToAgent::PeerCandidates { peer, set } => Body::PeerCandidates(wire::PeerCandidates {
            peer: id(peer),
            epoch: set.epoch,
            candidates: set.candidates.iter().map(encode_candidate).collect(),
            nat: Some(encode_nat(set.nat)),
        }),
        ToAgent::Start(start) => Body::Start(wire::Start {
            peer: id(start.peer),
            attempt: start.attempt,
            delay_ms: start.delay_ms,
            search: start.search.map(|peer| peer.to_string()).unwrap_or_default(),
        }),
        ToAgent::Observed(addr) => Body::Observed(wire::Observed { addr: addr.to_string() }),
        ToAgent::LoggedOut => Body::LoggedOut(wire::LoggedOut {}),
        ToAgent::Pending(pending) => {
            Body::Pending(wire::Pending { code: pending.code, url: pending.url, expires_in_s: pending.expires_in_s })
        }
        ToAgent::Verdict(verdict) => Body::Verdict(wire::Verdict {
            peer: id(verdict.peer),
            attempt: verdict.attempt,
            code: verdict.code,
            text: verdict.text,
            remedy: verdict.remedy,
            attempts: verdict.attempts.into_iter().map(encode_attempt).collect(),
        }),
        ToAgent::Ping { peer, token } => Body::Ping(wire::Ping { peer: id(peer), token }),
        ToAgent::Retry(peer) => Body::Retry(wire::Retry { peer: id(peer) }),
        ToAgent::Watch { peer, seconds } => Body::Watch(wire::Watch { peer: id(peer), seconds }),
        ToAgent::Servers(servers) => Body::Servers(wire::Servers {
            servers: servers.servers,
            relays: servers.relays.iter().map(encode_relay).collect(),
            leave: servers.leave,
        }),
        ToAgent::Presence(presence) => Body::Presence(wire::Presence {
            revision: presence.revision,
            members: presence.members,
            digest: presence.digest,
            online: presence.online,
        }),
    };
    wire::ToAgent { body: Some(body) }.encode_to_vec()
}

pub(super) fn decode_to_agent(bytes: &[u8]) -> Result<ToAgent> {
    use wire::to_agent::Body;
    let message = wire::ToAgent::decode(bytes).map_err(|_| DecodeError::Encoding)?;
    Ok(match message.body.ok_or(DecodeError::UnknownBody)? {
        Body::Refused(refused) => ToAgent::Refused(Refused {
            code: RefusedCode::from_wire(refused.code()),
            text: text(refused.text, "text")?,
        }),
        Body::Enrolled(enrolled) => ToAgent::Enrolled(Enrolled {
            certificate: certificate(enrolled.certificate)?,
            network: network(enrolled.network)?,
        }),
        Body::Welcome(welcome) => ToAgent::Welcome(Welcome {
            protocol: welcome.protocol,
            certificate: certificate(welcome.certificate)?,
            network: network(welcome.network)?,
            observed: addr(&welcome.observed, "observed")?,
            relays: few(welcome.relays, MAX_SERVERS, "relays")?.iter().map(relay).collect::<Result<_>>()?,
            stun: few(welcome.stun, MAX_SERVERS, "stun")?
                .iter()
                .map(|server| addr(server, "stun"))
                .collect::<Result<_>>()?,
            server_version: text(welcome.server_version, "server_version")?,
            dashboard: text(welcome.dashboard, "dashboard")?,
        }),
        Body::Map(map) => ToAgent::Map(Map {
            revision: map.revision,
            full: map.full,
            peers: few(map.peers, MAX_PEERS_PER_MAP, "peers")?
                .into_iter()
                .map(|peer| {
                    let certificate = certificate(peer.certificate)?;
                    Ok(Peer { certificate, online: peer.online, relay_only: peer.relay_only })
                })
                .collect::<Result<_>>()?,
            removed: map.removed.iter().map(|peer| node(peer)).collect::<Result<_>>()?,
        }),
        Body::PairOpened(pair) => ToAgent::PairOpened(PairOpened {
            peer: node(&pair.peer)?,
            relay: addr(&pair.relay, "relay")?,
            channel: pair.channel,
            attempt: pair.attempt,
        }),
        Body::PeerCandidates(peer) => {
            ToAgent::PeerCandidates { peer: node(&peer.peer)?, set: candidates(peer.epoch, peer.candidates, peer.nat)? }
        }
        Body::Start(start) => {
            let search = if start.search.is_empty() { None } else { Some(addr(&start.search, "search")?) };
            ToAgent::Start(Start { peer: node(&start.peer)?, attempt: start.attempt, delay_ms: start.delay_ms, search })
        }
        Body::Observed(observed) => ToAgent::Observed(addr(&observed.addr, "addr")?),
        Body::LoggedOut(wire::LoggedOut {}) => ToAgent::LoggedOut,
        Body::Pending(pending) => ToAgent::Pending(Pending {
            code: text(pending.code, "code")?,
            url: text(pending.url, "url")?,
            expires_in_s: pending.expires_in_s,
        }),
        Body::Verdict(verdict) => ToAgent::Verdict(Verdict {
            peer: node(&verdict.peer)?,
            attempt: verdict.attempt,
            code: word(verdict.code, "code")?,
            text: sentence(verdict.text, "text")?,
            remedy: sentence(verdict.remedy, "remedy")?,
            attempts: attempts(verdict.attempts)?,
        }),
        Body::Ping(ping) => ToAgent::Ping { peer: node(&ping.peer)?, token: ping.token },
        Body::Retry(retry) => ToAgent::Retry(node(&retry.peer)?),
        Body::Watch(watch) => ToAgent::Watch { peer: node(&watch.peer)?, seconds: watch.seconds },
        Body::Servers(servers) => ToAgent::Servers(Servers {
            servers: few(servers.servers, MAX_SERVERS, "servers")?
                .into_iter()
                .map(|server| text(server, "server"))
                .collect::<Result<_>>()?,
            relays: few(servers.relays, MAX_SERVERS, "relays")?.iter().map(relay).collect::<Result<_>>()?,
            leave: servers.leave,
        }),
        Body::Presence(presence) => ToAgent::Presence(Presence {
            revision: presence.revision,
            members: presence.members,
            digest: presence.digest,
            online: few(presence.online, MAX_MEMBERS / 8, "online")?,
        }),
    })
}

fn id(node: NodeId) -> Vec<u8> {
    node.as_bytes().to_vec()
}

fn node(bytes: &[u8]) -> Result<NodeId> {
    NodeId::from_slice(bytes).ok_or(DecodeError::Field("node id"))
}

fn addr(text: &str, field: &'static str) -> Result<SocketAddr> {
    text.parse().map_err(|_| DecodeError::Field(field))
}

fn signature(bytes: &[u8]) -> Result<[u8; 64]> {
    bytes.try_into().map_err(|_| DecodeError::Field("proof"))
}

fn text(text: String, field: &'static str) -> Result<String> {
    if text.len() > MAX_TEXT { Err(DecodeError::Limit(field)) } else { Ok(text) }
}

/// A stable word, of which there are many in one report.
fn word(text: String, field: &'static str) -> Result<String> {
    if text.len() > MAX_WORD { Err(DecodeError::Limit(field)) } else { Ok(text) }
}

fn sentence(text: String, field: &'static str) -> Result<String> {
    if text.len() > MAX_SENTENCE { Err(DecodeError::Limit(field)) } else { Ok(text) }
}

fn encode_attempt(attempt: Attempt) -> wire::Attempt {
    let address = |addr: Option<SocketAddr>| addr.map(|addr| addr.to_string()).unwrap_or_default();
    wire::Attempt {
        technique: attempt.technique,
        local: address(attempt.local),
        remote: address(attempt.remote),
        probes: attempt.probes,
        heard: attempt.heard,
        result: attempt.result,
        ago_ms: attempt.ago_ms,
        attempt: attempt.attempt,
    }
}

fn attempts(items: Vec<wire::Attempt>) -> Result<Vec<Attempt>> {
    let address = |text: &str, field| if text.is_empty() { Ok(None) } else { addr(text, field).map(Some) };
    few(items, MAX_ATTEMPTS, "attempts")?
        .into_iter()
        .map(|item| {
            Ok(Attempt {
                technique: word(item.technique, "technique")?,
                local: address(&item.local, "local")?,
                remote: address(&item.remote, "remote")?,
                probes: item.probes,
                heard: item.heard,
                result: word(item.result, "result")?,
                ago_ms: item.ago_ms,
                attempt: item.attempt,
            })
        })
        .collect()
}

fn encode_pinged(pinged: Pinged) -> wire::Pinged {
    let blank = PingAnswer { rtt_us: 0, via: String::new(), remote: None };
    let answered = pinged.answer.is_some();
    let PingAnswer { rtt_us, via, remote } = pinged.answer.unwrap_or(blank);
    let remote = remote.map(|addr| addr.to_string()).unwrap_or_default();
    wire::Pinged { peer: id(pinged.peer), token: pinged.token, answered, rtt_us, via, remote }
}

fn decode_pinged(pinged: wire::Pinged) -> Result<Pinged> {
    let answer = if pinged.answered {
        let remote = if pinged.remote.is_empty() { None } else { Some(addr(&pinged.remote, "remote")?) };
        Some(PingAnswer { rtt_us: pinged.rtt_us, via: word(pinged.via, "via")?, remote })
    } else {
        None
    };
    Ok(Pinged { peer: node(&pinged.peer)?, token: pinged.token, answer })
}

fn limited(bytes: Vec<u8>, field: &'static str) -> Result<Vec<u8>> {
    if bytes.len() > MAX_TEXT { Err(DecodeError::Limit(field)) } else { Ok(bytes) }
}

fn certificate(bytes: Vec<u8>) -> Result<Vec<u8>> {
    if bytes.len() > MAX_CERTIFICATE { Err(DecodeError::Limit("certificate")) } else { Ok(bytes) }
}

fn few<T>(items: Vec<T>, most: usize, field: &'static str) -> Result<Vec<T>> {
    if items.len() > most { Err(DecodeError::Limit(field)) } else { Ok(items) }
}

fn encode_relay(relay: &Relay) -> wire::Relay {
    wire::Relay { addr: relay.addr.to_string(), token: relay.token.to_vec() }
}

fn relay(relay: &wire::Relay) -> Result<Relay> {
    Ok(Relay {
        addr: addr(&relay.addr, "relay")?,
        token: relay.token.as_slice().try_into().map_err(|_| DecodeError::Field("token"))?,
    })
}

fn encode_network(network: Network) -> wire::Network {
    wire::Network {
        id: network.id.as_bytes().to_vec(),
        signing_key: network.signing_key.as_bytes().to_vec(),
        v4: network.v4,
        v6: network.v6,
        name: network.name,
    }
}

fn network(network: Option<wire::Network>) -> Result<Network> {
    let network = network.ok_or(DecodeError::Field("network"))?;
    Ok(Network {
        id: NetworkId::from_slice(&network.id).ok_or(DecodeError::Field("network id"))?,
        signing_key: NetworkPublic::from_slice(&network.signing_key).ok_or(DecodeError::Field("signing_key"))?,
        v4: text(network.v4, "v4")?,
        v6: text(network.v6, "v6")?,
        name: text(network.name, "name")?,
    })
}

fn wire_candidates(set: &CandidateSet) -> wire::Candidates {
    wire::Candidates {
        epoch: set.epoch,
        candidates: set.candidates.iter().map(encode_candidate).collect(),
        nat: Some(encode_nat(set.nat)),
    }
}

fn encode_candidate(candidate: &Candidate) -> wire::Candidate {
    let kind = match candidate.kind {
        CandidateKind::Host => wire::CandidateKind::Host,
        CandidateKind::Static => wire::CandidateKind::Static,
        CandidateKind::Mapped => wire::CandidateKind::Mapped,
        CandidateKind::Reflexive => wire::CandidateKind::Reflexive,
        CandidateKind::Guessed => wire::CandidateKind::Guessed,
        CandidateKind::Inner => wire::CandidateKind::Inner,
    };
    wire::Candidate { addr: candidate.addr.to_string(), kind: kind.into() }
}

/// An unusable address or one of a kind we do not know is left out: a hint lost, not an error.
fn candidates(epoch: u64, items: Vec<wire::Candidate>, nat: Option<wire::NatReport>) -> Result<CandidateSet> {
    let candidates = few(items, MAX_CANDIDATES, "candidates")?
        .iter()
        .filter_map(|item| {
            let kind = match item.kind() {
                wire::CandidateKind::Host => CandidateKind::Host,
                wire::CandidateKind::Static => CandidateKind::Static,
                wire::CandidateKind::Mapped => CandidateKind::Mapped,
                wire::CandidateKind::Reflexive => CandidateKind::Reflexive,
                wire::CandidateKind::Guessed => CandidateKind::Guessed,
                wire::CandidateKind::Inner => CandidateKind::Inner,
                wire::CandidateKind::Unspecified => return None,
            };
            let addr = item.addr.parse().ok().filter(|addr| is_usable(*addr))?;
            Some(Candidate { addr, kind })
        })
        .collect();
    Ok(CandidateSet { epoch, candidates, nat: nat.map(decode_nat).unwrap_or_default() })
}

fn encode_nat(nat: NatReport) -> wire::NatReport {
    let mapping = match nat.mapping {
        NatMapping::Unknown => wire::NatMapping::Unknown,
        NatMapping::None => wire::NatMapping::None,
        NatMapping::EndpointIndependent => wire::NatMapping::EndpointIndependent,
        NatMapping::AddressDependent => wire::NatMapping::AddressDependent,
        NatMapping::EndpointDependent => wire::NatMapping::EndpointDependent,
    };
    wire::NatReport {
        mapping: mapping.into(),
        preserves_port: nat.preserves_port,
        delta: nat.allocation.and_then(|allocation| allocation.delta).unwrap_or_default().into(),
        last_port: nat.allocation.map(|allocation| allocation.last).unwrap_or_default().into(),
        lowest_port: nat.allocation.map(|allocation| allocation.lowest).unwrap_or_default().into(),
        highest_port: nat.allocation.map(|allocation| allocation.highest).unwrap_or_default().into(),
        searches: nat.searches,
    }
}

fn decode_nat(nat: wire::NatReport) -> NatReport {
    let mapping = match nat.mapping() {
        wire::NatMapping::Unknown => NatMapping::Unknown,
        wire::NatMapping::None => NatMapping::None,
        wire::NatMapping::EndpointIndependent => NatMapping::EndpointIndependent,
        wire::NatMapping::AddressDependent => NatMapping::AddressDependent,
        wire::NatMapping::EndpointDependent => NatMapping::EndpointDependent,
    };
    NatReport {
        mapping,
        preserves_port: nat.preserves_port,
        allocation: decode_allocation(&nat),
        searches: nat.searches,
    }
}

/// Ports that make no sense are a hint lost, not an error.
fn decode_allocation(nat: &wire::NatReport) -> Option<Allocation> {
    let port = |port: u32| u16::try_from(port).ok().filter(|port| *port != 0);
    let (lowest, highest) = (port(nat.lowest_port)?, port(nat.highest_port)?);
    let delta =
        i16::try_from(nat.delta).ok().filter(|delta| (1..=MAX_DELTA.unsigned_abs()).contains(&delta.unsigned_abs()));
    (lowest <= highest).then_some(Allocation { delta, last: port(nat.last_port)?, lowest, highest })
}

/// Declares the two directions of the refusal codes from one list.
macro_rules! refused_codes {
    ($($variant:ident),*) => {
        impl RefusedCode {
            fn to_wire(self) -> wire::RefusedCode {
                match self { $(Self::$variant => wire::RefusedCode::$variant,)* }
            }

            fn from_wire(code: wire::RefusedCode) -> Self {
                match code { $(wire::RefusedCode::$variant => Self::$variant,)* }
            }
        }
    };
}

refused_codes!(
    Unspecified,
    InviteUnknown,
    InviteExpired,
    InviteUsed,
    DeviceUnknown,
    DeviceRevoked,
    Protocol,
    Proof,
    RateLimited,
    Unavailable,
    NameTaken,
    PoolExhausted,
    Replaced,
    EnrolmentDenied,
    EnrolmentExpired
);

/// Longest stable word: twice our longest.
const MAX_WORD: usize = 48;
/// Longest certificate either side reads; ours are about 300 bytes with a few routes.
const MAX_CERTIFICATE: usize = 1024;
/// Relays or STUN servers in one welcome: more than any deployment's replicas.
const MAX_SERVERS: usize = 32;

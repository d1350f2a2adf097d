//! Every control message in bytes, both ways; limits and compatibility rule held; arbitrary bytes survived.
//!
//! The golden bytes are a promise to agents and servers already out there: a line of `vectors/control.txt` may be
//! added, never changed.

use proptest::prelude::*;
use warren_proto::candidate::{Allocation, Candidate, CandidateKind, MAX_CANDIDATES};
use warren_proto::control::{
    Attempt, AttemptReport, CandidateSet, DecodeError, Enroll, Enrolled, Hello, MAX_ATTEMPTS, MAX_PEERS_PER_MAP,
    MAX_SENTENCE, MAX_TEXT, Map, NatMapping, NatReport, Network, PairOpened, PathReport, Peer, Pending, PingAnswer,
    Pinged, Preferences, Presence, Refused, RefusedCode, Relay, Servers, Start, ToAgent, ToServer, Verdict, Vouched,
    Welcome,
};
use warren_proto::keys::{IdentityPublic, NetworkId, NetworkPublic, NodeId, StaticPublic};

#[test]
fn every_message_has_the_bytes_it_always_had() {
    let to_server = to_server().into_iter().map(|(name, message)| (name, message.encode()));
    let to_agent = to_agent().into_iter().map(|(name, message)| (name, message.encode()));

    let actual: Vec<String> =
        to_server.chain(to_agent).map(|(name, bytes)| format!("{name} {}", hex(&bytes))).collect();

    let golden: Vec<&str> = include_str!("vectors/control.txt").lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(actual, golden);
}

#[test]
fn every_message_is_read_as_it_was_written() {
    for (name, message) in to_server() {
        assert_eq!(ToServer::decode(&message.encode()), Ok(message), "{name}");
    }
    for (name, message) in to_agent() {
        assert_eq!(ToAgent::decode(&message.encode()), Ok(message), "{name}");
    }
}

#[test]
fn every_refusal_code_survives_the_wire() {
    for code in [
        RefusedCode::Unspecified,
        RefusedCode::InviteUnknown,
        RefusedCode::InviteExpired,
        RefusedCode::InviteUsed,
        RefusedCode::DeviceUnknown,
        RefusedCode::DeviceRevoked,
        RefusedCode::Protocol,
        RefusedCode::Proof,
        RefusedCode::RateLimited,
        RefusedCode::Unavailable,
        RefusedCode::NameTaken,
        RefusedCode::PoolExhausted,
        RefusedCode::Replaced,
        RefusedCode::EnrolmentDenied,
        RefusedCode::EnrolmentExpired,
    ] {
        let message = ToAgent::Refused(Refused { code, text: String::new() });

        assert_eq!(ToAgent::decode(&message.encode()), Ok(message));
    }
}

#[test]
fn every_kind_of_candidate_and_of_nat_survives_the_wire() {
    for (kind, mapping) in [
        (CandidateKind::Host, NatMapping::Unknown),
        (CandidateKind::Static, NatMapping::None),
        (CandidateKind::Mapped, NatMapping::EndpointIndependent),
        (CandidateKind::Reflexive, NatMapping::EndpointDependent),
        (CandidateKind::Guessed, NatMapping::Unknown),
        (CandidateKind::Inner, NatMapping::Unknown),
        (CandidateKind::Guessed, NatMapping::AddressDependent),
    ] {
        let candidates = vec![Candidate { addr: "[2001:db8::1]:4000".parse().unwrap(), kind }];
        let nat = NatReport { mapping, ..NatReport::default() };
        let message = ToServer::Candidates(CandidateSet { epoch: 1, candidates, nat });

        assert_eq!(ToServer::decode(&message.encode()), Ok(message));
    }
}

#[test]
fn a_field_of_a_newer_version_is_ignored() {
    // field 1000, a varint: inside no message of ours
    let newer = |bytes: Vec<u8>| [bytes, vec![0xc0, 0x3e, 0x01]].concat();

    for (name, message) in to_server() {
        assert_eq!(ToServer::decode(&newer(message.encode())), Ok(message), "{name}");
    }
    for (name, message) in to_agent() {
        assert_eq!(ToAgent::decode(&newer(message.encode())), Ok(message), "{name}");
    }
}

#[test]
fn a_message_of_a_newer_version_is_told_from_a_damaged_one() {
    // field 100, a message of two bytes
    let newer = [0xa2, 0x06, 0x02, 0x08, 0x01];

    assert_eq!(ToServer::decode(&newer), Err(DecodeError::UnknownBody));
    assert_eq!(ToAgent::decode(&newer), Err(DecodeError::UnknownBody));
    assert_eq!(ToServer::decode(&[]), Err(DecodeError::UnknownBody));
    assert_eq!(ToServer::decode(&newer[..4]), Err(DecodeError::Encoding));
    assert_eq!(ToAgent::decode(&[0xff]), Err(DecodeError::Encoding));
}

#[test]
fn text_beyond_its_limit_is_refused() {
    let longest = "x".repeat(MAX_TEXT);
    let hello = |os: &str| ToServer::Hello(Hello { os: os.to_owned(), ..hello() }).encode();
    let refused =
        |text: &str| ToAgent::Refused(Refused { code: RefusedCode::Protocol, text: text.to_owned() }).encode();

    assert!(ToServer::decode(&hello(&longest)).is_ok());
    assert_eq!(ToServer::decode(&hello(&format!("{longest}x"))), Err(DecodeError::Limit("os")));
    assert!(ToAgent::decode(&refused(&longest)).is_ok());
    assert_eq!(ToAgent::decode(&refused(&format!("{longest}x"))), Err(DecodeError::Limit("text")));
}

#[test]
fn lists_and_blobs_beyond_their_limits_are_refused() {
    let candidates = |count| {
        let candidates = vec![candidate(); count];
        ToServer::decode(&ToServer::Candidates(CandidateSet { candidates, ..CandidateSet::default() }).encode()).err()
    };
    let peers = |count| {
        let peers = vec![Peer { certificate: vec![], online: true, relay_only: false }; count];
        ToAgent::decode(&ToAgent::Map(Map { peers, ..Map::default() }).encode()).err()
    };
    let certificate = |length| {
        let message = ToAgent::Enrolled(Enrolled { certificate: vec![1; length], network: network() });
        ToAgent::decode(&message.encode()).err()
    };
    let secret =
        |length| ToServer::decode(&ToServer::Enroll(Enroll { secret: vec![1; length], ..enroll() }).encode()).err();
    let relays = |count| {
        let relays = vec![relay(); count];
        ToAgent::decode(&ToAgent::Welcome(Welcome { relays, ..welcome() }).encode()).err()
    };

    let tried = |count| ToServer::decode(&ToServer::AttemptReport(attempt_report(count)).encode()).err();
    let heard = |count| ToAgent::decode(&ToAgent::Verdict(verdict(count)).encode()).err();
    let reason = |length| {
        let message = ToAgent::Verdict(Verdict { remedy: "x".repeat(length), ..verdict(1) });
        ToAgent::decode(&message.encode()).err()
    };

    assert_eq!(tried(MAX_ATTEMPTS), None);
    assert_eq!(tried(MAX_ATTEMPTS + 1), Some(DecodeError::Limit("attempts")));
    assert_eq!(heard(MAX_ATTEMPTS), None);
    assert_eq!(heard(MAX_ATTEMPTS + 1), Some(DecodeError::Limit("attempts")));
    assert_eq!(reason(MAX_SENTENCE), None);
    assert_eq!(reason(MAX_SENTENCE + 1), Some(DecodeError::Limit("remedy")));
    assert_eq!(candidates(MAX_CANDIDATES), None);
    assert_eq!(candidates(MAX_CANDIDATES + 1), Some(DecodeError::Limit("candidates")));
    assert_eq!(peers(MAX_PEERS_PER_MAP), None);
    assert_eq!(peers(MAX_PEERS_PER_MAP + 1), Some(DecodeError::Limit("peers")));
    assert_eq!(certificate(1024), None);
    assert_eq!(certificate(1025), Some(DecodeError::Limit("certificate")));
    assert_eq!(secret(255), None);
    assert_eq!(secret(256), Some(DecodeError::Limit("secret")));
    assert_eq!(relays(32), None);
    assert_eq!(relays(33), Some(DecodeError::Limit("relays")));
}

#[test]
fn a_full_map_with_the_largest_certificates_fits_in_a_message() {
    let peers = vec![Peer { certificate: vec![1; 1024], online: true, relay_only: true }; MAX_PEERS_PER_MAP];

    let bytes = ToAgent::Map(Map { revision: u64::MAX, full: true, peers, removed: vec![] }).encode();

    assert!(bytes.len() <= warren_proto::control::MAX_MESSAGE, "{}", bytes.len());
}

#[test]
fn a_candidate_that_could_hurt_somebody_is_left_out() {
    let bad = Candidate { addr: "127.0.0.1:4000".parse().unwrap(), kind: CandidateKind::Host };
    let set = |candidates| CandidateSet { epoch: 1, candidates, nat: NatReport::default() };

    let decoded = ToServer::decode(&ToServer::Candidates(set(vec![bad, candidate()])).encode());

    assert_eq!(decoded, Ok(ToServer::Candidates(set(vec![candidate()]))));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = ToServer::decode(&bytes);
        let _ = ToAgent::decode(&bytes);
    }

    #[test]
    fn damaged_messages_never_panic_and_what_is_read_can_be_written(
        index in 0..29_usize, position in 0..1000_usize, value: u8, keep in 0..1000_usize,
    ) {
        let mut bytes = all().swap_remove(index % all().len());
        let position = position % bytes.len().max(1);
        if let Some(byte) = bytes.get_mut(position) {
            *byte = value;
        }
        bytes.truncate(keep);

        if let Ok(message) = ToServer::decode(&bytes) {
            prop_assert_eq!(ToServer::decode(&message.encode()), Ok(message));
        }
        if let Ok(message) = ToAgent::decode(&bytes) {
            prop_assert_eq!(ToAgent::decode(&message.encode()), Ok(message));
        }
    }
}

fn to_server() -> Vec<(&'static str, ToServer)> {
    let nat = NatReport { mapping: NatMapping::EndpointDependent, preserves_port: true, ..NatReport::default() };
    let allocation = Allocation { delta: Some(-2), last: 40_000, lowest: 39_994, highest: 40_006 };
    let counting = NatReport { allocation: Some(allocation), searches: true, ..nat };
    vec![
        ("enroll", ToServer::Enroll(enroll())),
        ("hello", ToServer::Hello(hello())),
        ("connect", ToServer::Connect(node(1))),
        ("candidates", ToServer::Candidates(CandidateSet { epoch: 3, candidates: vec![candidate()], nat })),
        (
            "candidates-counting",
            ToServer::Candidates(CandidateSet { epoch: 3, candidates: vec![candidate()], nat: counting }),
        ),
        ("path-report", ToServer::PathReport(path_report())),
        ("logout", ToServer::Logout),
        ("attempt-report", ToServer::AttemptReport(attempt_report(1))),
        ("preferences", ToServer::Preferences(Preferences { relay_only: true })),
        ("search", ToServer::Search(node(1))),
        ("path-report-counting", ToServer::PathReport(counting_report())),
        ("pinged", ToServer::Pinged(Pinged { peer: node(1), token: 300, answer: Some(ping_answer()) })),
        ("pinged-silence", ToServer::Pinged(Pinged { peer: node(1), token: 300, answer: None })),
        ("vouched", ToServer::Vouched(Vouched { addr: address("203.0.113.7:40000"), voucher: [0xa7; 16] })),
        ("alive", ToServer::Alive),
    ]
}

fn to_agent() -> Vec<(&'static str, ToAgent)> {
    let set = CandidateSet { epoch: 3, candidates: vec![candidate()], nat: NatReport::default() };
    let map = Map {
        revision: 300,
        full: true,
        peers: vec![Peer { certificate: vec![0xce; 4], online: true, relay_only: false }],
        removed: vec![node(2)],
    };
    let refused = Refused { code: RefusedCode::InviteExpired, text: "ask for another".to_owned() };
    vec![
        ("refused", ToAgent::Refused(refused)),
        ("enrolled", ToAgent::Enrolled(Enrolled { certificate: vec![0xce; 4], network: network() })),
        ("welcome", ToAgent::Welcome(welcome())),
        ("map", ToAgent::Map(map)),
        ("pair-opened", ToAgent::PairOpened(pair_opened())),
        ("peer-candidates", ToAgent::PeerCandidates { peer: node(1), set }),
        ("start", ToAgent::Start(Start { peer: node(1), attempt: 9, delay_ms: 150, search: None })),
        (
            "start-search",
            ToAgent::Start(Start {
                peer: node(1),
                attempt: 9,
                delay_ms: 150,
                search: Some(address("203.0.113.7:40000")),
            }),
        ),
        ("observed", ToAgent::Observed(address("[2001:db8::9]:4000"))),
        ("logged-out", ToAgent::LoggedOut),
        ("verdict", ToAgent::Verdict(verdict(1))),
        ("ping", ToAgent::Ping { peer: node(1), token: 300 }),
        ("retry", ToAgent::Retry(node(1))),
        ("watch", ToAgent::Watch { peer: node(1), seconds: 15 }),
        ("presence", ToAgent::Presence(Presence { revision: 7, members: 9, digest: 3, online: vec![0x81, 1] })),
        ("servers", ToAgent::Servers(servers())),
        ("pending", ToAgent::Pending(pending())),
    ]
}

fn servers() -> Servers {
    let relays = vec![Relay { addr: address("192.0.2.11:3480"), token: [7; 16] }];
    Servers { servers: vec!["a.example:443".to_owned()], relays, leave: true }
}

fn all() -> Vec<Vec<u8>> {
    let to_server = to_server().into_iter().map(|(_, message)| message.encode());
    to_server.chain(to_agent().into_iter().map(|(_, message)| message.encode())).collect()
}

fn pending() -> Pending {
    let url = "https://vpn.example.org/activate".to_owned();
    Pending { code: "BCDF-GHJK".to_owned(), url, expires_in_s: 900 }
}

fn enroll() -> Enroll {
    Enroll {
        protocol: 1,
        secret: vec![0x5e; 16],
        identity_key: IdentityPublic::new([0x1d; 32]),
        static_key: StaticPublic::new([0x57; 32]),
        proof: [0x9f; 64],
        hostname: "laptop".to_owned(),
        os: "linux".to_owned(),
        agent_version: "0.1.0".to_owned(),
    }
}

fn hello() -> Hello {
    Hello {
        protocol: 1,
        node: node(1),
        proof: [0x9f; 64],
        revision: 300,
        agent_version: "0.1.0".to_owned(),
        os: "linux".to_owned(),
    }
}

fn attempt_report(count: usize) -> AttemptReport {
    AttemptReport {
        peer: node(1),
        attempt: 9,
        via: "udp-relay".to_owned(),
        udp_blocked: true,
        attempts: vec![attempt(); count],
    }
}

fn attempt() -> Attempt {
    Attempt {
        technique: "punch".to_owned(),
        local: None,
        remote: Some(address("203.0.113.9:51820")),
        probes: 7,
        heard: 2,
        result: "no-answer".to_owned(),
        ago_ms: 4000,
        attempt: 9,
    }
}

fn verdict(count: usize) -> Verdict {
    Verdict {
        peer: node(1),
        attempt: 9,
        code: "both-symmetric".to_owned(),
        text: "why".to_owned(),
        remedy: "what to do".to_owned(),
        attempts: vec![Attempt { local: Some(address("[2001:db8::9]:4000")), ..attempt() }; count],
    }
}

fn path_report() -> PathReport {
    PathReport {
        peer: node(1),
        kind: "direct".to_owned(),
        via: "ipv4".to_owned(),
        remote: Some(address("203.0.113.9:51820")),
        rtt_us: 12_345,
        mtu: 1466,
        since_unix_ms: 1_700_000_000_000,
        rx_bytes: 1 << 40,
        tx_bytes: 7,
        reason_code: "direct".to_owned(),
        rx_packets: 0,
        tx_packets: 0,
        probes: 0,
        probes_lost: 0,
    }
}

fn counting_report() -> PathReport {
    PathReport { rx_packets: 1 << 33, tx_packets: 1, probes: 300, probes_lost: 2, ..path_report() }
}

fn ping_answer() -> PingAnswer {
    PingAnswer { rtt_us: 12_345, via: "ipv4".to_owned(), remote: Some(address("203.0.113.9:51820")) }
}

fn network() -> Network {
    Network {
        id: NetworkId::new([0x4e; 16]),
        signing_key: NetworkPublic::new([0x51; 32]),
        v4: "100.64.0.0/10".to_owned(),
        v6: "fd00::/48".to_owned(),
        name: "home".to_owned(),
    }
}

fn welcome() -> Welcome {
    Welcome {
        protocol: 1,
        certificate: vec![0xce; 4],
        network: network(),
        observed: address("203.0.113.9:4000"),
        relays: vec![relay()],
        stun: vec![address("198.51.100.1:3478"), address("198.51.100.1:3479")],
        server_version: "0.1.0".to_owned(),
        dashboard: "https://198.51.100.1/".to_owned(),
    }
}

fn relay() -> Relay {
    Relay { addr: address("198.51.100.1:3480"), token: [0x70; 16] }
}

fn pair_opened() -> PairOpened {
    PairOpened { peer: node(1), relay: address("198.51.100.1:3480"), channel: 0xdead_beef, attempt: 9 }
}

fn candidate() -> Candidate {
    Candidate { addr: address("192.168.1.2:4000"), kind: CandidateKind::Host }
}

fn node(byte: u8) -> NodeId {
    NodeId::new([byte; 16])
}

fn address(text: &str) -> std::net::SocketAddr {
    text.parse().expect("an address")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

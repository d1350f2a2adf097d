//! The fuzz targets' corpus, replayed through the same functions on a stable compiler: every seed and every input that
//! once broke something stays harmless.

#[path = "../../../fuzz/entries.rs"]
mod entries;
#[path = "../../../fuzz/replay.rs"]
mod replay;

use std::path::PathBuf;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use warren_proto::candidate::{Candidate, CandidateKind};
use warren_proto::certificate::{Certificate, NetworkSigner};
use warren_proto::control::{
    AttemptReport, CandidateSet, Hello, Invite, Map, PairOpened, Refused, RefusedCode, Start, ToAgent, ToServer,
    Verdict, encode_candidates, tunnel,
};
use warren_proto::handshake::{Initiator, Responder, Tai64n};
use warren_proto::inner::Template;
use warren_proto::io::Ecn;
use warren_proto::keys::{NetworkId, NodeId, SpiBase, StaticPublic, UnixTime};
use warren_proto::session::NextHeader;
use warren_proto::wire::introduction::Introduction;
use warren_proto::wire::path_probe::{PathMessage, Ping, Pong, ProbeId};
use warren_proto::wire::relay;

use replay::Corpus;

#[test]
fn the_corpus_is_harmless() {
    corpus().replay();
}

#[test]
fn every_seed_cut_short_or_with_a_bit_turned_is_harmless() {
    corpus().replay_damaged();
}

#[test]
fn every_target_has_its_file_and_every_file_its_entry() {
    corpus().check_targets();
}

#[test]
#[ignore = "writes the seeds: for whoever changes a format"]
fn write_the_seeds() {
    corpus().write(seeds());
}

/// One good example of everything there is to parse, from which a fuzzer sets out.
fn seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let mut seeds = handshake_seeds();
    seeds.extend(control_seeds());
    seeds.extend(packet_seeds());
    for (seed, web) in [("one-server", "https://192.0.2.10"), ("web-elsewhere", "https://192.0.2.10:8443")] {
        let servers = vec!["192.0.2.10:443".to_owned()];
        let invite = Invite { servers, web: web.to_owned(), pin: [1; 32], secret: [2; 16] };
        seeds.push(("invite", seed, invite.to_string().into_bytes()));
    }
    for (seed, service) in [("control", tunnel::Service::Control), ("relay", tunnel::Service::Relay)] {
        seeds.push(("tunnel", seed, tunnel::encode(service, &[0x0c, 1, 0, 0])));
    }
    let signed = certificate().sign(&NetworkSigner::new(&entries::NETWORK_KEY)).unwrap();
    seeds.push(("certificate", "with-routes", signed[..signed.len() - 64].to_vec()));
    let id = ProbeId([5; 12]);
    let seen = Some("203.0.113.2:40000".parse().unwrap());
    for (seed, message) in [
        ("ping", PathMessage::Ping(Ping { id, length: 64 })),
        ("pong", PathMessage::Pong(Pong { id, seen })),
        ("close", PathMessage::Close),
    ] {
        seeds.push(("path_probe", seed, message.encode()));
    }
    let candidate = Candidate { addr: "203.0.113.2:40000".parse().unwrap(), kind: CandidateKind::Reflexive };
    let set = CandidateSet { epoch: 3, candidates: vec![candidate], ..CandidateSet::default() };
    let (peer, candidates) = (NodeId::new([3; 16]), encode_candidates(&set));
    for (seed, message) in [
        ("decline", Introduction::Decline(peer)),
        ("introduce", Introduction::Introduce { peer, candidates: candidates.clone() }),
        ("meet", Introduction::Meet { peer, attempt: 7, delay_ms: 20, candidates }),
        ("wanted", Introduction::Wanted(peer)),
    ] {
        seeds.push(("path_probe", seed, message.encode()));
    }
    seeds.push(("relay_frame", "data", [&relay::encode_header(7)[..], &[0x80, 1, 2, 3]].concat()));
    for (seed, message) in [
        ("bind", relay::Message::Bind([1; 16])),
        ("bound", relay::Message::Bound),
        ("challenge", relay::Message::Challenge([2; 16])),
        ("bind-proof", relay::Message::BindProof([1; 16], [2; 16])),
    ] {
        seeds.push(("relay_frame", seed, message.encode()[relay::HEADER_LEN..].to_vec()));
    }
    seeds
}

fn handshake_seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let mut rng = ChaCha20Rng::from_seed([7; 32]);
    let local = entries::local_identity();
    let time = Tai64n::from_unix(UnixTime::new(Duration::from_secs(1_800_000_000)));
    let spi = SpiBase::from_random(8);
    let (initiator, init) = Initiator::start(&local, local.static_public(), spi, time, None, None, &mut rng).unwrap();
    let received = Responder::read_init(&local, &init).unwrap();
    let (_, response) = received.respond(&local, SpiBase::from_random(9), None, &mut rng).unwrap();
    let confirm = initiator.read_response(&local, &response).unwrap().confirm;
    let cookie = [&[0x0b, 1, 0, 0][..], &[0x80; 60]].concat();
    let all = [("init", init), ("response", response), ("confirm", confirm), ("cookie", cookie)];
    let wire = all.clone().map(|(seed, bytes)| ("wire", seed, bytes));
    all.map(|(seed, bytes)| ("handshake", seed, bytes)).into_iter().chain(wire).collect()
}

fn control_seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let peer = NodeId::new([3; 16]);
    let hello = Hello {
        protocol: 1,
        node: peer,
        proof: [4; 64],
        revision: 5,
        agent_version: "0.1.0".to_owned(),
        os: "linux".to_owned(),
    };
    let relay = "192.0.2.10:3480".parse().unwrap();
    let attempt = warren_proto::control::Attempt {
        technique: "punch".to_owned(),
        local: Some("203.0.113.9:4000".parse().unwrap()),
        remote: Some("203.0.113.8:4000".parse().unwrap()),
        probes: 7,
        heard: 1,
        result: "no-answer".to_owned(),
        ago_ms: 4000,
        attempt: 7,
    };
    let (via, attempts) = ("udp-relay".to_owned(), vec![attempt]);
    let report = AttemptReport { peer, attempt: 7, via, udp_blocked: true, attempts: attempts.clone() };
    let [code, text, remedy] = ["cgn", "why", "what to do"].map(str::to_owned);
    let verdict = Verdict { peer, attempt: 7, code, text, remedy, attempts };
    let refused = Refused { code: RefusedCode::InviteUsed, text: "used".to_owned() };
    vec![
        ("control", "hello", ToServer::Hello(hello).encode()),
        ("control", "connect", ToServer::Connect(peer).encode()),
        ("control", "candidates", ToServer::Candidates(CandidateSet::default()).encode()),
        ("control", "attempt-report", ToServer::AttemptReport(report).encode()),
        ("control", "verdict", ToAgent::Verdict(verdict).encode()),
        ("control", "refused", ToAgent::Refused(refused).encode()),
        ("control", "pair", ToAgent::PairOpened(PairOpened { peer, relay, channel: 6, attempt: 7 }).encode()),
        ("control", "start", ToAgent::Start(Start { peer, attempt: 7, delay_ms: 8, search: None }).encode()),
        (
            "control",
            "map",
            ToAgent::Map(Map { revision: 9, full: true, peers: Vec::new(), removed: vec![peer] }).encode(),
        ),
    ]
}

fn packet_seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let template = Template::new([100, 64, 0, 1].into(), [100, 64, 0, 2].into(), 64).unwrap();
    let segment = b"\x00\x50\x1f\x90\x00\x16\x00\x00I like kittens";
    let mut packet = vec![0; template.header_len()];
    template.rebuild(&mut packet, 17, Ecn::NotEct, segment.len()).unwrap();
    packet.extend(segment);
    let whole = [&packet[..8], &[63], &packet[9..]].concat();
    let (sender, _) = entries::associations();
    let datagram = sender.seal_control(NextHeader::Dummy, &[]).unwrap();
    vec![
        ("inner_packet", "canonical", packet.clone()),
        ("inner_packet", "another-ttl", whole),
        ("open_esp", "plaintext", packet),
        ("open_esp", "datagram", datagram.clone()),
        ("wire", "esp", datagram),
        ("wire", "keepalive", vec![0xff]),
        ("wire", "stun", [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[1; 12]].concat()),
    ]
}

fn certificate() -> Certificate {
    let key = NetworkSigner::new(&[8; 32]).public();
    Certificate {
        network: NetworkId::new([1; 16]),
        node: NodeId::new([2; 16]),
        name: "laptop".to_owned(),
        v4: [100, 64, 0, 1].into(),
        v6: [0xfd00, 0, 0, 0, 0, 0, 0, 1].into(),
        static_key: StaticPublic::new([3; 32]),
        identity_key: warren_proto::keys::IdentityPublic::new(*key.as_bytes()),
        routes: vec![([10, 1, 0, 0].into(), 16)],
        not_before: UnixTime::new(Duration::from_secs(1_700_000_000)),
        not_after: UnixTime::new(Duration::from_secs(1_900_000_000)),
        epoch: 1,
    }
}

fn corpus() -> Corpus {
    // enough to meet every field of a message, few enough for a second in a debug build
    let mutations = 40;
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    Corpus { root, entries: entries::ALL, mutations }
}

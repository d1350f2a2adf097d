//! What each fuzz target does with its bytes: parse them, and hold whatever was accepted against its own encoding.
//!
//! Compiled twice: into the fuzz targets, and into proto's tests, which replay the corpus through the same functions on
//! a stable compiler. A new function here needs a line in `ALL` and a file in `fuzz_targets/`.

use std::net::IpAddr;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use warren_proto::certificate::{IdentitySecret, NetworkSigner, VerifiedCertificate};
use warren_proto::control::{Invite, ToAgent, ToServer, decode_candidates, encode_candidates, tunnel as websocket};
use warren_proto::crypto::{Preference, Suite};
use warren_proto::handshake::{Initiator, LocalIdentity, Responder, Tai64n};
use warren_proto::inner;
use warren_proto::io::Ecn;
use warren_proto::keys::{CertificateId, NetworkId, NodeId, SpiBase, StaticSecret, UnixTime};
use warren_proto::session::{HEADROOM, InboundSa, NextHeader, Opened, OutboundSa, SaParams, TAILROOM};
use warren_proto::wire::introduction::Introduction;
use warren_proto::wire::path_probe::PathMessage;
use warren_proto::wire::{classify, esp, handshake as wire_handshake, relay};

/// A target by its name.
pub(crate) type Entry = (&'static str, fn(&[u8]));

/// Every entry by the name of its target and its corpus.
pub(crate) const ALL: &[Entry] = &[
    ("certificate", certificate),
    ("control", control),
    ("handshake", handshake),
    ("inner_packet", inner_packet),
    ("invite", invite),
    ("open_esp", open_esp),
    ("path_probe", path_probe),
    ("relay_frame", relay_frame),
    ("tunnel", tunnel),
    ("wire", wire),
];

/// A body that the network did sign: without that no bytes would come as far as the parser.
pub(crate) fn certificate(body: &[u8]) {
    let signature = IdentitySecret::new(&NETWORK_KEY).sign(&[b"warren certificate v1", body].concat());
    let key = NetworkSigner::new(&NETWORK_KEY).public();
    let bytes = [body, &signature].concat();
    let network = NetworkId::new([1; 16]);
    if let Ok(verified) =
        VerifiedCertificate::verify(&bytes, &network, &key, UnixTime::new(Duration::from_secs(1_800_000_000)))
    {
        let again = verified.sign(&NetworkSigner::new(&NETWORK_KEY)).expect("what was accepted can be signed");
        assert_eq!(again, bytes, "one meaning has one encoding");
    }
}

/// Messages in both directions; the other side must understand what we understood.
pub(crate) fn control(bytes: &[u8]) {
    if let Ok(message) = ToServer::decode(bytes) {
        assert_eq!(ToServer::decode(&message.encode()).as_ref(), Ok(&message));
    }
    if let Ok(message) = ToAgent::decode(bytes) {
        assert_eq!(ToAgent::decode(&message.encode()).as_ref(), Ok(&message));
    }
}

/// A stranger's datagram meets a responder, and an initiator that waits for its RESP.
pub(crate) fn handshake(datagram: &[u8]) {
    let _ = wire_handshake::Message::parse(datagram);
    let mut rng = ChaCha20Rng::from_seed([7; 32]);
    let local = local_identity();
    if let Ok(received) = Responder::read_init(&local, datagram) {
        let _ = received.respond(&local, SpiBase::from_random(9), None, &mut rng);
    }
    let time = Tai64n::from_unix(UnixTime::new(Duration::from_secs(1_800_000_000)));
    let start = Initiator::start(&local, local.static_public(), SpiBase::from_random(8), time, None, None, &mut rng);
    let (initiator, _) = start.expect("our own public key is a good one");
    let _ = initiator.read_response(&local, datagram);
    let _ = initiator.read_cookie(datagram);
}

/// A packet from the TUN, as it is and with the length and checksum that a fuzzer does not guess.
pub(crate) fn inner_packet(packet: &[u8]) {
    travel(packet);
    let mut mended = packet.to_vec();
    if let (Ok(length), Some(header)) = (u16::try_from(packet.len()), mended.first_chunk_mut::<20>()) {
        header[0] = 0x45;
        header[2..4].copy_from_slice(&length.to_be_bytes());
        header[10..12].fill(0);
        let sum: u32 = header.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum();
        let folded = (sum & 0xffff) + (sum >> 16);
        let folded = (folded & 0xffff) + (folded >> 16);
        header[10..12].copy_from_slice(&(!(folded as u16)).to_be_bytes());
        travel(&mended);
    }
}

/// What can be sealed opens as a packet that means the same.
fn travel(packet: &[u8]) {
    let _ = inner::parse(packet);
    let _ = inner::addresses(packet);
    let _ = inner::too_big(packet, 1400, IpAddr::from([100, 64, 0, 2]));
    for pieces in [Some(packet.to_vec()), inner::as_fragment(packet, 7)].iter().flatten() {
        let pieces = inner::fragments(pieces, 600).unwrap_or_default();
        assert!(pieces.iter().all(|piece| piece.len() <= 600 && inner::parse(piece).is_ok()));
    }
    let (sender, receiver) = associations();
    let mut buffer = vec![0; HEADROOM + packet.len() + TAILROOM];
    buffer[HEADROOM..HEADROOM + packet.len()].copy_from_slice(packet);
    let Ok(sealed) = sender.seal_packet(&mut buffer, HEADROOM..HEADROOM + packet.len()) else { return };
    let mut arriving = vec![0; HEADROOM];
    arriving.extend_from_slice(&buffer[sealed.datagram]);
    let datagram = HEADROOM..arriving.len();
    match receiver.open(&mut arriving, datagram, sealed.ecn) {
        Ok(Opened::Packet(range)) => {
            let (sent, opened) = (inner::parse(packet), inner::parse(&arriving[range]));
            assert_eq!(
                sent.map(|outline| (outline.len, outline.protocol)),
                opened.map(|outline| (outline.len, outline.protocol))
            );
        }
        Ok(Opened::Control(_) | Opened::Dummy) => panic!("a packet became something else"),
        // A sender may try what the receiver's policy refuses: a source that its certificate does not cover.
        Err(_) => {}
    }
}

/// The pasted word.
pub(crate) fn invite(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(invite) = text.parse::<Invite>() {
        assert!(invite.to_string().parse::<Invite>() == Ok(invite));
    }
}

/// An authentic plaintext of any content, and a datagram of any content, meet a receiver.
pub(crate) fn open_esp(bytes: &[u8]) {
    let (sender, receiver) = associations();
    for next_header in [NextHeader::Control, NextHeader::Dummy] {
        if let Ok(datagram) = sender.seal_control(next_header, bytes) {
            open(&receiver, &datagram);
        }
    }
    open(&receiver, bytes);
    let _ = esp::read_trailer(bytes);
}

/// What a peer says inside the association.
pub(crate) fn path_probe(payload: &[u8]) {
    if let Ok(message) = PathMessage::decode(payload) {
        assert_eq!(PathMessage::decode(&message.encode()), Ok(message));
    }
    if let Ok(message) = Introduction::decode(payload) {
        assert_eq!(Introduction::decode(&message.encode()).as_ref(), Ok(&message));
        if let Introduction::Introduce { candidates, .. } | Introduction::Meet { candidates, .. } = message
            && let Ok(set) = decode_candidates(&candidates)
        {
            assert_eq!(decode_candidates(&encode_candidates(&set)), Ok(set));
        }
    }
}

/// A frame of the relay, or to it.
pub(crate) fn relay_frame(frame: &[u8]) {
    if let Ok((channel, datagram)) = relay::decode(frame) {
        assert_eq!([&relay::encode_header(channel), datagram].concat(), frame);
    }
    if let Ok(message) = relay::Message::decode(frame) {
        assert_eq!(message.encode()[relay::HEADER_LEN..], *frame);
    }
}

/// A message of a WebSocket.
pub(crate) fn tunnel(message: &[u8]) {
    if let Ok((service, datagram)) = websocket::decode(message) {
        assert_eq!(websocket::encode(service, datagram), message);
    }
}

/// The first look at any datagram.
pub(crate) fn wire(datagram: &[u8]) {
    let _ = classify(datagram);
    let _ = esp::Header::decode(datagram);
}

fn open(receiver: &InboundSa, datagram: &[u8]) {
    let mut buffer = vec![0; HEADROOM];
    buffer.extend_from_slice(datagram);
    let range = HEADROOM..buffer.len();
    let _ = receiver.open(&mut buffer, range, Ecn::NotEct);
}

/// The two ends of one direction: 100.64.0.1 sends to 100.64.0.2.
pub(crate) fn associations() -> (OutboundSa, InboundSa) {
    let [one, other] = [1, 2].map(|last| IpAddr::from([100, 64, 0, last]));
    let params = |local, remote| SaParams {
        suite: Suite::Aes256GcmIiv,
        spi: SpiBase::from_random(7).spi(warren_proto::keys::Family::V4),
        key_material: zeroize::Zeroizing::new([3; 36]),
        peer: NodeId::new([2; 16]),
        local,
        remote,
        ttl: 64,
        routes: vec![(IpAddr::from([10, 1, 0, 0]), 16)],
    };
    (OutboundSa::new(params(one, other)), InboundSa::new(params(other, one)))
}

/// The device that strangers' handshakes meet.
pub(crate) fn local_identity() -> LocalIdentity {
    let secret = StaticSecret::new([5; 32]);
    LocalIdentity::new(secret, CertificateId::new([6; 16]), NetworkId::new([1; 16]), [64, 64], Preference::default())
}

/// Signs the certificates that reach the parser.
pub(crate) const NETWORK_KEY: [u8; 32] = [4; 32];

//! What a pair of associations promises: round trips in both forms, and what a hostile or broken peer cannot do.

use std::net::Ipv4Addr;

use super::*;
use crate::inner;
use crate::io::Discard;
use crate::keys::Family;

#[test]
fn a_canonical_packet_travels_without_its_header_and_arrives_as_it_was() {
    for (suite, datagram_len) in [(Suite::Aes256GcmIiv, 36), (Suite::Aes256Gcm, 44), (Suite::ChaCha20Poly1305Iiv, 36)] {
        let (outbound, inbound) = pair(suite);
        let mut buffer = buffer(&packet(6, Ecn::Ect0, b"segment!"));

        let sealed = outbound.seal_packet(&mut buffer, HEADROOM..HEADROOM + 28).unwrap();
        let datagram = buffer[sealed.datagram.clone()].to_vec();
        let opened = inbound.open(&mut buffer, sealed.datagram, sealed.ecn).unwrap();

        assert_eq!(sealed.form, Form::Transport);
        assert_eq!(datagram.len(), datagram_len);
        assert_eq!(contents(&buffer, opened), packet(6, Ecn::Ect0, b"segment!"));
        assert!(!datagram.windows(7).any(|bytes| bytes == b"segment"));
    }
}

#[test]
fn a_packet_that_cannot_be_rebuilt_travels_whole_and_arrives_as_it_was() {
    for suite in Suite::ALL {
        let (outbound, inbound) = pair(suite);
        let original = with_ttl(packet(17, Ecn::NotEct, b"traceroute"), 3);
        let mut buffer = buffer(&original);

        let sealed = outbound.seal_packet(&mut buffer, HEADROOM..HEADROOM + original.len()).unwrap();
        let opened = inbound.open(&mut buffer, sealed.datagram.clone(), sealed.ecn).unwrap();

        assert_eq!(sealed.form, Form::Whole);
        assert_eq!(sealed.datagram.len(), outbound.sealed_len(original.len()));
        assert_eq!(contents(&buffer, opened), original);
    }
}

#[test]
fn control_messages_and_dummies_arrive_as_such() {
    let (outbound, inbound) = pair(Suite::Aes256GcmIiv);

    let control = outbound.seal_control(NextHeader::Control, b"ping").unwrap();
    let dummy = outbound.seal_control(NextHeader::Dummy, &[]).unwrap();

    assert_eq!(dummy.len(), 28);
    let (opened, buffer) = open(&inbound, &control, Ecn::NotEct);
    assert_eq!(contents(&buffer, opened.unwrap()), b"ping");
    assert_eq!(open(&inbound, &dummy, Ecn::NotEct).0, Ok(Opened::Dummy));
    assert_eq!(inbound.opened(), 2);
}

#[test]
fn a_replayed_datagram_is_opened_once() {
    let (outbound, inbound) = pair(Suite::Aes256GcmIiv);
    let datagram = outbound.seal_control(NextHeader::Dummy, &[]).unwrap();

    assert_eq!(open(&inbound, &datagram, Ecn::NotEct).0, Ok(Opened::Dummy));
    assert_eq!(open(&inbound, &datagram, Ecn::NotEct).0, Err(Discard::ReplayDuplicate));
    assert_eq!(inbound.opened(), 1);
}

#[test]
fn a_forged_packet_with_a_huge_sequence_number_does_not_move_the_window() {
    let (outbound, inbound) = pair(Suite::Aes256GcmIiv);
    let mut forged = outbound.seal_control(NextHeader::Dummy, &[]).unwrap();
    forged[4..8].copy_from_slice(&u32::MAX.to_be_bytes());

    assert_eq!(open(&inbound, &forged, Ecn::NotEct).0, Err(Discard::Authentication));

    let honest = outbound.seal_control(NextHeader::Dummy, &[]).unwrap();
    assert_eq!(open(&inbound, &honest, Ecn::NotEct).0, Ok(Opened::Dummy));
}

#[test]
fn any_flipped_bit_is_noticed() {
    for suite in Suite::ALL {
        let (outbound, inbound) = pair(suite);
        let datagram = outbound.seal_control(NextHeader::Control, b"x").unwrap();

        for position in 4..datagram.len() {
            let mut flipped = datagram.clone();
            flipped[position] ^= 0x10;

            assert_eq!(open(&inbound, &flipped, Ecn::NotEct).0, Err(Discard::Authentication), "byte {position}");
        }
    }
}

#[test]
fn an_explicit_iv_of_the_senders_choice_is_honoured() {
    let (_, inbound) = pair(Suite::Aes256Gcm);
    let aead = crate::crypto::EspAead::new(Suite::Aes256Gcm, &[7; 32]);
    let mut plaintext = [1, 2, 2, 59];
    let header = esp::Header { spi: params().spi, sequence: 9 }.encode();
    let tag = aead.seal_in_place(b"\x07\x07\x07\x07anything", &header, &mut plaintext);

    let datagram = [&header[..], b"anything", &plaintext, &tag].concat();

    assert_eq!(open(&inbound, &datagram, Ecn::NotEct).0, Ok(Opened::Dummy));
}

#[test]
fn lengths_that_no_packet_has_are_refused_before_decryption() {
    let (outbound, inbound) = pair(Suite::Aes256GcmIiv);
    let datagram = outbound.seal_control(NextHeader::Control, &[0; 6]).unwrap();

    for len in (0..datagram.len()).filter(|len| *len < 28 || len % 4 != 0) {
        assert_eq!(open(&inbound, &datagram[..len], Ecn::NotEct).0, Err(Discard::Length), "{len}");
    }
}

#[test]
fn the_outer_congestion_mark_reaches_a_transport_packet() {
    let (outbound, inbound) = pair(Suite::Aes256GcmIiv);
    let mut buffer = buffer(&packet(6, Ecn::Ect0, b"segment"));
    let sealed = outbound.seal_packet(&mut buffer, HEADROOM..HEADROOM + 27).unwrap();

    let opened = inbound.open(&mut buffer, sealed.datagram, Ecn::Ce).unwrap();

    assert_eq!(contents(&buffer, opened), packet(6, Ecn::Ce, b"segment"));
}

#[test]
fn the_outer_congestion_mark_reaches_a_whole_packet_or_drops_it() {
    let (outbound, inbound) = pair(Suite::Aes256GcmIiv);
    let whole = NextHeader::Whole(Family::V4);
    let capable = outbound.seal_control(whole, &with_ttl(packet(6, Ecn::Ect0, b"segment"), 3)).unwrap();
    let incapable = outbound.seal_control(whole, &with_ttl(packet(6, Ecn::NotEct, b"segment"), 3)).unwrap();

    let (opened, buffer) = open(&inbound, &capable, Ecn::Ce);

    assert_eq!(contents(&buffer, opened.unwrap()), with_ttl(packet(6, Ecn::Ce, b"segment"), 3));
    assert_eq!(open(&inbound, &incapable, Ecn::Ce).0, Err(Discard::EcnNotCapable));
}

#[test]
fn a_whole_packet_may_come_from_the_peer_and_its_routes_only() {
    let (outbound, inbound) = pair(Suite::Aes256GcmIiv);
    let send = |source: [u8; 4], destination: [u8; 4]| {
        let template = Template::new(source.into(), destination.into(), 64).unwrap();
        let datagram = outbound.seal_control(NextHeader::Whole(Family::V4), &packet_of(&template, b"data")).unwrap();
        open(&inbound, &datagram, Ecn::NotEct).0.map(|_| ())
    };

    assert_eq!(send([100, 64, 0, 1], [100, 64, 0, 2]), Ok(()));
    assert_eq!(send([10, 9, 8, 7], [100, 64, 0, 2]), Ok(()));
    assert_eq!(send([10, 10, 8, 7], [100, 64, 0, 2]), Err(Discard::InnerAddress));
    assert_eq!(send([100, 64, 0, 2], [100, 64, 0, 2]), Err(Discard::InnerAddress));
    assert_eq!(send([100, 64, 0, 1], [192, 168, 1, 1]), Err(Discard::InnerAddress));
}

#[test]
fn an_authentic_packet_with_senseless_contents_is_refused() {
    let (outbound, inbound) = pair(Suite::Aes256GcmIiv);
    let whole = packet(6, Ecn::NotEct, b"segment");
    let cases: &[(NextHeader, &[u8])] = &[
        (NextHeader::Whole(Family::V4), &[]),
        (NextHeader::Whole(Family::V4), &whole[..whole.len() - 1]),
        (NextHeader::Whole(Family::V6), &whole),
        (NextHeader::Transport(0), b"hop-by-hop options"),
        (NextHeader::Transport(144), b"AGGFRAG"),
    ];
    for (next_header, payload) in cases {
        let datagram = outbound.seal_control(*next_header, payload).unwrap();

        let (opened, _) = open(&inbound, &datagram, Ecn::NotEct);

        assert!(matches!(opened, Err(Discard::InnerMalformed | Discard::Malformed)), "{next_header:?}: {opened:?}");
    }
}

#[test]
fn padding_after_a_whole_packet_is_stripped() {
    let (outbound, inbound) = pair(Suite::Aes256GcmIiv);
    let padded = [packet(6, Ecn::NotEct, b"segment"), vec![0; 100]].concat();
    let datagram = outbound.seal_control(NextHeader::Whole(Family::V4), &padded).unwrap();

    let (opened, buffer) = open(&inbound, &datagram, Ecn::NotEct);

    assert_eq!(contents(&buffer, opened.unwrap()), packet(6, Ecn::NotEct, b"segment"));
}

#[test]
fn a_foreign_spi_and_a_closed_association_open_nothing() {
    let (outbound, inbound) = pair(Suite::Aes256GcmIiv);
    let datagram = outbound.seal_control(NextHeader::Dummy, &[]).unwrap();
    let mut foreign = datagram.clone();
    foreign[3] ^= 8;

    assert_eq!(open(&inbound, &foreign, Ecn::NotEct).0, Err(Discard::UnknownSpi));
    inbound.close();
    assert_eq!(open(&inbound, &datagram, Ecn::NotEct).0, Err(Discard::SaExpired));
}

#[test]
fn a_control_message_too_long_for_a_datagram_is_refused() {
    let (outbound, _) = pair(Suite::Aes256GcmIiv);

    assert_eq!(outbound.seal_control(NextHeader::Control, &[0; MAX_CONTROL_LEN + 1]), Err(Discard::Length));
}

#[test]
fn a_packet_of_exactly_the_mtu_fills_its_path() {
    let (outbound, _) = pair(Suite::Aes256GcmIiv);
    let mut buffer = buffer(&packet(6, Ecn::NotEct, &[7; 1446]));

    let sealed = outbound.seal_packet(&mut buffer, HEADROOM..HEADROOM + outbound.inner_mtu(1472).0).unwrap();

    assert_eq!(sealed.datagram.len(), 1472);
}

#[test]
fn the_fragments_of_a_big_packet_travel_whole_and_fit() {
    let (outbound, inbound) = pair(Suite::Aes256GcmIiv);
    let mut original = packet(17, Ecn::NotEct, &[7; 2000]);
    original[6] = 0;
    inner::set_ecn(&mut original, Ecn::NotEct);

    for fragment in inner::fragments(&original, outbound.inner_mtu(1200).1).unwrap() {
        let mut buffer = buffer(&fragment);
        let sealed = outbound.seal_packet(&mut buffer, HEADROOM..HEADROOM + fragment.len()).unwrap();
        assert!(sealed.form == Form::Whole && sealed.datagram.len() <= 1200);
        let opened = inbound.open(&mut buffer, sealed.datagram, sealed.ecn).unwrap();
        assert_eq!(contents(&buffer, opened), fragment);
    }
}

#[test]
fn both_halves_may_be_shared_between_threads() {
    const fn shared<T: Send + Sync>() {}

    shared::<OutboundSa>();
    shared::<InboundSa>();
}

/// Parameters of the receiving side at 100.64.0.2, whose peer is 100.64.0.1.
pub(super) fn params() -> SaParams {
    SaParams {
        suite: Suite::Aes256GcmIiv,
        spi: Spi::new(0x8765_4320).unwrap(),
        key_material: Zeroizing::new([7; 36]),
        peer: NodeId::new([1; 16]),
        local: Ipv4Addr::new(100, 64, 0, 2).into(),
        remote: Ipv4Addr::new(100, 64, 0, 1).into(),
        ttl: 64,
        routes: vec![(Ipv4Addr::new(10, 9, 0, 0).into(), 16)],
    }
}

/// The two ends of one direction.
fn pair(suite: Suite) -> (OutboundSa, InboundSa) {
    let inbound = SaParams { suite, ..params() };
    let outbound = SaParams { suite, local: params().remote, remote: params().local, ..params() };
    (OutboundSa::new(outbound), InboundSa::new(inbound))
}

/// A packet from 100.64.0.1 to 100.64.0.2.
fn packet(protocol: u8, ecn: Ecn, segment: &[u8]) -> Vec<u8> {
    let template = Template::new(params().remote, params().local, 64).unwrap();
    let mut packet = vec![0; 20];
    template.rebuild(&mut packet, protocol, ecn, segment.len()).unwrap();
    packet.extend(segment);
    packet
}

fn packet_of(template: &Template, segment: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; template.header_len()];
    template.rebuild(&mut packet, 17, Ecn::NotEct, segment.len()).unwrap();
    packet.extend(segment);
    packet
}

fn with_ttl(mut packet: Vec<u8>, ttl: u8) -> Vec<u8> {
    packet[8] = ttl;
    let ecn = inner::addresses(&packet).map(|_| Ecn::from_bits(packet[1])).unwrap();
    inner::set_ecn(&mut packet, ecn);
    packet
}

fn buffer(packet: &[u8]) -> Vec<u8> {
    [&[0; HEADROOM][..], packet, &[0; TAILROOM]].concat()
}

fn open(inbound: &InboundSa, datagram: &[u8], ecn: Ecn) -> (Result<Opened, Discard>, Vec<u8>) {
    let mut buffer = [&[0; HEADROOM][..], datagram].concat();
    let opened = inbound.open(&mut buffer, HEADROOM..HEADROOM + datagram.len(), ecn);
    (opened, buffer)
}

fn contents(buffer: &[u8], opened: Opened) -> Vec<u8> {
    match opened {
        Opened::Packet(range) | Opened::Control(range) => buffer[range].to_vec(),
        Opened::Dummy => Vec::new(),
    }
}

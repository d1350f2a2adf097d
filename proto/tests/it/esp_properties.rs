//! Properties over random input: every packet comes back, both backends agree, and no bytes make anything panic.

use proptest::prelude::*;
use warren_proto::crypto::{EspAead, Suite};
use warren_proto::inner::{self, Form, Template, Unreachable};
use warren_proto::io::{Discard, Ecn};
use warren_proto::keys::Family;
use warren_proto::session::{HEADROOM, NextHeader, Opened};
use warren_proto::wire::{classify, esp, relay};

use crate::esp_pair::{Pair, TTL, addresses, buffer, contents, packet};

proptest! {
    #[test]
    fn a_packet_arrives_as_it_was_sent_whatever_its_form(
        suite in suites(),
        family in families(),
        ecn in ecns(),
        protocol in any::<u8>(),
        ttl in prop_oneof![Just(TTL), any::<u8>()],
        segment in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        let pair = Pair::new(suite, family);
        let inner = packet(family, protocol, ttl, ecn, &segment);
        let mut buffer = buffer(&inner);

        let sealed = pair.outbound.seal_packet(&mut buffer, HEADROOM..HEADROOM + inner.len()).unwrap();
        let opened = pair.inbound.open(&mut buffer, sealed.datagram.clone(), sealed.ecn).unwrap();

        let canonical = ttl == TTL && inner::is_upper_layer(protocol);
        prop_assert_eq!(sealed.form, if canonical { Form::Transport } else { Form::Whole });
        prop_assert_eq!(sealed.ecn, ecn);
        let sent = if canonical { inner.len() - if family == Family::V4 { 20 } else { 40 } } else { inner.len() };
        prop_assert_eq!(sealed.datagram.len(), pair.outbound.sealed_len(sent));
        prop_assert!(matches!(opened, Opened::Packet(_)));
        prop_assert_eq!(contents(&buffer, &opened), inner);
    }

    #[test]
    fn a_damaged_datagram_is_refused_and_the_honest_one_still_opens(
        suite in suites(),
        segment in prop::collection::vec(any::<u8>(), 0..100),
        position in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let pair = Pair::new(suite, Family::V4);
        let inner = packet(Family::V4, 17, TTL, Ecn::NotEct, &segment);
        let mut honest = buffer(&inner);
        let sealed = pair.outbound.seal_packet(&mut honest, HEADROOM..HEADROOM + inner.len()).unwrap();
        let mut damaged = honest.clone();
        damaged[sealed.datagram.start + position.index(sealed.datagram.len())] ^= 1 << bit;

        let refused = pair.inbound.open(&mut damaged, sealed.datagram.clone(), Ecn::NotEct);

        prop_assert!(refused.is_err());
        let opened = pair.inbound.open(&mut honest, sealed.datagram, Ecn::NotEct).unwrap();
        prop_assert_eq!(contents(&honest, &opened), inner);
    }

    #[test]
    fn both_backends_produce_the_same_bytes_and_open_each_others(
        key in any::<[u8; 32]>(),
        nonce in any::<[u8; 12]>(),
        aad in any::<[u8; 8]>(),
        plaintext in prop::collection::vec(any::<u8>(), 0..=2000),
    ) {
        let ring = EspAead::new(Suite::Aes256GcmIiv, &key);
        let reference = EspAead::reference(Suite::Aes256GcmIiv, &key).unwrap();
        let (mut by_ring, mut by_reference) = (plaintext.clone(), plaintext.clone());

        let tag = ring.seal_in_place(&nonce, &aad, &mut by_ring);

        prop_assert_eq!(reference.seal_in_place(&nonce, &aad, &mut by_reference), tag);
        prop_assert_eq!(&by_ring, &by_reference);
        prop_assert_eq!(ring.open_in_place(&nonce, &aad, &mut by_reference, &tag), Ok(()));
        prop_assert_eq!(reference.open_in_place(&nonce, &aad, &mut by_ring, &tag), Ok(()));
        prop_assert_eq!(&by_ring, &plaintext);
        prop_assert_eq!(&by_reference, &plaintext);
    }

    #[test]
    fn arbitrary_bytes_panic_no_codec(bytes in hostile_bytes()) {
        let _ = classify(&bytes);
        let _ = esp::Header::decode(&bytes);
        let _ = esp::read_trailer(&bytes);
        let _ = relay::Message::decode(&bytes);
        if let Ok((channel, datagram)) = relay::decode(&bytes) {
            prop_assert_eq!([&relay::encode_header(channel)[..], datagram].concat(), bytes);
        }
    }

    #[test]
    fn arbitrary_bytes_panic_no_inner_parser(bytes in hostile_bytes(), family in families(), mtu in any::<usize>()) {
        let (source, destination) = addresses(family);
        let template = Template::new(source, destination, TTL).unwrap();

        let _ = inner::addresses(&bytes);
        let _ = template.classify(&bytes);
        if let Ok(outline) = inner::parse(&bytes) {
            prop_assert!(outline.header_len <= outline.len && outline.len <= bytes.len());
        }
        let mtu = mtu % 2000;
        let pieces = [Some(bytes.clone()), inner::as_fragment(&bytes, 7)].into_iter().flatten();
        for fragments in pieces.filter_map(|packet| inner::fragments(&packet, mtu).ok()) {
            prop_assert!(fragments.iter().all(|fragment| fragment.len() <= mtu));
            prop_assert!(fragments.iter().all(|fragment| inner::parse(fragment).is_ok()));
        }
        for answer in [
            inner::too_big(&bytes, mtu, destination),
            inner::unreachable(&bytes, Unreachable::Address, destination),
        ] {
            prop_assert!(answer.is_none_or(|answer| inner::parse(&answer).is_ok()));
        }
    }

    #[test]
    fn arbitrary_datagrams_are_opened_by_nobody(bytes in hostile_bytes(), suite in suites(), family in families()) {
        let pair = Pair::new(suite, family);
        let datagram = [&pair.inbound.spi().get().to_be_bytes()[..], &bytes].concat();
        let mut buffer = buffer(&datagram);

        let opened = pair.inbound.open(&mut buffer, HEADROOM..HEADROOM + datagram.len(), Ecn::NotEct);

        prop_assert!(matches!(opened, Err(Discard::Length | Discard::ReplayOld | Discard::Authentication)));
        prop_assert_eq!(pair.inbound.opened(), 0);
    }

    #[test]
    fn an_authentic_peer_with_arbitrary_contents_panics_nobody(
        bytes in hostile_bytes(),
        family in families(),
        next_header in any::<u8>(),
        ecn in ecns(),
    ) {
        let pair = Pair::new(Suite::Aes256GcmIiv, family);
        let datagram = pair.outbound.seal_control(NextHeader::decode(next_header), &bytes).unwrap();
        let mut buffer = buffer(&datagram);

        let opened = pair.inbound.open(&mut buffer, HEADROOM..HEADROOM + datagram.len(), ecn);

        if let Ok(Opened::Packet(range)) = opened {
            let addresses_found = inner::addresses(&buffer[range.clone()]).unwrap();
            let (source, destination) = addresses(family);
            prop_assert_eq!((addresses_found.source, addresses_found.destination), (source, destination));
            prop_assert!(inner::parse(&buffer[range]).is_ok());
        }
    }
}

fn suites() -> impl Strategy<Value = Suite> {
    prop::sample::select(&Suite::ALL[..])
}

fn families() -> impl Strategy<Value = Family> + Clone {
    prop::sample::select(&[Family::V4, Family::V6][..])
}

fn ecns() -> impl Strategy<Value = Ecn> {
    (0..4_u8).prop_map(Ecn::from_bits)
}

/// Random bytes, and packets that are nearly right: those get past the first checks.
fn hostile_bytes() -> impl Strategy<Value = Vec<u8>> {
    let random = prop::collection::vec(any::<u8>(), 0..200);
    let nearly = (families(), any::<u8>(), any::<u8>(), prop::collection::vec(any::<u8>(), 0..64))
        .prop_map(|(family, protocol, ttl, segment)| packet(family, protocol, ttl, Ecn::Ect0, &segment));
    let damaged = (nearly.clone(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut bytes, at, byte)| {
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes
    });
    let cut =
        (nearly.clone(), any::<prop::sample::Index>()).prop_map(|(bytes, at)| bytes[..at.index(bytes.len())].to_vec());
    prop_oneof![random, nearly, damaged, cut]
}

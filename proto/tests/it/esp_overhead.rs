//! The overhead that the design promises, packet by packet: what is on the wire beyond the inner packet itself.

use warren_proto::crypto::Suite;
use warren_proto::io::Ecn;
use warren_proto::keys::Family;
use warren_proto::session::HEADROOM;

use crate::esp_pair::{Pair, TTL, buffer, packet};

/// Rows: outer and inner header, then least and most overhead in transport form with implicit and explicit IV, and of
/// the whole form with implicit IV.
type Row = (usize, Family, [(usize, usize); 3]);

#[test]
fn the_overhead_of_every_combination_is_the_one_in_the_table() {
    let table: [Row; 4] = [
        (IPV4, Family::V4, [(34, 37), (42, 45), (54, 57)]),
        (IPV4, Family::V6, [(14, 17), (22, 25), (54, 57)]),
        (IPV6, Family::V4, [(54, 57), (62, 65), (74, 77)]),
        (IPV6, Family::V6, [(34, 37), (42, 45), (74, 77)]),
    ];
    for (outer, family, [implicit, explicit, whole]) in table {
        assert_eq!(overhead(Suite::Aes256GcmIiv, family, TTL, outer), implicit);
        assert_eq!(overhead(Suite::ChaCha20Poly1305Iiv, family, TTL, outer), implicit);
        assert_eq!(overhead(Suite::Aes256Gcm, family, TTL, outer), explicit);
        assert_eq!(overhead(Suite::Aes256GcmIiv, family, TTL - 1, outer), whole);
    }
}

#[test]
fn a_usual_tcp_packet_costs_36_bytes() {
    let pair = Pair::new(Suite::Aes256GcmIiv, Family::V4);

    for len in [40, 60, 576, 1280, 1400] {
        assert_eq!(pair.outbound.sealed_len(len - IPV4) + UDP + IPV4 - len, 36);
    }
}

#[test]
fn the_largest_inner_packet_of_every_path_is_the_one_in_the_table() {
    // path MTU, outer header; implicit IV: inner v4, inner v6, whole; explicit IV: inner v4, inner v6
    let table = [
        (1500, IPV4, [1466, 1486, 1446], [1458, 1478]),
        (1500, IPV6, [1446, 1466, 1426], [1438, 1458]),
        (1492, IPV4, [1458, 1478, 1438], [1450, 1470]),
        (1492, IPV6, [1438, 1458, 1418], [1430, 1450]),
        (1420, IPV4, [1386, 1406, 1366], [1378, 1398]),
        (1280, IPV6, [1226, 1246, 1206], [1218, 1238]),
    ];
    for (path_mtu, outer, [v4, v6, whole], explicit) in table {
        let mtu = |suite, family| Pair::new(suite, family).outbound.inner_mtu(path_mtu - outer - UDP);

        assert_eq!(mtu(Suite::Aes256GcmIiv, Family::V4), (v4, whole));
        assert_eq!(mtu(Suite::Aes256GcmIiv, Family::V6), (v6, whole));
        assert_eq!(mtu(Suite::Aes256Gcm, Family::V4).0, explicit[0]);
        assert_eq!(mtu(Suite::Aes256Gcm, Family::V6).0, explicit[1]);
    }
}

#[test]
fn a_packet_of_the_stated_mtu_fits_and_one_more_byte_does_not() {
    let pair = Pair::new(Suite::Aes256GcmIiv, Family::V4);

    for udp_payload in 60..1600 {
        let (transport, whole) = pair.outbound.inner_mtu(udp_payload);

        // in transport form the inner header is not sent
        assert_eq!(transport, whole + IPV4);
        assert!(pair.outbound.sealed_len(whole) <= udp_payload);
        assert!(pair.outbound.sealed_len(whole + 1) > udp_payload);
    }
}

/// Least and most bytes on the wire beyond the inner packet, over four sizes in a row.
fn overhead(suite: Suite, family: Family, ttl: u8, outer: usize) -> (usize, usize) {
    let pair = Pair::new(suite, family);
    let costs = (1200..1204).map(|len| {
        let inner = packet(family, 6, ttl, Ecn::NotEct, &vec![0; len]);
        let mut buffer = buffer(&inner);
        let sealed = pair.outbound.seal_packet(&mut buffer, HEADROOM..HEADROOM + inner.len()).expect("a good packet");
        outer + UDP + sealed.datagram.len() - inner.len()
    });
    (costs.clone().min().unwrap_or(0), costs.max().unwrap_or(0))
}

const IPV4: usize = 20;
const IPV6: usize = 40;
const UDP: usize = 8;

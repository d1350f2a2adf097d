//! Which packets may leave their header at home, and what the rebuilt header looks like.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;

#[test]
fn an_ordinary_packet_travels_without_its_header_and_is_rebuilt_byte_for_byte() {
    for template in [template_v4(), template_v6()] {
        for ecn in [Ecn::NotEct, Ecn::Ect0, Ecn::Ect1, Ecn::Ce] {
            let packet = packet(&template, 6, ecn, b"segment");

            let (outline, form) = template.classify(&packet).unwrap();
            let mut header = vec![0xaa; template.header_len()];
            template.rebuild(&mut header, outline.protocol, outline.ecn, outline.payload().len()).unwrap();

            assert_eq!(form, Form::Transport);
            assert_eq!([&header[..], b"segment"].concat(), packet);
        }
    }
}

#[test]
fn the_rebuilt_ipv4_header_is_the_one_computed_by_hand() {
    let template = Template::new([192, 168, 0, 1].into(), [192, 168, 0, 199].into(), 64).unwrap();
    let mut header = [0; 20];

    template.rebuild(&mut header, 17, Ecn::NotEct, 95).unwrap();

    // the textbook example: 4500 0073 0000 4000 4011 b861 c0a80001 c0a800c7
    assert_eq!(header[..12], [0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0xb8, 0x61]);
}

#[test]
fn an_ipv4_header_that_cannot_be_rebuilt_travels_whole() {
    let cases: &[(&str, Change)] = &[
        ("low TTL of a traceroute", |p| p[8] = 3),
        ("TTL 255 of a routing protocol", |p| p[8] = 255),
        ("DSCP", |p| p[1] = 0xb8),
        ("first fragment", |p| p[6] = 0x20),
        ("later fragment", |p| p[7] = 1),
        ("reserved flag", |p| p[6] = 0x80),
        ("IP in IP", |p| p[9] = 4),
        ("IPv6 in IP", |p| p[9] = 41),
        ("our own control number", |p| p[9] = 253),
        ("foreign source", |p| p[15] ^= 1),
        ("foreign destination", |p| p[19] ^= 1),
        ("options", |p| p[0] = 0x46),
    ];
    for (name, change) in cases {
        let mut packet = packet(&template_v4(), 17, Ecn::NotEct, &[0; 32]);
        change(&mut packet);
        mend_checksum(&mut packet);

        assert_eq!(template_v4().classify(&packet).map(|(_, form)| form), Ok(Form::Whole), "{name}");
    }
}

#[test]
fn an_ipv6_header_that_cannot_be_rebuilt_travels_whole() {
    let cases: &[(&str, Change)] = &[
        ("hop limit", |p| p[7] = 255),
        ("DSCP, high half", |p| p[0] = 0x6b),
        ("DSCP, low half", |p| p[1] = 0x40),
        ("hop-by-hop options", |p| p[6] = 0),
        ("fragment header", |p| p[6] = 44),
        ("no next header", |p| p[6] = 59),
        ("foreign source", |p| p[8] ^= 1),
        ("foreign destination", |p| p[39] ^= 1),
    ];
    for (name, change) in cases {
        let mut packet = packet(&template_v6(), 17, Ecn::NotEct, &[0; 32]);
        change(&mut packet);

        assert_eq!(template_v6().classify(&packet).map(|(_, form)| form), Ok(Form::Whole), "{name}");
    }
}

#[test]
fn identification_df_and_flow_label_do_not_make_a_packet_whole() {
    let mut v4 = packet(&template_v4(), 17, Ecn::NotEct, &[0; 8]);
    v4[4..8].copy_from_slice(&[0x12, 0x34, 0, 0]);
    mend_checksum(&mut v4);
    let mut v6 = packet(&template_v6(), 17, Ecn::NotEct, &[0; 8]);
    v6[1..4].copy_from_slice(&[0x0f, 0xff, 0xff]);

    assert_eq!(template_v4().classify(&v4).unwrap().1, Form::Transport);
    assert_eq!(template_v6().classify(&v6).unwrap().1, Form::Transport);
}

#[test]
fn bytes_beyond_the_packet_are_trimmed_and_missing_ones_refused() {
    for template in [template_v4(), template_v6()] {
        let whole = packet(&template, 17, Ecn::NotEct, &[7; 8]);
        let longer = [&whole[..], &[0; 5]].concat();

        assert_eq!(template.classify(&longer).unwrap().0.len, whole.len());
        for len in 0..whole.len() {
            assert_eq!(template.classify(&whole[..len]).unwrap_err(), Discard::InnerMalformed);
        }
    }
}

#[test]
fn a_wrong_ipv4_checksum_a_short_header_and_the_other_family_are_refused() {
    let mut damaged = packet(&template_v4(), 17, Ecn::NotEct, &[7; 8]);
    damaged[10] ^= 1;
    let mut short = packet(&template_v4(), 17, Ecn::NotEct, &[7; 8]);
    short[0] = 0x44;
    let other = packet(&template_v6(), 17, Ecn::NotEct, &[7; 8]);

    assert_eq!(template_v4().classify(&damaged).unwrap_err(), Discard::InnerMalformed);
    assert_eq!(template_v4().classify(&short).unwrap_err(), Discard::InnerMalformed);
    assert_eq!(template_v4().classify(&other).unwrap_err(), Discard::InnerAddress);
}

#[test]
fn the_ecn_table_of_rfc_6040_holds_and_the_checksum_with_it() {
    use Ecn::{Ce, Ect0, Ect1, NotEct};
    // rows: inner NotEct, Ect0, Ect1, Ce; columns: outer NotEct, Ect0, Ect1, Ce
    let table = [
        (NotEct, [Some(NotEct), Some(NotEct), Some(NotEct), None]),
        (Ect0, [Some(Ect0), Some(Ect0), Some(Ect1), Some(Ce)]),
        (Ect1, [Some(Ect1), Some(Ect1), Some(Ect1), Some(Ce)]),
        (Ce, [Some(Ce), Some(Ce), Some(Ce), Some(Ce)]),
    ];
    for (inner, row) in table {
        for (outer, expected) in [NotEct, Ect0, Ect1, Ce].into_iter().zip(row) {
            assert_eq!(decapsulate_ecn(inner, outer).ok(), expected, "{inner:?} in {outer:?}");
        }
    }
    for template in [template_v4(), template_v6()] {
        let mut packet = packet(&template, 17, Ect0, &[7; 8]);
        set_ecn(&mut packet, Ce);
        assert_eq!(parse(&packet).unwrap().ecn, Ce);
    }
}

#[test]
fn too_big_comes_from_the_peer_quotes_the_packet_and_names_the_mtu() {
    for (template, offset, expected) in [(template_v4(), 26, &[5, 0xba][..]), (template_v6(), 44, &[0, 0, 5, 0xba])] {
        let packet = packet(&template, 17, Ecn::NotEct, &[7; 1500]);

        let answer = too_big(&packet, 1466, template.destination()).unwrap();

        let outline = parse(&answer).unwrap();
        let Addresses { source, destination } = addresses(&answer).unwrap();
        assert_eq!((source, destination), (template.destination(), template.source()));
        assert_eq!(answer[offset..][..expected.len()], *expected);
        assert!(answer.len() <= 1280);
        assert_eq!(icmp_sum(&answer, &outline), 0);
        assert!(packet.starts_with(&answer[outline.header_len + 8..]));
    }
}

#[test]
fn an_ipv6_mtu_below_1280_is_never_told() {
    let packet = packet(&template_v6(), 17, Ecn::NotEct, &[7; 1500]);

    let answer = too_big(&packet, 1000, template_v6().destination()).unwrap();

    assert_eq!(answer[44..48], 1280_u32.to_be_bytes());
}

#[test]
fn unreachable_says_why() {
    for (why, v4, v6) in [(Unreachable::Address, [3, 1], [1, 3]), (Unreachable::Prohibited, [3, 13], [1, 1])] {
        let packet_v4 = packet(&template_v4(), 17, Ecn::NotEct, &[7; 8]);
        let packet_v6 = packet(&template_v6(), 17, Ecn::NotEct, &[7; 8]);

        assert_eq!(unreachable(&packet_v4, why, template_v4().destination()).unwrap()[20..22], v4);
        assert_eq!(unreachable(&packet_v6, why, template_v6().destination()).unwrap()[40..42], v6);
    }
}

#[test]
fn errors_later_fragments_and_fragmentable_packets_are_not_answered() {
    let error_v4 = packet(&template_v4(), 1, Ecn::NotEct, &[3, 4, 0, 0, 0, 0, 0, 0]);
    let error_v6 = packet(&template_v6(), 58, Ecn::NotEct, &[2, 0, 0, 0, 0, 0, 0, 0]);
    let echo_v4 = packet(&template_v4(), 1, Ecn::NotEct, &[8, 0, 0, 0, 0, 0, 0, 0]);
    let mut fragment = packet(&template_v4(), 17, Ecn::NotEct, &[7; 8]);
    fragment[6..8].copy_from_slice(&[0x40, 1]);
    mend_checksum(&mut fragment);
    let mut may_be_fragmented = packet(&template_v4(), 17, Ecn::NotEct, &[7; 8]);
    may_be_fragmented[6] = 0;
    mend_checksum(&mut may_be_fragmented);

    assert_eq!(too_big(&error_v4, 1400, template_v4().destination()), None);
    assert_eq!(too_big(&error_v6, 1400, template_v6().destination()), None);
    assert_eq!(too_big(&fragment, 1400, template_v4().destination()), None);
    assert_eq!(too_big(&may_be_fragmented, 1400, template_v4().destination()), None);
    assert!(too_big(&echo_v4, 1400, template_v4().destination()).is_some());
}

/// What a case does to a canonical packet.
type Change = fn(&mut [u8]);

fn template_v4() -> Template {
    Template::new(Ipv4Addr::new(100, 64, 0, 1).into(), Ipv4Addr::new(100, 64, 0, 2).into(), 64).unwrap()
}

fn template_v6() -> Template {
    let source: Ipv6Addr = "fd00::1".parse().unwrap();
    let destination: Ipv6Addr = "fd00::2".parse().unwrap();
    Template::new(source.into(), destination.into(), 64).unwrap()
}

fn packet(template: &Template, protocol: u8, ecn: Ecn, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; template.header_len()];
    template.rebuild(&mut packet, protocol, ecn, payload.len()).unwrap();
    packet.extend(payload);
    packet
}

fn mend_checksum(packet: &mut [u8]) {
    let header_len = usize::from(packet[0] & 15) * 4;
    packet[10..12].fill(0);
    let sum = checksum::finish(checksum::add(0, &packet[..header_len]));
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// The checksum over an ICMP message as its receiver computes it: 0 when right.
fn icmp_sum(packet: &[u8], outline: &Outline) -> u16 {
    let message = &packet[outline.header_len..];
    let pseudo = match outline.family {
        Family::V4 => 0,
        Family::V6 => checksum::add(message.len() as u32 + 58, &packet[8..40]),
    };
    checksum::finish(checksum::add(pseudo, message))
}

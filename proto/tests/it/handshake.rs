//! Whole handshakes between two of our own ends: agreement, refusals, proofs on demand, and every byte of every message.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use warren_proto::crypto::{Preference, Suite, kdf};
use warren_proto::handshake::{
    Cookie, Established, Gate, HalfOpen, Initiator, LocalIdentity, Received, Responder, Tai64n,
};
use warren_proto::io::Discard;
use warren_proto::keys::{CertificateId, Family, NetworkId, SpiBase, StaticPublic, StaticSecret, UnixTime};
use warren_proto::wire::handshake::Message;

#[test]
fn two_ends_agree_on_everything() {
    let (alice, bob) = (identity(ALICE), identity(BOB));
    let (initiator, init) = start(&alice, None);
    let received = Responder::read_init(&bob, &init).unwrap();
    let (half_open, response) = received.respond(&bob, SPI_B, None, &mut rng(2)).unwrap();
    let established = initiator.read_response(&alice, &response).unwrap();
    let other = half_open.established();

    assert_eq!(half_open.verify_confirm(&established.confirm), Ok(()));
    assert_eq!(established.keys.initiator_to_responder, other.keys.initiator_to_responder);
    assert_eq!(established.keys.responder_to_initiator, other.keys.responder_to_initiator);
    assert_ne!(established.keys.initiator_to_responder, established.keys.responder_to_initiator);
    assert_eq!(established.handshake_hash, other.handshake_hash);
    assert_eq!((established.suite, other.suite), (Suite::Aes256GcmIiv, Suite::Aes256GcmIiv));
    assert_eq!((established.peer_static, other.peer_static), (public(BOB), public(ALICE)));
    assert_eq!((established.peer_spi, other.peer_spi), (SPI_B, SPI_A));
    assert_eq!(*established.export(b"relay"), *other.export(b"relay"));
    assert_ne!(*established.export(b"relay"), *other.export(b"other"));
}

#[test]
fn no_message_is_longer_than_the_one_it_answers() {
    let exchange = Exchange::new(None);

    let cookie = gate().cookie_reply(&exchange.init, b"", &mut rng(4)).unwrap();

    assert_eq!(exchange.init.len(), 168);
    assert_eq!(exchange.response.len(), 112);
    assert_eq!(exchange.established.confirm.len(), 24);
    assert_eq!(cookie.len(), 64);
}

#[test]
fn both_ends_come_to_the_same_suite_whatever_they_wish() {
    let wishes = Suite::ALL.map(Preference::Asked).into_iter().chain([false, true].map(Preference::of_processor));
    let named = |key, wish| LocalIdentity::new(secret(key), certificate(0x11), NetworkId::new(NETWORK), [64, 64], wish);
    for (mine, theirs) in wishes.clone().flat_map(|mine| wishes.clone().map(move |theirs| (mine, theirs))) {
        let (alice, bob) = (named(ALICE, mine), named(BOB, theirs));

        let (initiator, init) = start(&alice, None);
        let (half_open, response) =
            Responder::read_init(&bob, &init).unwrap().respond(&bob, SPI_B, None, &mut rng(2)).unwrap();
        let established = initiator.read_response(&alice, &response).unwrap();

        assert_eq!(half_open.established().suite, established.suite, "{mine:?}, {theirs:?}");
        assert_eq!(half_open.verify_confirm(&established.confirm), Ok(()));
        if let Preference::Asked(suite) = mine {
            assert_eq!(established.suite, suite, "the initiator's person is heard first");
        }
    }
}

#[test]
fn a_psk_both_have_is_used_and_one_that_only_one_end_has_is_not() {
    let agreed = |ours: Option<[u8; 32]>, theirs: Option<[u8; 32]>| {
        let (alice, bob) = (identity(ALICE), identity(BOB));
        let (initiator, init) = start(&alice, ours.as_ref());
        let received = Responder::read_init(&bob, &init).unwrap();
        let (half_open, response) = received.respond(&bob, SPI_B, theirs.as_ref(), &mut rng(2)).unwrap();
        let established = initiator.read_response(&alice, &response)?;
        assert_eq!(half_open.established().psk_used, established.psk_used);
        half_open.verify_confirm(&established.confirm).map(|()| established.psk_used)
    };

    assert_eq!(agreed(None, None), Ok(false));
    assert_eq!(agreed(Some([1; 32]), Some([1; 32])), Ok(true));
    assert_eq!(agreed(Some([1; 32]), None), Ok(false));
    assert_eq!(agreed(None, Some([1; 32])), Err(Discard::Authentication));
    assert_eq!(agreed(Some([1; 32]), Some([2; 32])), Err(Discard::Authentication));
}

#[test]
fn an_init_for_another_key_or_another_network_is_refused() {
    let (_, init) = start(&identity(ALICE), None);
    let elsewhere =
        LocalIdentity::new(secret(BOB), certificate(0x22), NetworkId::new([9; 16]), [64, 64], Preference::default());

    assert_eq!(Responder::read_init(&identity(CAROL), &init).err(), Some(Discard::Mac1));
    assert_eq!(Responder::read_init(&elsewhere, &init).err(), Some(Discard::Authentication));
}

#[test]
fn a_forged_response_does_not_cost_the_true_one_its_chance() {
    let (alice, bob) = (identity(ALICE), identity(BOB));
    let (initiator, init) = start(&alice, None);
    let (_, response) = Responder::read_init(&bob, &init).unwrap().respond(&bob, SPI_B, None, &mut rng(2)).unwrap();
    let mut forged = response.clone();
    forged[50] ^= 1;

    assert_eq!(initiator.read_response(&alice, &forged).err(), Some(Discard::Mac1));
    assert_eq!(initiator.read_response(&alice, &with_mac1(forged, ALICE)).err(), Some(Discard::Authentication));
    assert!(initiator.read_response(&alice, &response).is_ok());
}

#[test]
fn a_response_to_another_init_is_unsolicited() {
    let alice = identity(ALICE);
    let exchange = Exchange::new(None);
    let other_spi = SpiBase::from_random(77);
    let (other, _) = Initiator::start(&alice, &public(BOB), other_spi, timestamp(), None, None, &mut rng(9)).unwrap();

    assert_eq!(other.read_response(&alice, &exchange.response).err(), Some(Discard::Unsolicited));
}

#[test]
fn a_confirm_fits_only_its_own_handshake() {
    let exchange = Exchange::new(None);
    let other = Exchange::with_rng(None, 50);

    assert_eq!(exchange.half_open.verify_confirm(&other.established.confirm), Err(Discard::Authentication));
    assert_eq!(exchange.half_open.verify_confirm(&exchange.established.confirm), Ok(()));
}

#[test]
fn a_changed_response_header_is_noticed_at_confirm() {
    // byte 2 is an unassigned flag, byte 5 a part of the responder's SPI: clear, and outside of Noise
    for position in [2, 5] {
        let (alice, bob) = (identity(ALICE), identity(BOB));
        let (initiator, init) = start(&alice, None);
        let (half_open, mut response) =
            Responder::read_init(&bob, &init).unwrap().respond(&bob, SPI_B, None, &mut rng(2)).unwrap();
        response[position] ^= 0x10;
        let established = initiator.read_response(&alice, &with_mac1(response, ALICE)).unwrap();

        let mut confirm = established.confirm;
        confirm[4..8].copy_from_slice(&SPI_B.get().to_be_bytes());

        assert_eq!(half_open.verify_confirm(&confirm), Err(Discard::Authentication));
    }
}

#[test]
fn a_public_key_of_low_order_is_refused() {
    let (alice, low) = (identity(ALICE), StaticPublic::new([0; 32]));

    let started = Initiator::start(&alice, &low, SPI_A, timestamp(), None, None, &mut rng(1));

    assert_eq!(started.err(), Some(Discard::LowOrder));
}

#[test]
fn an_ephemeral_key_of_low_order_is_refused() {
    let (_, mut init) = start(&identity(ALICE), None);
    init[8..40].fill(0);

    assert_eq!(Responder::read_init(&identity(BOB), &with_mac1(init, BOB)).err(), Some(Discard::LowOrder));
}

#[test]
fn mac1_is_checked_for_init_and_response_only() {
    let exchange = Exchange::new(None);
    let at_bob = gate();
    let at_alice = Gate::new(public(ALICE), &mut rng(3), now());

    assert_eq!(at_bob.check_mac1(&exchange.init), Ok(()));
    assert_eq!(at_alice.check_mac1(&exchange.init), Err(Discard::Mac1));
    assert_eq!(at_alice.check_mac1(&exchange.response), Ok(()));
    assert_eq!(at_bob.check_mac1(&exchange.established.confirm), Err(Discard::Malformed));
}

#[test]
fn under_load_a_cookie_lets_the_next_init_in() {
    let (alice, bob, bobs_gate) = (identity(ALICE), identity(BOB), gate());
    let (initiator, init) = start(&alice, None);
    assert!(!bobs_gate.check_mac2(&init, b"source"));

    let reply = bobs_gate.cookie_reply(&init, b"source", &mut rng(4)).unwrap();
    let cookie = initiator.read_cookie(&reply).unwrap();
    let retry = start_with(&alice, &cookie);

    assert!(!cookie.is_challenge());
    assert!(bobs_gate.check_mac2(&retry, b"source"));
    assert!(!bobs_gate.check_mac2(&retry, b"another source"));
    assert!(!bobs_gate.check_challenge(&retry, b"source"));
    assert!(Responder::read_init(&bob, &retry).is_ok());
}

#[test]
fn a_stale_init_is_challenged_and_its_echo_lets_the_next_one_in() {
    let (alice, bobs_gate) = (identity(ALICE), gate());
    let (initiator, init) = start(&alice, None);
    assert!(!bobs_gate.check_challenge(&init, b"source"));

    let reply = bobs_gate.stale_reply(&init, b"source", &mut rng(4)).unwrap();
    let challenge = initiator.read_cookie(&reply).unwrap();
    let retry = start_with(&alice, &challenge);

    assert!(challenge.is_challenge());
    assert!(bobs_gate.check_challenge(&retry, b"source"));
    assert!(bobs_gate.check_mac2(&retry, b"source"));
    assert!(!bobs_gate.check_challenge(&retry, b"another source"));
}

#[test]
fn a_cookie_is_good_for_two_to_four_minutes() {
    let alice = identity(ALICE);
    let (born, mut random) = (now(), rng(3));
    let mut bobs_gate = Gate::new(public(BOB), &mut random, born);
    let (initiator, init) = start(&alice, None);
    let reply = bobs_gate.cookie_reply(&init, b"source", &mut random).unwrap();
    let retry = start_with(&alice, &initiator.read_cookie(&reply).unwrap());
    let mut good_at = |secs| {
        bobs_gate.rotate(&mut random, born + Duration::from_secs(secs));
        bobs_gate.check_mac2(&retry, b"source")
    };

    assert!(good_at(119));
    assert!(good_at(120));
    assert!(good_at(239));
    assert!(!good_at(240));
}

#[test]
fn a_cookie_from_long_before_does_not_survive_a_quiet_time() {
    let alice = identity(ALICE);
    let (born, mut random) = (now(), rng(3));
    let mut bobs_gate = Gate::new(public(BOB), &mut random, born);
    let (initiator, init) = start(&alice, None);
    let reply = bobs_gate.cookie_reply(&init, b"source", &mut random).unwrap();
    let retry = start_with(&alice, &initiator.read_cookie(&reply).unwrap());

    bobs_gate.rotate(&mut random, born + Duration::from_secs(1000));

    assert!(!bobs_gate.check_mac2(&retry, b"source"));
}

#[test]
fn a_cookie_opens_only_for_the_init_it_answers_and_as_it_was_sent() {
    let alice = identity(ALICE);
    let (initiator, init) = start(&alice, None);
    let (same_spi, _) = Initiator::start(&alice, &public(BOB), SPI_A, timestamp(), None, None, &mut rng(8)).unwrap();
    let (other_spi, _) = Initiator::start(&alice, &public(BOB), SPI_B, timestamp(), None, None, &mut rng(8)).unwrap();
    let reply = gate().cookie_reply(&init, b"source", &mut rng(4)).unwrap();

    assert!(initiator.read_cookie(&reply).is_ok());
    assert_eq!(same_spi.read_cookie(&reply).err(), Some(Discard::Authentication));
    assert_eq!(other_spi.read_cookie(&reply).err(), Some(Discard::Unsolicited));
    for position in 0..reply.len() {
        let mut damaged = reply.clone();
        damaged[position] ^= 1;
        assert!(initiator.read_cookie(&damaged).is_err(), "byte {position}");
    }
}

#[test]
fn every_byte_of_every_message_is_as_it_was() {
    let exchange = Exchange::new(Some([7; 32]));
    let cookie = gate().stale_reply(&exchange.init, b"source", &mut rng(4)).unwrap();
    let keys = &exchange.established.keys;
    let esp = kdf::esp_key_material(&keys.initiator_to_responder, Suite::Aes256GcmIiv, SPI_B.spi(Family::V6));

    let golden = include_str!("vectors/handshake.txt");
    let actual = [
        ("init", hex(&exchange.init)),
        ("response", hex(&exchange.response)),
        ("confirm", hex(&exchange.established.confirm)),
        ("cookie", hex(&cookie)),
        ("handshake-hash", hex(&exchange.established.handshake_hash)),
        ("initiator-to-responder", hex(&*keys.initiator_to_responder)),
        ("responder-to-initiator", hex(&*keys.responder_to_initiator)),
        ("esp-to-responder-v6", hex(&*esp)),
        ("export-test", hex(&*exchange.established.export(b"test"))),
    ];

    let lines: Vec<String> = actual.iter().map(|(name, bytes)| format!("{name} {bytes}")).collect();
    let golden: Vec<&str> = golden.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines, golden);
}

#[test]
fn no_cut_message_is_read() {
    let exchange = Exchange::new(None);
    let cookie = gate().cookie_reply(&exchange.init, b"source", &mut rng(4)).unwrap();

    for message in [&exchange.init, &exchange.response, &exchange.established.confirm, &cookie] {
        for length in 0..message.len() {
            assert!(Message::parse(&message[..length]).is_err());
        }
        assert_eq!(Message::parse(&[&message[..], &[0]].concat()).err(), Some(Discard::Length));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_flipped_bit_of_an_init_survives(position in 0..152_usize, bit in 0..8_u32) {
        let (_, mut init) = start(&identity(ALICE), None);
        init[position] ^= 1 << bit;

        prop_assert!(Responder::read_init(&identity(BOB), &init).is_err());
        if position < 136 {
            prop_assert!(Responder::read_init(&identity(BOB), &with_mac1(init, BOB)).is_err());
        }
    }

    #[test]
    fn no_flipped_bit_of_a_response_gets_past_confirm(position in 0..96_usize, bit in 0..8_u32) {
        let (alice, bob) = (identity(ALICE), identity(BOB));
        let (initiator, init) = start(&alice, None);
        let (half_open, mut response) =
            Responder::read_init(&bob, &init).unwrap().respond(&bob, SPI_B, None, &mut rng(2)).unwrap();
        response[position] ^= 1 << bit;

        prop_assert!(initiator.read_response(&alice, &response).is_err());
        if position < 80 && let Ok(established) = initiator.read_response(&alice, &with_mac1(response, ALICE)) {
            prop_assert!(half_open.verify_confirm(&established.confirm).is_err());
        }
    }

    #[test]
    fn no_flipped_bit_of_a_confirm_survives(position in 0..24_usize, bit in 0..8_u32) {
        let mut exchange = Exchange::new(None);
        exchange.established.confirm[position] ^= 1 << bit;

        prop_assert!(exchange.half_open.verify_confirm(&exchange.established.confirm).is_err());
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_never_verify(
        kind in 0x07..=0x0c_u8,
        length in prop::sample::select(vec![0, 1, 8, 24, 64, 112, 168, 169]),
        mut bytes in prop::collection::vec(any::<u8>(), 200),
        signed: bool,
    ) {
        bytes.truncate(length);
        if let [first, version, ..] = bytes.as_mut_slice() {
            (*first, *version) = (kind, 1);
        }
        if signed && bytes.len() > 32 {
            bytes = with_mac1(bytes, BOB);
        }
        let (bob, exchange) = (identity(BOB), Exchange::new(None));
        let (initiator, _) = start(&bob, None);

        let _ = Message::parse(&bytes);
        let _ = gate().check_mac1(&bytes);
        let _ = gate().cookie_reply(&bytes, b"source", &mut rng(4));
        prop_assert!(!gate().check_mac2(&bytes, b"source"));
        prop_assert!(Responder::read_init(&bob, &bytes).is_err());
        prop_assert!(initiator.read_response(&bob, &bytes).is_err());
        prop_assert!(initiator.read_cookie(&bytes).is_err());
        prop_assert!(exchange.half_open.verify_confirm(&bytes).is_err());
    }
}

/// A handshake of Alice with Bob that went well.
struct Exchange {
    init: Vec<u8>,
    response: Vec<u8>,
    half_open: HalfOpen,
    established: Established,
}

impl Exchange {
    fn new(psk: Option<[u8; 32]>) -> Self {
        Self::with_rng(psk, 1)
    }

    fn with_rng(psk: Option<[u8; 32]>, seed: u8) -> Self {
        let (alice, bob) = (identity(ALICE), identity(BOB));
        let (initiator, init) =
            Initiator::start(&alice, &public(BOB), SPI_A, timestamp(), psk.as_ref(), None, &mut rng(seed))
                .expect("Bob's key is a good point");
        let received: Received = Responder::read_init(&bob, &init).expect("it is for Bob");
        let (half_open, response) =
            received.respond(&bob, SPI_B, psk.as_ref(), &mut rng(seed + 1)).expect("both know all suites");
        let established = initiator.read_response(&alice, &response).expect("it answers this INIT");
        Self { init, response, half_open, established }
    }
}

fn start(local: &LocalIdentity, psk: Option<&[u8; 32]>) -> (Initiator, Vec<u8>) {
    Initiator::start(local, &public(BOB), SPI_A, timestamp(), psk, None, &mut rng(1))
        .expect("Bob's key is a good point")
}

/// The next INIT after a COOKIE.
fn start_with(local: &LocalIdentity, proof: &Cookie) -> Vec<u8> {
    let (_, init) = Initiator::start(local, &public(BOB), SPI_A, timestamp(), None, Some(proof), &mut rng(6))
        .expect("Bob's key is a good point");
    init
}

fn gate() -> Gate {
    Gate::new(public(BOB), &mut rng(3), now())
}

#[expect(clippy::disallowed_methods, reason = "a test needs one first Instant, and Instant has no other constructor")]
fn now() -> Instant {
    Instant::now()
}

/// The message with the mac1 that anyone can make who knows the receiver's public key.
fn with_mac1(mut message: Vec<u8>, receiver: [u8; 32]) -> Vec<u8> {
    use hmac::{Hmac, KeyInit, Mac};
    use sha2::{Digest, Sha256};

    let end = message.len() - 32;
    let key = Sha256::new().chain_update("mac1").chain_update(public(receiver).as_bytes()).finalize();
    let mut mac1 = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes keys of any length");
    mac1.update(&message[..end]);
    message[end..end + 16].copy_from_slice(&mac1.finalize().into_bytes()[..16]);
    message
}

pub(crate) fn identity(key: [u8; 32]) -> LocalIdentity {
    let id = if key == ALICE { 0x11 } else { 0x22 };
    LocalIdentity::new(secret(key), certificate(id), NetworkId::new(NETWORK), [64, 64], Preference::default())
}

fn secret(key: [u8; 32]) -> StaticSecret {
    StaticSecret::new(key)
}

pub(crate) fn public(key: [u8; 32]) -> StaticPublic {
    secret(key).public()
}

fn certificate(byte: u8) -> CertificateId {
    CertificateId::new([byte; 16])
}

pub(crate) fn timestamp() -> Tai64n {
    Tai64n::from_unix(UnixTime::from_secs(1_700_000_000))
}

pub(crate) fn rng(seed: u8) -> ChaCha20Rng {
    ChaCha20Rng::from_seed([seed; 32])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) const NETWORK: [u8; 16] = [0x5a; 16];
pub(crate) const ALICE: [u8; 32] = [0xa1; 32];
pub(crate) const BOB: [u8; 32] = [0xb2; 32];
const CAROL: [u8; 32] = [0xc3; 32];
pub(crate) const SPI_A: SpiBase = SpiBase::from_random(0x1111_1111);
pub(crate) const SPI_B: SpiBase = SpiBase::from_random(0x2222_2222);

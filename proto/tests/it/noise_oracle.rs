//! `snow`, another implementation of the Noise specification, in each role against ours.
//!
//! It knows neither our headers nor our macs, so both are put on here, by other code than the one under test.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use snow::{Builder, HandshakeState};
use warren_proto::handshake::{Initiator, Responder};
use warren_proto::keys::SpiBase;

use crate::handshake::{ALICE, BOB, NETWORK, SPI_A, SPI_B, identity, public, rng, timestamp};

#[test]
fn our_initiator_and_a_foreign_responder_agree() {
    for psk in [None, Some([7; 32])] {
        let (alice, mut random) = (identity(ALICE), rng(1));
        let (ours, init) =
            Initiator::start(&alice, &public(BOB), SPI_A, timestamp(), psk.as_ref(), None, &mut random).unwrap();
        let mut theirs = foreign(&init[..8], &BOB, None, psk, None);

        let mut opened = [0; 200];
        let payload = theirs.read_message(&init[8..136], &mut opened).unwrap();
        let terms = [&[0x22; 16][..], &[64, 64, 0x01, 0x07]].concat();
        let mut noise = [0; 200];
        let length = theirs.write_message(&terms, &mut noise).unwrap();
        let response = framed(&response_header(psk.is_some()), &noise[..length], ALICE);
        let established = ours.read_response(&alice, &response).unwrap();

        assert_eq!(payload, 32);
        assert_eq!(opened[..28], [&timestamp_bytes()[..], &[0x11; 16]].concat());
        assert_eq!(theirs.get_remote_static(), Some(&public(ALICE).as_bytes()[..]));
        assert_eq!(established.certificate_id.as_bytes(), &[0x22; 16]);
        assert_eq!(established.psk_used, psk.is_some());
        assert_eq!(established.handshake_hash, theirs.get_handshake_hash());
        let (initiator_to_responder, responder_to_initiator) = theirs.dangerously_get_raw_split();
        assert_eq!(*established.keys.initiator_to_responder, initiator_to_responder);
        assert_eq!(*established.keys.responder_to_initiator, responder_to_initiator);
    }
}

#[test]
fn a_foreign_initiator_and_our_responder_agree() {
    for psk in [None, Some([7; 32])] {
        let (bob, mut random) = (identity(BOB), rng(2));
        let mut theirs = foreign(&init_header(), &ALICE, Some(BOB), psk, None);
        let payload = [&timestamp_bytes()[..], &[0x33; 16], &[64, 128, 0x01, 0x07]].concat();

        let mut noise = [0; 200];
        let length = theirs.write_message(&payload, &mut noise).unwrap();
        let received = Responder::read_init(&bob, &framed(&init_header(), &noise[..length], BOB)).unwrap();
        assert_eq!(received.peer_static, public(ALICE));
        assert_eq!(received.certificate_id.as_bytes(), &[0x33; 16]);
        assert_eq!(received.peer_ttl, [64, 128]);
        assert_eq!(received.timestamp, timestamp());
        assert_eq!(received.spi, SPI_A);
        let (half_open, response) = received.respond(&bob, SPI_B, psk.as_ref(), &mut random).unwrap();
        theirs.read_message(&response[12..80], &mut noise).unwrap();

        let established = half_open.established();
        assert_eq!(established.handshake_hash, theirs.get_handshake_hash());
        let (initiator_to_responder, responder_to_initiator) = theirs.dangerously_get_raw_split();
        assert_eq!(*established.keys.initiator_to_responder, initiator_to_responder);
        assert_eq!(*established.keys.responder_to_initiator, responder_to_initiator);
    }
}

#[test]
fn with_the_same_ephemeral_key_both_write_the_same_init() {
    let ephemeral = {
        use rand_core::Rng;
        let mut bytes = [0; 32];
        rng(1).fill_bytes(&mut bytes);
        bytes
    };
    let (_, ours) =
        Initiator::start(&identity(ALICE), &public(BOB), SPI_A, timestamp(), None, None, &mut rng(1)).unwrap();
    let mut theirs = foreign(&init_header(), &ALICE, Some(BOB), None, Some(&ephemeral));

    let payload = [&timestamp_bytes()[..], &[0x11; 16], &[64, 64, 0x01, 0x07]].concat();
    let mut noise = [0; 200];
    let length = theirs.write_message(&payload, &mut noise).unwrap();

    assert_eq!(ours, framed(&init_header(), &noise[..length], BOB));
}

/// The other implementation, as initiator if it is told a responder.
fn foreign(
    header: &[u8],
    secret: &[u8; 32],
    responder: Option<[u8; 32]>,
    psk: Option<[u8; 32]>,
    ephemeral: Option<&[u8; 32]>,
) -> HandshakeState {
    let prologue = [b"mesh-esp v1", &NETWORK[..], header].concat();
    let remote = responder.map(public);
    let psk = psk.unwrap_or_default();
    let name = "Noise_IKpsk2_25519_AESGCM_SHA256".parse().expect("a Noise protocol name");
    let mut builder = Builder::new(name)
        .prologue(&prologue)
        .and_then(|builder| builder.local_private_key(secret))
        .and_then(|builder| builder.psk(2, &psk))
        .expect("each is set once");
    if let Some(ephemeral) = ephemeral {
        builder = builder.fixed_ephemeral_key_for_testing_only(ephemeral);
    }
    let state = match &remote {
        Some(remote) => builder.remote_public_key(remote.as_bytes()).and_then(|builder| builder.build_initiator()),
        None => builder.build_responder(),
    };
    state.expect("all that the pattern needs is there")
}

/// Header, Noise message, mac1 for `receiver`, no mac2.
fn framed(header: &[u8], noise: &[u8], receiver: [u8; 32]) -> Vec<u8> {
    let mut message = [header, noise].concat();
    let key = Sha256::new().chain_update("mac1").chain_update(public(receiver).as_bytes()).finalize();
    let mut mac1 = Hmac::<Sha256>::new_from_slice(&key).expect("any length");
    mac1.update(&message);
    message.extend_from_slice(&mac1.finalize().into_bytes()[..16]);
    message.extend_from_slice(&[0; 16]);
    message
}

fn init_header() -> [u8; 8] {
    let [a, b, c, d] = SPI_A.get().to_be_bytes();
    [0x08, 1, 0, 0, a, b, c, d]
}

fn response_header(psk_used: bool) -> [u8; 12] {
    let spi = |base: SpiBase| base.get().to_be_bytes();
    let [a, b, c, d] = spi(SPI_B);
    let [e, f, g, h] = spi(SPI_A);
    [0x09, 1, 0, u8::from(psk_used), a, b, c, d, e, f, g, h]
}

/// `timestamp` written out: 2^62 + 10 + 1,700,000,000 seconds.
fn timestamp_bytes() -> [u8; 12] {
    [0x40, 0, 0, 0, 0x65, 0x53, 0xf1, 0x0a, 0, 0, 0, 0]
}

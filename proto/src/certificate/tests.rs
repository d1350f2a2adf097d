//! What a certificate promises, with the bytes of one written out.

use proptest::prelude::*;

use super::*;

#[test]
fn the_bytes_of_a_certificate_are_as_documented() {
    let bytes = sample().sign(&signer()).unwrap();

    let expected = concat!(
        "01",
        "a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0",
        "b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0",
        "c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0",
        "d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0",
        "64400001",
        "fd000000000000000000000000000001",
        "00000000000f4240",
        "00000000001e8480",
        "0000000000000007",
        "066c6170746f70",
        "02",
        "0418c0a80100",
        "063020010db8000100000000000000000000",
        "e0f904e9e7301fc97ed76b15e71ae3077812c3a4abbc63d163946873123a29f4",
        "4fca1c653b1e9b133812ebe2c101a45d793050df3129932c32c6be41f8b23006",
    );
    assert_eq!(hex(&bytes), expected);
}

#[test]
fn a_signed_certificate_verifies_to_what_was_signed() {
    let bytes = sample().sign(&signer()).unwrap();

    let verified = verify(&bytes).unwrap();

    assert_eq!(*verified, sample());
    assert_eq!(verified.encoded(), bytes);
    assert_eq!(verified.id().to_string(), "b59c190cd6445c871f1492dedff5b868");
}

#[test]
fn the_largest_certificate_stays_below_the_limit() {
    let routes = (0..32).map(|index| (IpAddr::from([0xfd00, index, 0, 0, 0, 0, 0, 0]), 32)).collect();
    let certificate = Certificate { name: "a".repeat(63), routes, ..sample() };

    let bytes = certificate.sign(&signer()).unwrap();

    assert!(bytes.len() <= MAX_CERTIFICATE, "{}", bytes.len());
    assert_eq!(*verify(&bytes).unwrap(), certificate);
}

#[test]
fn a_certificate_is_believed_only_in_its_time() {
    let bytes = sample().sign(&signer()).unwrap();
    let at = |secs| {
        VerifiedCertificate::verify(&bytes, &sample().network, &signer().public(), UnixTime::from_secs(secs)).err()
    };

    assert_eq!(at(1_000_000 - 3_601), Some(CertificateError::NotYetValid));
    assert_eq!(at(1_000_000 - 3_600), None);
    assert_eq!(at(1_999_999), None);
    assert_eq!(at(2_000_000), Some(CertificateError::Expired));
}

#[test]
fn another_network_or_another_signer_is_refused() {
    let bytes = sample().sign(&signer()).unwrap();
    let stranger = NetworkSigner::new(&[2; 32]);

    let other_network = VerifiedCertificate::verify(&bytes, &NetworkId::new([0; 16]), &signer().public(), valid_time());
    let other_signer = VerifiedCertificate::verify(&bytes, &sample().network, &stranger.public(), valid_time());

    assert_eq!(other_network, Err(CertificateError::Network));
    assert_eq!(other_signer, Err(CertificateError::Signature));
}

#[test]
fn names_are_dns_labels_in_lower_case() {
    for good in ["a", "laptop", "pi-4", "0", &"x".repeat(63)] {
        assert!(is_valid_name(good), "{good}");
    }
    for bad in ["", "-a", "a-", "Laptop", "a.b", "a_b", "é", " a", &"x".repeat(64)] {
        assert!(!is_valid_name(bad), "{bad}");
        let certificate = Certificate { name: bad.to_owned(), ..sample() };
        assert_eq!(certificate.sign(&signer()), Err(CertificateError::Name));
    }
}

#[test]
fn routes_that_are_no_prefixes_are_not_signed() {
    let long = vec![(IpAddr::from([10, 0, 0, 0]), 8); MAX_ROUTES + 1];
    let one = |address: &str, prefix| vec![(address.parse().unwrap(), prefix)];

    for routes in [long, one("10.0.0.1", 8), one("10.0.0.0", 33), one("2001:db8::1", 64), one("::", 129)] {
        let certificate = Certificate { routes, ..sample() };
        assert_eq!(certificate.sign(&signer()), Err(CertificateError::Route));
    }
    for routes in [one("0.0.0.0", 0), one("::", 0), one("10.0.0.1", 32), one("2001:db8::1", 128)] {
        let certificate = Certificate { routes, ..sample() };
        assert_eq!(*verify(&certificate.sign(&signer()).unwrap()).unwrap(), certificate);
    }
}

#[test]
fn signed_bytes_that_break_the_layout_are_refused() {
    let body = encode::encode(&sample()).unwrap();
    let resigned = |change: fn(&mut Vec<u8>)| {
        let mut bytes = body.clone();
        change(&mut bytes);
        let signature = signer().sign(&signed_text(&bytes));
        bytes.extend_from_slice(&signature);
        verify(&bytes).err()
    };

    assert_eq!(resigned(|_| ()), None);
    assert_eq!(resigned(|bytes| bytes[0] = 2), Some(CertificateError::Encoding));
    assert_eq!(resigned(|bytes| bytes.push(0)), Some(CertificateError::Encoding));
    assert_eq!(resigned(|bytes| bytes.truncate(100)), Some(CertificateError::Encoding));
    assert_eq!(resigned(|bytes| bytes[142] = b'L'), Some(CertificateError::Name));
    assert_eq!(resigned(|bytes| bytes[148] = 33), Some(CertificateError::Route));
    assert_eq!(resigned(|bytes| bytes[149] = 5), Some(CertificateError::Route));
}

#[test]
fn an_identity_key_signs_what_its_public_half_verifies() {
    let identity = IdentitySecret::new(&[3; 32]);

    let signature = identity.sign(b"label and message");

    assert!(verify_identity(&identity.public(), b"label and message", &signature));
    assert!(!verify_identity(&identity.public(), b"label and massage", &signature));
    assert!(!verify_identity(&IdentityPublic::new([0; 32]), b"label and message", &[0; 64]));
}

proptest! {
    #[test]
    fn no_flipped_bit_survives(position in 0..1000_usize, bit in 0..8_u32) {
        let mut bytes = sample().sign(&signer()).unwrap();
        let position = position % bytes.len();
        bytes[position] ^= 1 << bit;

        prop_assert!(verify(&bytes).is_err());
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_decode_to_one_meaning(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(verify(&bytes).is_err());
        if let Ok(certificate) = encode::decode(&bytes) {
            prop_assert_eq!(encode::encode(&certificate).unwrap(), bytes);
        }
    }

    #[test]
    fn a_damaged_body_never_panics(position in 0..1000_usize, value: u8, keep in 0..1000_usize) {
        let mut body = encode::encode(&sample()).unwrap();
        let position = position % body.len();
        body[position] = value;
        body.truncate(keep);

        if let Ok(certificate) = encode::decode(&body) {
            prop_assert_eq!(encode::encode(&certificate).unwrap(), body);
        }
    }
}

fn sample() -> Certificate {
    Certificate {
        network: NetworkId::new([0xa0; 16]),
        node: NodeId::new([0xb0; 16]),
        name: "laptop".to_owned(),
        v4: Ipv4Addr::new(100, 64, 0, 1),
        v6: "fd00::1".parse().unwrap(),
        static_key: StaticPublic::new([0xc0; 32]),
        identity_key: IdentityPublic::new([0xd0; 32]),
        routes: vec![("192.168.1.0".parse().unwrap(), 24), ("2001:db8:1::".parse().unwrap(), 48)],
        not_before: UnixTime::from_secs(1_000_000),
        not_after: UnixTime::from_secs(2_000_000),
        epoch: 7,
    }
}

fn signer() -> NetworkSigner {
    NetworkSigner::new(&[1; 32])
}

fn valid_time() -> UnixTime {
    UnixTime::from_secs(1_500_000)
}

fn verify(bytes: &[u8]) -> Result<VerifiedCertificate, CertificateError> {
    VerifiedCertificate::verify(bytes, &sample().network, &signer().public(), valid_time())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

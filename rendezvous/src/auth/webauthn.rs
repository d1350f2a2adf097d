//! Passkeys: what an authenticator must have said and signed (Web Authentication level 2), checked with `ring`.
//!
//! No attestation is asked for: which make an authenticator is does not matter here, so the key it made is taken from the
//! page's script as the browser gives it (section 5.2.1.1), in the session that adds it. Challenges are `actions`' to make
//! and to take once.

use std::net::IpAddr;

use data_encoding::BASE64URL_NOPAD;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// The site that a passkey is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RelyingParty {
    /// Its domain: a passkey of one is none of another.
    pub(crate) id: String,
    /// Where its pages are.
    pub(crate) origin: String,
}

/// Why passkeys cannot be used in this request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum NoRelyingParty {
    /// The server is reached by an address, and browsers know passkeys for domains only.
    BareAddress,
    /// The server has a domain, and the browser used another way; this is where to go.
    Elsewhere(String),
}

impl RelyingParty {
    /// The site that a request to `host` (as in the header) belongs to, where `web_url` is what the server is called.
    pub(crate) fn of(host: &str, is_secure: bool, web_url: &str) -> Result<Self, NoRelyingParty> {
        let name = without_port(host).to_ascii_lowercase();
        let own = without_port(web_url.split_once("://").map_or(web_url, |(_, rest)| rest)).to_ascii_lowercase();
        let is_local = name == "localhost" || name.ends_with(".localhost");
        if is_local || (name == own && is_secure && !is_address(&name)) {
            let scheme = if is_secure { "https" } else { "http" };
            return Ok(Self { id: name, origin: format!("{scheme}://{}", host.to_ascii_lowercase()) });
        }
        if is_address(&own) {
            return Err(NoRelyingParty::BareAddress);
        }
        Err(NoRelyingParty::Elsewhere(web_url.to_owned()))
    }
}

fn without_port(host: &str) -> &str {
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split(':').next().unwrap_or_default(),
    }
}

fn is_address(name: &str) -> bool {
    name.parse::<IpAddr>().is_ok()
}

/// What the authenticator and the browser say of a new passkey.
#[derive(Debug)]
pub(crate) struct Registration<'a> {
    pub(crate) id: &'a [u8],
    pub(crate) client_data: &'a [u8],
    pub(crate) authenticator_data: &'a [u8],
    pub(crate) public_key: &'a [u8],
    pub(crate) algorithm: i64,
}

/// What the authenticator and the browser say to sign somebody in.
#[derive(Debug)]
pub(crate) struct Assertion<'a> {
    pub(crate) client_data: &'a [u8],
    pub(crate) authenticator_data: &'a [u8],
    pub(crate) signature: &'a [u8],
}

/// What is wrong with what came.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Wrong {
    /// For another challenge than ours.
    #[error("the challenge is not the one that was given")]
    Challenge,
    /// The authenticator has counted less than it had before: there are two of it.
    #[error("the authenticator's counter went back")]
    Counter,
    /// A kind of key that we do not know, or none.
    #[error("the public key is of no known kind")]
    Key,
    /// Of another site, or another kind of ceremony.
    #[error("what was signed is for another site or purpose")]
    Purpose,
    /// Not signed by the passkey.
    #[error("the signature is wrong")]
    Signature,
    /// Shorter than it must be, or not what it must be made of.
    #[error("the authenticator's data cannot be read")]
    Unreadable,
    /// Nobody unlocked the authenticator.
    #[error("the authenticator has not verified its user")]
    Unverified,
}

/// The challenge in what a browser signed, to look up which ceremony it belongs to.
pub(crate) fn challenge_in(client_data: &[u8]) -> Option<[u8; 32]> {
    let data: ClientData = serde_json::from_slice(client_data).ok()?;
    BASE64URL_NOPAD.decode(data.challenge.as_bytes()).ok()?.try_into().ok()
}

impl Registration<'_> {
    /// Whether it is a new passkey for this site and challenge; the authenticator's counter if so.
    pub(crate) fn check(&self, site: &RelyingParty, challenge: &[u8; 32]) -> Result<u32, Wrong> {
        check_client_data(self.client_data, "webauthn.create", site, challenge)?;
        let data = AuthenticatorData::read(self.authenticator_data, site)?;
        // the attested credential: AAGUID, length, id (section 6.5.1)
        let attested = self.authenticator_data.get(HEADER_LEN..).unwrap_or_default();
        let length = attested.get(16..18).map(|bytes| usize::from(bytes[0]) << 8 | usize::from(bytes[1]));
        let id = length.and_then(|length| attested.get(18..18 + length)).ok_or(Wrong::Unreadable)?;
        if id != self.id || id.is_empty() || id.len() > MAX_ID {
            return Err(Wrong::Unreadable);
        }
        verifier(self.public_key, self.algorithm)?;
        Ok(data.counter)
    }
}

impl Assertion<'_> {
    /// Whether the passkey signed this challenge for this site; the authenticator's counter if so.
    pub(crate) fn check(
        &self,
        site: &RelyingParty,
        challenge: &[u8; 32],
        (public_key, algorithm): (&[u8], i64),
        counted: u32,
    ) -> Result<u32, Wrong> {
        check_client_data(self.client_data, "webauthn.get", site, challenge)?;
        let data = AuthenticatorData::read(self.authenticator_data, site)?;
        let signed = [self.authenticator_data, &Sha256::digest(self.client_data)].concat();
        let (algorithm, key) = verifier(public_key, algorithm)?;
        UnparsedPublicKey::new(algorithm, key).verify(&signed, self.signature).map_err(|_| Wrong::Signature)?;
        // section 6.1.1: 0 is an authenticator that does not count
        if (data.counter > 0 || counted > 0) && data.counter <= counted {
            return Err(Wrong::Counter);
        }
        Ok(data.counter)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    r#type: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: bool,
}

fn check_client_data(bytes: &[u8], kind: &str, site: &RelyingParty, challenge: &[u8; 32]) -> Result<(), Wrong> {
    let data: ClientData = serde_json::from_slice(bytes).map_err(|_| Wrong::Unreadable)?;
    if data.r#type != kind || data.origin != site.origin || data.cross_origin {
        return Err(Wrong::Purpose);
    }
    if data.challenge != BASE64URL_NOPAD.encode(challenge) {
        return Err(Wrong::Challenge);
    }
    Ok(())
}

/// The fixed part: hash of the site, flags, counter (section 6.1).
struct AuthenticatorData {
    counter: u32,
}

impl AuthenticatorData {
    fn read(bytes: &[u8], site: &RelyingParty) -> Result<Self, Wrong> {
        let (header, _) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(Wrong::Unreadable)?;
        if header[..32] != Sha256::digest(site.id.as_bytes())[..] {
            return Err(Wrong::Purpose);
        }
        if header[32] & (USER_PRESENT | USER_VERIFIED) != USER_PRESENT | USER_VERIFIED {
            return Err(Wrong::Unverified);
        }
        let [.., a, b, c, d] = *header;
        Ok(Self { counter: u32::from_be_bytes([a, b, c, d]) })
    }
}

/// How to verify by a SubjectPublicKeyInfo: the part of it that is the key, and the algorithm.
fn verifier(spki: &[u8], algorithm: i64) -> Result<(&'static dyn VerificationAlgorithm, &[u8]), Wrong> {
    match algorithm {
        ES256 => match spki.strip_prefix(P256_PREFIX) {
            Some(point) if point.len() == 65 => Ok((&ECDSA_P256_SHA256_ASN1, point)),
            _ => Err(Wrong::Key),
        },
        EDDSA => match spki.strip_prefix(ED25519_PREFIX) {
            Some(key) if key.len() == 32 => Ok((&ED25519, key)),
            _ => Err(Wrong::Key),
        },
        RS256 => rsa_key(spki).map(|key| (&RSA_PKCS1_2048_8192_SHA256 as _, key)).ok_or(Wrong::Key),
        _ => Err(Wrong::Key),
    }
}

/// The RSAPublicKey within: both lengths around it take two bytes for every size of key that is accepted.
fn rsa_key(spki: &[u8]) -> Option<&[u8]> {
    let (outer, rest) = spki.split_at_checked(4)?;
    let (bits, key) = rest.strip_prefix(RSA_ALGORITHM)?.split_at_checked(5)?;
    (outer[..2] == [0x30, 0x82] && bits[..2] == [0x03, 0x82] && bits[4] == 0).then_some(key)
}

/// COSE's numbers (RFC 9053 section 2, RFC 8812 section 2), in the order in which the page asks for them.
pub(crate) const ALGORITHMS: [i64; 3] = [ES256, EDDSA, RS256];
const ES256: i64 = -7;
const EDDSA: i64 = -8;
const RS256: i64 = -257;
const HEADER_LEN: usize = 37;
const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 4;
/// Longest credential id (section 4).
const MAX_ID: usize = 1023;
/// SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING (RFC 5480 section 2).
const P256_PREFIX: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// SEQUENCE { SEQUENCE { id-Ed25519 }, BIT STRING (RFC 8410 section 4).
const ED25519_PREFIX: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// SEQUENCE { rsaEncryption, NULL } (RFC 3279 section 2.3.1).
const RSA_ALGORITHM: &[u8] =
    &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

    use super::*;

    struct Authenticator {
        pair: EcdsaKeyPair,
        rng: SystemRandom,
    }

    impl Authenticator {
        fn new() -> Self {
            let rng = SystemRandom::new();
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &rng).unwrap();
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &rng).unwrap();
            Self { pair, rng }
        }

        fn spki(&self) -> Vec<u8> {
            [P256_PREFIX, self.pair.public_key().as_ref()].concat()
        }

        fn sign(&self, data: &[u8], client_data: &[u8]) -> Vec<u8> {
            let signed = [data, &Sha256::digest(client_data)].concat();
            self.pair.sign(&self.rng, &signed).unwrap().as_ref().to_vec()
        }
    }

    fn site() -> RelyingParty {
        RelyingParty::of("vpn.example.org", true, "https://vpn.example.org").unwrap()
    }

    fn client_data(kind: &str, origin: &str, challenge: &[u8; 32]) -> Vec<u8> {
        let challenge = BASE64URL_NOPAD.encode(challenge);
        format!(r#"{{"type":"{kind}","challenge":"{challenge}","origin":"{origin}","crossOrigin":false,"x":1}}"#)
            .into_bytes()
    }

    fn data(site: &str, flags: u8, counter: u32, rest: &[u8]) -> Vec<u8> {
        [Sha256::digest(site.as_bytes()).as_slice(), &[flags], &counter.to_be_bytes(), rest].concat()
    }

    const CHALLENGE: [u8; 32] = [9; 32];
    const ORIGIN: &str = "https://vpn.example.org";

    #[test]
    fn an_assertion_counts_only_for_its_site_challenge_key_and_user() {
        let (ours, other) = (Authenticator::new(), Authenticator::new());
        let good_data = data("vpn.example.org", 5, 8, &[]);
        let good_client = client_data("webauthn.get", ORIGIN, &CHALLENGE);
        let judge = |data: &[u8], client: &[u8], signer: &Authenticator, counted| {
            let signature = signer.sign(data, client);
            let assertion = Assertion { client_data: client, authenticator_data: data, signature: &signature };
            assertion.check(&site(), &CHALLENGE, (&ours.spki(), ES256), counted)
        };

        assert_eq!(judge(&good_data, &good_client, &ours, 7), Ok(8));
        assert_eq!(judge(&good_data, &good_client, &ours, 8), Err(Wrong::Counter));
        assert_eq!(judge(&good_data, &good_client, &other, 7), Err(Wrong::Signature));
        assert_eq!(judge(&data("evil.example", 5, 8, &[]), &good_client, &ours, 7), Err(Wrong::Purpose));
        assert_eq!(judge(&data("vpn.example.org", 1, 8, &[]), &good_client, &ours, 7), Err(Wrong::Unverified));
        assert_eq!(judge(&good_data[..36], &good_client, &ours, 7), Err(Wrong::Unreadable));
        assert_eq!(judge(&data("vpn.example.org", 5, 0, &[]), &good_client, &ours, 0), Ok(0));
        for (kind, origin, challenge, wrong) in [
            ("webauthn.create", ORIGIN, CHALLENGE, Wrong::Purpose),
            ("webauthn.get", "https://vpn.example.org.evil.example", CHALLENGE, Wrong::Purpose),
            ("webauthn.get", ORIGIN, [8; 32], Wrong::Challenge),
        ] {
            assert_eq!(judge(&good_data, &client_data(kind, origin, &challenge), &ours, 7), Err(wrong));
        }
    }

    #[test]
    fn a_registration_names_the_key_that_it_brings() {
        let authenticator = Authenticator::new();
        let client = client_data("webauthn.create", ORIGIN, &CHALLENGE);
        let attested = [&[0; 16][..], &[0, 3], b"key", b"cose"].concat();
        let data = data("vpn.example.org", 0x45, 0, &attested);
        let spki = authenticator.spki();
        let judge = |id: &[u8], key: &[u8], algorithm| {
            let registration =
                Registration { id, client_data: &client, authenticator_data: &data, public_key: key, algorithm };
            registration.check(&site(), &CHALLENGE)
        };

        assert_eq!(judge(b"key", &spki, ES256), Ok(0));
        assert_eq!(judge(b"kex", &spki, ES256), Err(Wrong::Unreadable));
        assert_eq!(judge(b"key", &spki[1..], ES256), Err(Wrong::Key));
        assert_eq!(judge(b"key", &spki, EDDSA), Err(Wrong::Key));
        assert_eq!(judge(b"key", &spki, -65535), Err(Wrong::Key));
    }

    #[test]
    fn an_rsa_key_is_found_in_its_wrapping() {
        let key = [7; 270];
        let spki = [&[0x30, 0x82, 1, 0x22], RSA_ALGORITHM, &[0x03, 0x82, 1, 0x0f, 0], &key].concat();

        assert_eq!(rsa_key(&spki), Some(&key[..]));
        assert_eq!(rsa_key(&spki[..18]), None);
        assert_eq!(rsa_key(&[]), None);
    }

    #[test]
    fn passkeys_are_for_the_domain_of_the_server_or_for_localhost() {
        let url = "https://vpn.example.org:8443";
        let of = |host, is_secure, url| RelyingParty::of(host, is_secure, url);
        let party = |id: &str, origin: &str| Ok(RelyingParty { id: id.to_owned(), origin: origin.to_owned() });

        assert_eq!(of("VPN.example.org:8443", true, url), party("vpn.example.org", "https://vpn.example.org:8443"));
        assert_eq!(of("localhost:8080", false, url), party("localhost", "http://localhost:8080"));
        assert_eq!(of("192.0.2.1:8443", true, url), Err(NoRelyingParty::Elsewhere(url.to_owned())));
        assert_eq!(of("evil.example", true, url), Err(NoRelyingParty::Elsewhere(url.to_owned())));
        assert_eq!(of("vpn.example.org", false, url), Err(NoRelyingParty::Elsewhere(url.to_owned())));
        assert_eq!(of("192.0.2.1", true, "https://192.0.2.1"), Err(NoRelyingParty::BareAddress));
        assert_eq!(of("[2001:db8::1]:443", true, "https://[2001:db8::1]"), Err(NoRelyingParty::BareAddress));
    }
}

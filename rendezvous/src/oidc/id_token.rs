//! Whether an ID token holds (OpenID Connect Core section 3.1.3.7): signed by a key of the provider, for us, now, and in
//! answer to our request.

use std::collections::BTreeMap;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::Value;
use warren_proto::keys::UnixTime;

use super::OidcError;

/// The provider's keys.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct KeySet {
    keys: Vec<Key>,
}

#[derive(Clone, Debug, Deserialize)]
struct Key {
    kty: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    r#use: Option<String>,
    #[serde(default)]
    crv: String,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
    #[serde(default)]
    x: String,
    #[serde(default)]
    y: String,
}

/// What a token says that holds.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Claims {
    iss: String,
    /// The person, for ever, among those of the provider.
    pub(crate) sub: String,
    aud: Value,
    #[serde(default)]
    azp: Option<String>,
    exp: f64,
    #[serde(default)]
    nonce: Option<String>,
    #[serde(default)]
    preferred_username: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

impl Claims {
    /// What the provider would have the person called; no proof of anything.
    pub(crate) fn name(&self) -> &str {
        [&self.preferred_username, &self.email].into_iter().flatten().find(|name| !name.is_empty()).unwrap_or(&self.sub)
    }

    /// The text or texts of a claim, also of one inside another (`realm_access.roles`).
    pub(crate) fn texts(&self, claim: &str) -> Vec<String> {
        let mut parts = claim.split('.');
        let first = parts.next().and_then(|name| self.others.get(name));
        let found = parts.fold(first, |value, name| value.and_then(|value| value.get(name)));
        match found {
            Some(Value::String(text)) => vec![text.clone()],
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    }
}

/// What the token must say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
}

/// Whether the set has the key that the token names: if not, the provider may have made new ones.
pub(super) fn has_key(token: &str, keys: &KeySet) -> bool {
    header(token).is_ok_and(|header| candidates(&header, keys).next().is_some())
}

/// The claims of a token that holds.
pub(super) fn verify(token: &str, keys: &KeySet, expected: Expected<'_>, now: UnixTime) -> Result<Claims, OidcError> {
    let header = header(token)?;
    let (signed, signature) = token.rsplit_once('.').ok_or(OidcError::Answer("the ID token is no JWT"))?;
    let signature = decode(signature)?;
    if !candidates(&header, keys).any(|key| key.verifies(&header.alg, signed.as_bytes(), &signature)) {
        return Err(OidcError::Answer("the ID token is signed by none of the provider's keys"));
    }
    let payload = decode(signed.rsplit('.').next().unwrap_or_default())?;
    let claims: Claims =
        serde_json::from_slice(&payload).map_err(|_| OidcError::Answer("the ID token's claims cannot be read"))?;
    let alone = claims.aud.as_str().is_some_and(|one| one == expected.client_id);
    let among = claims.aud.as_array().is_some_and(|all| {
        all.iter().any(|one| one == expected.client_id)
            && (all.len() == 1 || claims.azp.as_deref() == Some(expected.client_id))
    });
    let ends = UnixTime::new(Duration::try_from_secs_f64(claims.exp).unwrap_or_default());
    if claims.iss != expected.issuer {
        return Err(OidcError::Answer("the ID token is of another issuer"));
    }
    if !alone && !among {
        return Err(OidcError::Answer("the ID token is for somebody else"));
    }
    if ends.plus(SKEW) <= now {
        return Err(OidcError::Answer("the ID token has expired"));
    }
    if claims.nonce.as_deref() != Some(expected.nonce) {
        return Err(OidcError::Answer("the ID token answers another request"));
    }
    if claims.sub.is_empty() || claims.sub.len() > MAX_SUBJECT {
        return Err(OidcError::Answer("the ID token names nobody"));
    }
    Ok(claims)
}

fn header(token: &str) -> Result<Header, OidcError> {
    let bytes = decode(token.split('.').next().unwrap_or_default())?;
    serde_json::from_slice(&bytes).map_err(|_| OidcError::Answer("the ID token is no JWT"))
}

fn candidates<'a>(header: &'a Header, keys: &'a KeySet) -> impl Iterator<Item = &'a Key> {
    let named = move |key: &&Key| header.kid.is_none() || key.kid == header.kid;
    keys.keys.iter().filter(|key| key.r#use.as_deref().is_none_or(|purpose| purpose == "sig")).filter(named)
}

impl Key {
    /// The algorithm must be one for this kind of key: a token does not choose how it is verified.
    fn verifies(&self, algorithm: &str, signed: &[u8], signature: &[u8]) -> bool {
        let part = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).unwrap_or_default();
        match (algorithm, self.kty.as_str(), self.crv.as_str()) {
            ("RS256", "RSA", _) => RsaPublicKeyComponents { n: part(&self.n), e: part(&self.e) }
                .verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature)
                .is_ok(),
            ("ES256", "EC", "P-256") => {
                let point = [&[4][..], &part(&self.x), &part(&self.y)].concat();
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed, signature).is_ok()
            }
            ("EdDSA", "OKP", "Ed25519") => {
                UnparsedPublicKey::new(&ED25519, part(&self.x)).verify(signed, signature).is_ok()
            }
            _ => false,
        }
    }
}

fn decode(text: &str) -> Result<Vec<u8>, OidcError> {
    BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| OidcError::Answer("the ID token is no JWT"))
}

/// Clocks of two servers that follow NTP differ by far less.
const SKEW: Duration = Duration::from_secs(60);
/// Core section 2: "It MUST NOT exceed 255 ASCII characters in length."
const MAX_SUBJECT: usize = 255;

#[cfg(test)]
mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair as _};
    use serde_json::json;

    use super::*;

    const EXPECTED: Expected<'_> = Expected { issuer: "https://id.example", client_id: "warren", nonce: "n" };
    const NOW: UnixTime = UnixTime::from_secs(1000);

    fn pair() -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap()
    }

    fn keys() -> KeySet {
        let x = BASE64URL_NOPAD.encode(pair().public_key().as_ref());
        serde_json::from_value(json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "a", "x": x }] })).unwrap()
    }

    fn token(header: &Value, claims: &Value) -> String {
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = BASE64URL_NOPAD.encode(pair().sign(signed.as_bytes()).as_ref());
        format!("{signed}.{signature}")
    }

    fn claims() -> Value {
        json!({ "iss": "https://id.example", "sub": "7", "aud": "warren", "exp": 1100, "nonce": "n",
            "preferred_username": "ada", "groups": ["a", 7, "b"], "realm_access": { "roles": ["x"] } })
    }

    fn judged(header: &Value, claims: &Value) -> Result<Claims, &'static str> {
        verify(&token(header, claims), &keys(), EXPECTED, NOW).map_err(|error| match error {
            OidcError::Answer(why) => why,
            OidcError::World(_) => unreachable!(),
        })
    }

    #[test]
    fn a_token_that_holds_says_who_it_is() {
        let good = judged(&json!({ "alg": "EdDSA", "kid": "a" }), &claims()).unwrap();

        assert_eq!((good.sub.as_str(), good.name()), ("7", "ada"));
        assert_eq!(good.texts("groups"), ["a", "b"]);
        assert_eq!(good.texts("realm_access.roles"), ["x"]);
        assert!(good.texts("none").is_empty());
    }

    #[test]
    fn a_token_for_somebody_else_or_another_time_or_request_does_not_hold() {
        let header = json!({ "alg": "EdDSA", "kid": "a" });
        for (claim, value, why) in [
            ("iss", json!("https://evil.example"), "another issuer"),
            ("aud", json!("other"), "somebody else"),
            ("aud", json!(["warren", "other"]), "somebody else"),
            ("exp", json!(940), "expired"),
            ("nonce", json!("m"), "another request"),
            ("nonce", json!(null), "another request"),
            ("sub", json!(""), "nobody"),
        ] {
            let mut changed = claims();
            changed[claim] = value;

            assert!(judged(&header, &changed).unwrap_err().contains(why), "{changed}");
        }
        let mut several = claims();
        several["aud"] = json!(["warren", "other"]);
        several["azp"] = json!("warren");
        assert!(judged(&header, &several).is_ok());
    }

    #[test]
    fn a_token_does_not_choose_how_it_is_verified() {
        for header in [
            json!({ "alg": "none" }),
            json!({ "alg": "HS256", "kid": "a" }),
            json!({ "alg": "RS256", "kid": "a" }),
            json!({ "alg": "EdDSA", "kid": "b" }),
        ] {
            assert!(judged(&header, &claims()).unwrap_err().contains("none of the provider's keys"), "{header}");
        }
        let good = token(&json!({ "alg": "EdDSA" }), &claims());
        let (signed, _) = good.rsplit_once('.').unwrap();
        assert!(verify(&format!("{signed}."), &keys(), EXPECTED, NOW).is_err());
        assert!(verify("", &keys(), EXPECTED, NOW).is_err() && verify("a.b.c", &keys(), EXPECTED, NOW).is_err());
    }
}

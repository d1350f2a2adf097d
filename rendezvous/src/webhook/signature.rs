//! The proof that a message comes from this server, and when it was made: HMAC-SHA256 over `timestamp.body`.

use data_encoding::HEXLOWER;
use ring::hmac;

/// The `Warren-Signature` of a body that is sent at this Unix time.
pub(super) fn sign(secret: &str, timestamp: u64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{timestamp}.{body}").as_bytes());
    format!("t={timestamp},v1={}", HEXLOWER.encode(tag.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_what_the_manual_says() {
        // printf '1795436311.{"event":"ping"}' | openssl dgst -sha256 -hmac 0707…07 (the 64 letters of the secret)
        let signature = sign(&"07".repeat(32), 1_795_436_311, "{\"event\":\"ping\"}");

        assert_eq!(signature, SIGNED);
    }

    const SIGNED: &str = "t=1795436311,v1=9c8c3e1988b535e362c53d8a4430eb406e55ff271c5e673f13b94314c66243d3";
}

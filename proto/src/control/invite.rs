//! An invite: the one word a person pastes to enrol a device.
//!
//! It carries where the rendezvous is (by QUIC, and by the web where that is elsewhere), which key it must prove, and the secret that permits one enrolment (or many).
//! Whether the secret is good is the rendezvous's decision.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use prost::Message;
use zeroize::Zeroizing;

/// What an invite says. Printed only where a person must read it; `Debug` hides the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Invite {
    /// "host:port" of the control plane (QUIC over UDP), in order of preference; at most `MAX_SERVERS`.
    pub servers: Vec<String>,
    /// Origin of its web server, for networks that let no UDP out: "https://host:port", the port left out if it is 443.
    /// On the wire only where it is not the usual one of the first server.
    pub web: String,
    /// SHA-256 of the rendezvous's SubjectPublicKeyInfo (RFC 7250 raw public key).
    pub pin: [u8; 32],
    /// Permits the enrolment; the rendezvous stores only its hash.
    pub secret: [u8; 16],
}

/// The text is not an invite.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("this is not an invite: it starts with \"{PREFIX}\" and is pasted whole")]
pub struct InvalidInvite;

impl fmt::Display for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = self.servers.first().map(|server| usual_web(server));
        let web = if usual.as_ref() == Some(&self.web) { String::new() } else { self.web.clone() };
        let wire = Wire { servers: self.servers.clone(), pin: self.pin.to_vec(), secret: self.secret.to_vec(), web };
        let bytes = Zeroizing::new(wire.encode_to_vec());
        write!(f, "{PREFIX}{}", BASE64URL_NOPAD.encode(&bytes))
    }
}

impl FromStr for Invite {
    type Err = InvalidInvite;

    fn from_str(text: &str) -> Result<Self, InvalidInvite> {
        let word = text.trim().strip_prefix(PREFIX).filter(|word| word.len() <= MAX_WORD).ok_or(InvalidInvite)?;
        let bytes = Zeroizing::new(BASE64URL_NOPAD.decode(word.as_bytes()).map_err(|_| InvalidInvite)?);
        let wire = Wire::decode(bytes.as_slice()).map_err(|_| InvalidInvite)?;
        let first = wire.servers.first().ok_or(InvalidInvite)?;
        if wire.servers.len() > MAX_SERVERS || wire.web.len() > MAX_WEB {
            return Err(InvalidInvite);
        }
        Ok(Self {
            web: if wire.web.is_empty() { usual_web(first) } else { wire.web },
            servers: wire.servers,
            pin: wire.pin.try_into().map_err(|_| InvalidInvite)?,
            secret: wire.secret.try_into().map_err(|_| InvalidInvite)?,
        })
    }
}

/// Where a server's web origin is if nobody says otherwise: on the TCP port of the same number.
pub fn usual_web(server: &str) -> String {
    format!("https://{}", server.strip_suffix(":443").unwrap_or(server))
}

impl fmt::Debug for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invite").field("servers", &self.servers).finish_non_exhaustive()
    }
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct Wire {
    #[prost(string, repeated, tag = "1")]
    servers: Vec<String>,
    #[prost(bytes = "vec", tag = "2")]
    pin: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    secret: Vec<u8>,
    #[prost(string, tag = "4")]
    web: String,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

/// Tells an invite from anything else in a log or a clipboard, and lets secret scanners find it.
const PREFIX: &str = "warren_inv_";
/// More than any deployment's replicas.
const MAX_SERVERS: usize = 8;
/// Scheme, a host name of 253 bytes, port.
const MAX_WEB: usize = 270;
/// Longest encoded part that is decoded: 9 host names of 253 bytes and the keys.
const MAX_WORD: usize = 3400;

#[cfg(test)]
mod tests {
    use super::*;

    fn invite() -> Invite {
        Invite {
            servers: vec!["vpn.example.org:443".to_owned()],
            web: "https://vpn.example.org".to_owned(),
            pin: [7; 32],
            secret: [9; 16],
        }
    }

    #[test]
    fn an_invite_survives_being_pasted() {
        let pasted = format!("  {}\n", invite());

        assert_eq!(pasted.parse(), Ok(invite()));
    }

    #[test]
    fn a_web_server_elsewhere_is_named_and_the_usual_one_costs_nothing() {
        let elsewhere = Invite { web: "https://vpn.example.org:8443".to_owned(), ..invite() };

        assert_eq!(elsewhere.to_string().parse(), Ok(elsewhere.clone()));
        assert!(invite().to_string().len() < elsewhere.to_string().len());
        assert_eq!(usual_web("[2001:db8::1]:4433"), "https://[2001:db8::1]:4433");
    }

    #[test]
    fn an_invite_needs_no_shell_quotes() {
        assert!(invite().to_string().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)));
    }

    #[test]
    fn damaged_words_are_refused() {
        let word = invite().to_string();

        for bad in ["", "hello", PREFIX, &word[..word.len() - 3], &word[1..]] {
            assert_eq!(bad.parse::<Invite>(), Err(InvalidInvite), "{bad}");
        }
    }
}

//! One certificate with its key: ready to be served, and what it says of itself.
//!
//! rustls checks that key and certificate belong together and that the names fit; the days of its life it does not tell,
//! so that much of X.509 is read here.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rustls::ServerConfig;
use rustls::client::verify_server_name;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};
use warren_proto::keys::UnixTime;

/// A certificate that can be served.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    /// For the listener.
    pub(crate) config: Arc<ServerConfig>,
    /// When it is good.
    pub(crate) validity: Validity,
    pub(super) leaf: CertificateDer<'static>,
}

/// The life of a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Validity {
    /// Its first moment.
    pub not_before: UnixTime,
    /// Its last moment.
    pub not_after: UnixTime,
}

impl Validity {
    /// How much of its life is left.
    pub fn left(&self, now: UnixTime) -> Duration {
        self.not_after.since_epoch().saturating_sub(now.since_epoch())
    }
}

impl fmt::Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = i64::try_from(self.not_after.as_secs()).ok();
        let end = end.and_then(|end| OffsetDateTime::from_unix_timestamp(end).ok());
        match end.and_then(|end| end.format(SHOWN).ok()) {
            Some(end) => f.write_str(&end),
            None => f.write_str("the end of time"),
        }
    }
}

impl Certificate {
    /// Reads a chain, the server's own certificate first, and its key.
    pub(crate) fn read(chain: &[u8], key: &[u8]) -> Result<Self> {
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .context("read the certificate chain (PEM)")?;
        let leaf = chain.first().context("there is no certificate in it (PEM)")?.clone();
        let key = PrivateKeyDer::from_pem_slice(key).context("read the private key (PEM)")?;
        let validity = validity(&leaf).context("read from when until when the certificate is good")?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .context("use certificate and key together")?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), validity, leaf })
    }

    /// Whether browsers that go to this host find its name in the certificate.
    pub(crate) fn is_for(&self, host: &str) -> bool {
        let (Ok(leaf), Ok(name)) = (ParsedCertificate::try_from(&self.leaf), ServerName::try_from(host)) else {
            return false;
        };
        verify_server_name(&leaf, &name).is_ok()
    }

    /// What browsers will complain about, or soon, and what to do.
    pub(crate) fn complaint(&self, host: &str, now: UnixTime) -> Option<String> {
        if now.since_epoch() < self.validity.not_before.since_epoch() {
            return Some("it is not valid yet; is the clock of this machine right?".to_owned());
        }
        match self.validity.left(now) {
            Duration::ZERO => Some(format!("it ended on {}; renew it", self.validity)),
            _ if !self.is_for(host) => Some(format!("it is not for {host}; get one that names it")),
            left if left < SOON => Some(format!("it ends on {}; renew it", self.validity)),
            _ => None,
        }
    }
}

/// The host of a URL of ours.
pub(crate) fn host_of(url: &str) -> String {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = authority.split('/').next().unwrap_or(authority);
    match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, _)) => host.to_owned(),
        None => authority.split(':').next().unwrap_or(authority).to_owned(),
    }
}

/// RFC 5280 section 4.1: the fifth field of the first field, or the fourth where there is no version.
fn validity(certificate: &[u8]) -> Option<Validity> {
    let (SEQUENCE, certificate, _) = value(certificate)? else { return None };
    let (SEQUENCE, mut fields, _) = value(certificate)? else { return None };
    if let (VERSION, _, rest) = value(fields)? {
        fields = rest;
    }
    for _serial_signature_issuer in 0..3 {
        (_, _, fields) = value(fields)?;
    }
    let (SEQUENCE, life, _) = value(fields)? else { return None };
    let (kind, from, rest) = value(life)?;
    let not_before = moment(kind, from)?;
    let (kind, until, _) = value(rest)?;
    Some(Validity { not_before, not_after: moment(kind, until)? })
}

/// The first value in DER: its tag, its content, and what follows.
fn value(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (len, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (len, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (len.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(len)?;
    Some((*tag, content, rest))
}

fn moment(kind: u8, text: &[u8]) -> Option<UnixTime> {
    let text = std::str::from_utf8(text).ok()?;
    let text = match kind {
        // RFC 5280 section 4.1.2.5.1: "Where YY is greater than or equal to 50, the year SHALL be interpreted as 19YY"
        UTC_TIME if text.get(..2)? >= "50" => format!("19{text}"),
        UTC_TIME => format!("20{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let seconds = PrimitiveDateTime::parse(&text, WRITTEN).ok()?.assume_utc().unix_timestamp();
    // what began before our time has begun
    Some(UnixTime::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

const WRITTEN: &[BorrowedFormatItem<'_>] = format_description!("[year][month][day][hour][minute][second]Z");
const SHOWN: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// Whoever renews a certificate does it weeks before its end, those of six days excepted, which have a renewal a day.
const SOON: Duration = Duration::from_secs(3 * 24 * 3600);

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn made(host: &str, from: (i32, u8, u8), until: (i32, u8, u8)) -> (String, String) {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.not_before = date_time_ymd(from.0, from.1, from.2);
        params.not_after = date_time_ymd(until.0, until.1, until.2);
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn the_days_of_a_certificate_are_read_in_both_spellings() {
        for (from, until, first, last) in [
            ((2026, 11, 1), (2027, 1, 30), 1_793_491_200, 1_801_267_200),
            // a year from 2050 on is written with four digits
            ((1999, 12, 31), (2060, 1, 1), 946_598_400, 2_840_140_800),
        ] {
            let (chain, key) = made("vpn.example.org", from, until);

            let validity = Certificate::read(chain.as_bytes(), key.as_bytes()).unwrap().validity;

            assert_eq!(
                (validity.not_before, validity.not_after),
                (UnixTime::from_secs(first), UnixTime::from_secs(last))
            );
        }
    }

    #[test]
    fn what_browsers_will_not_like_is_said_with_a_remedy() {
        let (chain, key) = made("vpn.example.org", (2026, 11, 1), (2027, 1, 30));
        let certificate = Certificate::read(chain.as_bytes(), key.as_bytes()).unwrap();
        let complaint = |host, secs| certificate.complaint(host, UnixTime::from_secs(secs)).unwrap_or_default();

        assert_eq!(complaint("vpn.example.org", 1_795_000_000), "");
        assert!(complaint("vpn.example.org", 1_793_000_000).contains("clock"));
        assert!(complaint("vpn.example.org", 1_801_200_000).contains("ends on 2027-01-30 00:00 UTC"));
        assert!(complaint("vpn.example.org", 1_801_300_000).contains("ended on"));
        assert!(complaint("other.example.org", 1_795_000_000).contains("not for other.example.org"));
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (chain, _) = made("vpn.example.org", (2026, 11, 1), (2027, 1, 30));
        let (_, key) = made("vpn.example.org", (2026, 11, 1), (2027, 1, 30));

        assert!(Certificate::read(chain.as_bytes(), key.as_bytes()).is_err());
        assert!(Certificate::read(b"", key.as_bytes()).is_err());
    }

    #[test]
    fn bytes_that_are_no_certificate_have_no_days() {
        let (chain, _) = made("vpn.example.org", (2026, 11, 1), (2027, 1, 30));
        let der = CertificateDer::from_pem_slice(chain.as_bytes()).unwrap();

        for len in 0..der.len() {
            assert_eq!(validity(&der[..len]), None);
        }
        assert!(validity(&der).is_some());
    }

    #[test]
    fn the_host_of_a_link_is_found_with_and_without_a_port() {
        for (url, host) in [
            ("https://vpn.example.org", "vpn.example.org"),
            ("https://vpn.example.org:8443/x", "vpn.example.org"),
            ("https://[2001:db8::1]:8443", "2001:db8::1"),
            ("https://192.0.2.1", "192.0.2.1"),
        ] {
            assert_eq!(host_of(url), host);
        }
    }
}

//! A certificate for the dashboard from an ACME authority (RFC 8555), such as Let's Encrypt.
//!
//! The authority asks who serves the host by TLS-ALPN-01 (RFC 8737): a TLS handshake on TCP 443, where the dashboard is
//! anyway. The other way, HTTP-01, would have the operator open and forward port 80 for nothing else. `order` speaks with
//! the authority, `challenge` answers its question; what is kept of either, and when it is time, is `actions`' business.

mod challenge;
mod https;
mod order;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use warren_proto::keys::UnixTime;

use crate::web_tls::Validity;

pub(crate) use challenge::{PROTOCOL, answer};
pub(crate) use order::{Order, is_account_unknown, register};

/// The authority, and who we are to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AcmeConfig {
    /// URL of its directory.
    pub directory: String,
    /// Where it may write to people.
    pub email: Option<String>,
    /// Who vouches for the authority itself, where that is nobody browsers know.
    pub ca: Option<PathBuf>,
    /// The host that certificates are for.
    pub name: String,
}

/// The URL of an authority's directory, or one of ours by its short name.
pub(crate) fn directory(text: &str) -> Result<String> {
    Ok(match text {
        "letsencrypt" => "https://acme-v02.api.letsencrypt.org/directory",
        "letsencrypt-staging" => "https://acme-staging-v02.api.letsencrypt.org/directory",
        url if url.starts_with("https://") => url,
        _ => bail!("--acme-directory is letsencrypt, letsencrypt-staging or an https URL, not {text:?}"),
    }
    .to_owned())
}

/// When a certificate is to be renewed: in the last third of its life, whatever its length.
pub(crate) fn renew_at(validity: &Validity) -> UnixTime {
    let life = validity.not_after.since_epoch().saturating_sub(validity.not_before.since_epoch());
    validity.not_before.plus(life * 2 / 3)
}

/// How long to leave an authority alone after so many attempts in vain. Four attempts fall into the first hour: Let's Encrypt
/// refuses everything for an hour after five failed ones.
pub(crate) fn patience(failures: u64) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    (FIRST_RETRY * 2_u32.pow(doublings)).min(LAST_RETRY)
}

const FIRST_RETRY: Duration = Duration::from_secs(5 * 60);
/// A month is left when the first attempt is made: sixty of these.
const LAST_RETRY: Duration = Duration::from_secs(12 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_in_the_last_third_of_its_life() {
        let from = 1_795_000_000;
        for (days, renewed) in [(90, 60), (6, 4)] {
            let day = |count: u64| UnixTime::from_secs(from + count * 86_400);
            let validity = Validity { not_before: day(0), not_after: day(days) };

            assert_eq!(renew_at(&validity), day(renewed));
        }
    }

    #[test]
    fn attempts_become_rarer_and_never_cease() {
        let minutes = |failures| patience(failures).as_secs() / 60;

        assert_eq!([1, 2, 3, 4].map(minutes), [5, 10, 20, 40]);
        assert_eq!(minutes(u64::MAX), 12 * 60);
        assert!([1, 2, 3].map(minutes).iter().sum::<u64>() < 60 && [1, 2, 3, 4].map(minutes).iter().sum::<u64>() > 60);
    }

    #[test]
    fn an_authority_is_named_shortly_or_by_its_url() {
        assert!(directory("letsencrypt").unwrap().contains("acme-v02"));
        assert!(directory("letsencrypt-staging").unwrap().contains("staging"));
        assert_eq!(directory("https://ca.example/dir").unwrap(), "https://ca.example/dir");
        assert!(directory("http://ca.example/dir").is_err());
    }
}

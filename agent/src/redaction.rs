//! What a report for strangers must not say: secrets never, public addresses only by number.
//!
//! The same address has the same number throughout one report, so that it still shows who talks to whom. Addresses that
//! say nothing of where somebody is (private, overlay, loopback, link-local) stay.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One report's replacements.
#[derive(Debug, Default)]
pub struct Redaction {
    numbers: HashMap<IpAddr, usize>,
    keeps_addresses: bool,
}

impl Redaction {
    /// Public addresses stay, because whoever makes the report wants it so. Secrets do not.
    pub fn keeping_addresses() -> Self {
        Self { keeps_addresses: true, ..Self::default() }
    }

    /// The text without what it must not say.
    pub fn redact(&mut self, text: &str) -> String {
        let mut clean = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find(is_word) {
            clean.push_str(&rest[..start]);
            rest = &rest[start..];
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            clean.push_str(&self.word(&rest[..end]));
            rest = &rest[end..];
        }
        clean.push_str(rest);
        clean
    }

    fn word(&mut self, word: &str) -> String {
        if let Some((head, _)) = word.rsplit_once('@') {
            // user and password of a URL
            if head.contains(':') || head.contains("//") {
                let scheme = head.split_once("//").map_or("", |(scheme, _)| scheme);
                let place = word.rsplit_once('@').map_or("", |(_, place)| place);
                return format!("{scheme}//[secret]@{}", self.word(place));
            }
        }
        if let Some(start) = SECRETS.iter().filter_map(|prefix| word.find(prefix)).min() {
            return format!("{}[secret]", &word[..start]);
        }
        if let Some(address) = self.address(word) {
            return address;
        }
        // a key in any encoding is longer than any name, and mixes letters with digits
        let longest =
            word.split(|c: char| !c.is_ascii_alphanumeric() && !"+/=_-".contains(c)).max_by_key(|part| part.len());
        if let Some(part) =
            longest.filter(|part| part.len() >= KEY_LEN && part.bytes().any(|byte| byte.is_ascii_digit()))
        {
            return word.replace(part, "[secret]");
        }
        word.to_owned()
    }

    /// An address, alone or with a port, inside whatever punctuation.
    fn address(&mut self, word: &str) -> Option<String> {
        let body = word.trim_matches(['.', ',', ':', '/', '=']);
        let bare = |text: &str| text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        let scheme = body.find("//").map_or(0, |at| at + 2);
        let place = body[scheme..].split('/').next().unwrap_or_default();
        // `key=value` in one word
        let place = place.rsplit('=').next().unwrap_or_default();
        let (shown, ip) = match bare(place) {
            Some(ip) => (place, ip),
            None => {
                let (host, port) = place.rsplit_once(':')?;
                port.parse::<u16>().ok()?;
                (host, bare(host)?)
            }
        };
        if self.keeps_addresses || !is_public(ip) {
            return Some(word.to_owned());
        }
        let next = self.numbers.len() + 1;
        let number = *self.numbers.entry(ip).or_insert(next);
        Some(word.replace(shown, &format!("[address {number}]")))
    }
}

/// What addresses, URLs and keys are made of.
fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || ".:/=+_-[]@".contains(c)
}

fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let is_shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_unspecified()
        || ip.is_multicast()
        || is_shared)
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let local = ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_multicast();
    !(local || ip.is_loopback() || ip.is_unspecified())
}

/// How our own secrets begin.
const SECRETS: &[&str] = &["warren_inv_", "warren_pat_"];
/// 32 bytes in base64 without padding.
const KEY_LEN: usize = 43;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses_become_numbers_and_the_same_one_the_same_number() {
        let mut redaction = Redaction::default();
        let text = "from 198.51.100.7:40000 to [2001:db8::7]:443, again 198.51.100.7. remote=203.0.113.9:1 \
                    https://198.51.100.7:8443/x {\"a\":\"198.51.100.7:1\"}";

        let clean = redaction.redact(text);

        assert_eq!(
            clean,
            "from [address 1]:40000 to [address 2]:443, again [address 1]. remote=[address 3]:1 \
             https://[address 1]:8443/x {\"a\":\"[address 1]:1\"}"
        );
    }

    #[test]
    fn addresses_that_place_nobody_stay_and_so_do_times_and_versions() {
        let text = "192.168.1.7:4 100.64.0.1 fd00::1 127.0.0.1:9090 10.0.0.1 fe80::1 2026-01-02T03:04:05Z 0.1.0 6.1.0-13 \
                    018f3f1e-7d1a-7c9a-b0c4-5a8e3c1d2f60 peer desk: direct";

        assert_eq!(Redaction::default().redact(text), text);
    }

    #[test]
    fn secrets_go_in_every_mode() {
        let key = "q1w2e3r4t5y6u7i8o9p0a1s2d3f4g5h6j7k8l9z0x1c=";
        let hex = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        let text =
            format!("warren_inv_abc {key} x={hex} token:warren_pat_9 http://anna:sesame@proxy.example:3128 \"{key}\"");

        for mut redaction in [Redaction::default(), Redaction::keeping_addresses()] {
            let clean = redaction.redact(&text);

            for secret in ["_abc", "q1w2", "0123456789", "pat_9", "anna", "sesame"] {
                assert!(!clean.contains(secret), "{secret}: {clean}");
            }
            assert!(clean.contains("proxy.example:3128"), "{clean}");
        }
        assert_eq!(Redaction::keeping_addresses().redact("198.51.100.7:1"), "198.51.100.7:1");
    }
}

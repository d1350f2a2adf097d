//! How often one source may ask, in bounded memory.
//!
//! Sources share a fixed table of token buckets by a keyed hash: nobody can choose whose bucket they share, and a flood
//! of forged sources costs no memory. Answers yes or no; counting and silence are the caller's.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

/// Token buckets by source prefix.
#[derive(Debug)]
pub struct SourceLimit {
    buckets: Vec<Bucket>,
    hasher: RandomState,
    per_second: f32,
    burst: f32,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f32,
    at: Instant,
}

impl SourceLimit {
    /// Full buckets for everyone.
    pub fn new(per_second: f32, burst: f32, now: Instant) -> Self {
        let buckets = vec![Bucket { tokens: burst, at: now }; BUCKETS];
        Self { buckets, hasher: RandomState::new(), per_second, burst }
    }

    /// Takes a token of the source's bucket; false when there is none.
    pub fn allow(&mut self, source: IpAddr, now: Instant) -> bool {
        let hash = self.hasher.hash_one(prefix(source));
        // the remainder is below BUCKETS
        let bucket = &mut self.buckets[(hash % BUCKETS as u64) as usize];
        let earned = now.saturating_duration_since(bucket.at).as_secs_f32() * self.per_second;
        *bucket = Bucket { tokens: (bucket.tokens + earned).min(self.burst), at: now };
        if bucket.tokens < 1.0 {
            return false;
        }
        bucket.tokens -= 1.0;
        true
    }
}

/// An address without the wrapping that a dual-stack socket gives IPv4.
pub fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

/// What one subscriber surely has: an IPv4 address, an IPv6 /56 (RFC 6177).
pub(crate) fn prefix(source: IpAddr) -> u64 {
    match source.to_canonical() {
        IpAddr::V4(ip) => u32::from(ip).into(),
        IpAddr::V6(ip) => (u128::from(ip) >> 72) as u64 | 1 << 63,
    }
}

/// 64 KiB of buckets; even 400 busy sources leave a newcomer a bucket of its own nine times in ten.
const BUCKETS: usize = 4096;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_source_has_its_burst_and_then_its_rate() {
        let start = Instant::now();
        let mut limit = SourceLimit::new(10.0, 3.0, start);
        let source = "203.0.113.9".parse().unwrap();

        let burst = (0..5).filter(|_| limit.allow(source, start)).count();
        let later = (0..5).filter(|_| limit.allow(source, start + Duration::from_millis(201))).count();

        assert_eq!((burst, later), (3, 2));
    }

    #[test]
    fn an_ipv6_subscriber_cannot_multiply_by_its_addresses() {
        assert_eq!(prefix("2001:db8:1:201::1".parse().unwrap()), prefix("2001:db8:1:2ff:9::1".parse().unwrap()));
        assert_ne!(prefix("2001:db8:1:201::1".parse().unwrap()), prefix("2001:db8:1:301::1".parse().unwrap()));
        assert_eq!(prefix("::ffff:192.0.2.1".parse().unwrap()), prefix("192.0.2.1".parse().unwrap()));
    }
}

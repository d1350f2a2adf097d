//! How often one source may ask, in bounded memory.
//!
//! Sources share a fixed table of token buckets by a keyed hash: nobody can choose whose bucket they share, and a flood
//! of forged sources costs no memory. Answers yes or no; counting and silence are the caller's.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

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
        let bucket = self.refilled(prefix(source), now);
        if bucket.tokens < 1.0 {
            return false;
        }
        bucket.tokens -= 1.0;
        true
    }

    /// The bucket of a source, with what it has earned since it was looked at last.
    fn refilled(&mut self, source: u64, now: Instant) -> &mut Bucket {
        let hash = self.hasher.hash_one(source);
        // the remainder is below BUCKETS
        let bucket = &mut self.buckets[(hash % BUCKETS as u64) as usize];
        let earned = now.saturating_duration_since(bucket.at).as_secs_f32() * self.per_second;
        *bucket = Bucket { tokens: (bucket.tokens + earned).min(self.burst), at: now };
        bucket
    }
}

/// Token buckets by whatever names a caller, with what is left in them.
#[derive(Debug)]
pub(crate) struct Budgets(SourceLimit);

/// Whether a caller may go on, and what it has left.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Grant {
    /// Whether it may.
    pub(crate) granted: bool,
    /// How many more times it may at once.
    pub(crate) left: u32,
    /// How long until it may again; nothing if it may.
    pub(crate) wait: Duration,
    /// How long until its bucket is full.
    pub(crate) full_in: Duration,
}

impl Budgets {
    /// Full buckets for everyone.
    pub(crate) fn new(per_second: f32, burst: f32, now: Instant) -> Self {
        Self(SourceLimit::new(per_second, burst, now))
    }

    /// What `take` would answer, without taking.
    pub(crate) fn look(&mut self, caller: u64, now: Instant) -> Grant {
        let tokens = self.0.refilled(caller, now).tokens;
        self.grant(tokens >= 1.0, tokens)
    }

    /// Takes a token of the caller's bucket, if there is one.
    pub(crate) fn take(&mut self, caller: u64, now: Instant) -> Grant {
        let bucket = self.0.refilled(caller, now);
        let granted = bucket.tokens >= 1.0;
        if granted {
            bucket.tokens -= 1.0;
        }
        let tokens = bucket.tokens;
        self.grant(granted, tokens)
    }

    fn grant(&self, granted: bool, tokens: f32) -> Grant {
        let seconds = |missing: f32| Duration::from_secs_f32((missing / self.0.per_second).max(0.0));
        // whole tokens count; the conversion saturates
        let left = tokens as u32;
        let wait = if granted { Duration::ZERO } else { seconds(1.0 - tokens) };
        Grant { granted, left, wait, full_in: seconds(self.0.burst - tokens) }
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
    fn a_budget_says_what_is_left_and_when_there_is_more() {
        let start = Instant::now();
        let mut budgets = Budgets::new(2.0, 3.0, start);

        let grants = [(); 4].map(|()| budgets.take(7, start));

        assert_eq!(grants.map(|grant| (grant.granted, grant.left)), [(true, 2), (true, 1), (true, 0), (false, 0)]);
        assert_eq!((grants[3].wait, grants[3].full_in), (Duration::from_millis(500), Duration::from_millis(1500)));
        assert!(!budgets.look(7, start).granted && budgets.look(7, start + Duration::from_millis(500)).granted);
    }

    #[test]
    fn an_ipv6_subscriber_cannot_multiply_by_its_addresses() {
        assert_eq!(prefix("2001:db8:1:201::1".parse().unwrap()), prefix("2001:db8:1:2ff:9::1".parse().unwrap()));
        assert_ne!(prefix("2001:db8:1:201::1".parse().unwrap()), prefix("2001:db8:1:301::1".parse().unwrap()));
        assert_eq!(prefix("::ffff:192.0.2.1".parse().unwrap()), prefix("192.0.2.1".parse().unwrap()));
    }
}

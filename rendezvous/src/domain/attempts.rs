//! How often somebody may guess: a budget per client address, and growing waits per account.
//!
//! Only the arithmetic; the rows are `store`'s, so that a restart forgets nothing and replicas count together. Names that
//! do not exist are counted like those that do: the answer does not tell them apart.

use std::net::IpAddr;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use sqlx::types::Uuid;
use warren_proto::keys::UnixTime;

/// What is remembered of a client or an account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attempts {
    /// In a row; of an account only.
    pub failures: u64,
    /// Nothing more is let through before.
    pub wait_until: UnixTime,
    /// From then on this is the same as nothing.
    pub forget_at: UnixTime,
}

/// Come back later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooMany {
    /// How much later.
    pub wait: Duration,
}

impl Attempts {
    /// One more attempt by a client: a budget of `BURST` that refills.
    pub fn by_client(before: Option<Self>, now: UnixTime) -> Result<Self, TooMany> {
        let waited = let_through(before, now)?;
        let full = before_by(now, REFILL * (BURST - 1));
        let wait_until = waited.max(full).plus(REFILL);
        Ok(Self { failures: 0, wait_until, forget_at: wait_until.plus(REFILL * (BURST - 1)) })
    }

    /// One more attempt for an account. It counts as a failure until it turns out not to be one, so that guesses made at
    /// the same moment count too.
    pub fn for_account(before: Option<Self>, now: UnixTime) -> Result<Self, TooMany> {
        Self::failed(before, PASSWORD_DOUBLINGS, now)
    }

    /// One more attempt at six digits, by somebody who knows the password: longer waits, for there are few codes.
    pub fn for_code(before: Option<Self>, now: UnixTime) -> Result<Self, TooMany> {
        Self::failed(before, CODE_DOUBLINGS, now)
    }

    fn failed(before: Option<Self>, max_doublings: u64, now: UnixTime) -> Result<Self, TooMany> {
        let before = before.filter(|before| before.forget_at > now);
        let_through(before, now)?;
        let failures = before.map_or(0, |before| before.failures).saturating_add(1);
        let doublings = failures.saturating_sub(FREE_FAILURES).min(max_doublings);
        let wait = if doublings == 0 { Duration::ZERO } else { Duration::from_secs(1 << doublings) };
        let wait_until = now.plus(wait);
        Ok(Self { failures, wait_until, forget_at: wait_until.plus(FORGET_AFTER) })
    }
}

/// When the wait ended, if it has.
fn let_through(before: Option<Attempts>, now: UnixTime) -> Result<UnixTime, TooMany> {
    let until = before.map_or(UnixTime::from_secs(0), |before| before.wait_until);
    if until > now {
        return Err(TooMany { wait: until.since_epoch().saturating_sub(now.since_epoch()) });
    }
    Ok(until)
}

/// What attempts of a client are counted under. One IPv6 customer holds at least a /64, so that is one client.
pub fn client_subject(client: IpAddr) -> [u8; 32] {
    let digest = Sha256::new().chain_update(b"client ");
    match client.to_canonical() {
        IpAddr::V4(v4) => digest.chain_update(v4.octets()).finalize().into(),
        IpAddr::V6(v6) => digest.chain_update(&v6.octets()[..8]).finalize().into(),
    }
}

/// What the sign-ins are counted under that a client begins: a page does so by itself, without anybody having guessed.
pub fn begin_subject(client: IpAddr) -> [u8; 32] {
    Sha256::new().chain_update(b"begin ").chain_update(client_subject(client)).finalize().into()
}

/// What attempts for an account are counted under: a row's size does not depend on what a stranger types.
pub fn account_subject(account: &str) -> [u8; 32] {
    Sha256::new().chain_update(b"account ").chain_update(account.trim().to_lowercase()).finalize().into()
}

/// What attempts at the codes of an account are counted under.
pub fn code_subject(user: Uuid) -> [u8; 32] {
    Sha256::new().chain_update(b"code ").chain_update(user.as_bytes()).finalize().into()
}

fn before_by(now: UnixTime, by: Duration) -> UnixTime {
    UnixTime::new(now.since_epoch().saturating_sub(by))
}

/// More than a person mistypes in a row.
const BURST: u32 = 10;
/// One more attempt per client after this long: 14,400 guesses a day are hopeless against 12 characters.
const REFILL: Duration = Duration::from_secs(6);
/// Wrong passwords for one account that cost nothing.
const FREE_FAILURES: u64 = 5;
/// Longest wait 64 s, so that a stranger who fails on purpose cannot lock the owner out for long.
const PASSWORD_DOUBLINGS: u64 = 6;
/// Longest wait 68 min: some 30 guesses a day, each at 3 codes of a million.
const CODE_DOUBLINGS: u64 = 12;
/// Quiet for this long, and the count starts anew.
const FORGET_AFTER: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_000_000);

    #[test]
    fn a_client_has_a_budget_that_refills() {
        let mut entry = None;
        for _ in 0..BURST {
            entry = Some(Attempts::by_client(entry, NOW).unwrap());
        }

        assert_eq!(Attempts::by_client(entry, NOW), Err(TooMany { wait: REFILL }));
        let later = Attempts::by_client(entry, NOW.plus(REFILL)).unwrap();
        assert!(Attempts::by_client(Some(later), NOW.plus(REFILL)).is_err(), "one refill is one attempt");
        let rested = NOW.plus(REFILL * 100);
        let mut entry = Some(later);
        for _ in 0..BURST {
            entry = Some(Attempts::by_client(entry, rested).unwrap());
        }
        assert!(Attempts::by_client(entry, rested).is_err(), "rest fills no more than the budget");
    }

    #[test]
    fn an_account_waits_longer_after_each_failure_and_never_longer_than_a_minute() {
        let mut entry = None;
        let mut at = NOW;
        let mut waits = Vec::new();
        for _ in 0..14 {
            let next = Attempts::for_account(entry, at).unwrap();
            let wait = next.wait_until.since_epoch() - at.since_epoch();
            assert!(wait.is_zero() || Attempts::for_account(Some(next), at).is_err());
            waits.push(wait.as_secs());
            at = next.wait_until;
            entry = Some(next);
        }

        assert_eq!(waits, [0, 0, 0, 0, 0, 2, 4, 8, 16, 32, 64, 64, 64, 64]);
        let rested = Attempts::for_account(entry, at.plus(FORGET_AFTER)).unwrap();
        assert_eq!(rested.failures, 1);
    }

    #[test]
    fn guesses_at_codes_come_to_some_thirty_a_day() {
        let (mut entry, mut at, mut guesses) = (None, NOW, 0);
        while at < NOW.plus(Duration::from_secs(86_400)) {
            let next = Attempts::for_code(entry, at).unwrap();
            (entry, at, guesses) = (Some(next), next.wait_until, guesses + 1);
        }

        assert!((30..=40).contains(&guesses), "{guesses}");
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_client_and_a_name_is_one_account_however_it_is_typed() {
        let v6 = |network, last| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, network, 0, 0, 0, last));
        let v4 = Ipv4Addr::new(192, 0, 2, 1);

        assert_eq!(client_subject(v6(1, 1)), client_subject(v6(1, 99)));
        assert_ne!(client_subject(v6(1, 1)), client_subject(v6(2, 1)));
        assert_eq!(client_subject(v4.into()), client_subject(v4.to_ipv6_mapped().into()));
        assert_eq!(account_subject("Ada "), account_subject("ada"));
    }
}

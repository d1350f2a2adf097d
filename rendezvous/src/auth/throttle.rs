//! How often somebody may guess: a budget per client address, and growing waits per account name.
//!
//! Both tables are bounded and live in memory. Names that do not exist are counted like those that do, so that the
//! answer does not tell them apart.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use warren_proto::keys::UnixTime;

/// Guards the two forms that strangers may post: sign-in and set-up.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    addresses: BTreeMap<[u8; 8], Budget>,
    accounts: BTreeMap<[u8; 8], Failures>,
}

#[derive(Clone, Copy, Debug)]
struct Budget {
    left: u32,
    at: UnixTime,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    until: UnixTime,
}

/// Come back later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TooMany {
    /// How much later.
    pub(crate) wait: Duration,
}

impl Throttle {
    /// Takes one attempt from the budget of `client`, and asks whether `account` is waiting.
    pub(crate) fn attempt(&self, client: IpAddr, account: &str, now: UnixTime) -> Result<(), TooMany> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failures) = tables.accounts.get(&account_key(account)).filter(|failures| failures.until > now) {
            return Err(TooMany { wait: elapsed(now, failures.until) });
        }
        let key = client_key(client);
        make_room(&mut tables.addresses, &key, |budget| budget.at);
        let budget = tables.addresses.entry(key).or_insert(Budget { left: BURST, at: now });
        refill(budget, now);
        if budget.left == 0 {
            return Err(TooMany { wait: REFILL.saturating_sub(elapsed(budget.at, now)) });
        }
        budget.left -= 1;
        Ok(())
    }

    /// A wrong password for `account`: after `FREE_FAILURES` each doubles the wait.
    pub(crate) fn note_failure(&self, account: &str, now: UnixTime) {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let key = account_key(account);
        make_room(&mut tables.accounts, &key, |failures| failures.until);
        let failures = tables.accounts.entry(key).or_insert(Failures { count: 0, until: now });
        if elapsed(failures.until, now) > FORGET_AFTER {
            failures.count = 0;
        }
        failures.count = failures.count.saturating_add(1);
        let doublings = failures.count.saturating_sub(FREE_FAILURES).min(MAX_DOUBLINGS);
        failures.until = if doublings == 0 { now } else { now.plus(Duration::from_secs(1 << doublings)) };
    }

    /// The right password: the account waits no more.
    pub(crate) fn note_success(&self, account: &str) {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        tables.accounts.remove(&account_key(account));
    }
}

fn refill(budget: &mut Budget, now: UnixTime) {
    let steps = elapsed(budget.at, now).as_secs() / REFILL.as_secs();
    if steps > 0 {
        budget.left = budget.left.saturating_add(u32::try_from(steps).unwrap_or(BURST)).min(BURST);
        budget.at = now;
    }
}

/// Drops the entry that has been quiet longest when a new one would not fit.
fn make_room<V>(table: &mut BTreeMap<[u8; 8], V>, key: &[u8; 8], at: impl Fn(&V) -> UnixTime) {
    if table.len() < MAX_ENTRIES || table.contains_key(key) {
        return;
    }
    if let Some(oldest) = table.iter().min_by_key(|(_, value)| at(value)).map(|(key, _)| *key) {
        table.remove(&oldest);
    }
}

/// One IPv6 customer holds at least a /64, so that is what counts as one client.
fn client_key(client: IpAddr) -> [u8; 8] {
    match client.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            [0, 0, 0, 0, a, b, c, d]
        }
        IpAddr::V6(v6) => {
            let [a, b, c, d, e, f, g, h, ..] = v6.octets();
            [a, b, c, d, e, f, g, h]
        }
    }
}

/// Eight bytes of a hash: an entry's size does not depend on what a stranger types.
fn account_key(account: &str) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(Sha256::digest(account.trim().to_lowercase()));
    [a, b, c, d, e, f, g, h]
}

fn elapsed(from: UnixTime, to: UnixTime) -> Duration {
    to.since_epoch().saturating_sub(from.since_epoch())
}

/// More than a person mistypes in a row.
const BURST: u32 = 10;
/// One more attempt per client after this long: 14,400 guesses a day are hopeless against 12 characters.
const REFILL: Duration = Duration::from_secs(6);
/// Wrong passwords for one name that cost nothing.
const FREE_FAILURES: u32 = 5;
/// Longest wait 64 s, so that a stranger who fails on purpose cannot lock the owner out for long.
const MAX_DOUBLINGS: u32 = 6;
/// Quiet for this long, and the count starts anew.
const FORGET_AFTER: Duration = Duration::from_secs(3600);
/// Entries per table: 4,096 x 24 bytes, and an attacker with more networks than that is not stopped by counting.
const MAX_ENTRIES: usize = 4096;

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const START: UnixTime = UnixTime::from_secs(1_000_000);
    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn a_client_has_a_budget_that_refills() {
        let throttle = Throttle::default();
        for attempt in 0..BURST {
            assert_eq!(throttle.attempt(CLIENT, &format!("name {attempt}"), START), Ok(()));
        }

        let refused = throttle.attempt(CLIENT, "ada", START);

        assert_eq!(refused, Err(TooMany { wait: REFILL }));
        assert_eq!(throttle.attempt(CLIENT, "ada", START.plus(REFILL)), Ok(()));
    }

    #[test]
    fn an_account_waits_longer_after_each_failure_and_not_at_all_after_a_success() {
        let throttle = Throttle::default();
        for _ in 0..FREE_FAILURES + 2 {
            throttle.note_failure("Ada", START);
        }

        assert_eq!(throttle.attempt(CLIENT, "ada ", START), Err(TooMany { wait: Duration::from_secs(4) }));
        throttle.note_success("ada");
        assert_eq!(throttle.attempt(CLIENT, "ada", START), Ok(()));
    }

    #[test]
    fn addresses_of_one_ipv6_network_share_a_budget() {
        let throttle = Throttle::default();
        let address = |last| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, last));
        for last in 0..10 {
            throttle.attempt(address(last), "ada", START).unwrap();
        }

        assert!(throttle.attempt(address(99), "ada", START).is_err());
    }

    #[test]
    fn the_tables_stay_bounded() {
        let throttle = Throttle::default();

        for n in 0..u32::try_from(MAX_ENTRIES).unwrap() + 100 {
            throttle.note_failure(&n.to_string(), START);
            let _ = throttle.attempt(IpAddr::V4(Ipv4Addr::from_bits(n)), "ada", START);
        }

        let tables = throttle.tables.lock().unwrap();
        assert!(tables.accounts.len() <= MAX_ENTRIES && tables.addresses.len() <= MAX_ENTRIES);
    }
}

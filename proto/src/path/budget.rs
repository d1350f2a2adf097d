//! How many bytes an address that never answered may cost: a peer can name a victim as its candidate.
//!
//! Accounts are kept by address, not by pair, so that withdrawing a candidate and offering it again gains nothing. Who
//! answers is forgiven everything: it wants to be talked to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// What was sent to whom without an answer.
#[derive(Debug)]
pub(super) struct Ledger {
    accounts: BTreeMap<SocketAddr, usize>,
    opened: Instant,
}

impl Ledger {
    pub(super) fn new(now: Instant) -> Self {
        Self { accounts: BTreeMap::new(), opened: now }
    }

    /// Whether `bytes` of UDP payload may go to `addr`; if so they are booked.
    pub(super) fn charge(&mut self, addr: SocketAddr, bytes: usize, now: Instant) -> bool {
        if now.saturating_duration_since(self.opened) >= EPOCH_MAX {
            self.clear(now);
        }
        if !self.accounts.contains_key(&addr) && self.accounts.len() >= ACCOUNTS {
            return false;
        }
        let spent = self.accounts.entry(addr).or_default();
        if *spent + bytes > BUDGET {
            return false;
        }
        *spent += bytes;
        true
    }

    /// `addr` answered.
    pub(super) fn forgive(&mut self, addr: SocketAddr) {
        self.accounts.remove(&addr);
    }

    /// The peer says that its network changed. Believed once in a while only, or epochs would be a way to spend more.
    pub(super) fn renew(&mut self, now: Instant) {
        if now.saturating_duration_since(self.opened) >= EPOCH_MIN {
            self.clear(now);
        }
    }

    /// Our own network changed: everything is new.
    pub(super) fn clear(&mut self, now: Instant) {
        self.accounts.clear();
        self.opened = now;
    }
}

/// UDP payload to one address that has not answered, in one epoch: four full rounds.
pub(super) const BUDGET: usize = 2048;
/// Addresses with an account: a full candidate set, four times over.
const ACCOUNTS: usize = 48;
/// Shortest epoch, however often the peer moves.
const EPOCH_MIN: Duration = Duration::from_secs(60);
/// A longer epoch counts as a new one, so that a NAT that was repaired is found: two rounds an hour at that stage.
const EPOCH_MAX: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::tests::start;

    #[test]
    fn a_silent_address_costs_no_more_than_the_budget_however_often_the_peer_moves() {
        let start = start();
        let victim = "203.0.113.1:4000".parse().unwrap();
        let mut ledger = Ledger::new(start);

        let mut spent = 0;
        for second in 0..59 {
            let now = start + Duration::from_secs(second);
            ledger.renew(now);
            spent += (0..100).filter(|_| ledger.charge(victim, 62, now)).count() * 62;
        }

        assert!(spent <= BUDGET, "{spent}");
    }

    #[test]
    fn who_answers_owes_nothing() {
        let start = start();
        let addr = "203.0.113.1:4000".parse().unwrap();
        let mut ledger = Ledger::new(start);
        while ledger.charge(addr, 62, start) {}

        ledger.forgive(addr);

        assert!(ledger.charge(addr, 62, start));
    }

    #[test]
    fn more_addresses_than_accounts_are_refused() {
        let start = start();
        let mut ledger = Ledger::new(start);

        let taken = (1024..2048).filter(|port| ledger.charge(([203, 0, 113, 1], *port).into(), 62, start)).count();

        assert_eq!(taken, ACCOUNTS);
    }
}

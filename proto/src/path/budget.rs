//! How many bytes an address that never answered may cost: a peer can name a victim as its candidate.
//!
//! Accounts are kept by address, not by pair, so that withdrawing a candidate and offering it again gains nothing. Who
//! answers is forgiven everything: it wants to be talked to.
//!
//! A `Ledger` is one pair's. What all pairs of a node do to one NAT or to one victim comes out of its `Allowance`.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::{Charge, Probe};
use crate::candidate::NatMapping;
use crate::io::SocketId;

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

/// What a node may do in a minute, over all its peers.
#[derive(Debug, Default)]
pub struct Allowance {
    /// Destinations that our NAT has a mapping for of their own, with when it was used last.
    mapped: BTreeMap<(Option<SocketId>, SocketAddr), Instant>,
    /// When each mapping of the last minute was made.
    mappings: VecDeque<Instant>,
    /// When each probe of a search left in the last minute.
    searches: VecDeque<Instant>,
    /// What the last minute's strangers were sent.
    strangers: BTreeMap<IpAddr, (Instant, usize)>,
}

impl Allowance {
    /// Whether a probe of `bytes` may leave through a NAT of this mapping behaviour; if so it is booked. One that may not
    /// is lost like any other.
    pub fn take(&mut self, probe: &Probe, bytes: usize, nat: NatMapping, now: Instant) -> bool {
        let Some(addr) = probe.to.straight() else { return true };
        let affordable = match probe.charge {
            Charge::Nothing => true,
            Charge::Search => has_room(&mut self.searches, SEARCH_PROBES, now),
            Charge::Stranger => self.may_write_to(addr.ip(), bytes, now),
        };
        if !affordable || !self.may_map(probe.to.socket(), addr, nat, now) {
            return false;
        }
        match probe.charge {
            Charge::Nothing => {}
            Charge::Search => self.searches.push_back(now),
            Charge::Stranger => self.strangers.entry(addr.ip()).or_insert((now, 0)).1 += bytes,
        }
        true
    }

    /// Books mappings that the driver has made by sockets of its own.
    pub fn note_made(&mut self, mappings: usize, now: Instant) {
        self.mappings.extend(std::iter::repeat_n(now, mappings));
    }

    fn may_write_to(&mut self, ip: IpAddr, bytes: usize, now: Instant) -> bool {
        self.strangers.retain(|_, (since, _)| now.saturating_duration_since(*since) < MINUTE);
        match self.strangers.get(&ip) {
            Some((_, spent)) => spent + bytes <= STRANGER_BYTES,
            None => self.strangers.len() < STRANGERS,
        }
    }

    /// A mapping lives at least half a minute, and is one more only when it is not there.
    fn may_map(&mut self, socket: Option<SocketId>, addr: SocketAddr, nat: NatMapping, now: Instant) -> bool {
        let independent = matches!(nat, NatMapping::EndpointIndependent | NatMapping::None);
        if independent && socket.is_none() || addr.is_ipv6() {
            return true;
        }
        self.mapped.retain(|_, used| now.saturating_duration_since(*used) < MAPPING_LIFETIME);
        let known = self.mapped.contains_key(&(socket, addr));
        if !known && !has_room(&mut self.mappings, MAPPINGS, now) {
            return false;
        }
        self.mapped.insert((socket, addr), now);
        if !known {
            self.mappings.push_back(now);
        }
        true
    }
}

/// Whether fewer than `most` of these happened in the last minute.
fn has_room(times: &mut VecDeque<Instant>, most: usize, now: Instant) -> bool {
    while times.pop_front_if(|at| now.saturating_duration_since(*at) >= MINUTE).is_some() {}
    times.len() < most
}

const MINUTE: Duration = Duration::from_secs(60);
/// New mappings of one node in one NAT: a birthday search and 16 addresses beside it. Servers and relay make four more on each
/// network: a device that moves and searches in one minute stays below 300 all the same, where small routers begin to suffer.
const MAPPINGS: usize = 272;
/// One birthday search, and what two predictions send.
const SEARCH_PROBES: usize = 1300;
/// To one IP address that does not answer, over all peers and ports: two full rounds of 20 peers behind it.
const STRANGER_BYTES: usize = 16 << 10;
/// IP addresses that do not answer: all candidates of a small mesh.
const STRANGERS: usize = 512;
/// What the impatient NATs leave an unreplied mapping (RFC 4787 asks for two minutes); one that lives longer is counted
/// twice.
const MAPPING_LIFETIME: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{Auxiliary, Remote};
    use crate::path::ProbeBody;

    fn probe(to: Remote, charge: Charge) -> Probe {
        Probe { to, ttl: None, body: ProbeBody::Opener, charge }
    }

    #[test]
    fn no_nat_is_asked_for_more_than_three_hundred_mappings_a_minute_whatever_all_peers_need() {
        let start = start();
        let mut allowance = Allowance::default();
        let stranger =
            |port: u16| probe(Remote::Direct(([198, 51, 100, port as u8], 4000 + port).into()), Charge::Stranger);
        let searcher = |socket: u64| {
            let peer = ([203, 0, 113, 9], 4000).into();
            probe(Remote::Auxiliary(Auxiliary { socket: SocketId(socket), peer }), Charge::Search)
        };
        let minute = |allowance: &mut Allowance, now| {
            let asked = (0..400).map(searcher).chain((0..400).map(stranger));
            asked.filter(|probe| allowance.take(probe, 62, NatMapping::EndpointDependent, now)).count()
        };

        assert_eq!(minute(&mut allowance, start), MAPPINGS);
        assert_eq!(minute(&mut allowance, start + Duration::from_secs(29)), MAPPINGS, "those that exist cost nothing");
        let later = (0..400).map(|port| stranger(1000 + port));
        let at = start + Duration::from_secs(59);
        assert_eq!(later.filter(|probe| allowance.take(probe, 62, NatMapping::Unknown, at)).count(), 0);
    }

    #[test]
    fn what_the_driver_makes_by_itself_is_part_of_it() {
        let start = start();
        let mut allowance = Allowance::default();
        allowance.note_made(MAPPINGS - 1, start);

        let taken = (0..9u16).filter(|port| {
            let stranger = probe(Remote::Direct(([198, 51, 100, 1], 4000 + port).into()), Charge::Stranger);
            allowance.take(&stranger, 62, NatMapping::EndpointDependent, start)
        });

        assert_eq!(taken.count(), 1);
    }

    #[test]
    fn a_nat_that_maps_all_destinations_alike_is_charged_for_sockets_only() {
        let start = start();
        let mut allowance = Allowance::default();

        let taken = (0..1000u16).filter(|port| {
            let probe = probe(Remote::Direct(([198, 51, 100, 1], 4000 + port).into()), Charge::Search);
            allowance.take(&probe, 62, NatMapping::EndpointIndependent, start)
        });

        assert_eq!(taken.count(), 1000);
    }

    #[test]
    fn many_peers_that_name_one_victim_do_not_multiply_what_it_gets() {
        let start = start();
        let mut allowance = Allowance::default();

        let sent = (0..2000u16).filter(|port| {
            let probe = probe(Remote::Direct(([198, 51, 100, 1], 4000 + port).into()), Charge::Stranger);
            allowance.take(&probe, 62, NatMapping::EndpointIndependent, start)
        });

        assert!(sent.count() * 62 <= STRANGER_BYTES);
    }
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

//! Who is where: hosts and servers in realms, NATs between the realms, and the way of a datagram through them.
//!
//! A realm is a set of addresses that reach each other: the public Internet, and the inside of each NAT. The same
//! private address may exist in many. What passes a NAT is `nat`'s decision; delay and loss are `link`'s.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::host::HostId;
use crate::nat::{Mapping, Nat};

/// Names a NAT of one world.
pub type NatId = usize;

/// Where an address means something.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Realm {
    /// The Internet.
    Public,
    /// Behind this NAT.
    Inside(NatId),
}

/// What has an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Owner {
    Host(HostId),
    Nat(NatId),
    Server,
}

/// A datagram that is on its way down to its destination.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flight {
    pub(crate) realm: Realm,
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) ttl: u8,
}

/// All addresses and NATs of one world.
#[derive(Default)]
pub struct Net {
    /// The NATs, by `NatId`.
    pub nats: Vec<Nat>,
    /// Where the outside of each NAT is, and how far from the middle of the Internet.
    outside: Vec<(Realm, Duration)>,
    owners: BTreeMap<(Realm, IpAddr), Owner>,
}

impl Net {
    pub(crate) fn add_nat(&mut self, nat: Nat, outside: Realm, distance: Duration) -> NatId {
        let id = self.nats.len();
        if nat.kind().mapping != Mapping::None {
            self.owners.insert((outside, nat.address()), Owner::Nat(id));
        }
        self.nats.push(nat);
        self.outside.push((outside, distance));
        id
    }

    pub(crate) fn add_server(&mut self, ip: IpAddr) {
        self.owners.insert((Realm::Public, ip), Owner::Server);
    }

    /// Gives `ip` in `realm` to a host; where only a firewall stands before it, the world outside learns of it.
    pub(crate) fn attach(&mut self, host: HostId, realm: Realm, ip: IpAddr) {
        self.owners.insert((realm, ip), Owner::Host(host));
        if let Realm::Inside(nat) = realm
            && self.nats[nat].kind().mapping == Mapping::None
        {
            self.owners.insert((self.outside[nat].0, ip), Owner::Nat(nat));
        }
    }

    /// Takes all addresses of a host away.
    pub(crate) fn detach(&mut self, host: HostId, ips: &[(Realm, IpAddr)]) {
        let firewalls = |realm| match realm {
            Realm::Inside(nat) => Some((self.outside[nat].0, nat)),
            Realm::Public => None,
        };
        for (realm, ip) in ips {
            let outside = firewalls(*realm);
            if self.owners.get(&(*realm, *ip)) == Some(&Owner::Host(host)) {
                self.owners.remove(&(*realm, *ip));
            }
            if let Some((outside, nat)) = outside
                && self.owners.get(&(outside, *ip)) == Some(&Owner::Nat(nat))
                && self.nats[nat].kind().mapping == Mapping::None
            {
                self.owners.remove(&(outside, *ip));
            }
        }
    }

    /// The provider of a NAT gives it another address.
    pub(crate) fn renumber(&mut self, nat: NatId, address: IpAddr) {
        let outside = self.outside[nat].0;
        self.owners.remove(&(outside, self.nats[nat].address()));
        self.nats[nat].renumber(address);
        self.owners.insert((outside, address), Owner::Nat(nat));
    }

    pub(crate) fn owner(&self, realm: Realm, ip: IpAddr) -> Option<Owner> {
        self.owners.get(&(realm, ip)).copied()
    }

    /// Whether the outside of a NAT is in `realm`.
    pub(crate) fn is_outside(&self, nat: NatId, realm: Realm) -> bool {
        self.outside[nat].0 == realm && self.nats[nat].kind().mapping != Mapping::None
    }

    /// How far a NAT is from the middle of the Internet.
    pub(crate) fn distance(&self, nat: NatId) -> Duration {
        self.outside[nat].1
    }

    /// The address that the Internet sees of those in `realm`, if there is a NAT.
    pub(crate) fn seen_outside(&self, mut realm: Realm) -> Option<IpAddr> {
        let mut address = None;
        while let Realm::Inside(nat) = realm {
            address = Some(self.nats[nat].address());
            realm = self.outside[nat].0;
        }
        address
    }

    /// Whether UDP from `realm` gets out.
    pub(crate) fn lets_udp_out(&self, mut realm: Realm) -> bool {
        while let Realm::Inside(nat) = realm {
            if self.nats[nat].kind().blocks_udp {
                return false;
            }
            realm = self.outside[nat].0;
        }
        true
    }

    /// Carries a datagram outward until somebody in the realm it has come to owns its destination. `None` if a NAT or a
    /// firewall drops it, nobody has the address, or its TTL is used up.
    pub(crate) fn ascend(
        &mut self,
        mut realm: Realm,
        from: SocketAddr,
        to: SocketAddr,
        ttl: u8,
        now: Instant,
    ) -> Option<Flight> {
        let mut flight = Flight { realm, from, to, ttl };
        loop {
            flight.realm = realm;
            match realm {
                Realm::Public => {
                    flight.ttl = spend(flight.ttl, CORE_HOPS)?;
                    return self.owner(realm, to.ip()).map(|_| flight);
                }
                Realm::Inside(_) if self.owner(realm, to.ip()).is_some() => return Some(flight),
                Realm::Inside(nat) => {
                    flight.ttl = spend(flight.ttl, 1)?;
                    flight.from = self.nats[nat].outbound(flight.from, to, now)?;
                    if to.ip() == self.nats[nat].address() {
                        // out to the NAT's own address and back in
                        return self.nats[nat].kind().hairpin.then_some(flight).and_then(|flight| {
                            let inside = self.nats[nat].inbound(flight.from, to, now)?;
                            Some(Flight { to: inside, ..flight })
                        });
                    }
                    realm = self.outside[nat].0;
                }
            }
        }
    }

    /// Carries a datagram inward to a host; gives it with the address of its own that was sent to.
    pub(crate) fn descend(&mut self, mut flight: Flight, now: Instant) -> Option<(Owner, SocketAddr)> {
        loop {
            match self.owner(flight.realm, flight.to.ip())? {
                Owner::Nat(nat) => {
                    flight.ttl = spend(flight.ttl, 1)?;
                    flight.to = self.nats[nat].inbound(flight.from, flight.to, now)?;
                    flight.realm = Realm::Inside(nat);
                }
                owner @ (Owner::Host(_) | Owner::Server) => return Some((owner, flight.to)),
            }
        }
    }
}

/// What is left of a TTL after so many routers; none if the datagram died there.
fn spend(ttl: u8, hops: u8) -> Option<u8> {
    ttl.checked_sub(hops).filter(|left| *left > 0)
}

/// Routers between two NATs on the Internet, at the least: an opener's TTL ends among them.
const CORE_HOPS: u8 = 6;
/// What hosts send with if nothing else is said.
pub(crate) const USUAL_TTL: u8 = 64;

//! The places of a matrix: two of each kind, with an agent on a host in each, enrolled and offline.
//!
//! Everything is built once. Only two agents are ever online together: a small mesh connects all its pairs by itself.

use std::thread;

use anyhow::{Context, Result, anyhow, ensure};

use super::attempt::{self, End};
use super::expect::expected;
use super::results::{Kind, Try};
use crate::agent::{Agent, Options};
use crate::classify::{self, Class, Filtering};
use crate::nat::NatKind;
use crate::server::Server;
use crate::topology::{Internet, Place};

/// Places, agents and a rendezvous that exist until they are dropped, in this order.
#[derive(Debug)]
pub struct World {
    members: Vec<Member>,
    kinds: Vec<Kind>,
    _server: Server,
    internet: Internet,
    /// The last number of the address that sites had in the last search.
    number: u8,
}

/// An agent in a place of some kind.
#[derive(Debug)]
struct Member {
    kind: NatKind,
    side: Side,
    end: End,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    Left,
    Right,
}

impl World {
    /// Builds it, finds out what was built, and enrols everybody. `title` names the directory of its records.
    pub fn build(title: &str, kinds: &[NatKind]) -> Result<Self> {
        let wanted: Vec<_> = kinds.iter().flat_map(|kind| [(*kind, Side::Left), (*kind, Side::Right)]).collect();
        let labels: Vec<_> = wanted.iter().map(|(kind, side)| label(*kind, *side)).collect();
        let hosts: Vec<_> = labels.iter().map(|label| [label.as_str()]).collect();
        let places: Vec<_> = wanted.iter().zip(&hosts).map(|((nat, _), hosts)| Place { nat: *nat, hosts }).collect();
        let internet = Internet::build(title, &places)?;
        let kinds = kinds.iter().map(|kind| classified(&internet, *kind)).collect::<Result<_>>()?;
        let server = Server::start(&internet)?;
        let invite = server.invite(&["--reusable"])?;
        let mut members = Vec::new();
        for (chunk, labels) in wanted.chunks(AT_ONCE).zip(labels.chunks(AT_ONCE)) {
            let ends: Vec<Result<End>> = thread::scope(|scope| {
                let enrol = |label| enrol(&internet, label, &invite);
                let workers: Vec<_> = labels.iter().map(|label| scope.spawn(move || enrol(label))).collect();
                workers
                    .into_iter()
                    .map(|worker| worker.join().unwrap_or_else(|_| Err(anyhow!("an enrolment panicked"))))
                    .collect()
            });
            for ((kind, side), end) in chunk.iter().zip(ends) {
                members.push(Member { kind: *kind, side: *side, end: end? });
            }
        }
        Ok(Self { members, kinds, _server: server, internet, number: FIRST_NUMBER })
    }

    /// What the kinds turned out to be.
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// Lets the agents of two kinds meet once.
    pub fn meet(&mut self, left: NatKind, right: NatKind) -> Result<Try> {
        let places = [self.place(left, Side::Left)?, self.place(right, Side::Right)?];
        let expected = expected(left, right);
        if expected.is_searched() {
            self.renumber(places)?;
        }
        let sites = places.map(|place| &self.internet.sites[place]);
        let [left, right] = self.members.get_disjoint_mut(places).context("a place that meets itself")?;
        attempt::run([&mut left.end, &mut right.end], &sites, expected)
    }

    /// Gives sites addresses that have not searched yet: an address may search only so much in a minute, and this
    /// matrix is no minute's work.
    fn renumber(&mut self, sites: [usize; 2]) -> Result<()> {
        self.number = if self.number == LAST_NUMBER { FIRST_NUMBER } else { self.number + 1 };
        sites.into_iter().try_for_each(|site| self.internet.sites[site].renumber(self.number))
    }

    /// Which of the sites it is: members are in the same order.
    fn place(&self, kind: NatKind, side: Side) -> Result<usize> {
        let found = self.members.iter().position(|member| member.kind == kind && member.side == side);
        found.with_context(|| format!("there is no place of the kind {}", kind.name()))
    }
}

fn label(kind: NatKind, side: Side) -> String {
    let side = match side {
        Side::Left => "left",
        Side::Right => "right",
    };
    format!("{}-{side}", kind.name())
}

/// Finds out what stands before the left host of a kind; anything but what is called for spoils the matrix.
fn classified(internet: &Internet, kind: NatKind) -> Result<Kind> {
    let host = internet.host(&label(kind, Side::Left))?;
    let class = classify::measure(internet, host)?;
    ensure!(class == Class::expected(kind), "what was built as {} is {class}", kind.name());
    let firewall_v6 = classify::measure_v6(internet, host)?.map(|seen| seen == Filtering::AddressAndPortDependent);
    Ok(Kind { name: kind.name().to_owned(), description: kind.describe().to_owned(), class, firewall_v6 })
}

/// Starts an agent, enrols it from behind a NAT that lets everything out, and takes it offline again.
fn enrol(internet: &Internet, label: &str, invite: &str) -> Result<End> {
    let site = internet.sites.iter().find(|site| site.hosts.iter().any(|host| host.label == label));
    let site = site.with_context(|| format!("{label} has no place"))?;
    let lets_out = !matches!(site.nat, NatKind::Blocked | NatKind::Rejected);
    if !lets_out {
        site.install(NatKind::PortRestricted)?;
    }
    let agent = Agent::start(internet, label, Options::default())?;
    agent.up(invite)?;
    let end = End::offline(agent)?;
    site.reset()?;
    Ok(end)
}

/// Numbers of addresses within a site's prefix.
const FIRST_NUMBER: u8 = 10;
const LAST_NUMBER: u8 = 250;
/// As many enrolments at a time as two cores do not notice.
const AT_ONCE: usize = 8;

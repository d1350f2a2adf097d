//! Meetings that are no pair of kinds: what decides is what the two hosts share.

use anyhow::{Context, Result};

use super::attempt::{self, End};
use super::expect::Expectation;
use super::results::Cell;
use crate::agent::{Agent, Options};
use crate::nat::NatKind;
use crate::server::Server;
use crate::topology::{Internet, Place};

/// One of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scene {
    /// Two subscribers of one carrier, whose NAT does not hairpin.
    OneCarrier,
    /// Two subscribers of one carrier, whose NAT does.
    OneCarrierHairpin,
    /// Two hosts of one local network.
    OneNat,
    /// Two hosts behind one NAT that cannot see each other, but meet at its outer address.
    OneNatHairpin,
    /// A host behind the same NAT as another one with the same port, and a third far away.
    SamePort,
}

impl Scene {
    /// Every scene.
    pub const ALL: [Self; 5] =
        [Self::OneNat, Self::OneNatHairpin, Self::OneCarrierHairpin, Self::OneCarrier, Self::SamePort];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneCarrier => "one-carrier",
            Self::OneCarrierHairpin => "one-carrier-hairpin",
            Self::OneNat => "one-nat",
            Self::OneNatHairpin => "one-nat-hairpin",
            Self::SamePort => "same-port",
        }
    }

    /// What must come of it.
    pub const fn expected(self) -> Expectation {
        match self {
            Self::OneCarrier => Expectation::NoHairpin,
            Self::OneCarrierHairpin | Self::OneNatHairpin | Self::SamePort => Expectation::Basic,
            Self::OneNat => Expectation::Lan,
        }
    }

    /// Builds the place and lets the two meet.
    pub fn run(self, tries: u32) -> Result<Cell> {
        let internet = Internet::build(&format!("matrix-{}", self.name()), self.places())?;
        let server = Server::start(&internet)?;
        let invite = server.invite(&["--reusable"])?;
        let enrol = |label: &str, options: Options| -> Result<Agent> {
            let agent = Agent::start(&internet, label, options)?;
            agent.up(&invite)?;
            Ok(agent)
        };
        let options = self.options();
        let mut ends = Vec::new();
        for label in ["laptop", "tablet"] {
            ends.push(End::offline(enrol(label, options.clone())?)?);
        }
        // Takes the port at the NAT before the others come.
        let _third = if self == Self::SamePort { Some(enrol("desktop", options)?) } else { None };
        let sites: Vec<_> = if self == Self::SamePort { Vec::new() } else { internet.sites.iter().collect() };
        let [first, second] = ends.as_mut_slice() else { anyhow::bail!("two hosts meet") };
        let tries = (0..tries).map(|_| attempt::run([&mut *first, &mut *second], &sites, self.expected()));
        let tries = tries.collect::<Result<_>>().with_context(|| format!("play {}", self.name()))?;
        Ok(Cell::new(self.name(), "", self.expected(), tries))
    }

    const fn places(self) -> &'static [Place<'static>] {
        match self {
            Self::OneCarrier => &[Place { nat: NatKind::CarrierGrade, hosts: &["laptop", "tablet"] }],
            Self::OneCarrierHairpin => &[Place { nat: NatKind::CarrierGradeHairpin, hosts: &["laptop", "tablet"] }],
            Self::OneNat => &[Place { nat: NatKind::PortRestricted, hosts: &["laptop", "tablet"] }],
            Self::OneNatHairpin => &[Place { nat: NatKind::Hairpin, hosts: &["laptop", "tablet"] }],
            Self::SamePort => &[
                Place { nat: NatKind::PortRestricted, hosts: &["laptop", "desktop"] },
                Place { nat: NatKind::PortRestricted, hosts: &["tablet"] },
            ],
        }
    }

    fn options(self) -> Options {
        let flags: &[&str] = if self == Self::SamePort { &["--port", "51820"] } else { &[] };
        Options { flags: flags.iter().map(|flag| (*flag).to_owned()).collect(), ..Options::default() }
    }
}

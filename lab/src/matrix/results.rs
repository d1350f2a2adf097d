//! What came out. This is also the JSON file.

use serde::{Deserialize, Serialize};

use super::Settings;
use super::expect::Expectation;
use crate::classify::Class;
use crate::machine::Machine;

/// A whole matrix.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Results {
    /// The version of this layout.
    pub schema: u32,
    /// The day.
    pub date: String,
    /// Where.
    pub machine: Machine,
    /// How often each pair met.
    pub tries: u32,
    /// The kinds, in the order of rows and columns.
    pub kinds: Vec<Kind>,
    /// Half of the square, row by row.
    pub cells: Vec<Cell>,
    /// What is no pair of kinds.
    pub scenes: Vec<Cell>,
}

/// A kind of NAT as it was built.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Kind {
    /// Its name.
    pub name: String,
    /// For people.
    pub description: String,
    /// What it turned out to be, over IPv4.
    pub class: Class,
    /// Whether it lets in over IPv6 only what was asked for; `None` without IPv6.
    pub firewall_v6: Option<bool>,
}

/// Two ends that met several times.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Cell {
    /// The kind on one side, or the name of a scene.
    pub left: String,
    /// The kind on the other side; empty for a scene.
    pub right: String,
    /// What must come of it.
    pub expected: Expectation,
    /// What came of it.
    pub tries: Vec<Try>,
}

/// One meeting. Times count from the moment when the second device was told to go online.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Try {
    /// The path that the first end uses: "ipv4", "ipv6", "lan", "udp-relay", "websocket-relay".
    pub via: Option<String>,
    /// The path that the second end uses.
    pub far_via: Option<String>,
    /// How each end found its path, where it knows.
    pub techniques: Vec<String>,
    /// The reason code that each end states.
    pub reasons: Vec<String>,
    /// Until the second device was connected to the rendezvous.
    pub connected_ms: Option<f64>,
    /// Until the first datagram of the first device reached the second.
    pub first_byte_ms: Option<f64>,
    /// Until both sent straight to each other.
    pub direct_ms: Option<f64>,
    /// Datagrams that each end sent to others than the rendezvous until then, data left out.
    pub probes: Vec<u64>,
    /// Mappings that each site's NAT made until then.
    pub mappings: Vec<u64>,
    /// What went wrong, if the try came to nothing.
    pub failure: Option<String>,
}

impl Results {
    pub(super) fn new(settings: &Settings, machine: Machine, kinds: Vec<Kind>) -> Self {
        let Settings { tries, date, .. } = settings.clone();
        Self { schema: 1, date, machine, tries, kinds, cells: Vec::new(), scenes: Vec::new() }
    }

    /// Where, when and how often, in one line.
    pub fn describe(&self) -> String {
        let tries = if self.tries == 1 { "once each".to_owned() } else { format!("{} times each", self.tries) };
        format!("{} · {} · {tries}, no delay added", self.machine.describe(), self.date)
    }

    /// The cell of two kinds, in either order.
    pub fn cell(&self, left: &str, right: &str) -> Option<&Cell> {
        let is =
            |cell: &&Cell| (cell.left == left && cell.right == right) || (cell.left == right && cell.right == left);
        self.cells.iter().find(is)
    }

    /// Everything that met, scenes last.
    pub fn all(&self) -> impl Iterator<Item = &Cell> {
        self.cells.iter().chain(&self.scenes)
    }
}

impl Cell {
    /// What came of these two.
    pub fn new(left: &str, right: &str, expected: Expectation, tries: Vec<Try>) -> Self {
        Self { left: left.to_owned(), right: right.to_owned(), expected, tries }
    }

    /// Its two kinds, or the scene.
    pub fn title(&self) -> String {
        if self.right.is_empty() { self.left.clone() } else { format!("{} x {}", self.left, self.right) }
    }

    /// What is not as expected, one sentence a try.
    pub fn complaints(&self) -> impl Iterator<Item = String> {
        self.tries.iter().filter_map(|one| self.expected.complain(one))
    }

    /// How many tries came to what was expected.
    pub fn good(&self) -> usize {
        self.tries.len() - self.complaints().count()
    }

    /// Whether enough did: all of them, but for a search that depends on luck, of which one in ten may fail.
    pub fn passed(&self) -> bool {
        let needed = match self.expected {
            Expectation::Birthday => self.tries.len() * 9 / 10,
            Expectation::Basic
            | Expectation::BothSymmetric
            | Expectation::Ipv6
            | Expectation::Lan
            | Expectation::NoCommonFamily
            | Expectation::NoHairpin
            | Expectation::Prediction
            | Expectation::UdpBlocked => self.tries.len(),
        };
        self.good() >= needed.max(1)
    }

    /// The middle one of a figure's values, where it has any.
    pub fn median(&self, figure: impl Fn(&Try) -> Option<f64>) -> Option<f64> {
        let mut values: Vec<_> = self.tries.iter().filter_map(figure).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    }

    /// The techniques that found paths, each once.
    pub fn techniques(&self) -> String {
        let mut names: Vec<_> = self.tries.iter().flat_map(|one| &one.techniques).map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        names.join(", ")
    }

    /// The reasons stated, each once.
    pub fn reasons(&self) -> String {
        let mut names: Vec<_> = self.tries.iter().flat_map(|one| &one.reasons).map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        names.join(", ")
    }

    /// In one line, for whoever watches.
    pub fn describe(&self) -> String {
        let milliseconds = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.0} ms"));
        format!(
            "{:<44} {} of {} {}, first byte {}, direct {}",
            self.title(),
            self.good(),
            self.tries.len(),
            self.expected.name(),
            milliseconds(self.median(|one| one.first_byte_ms)),
            milliseconds(self.median(|one| one.direct_ms)),
        )
    }
}

impl Try {
    /// The probes of both ends.
    pub fn probes(&self) -> Option<f64> {
        (!self.probes.is_empty()).then(|| self.probes.iter().sum::<u64>() as f64)
    }

    /// The most mappings that one NAT made.
    pub fn mappings(&self) -> Option<f64> {
        self.mappings.iter().max().map(|count| *count as f64)
    }
}

//! What a population came to: the figures, and the page that shows them.

use std::fmt::{self, Write};
use std::time::Duration;

use super::{Meeting, Outcome, Site, chart};

/// The figures of one population.
pub struct Report {
    agents: usize,
    seed: u64,
    meetings: Vec<Meeting>,
    /// Times to direct, ascending.
    pub(super) times: Vec<Duration>,
    probes: u64,
    relayed_bytes: u64,
    sent_bytes: u64,
}

impl Report {
    pub(super) fn new(agents: usize, seed: u64, outcome: &Outcome) -> Self {
        let mut times: Vec<Duration> = outcome.meetings.iter().filter_map(|meeting| meeting.direct_after).collect();
        times.sort();
        Self {
            agents,
            seed,
            meetings: outcome.meetings.clone(),
            times,
            probes: outcome.probes,
            relayed_bytes: outcome.relayed_bytes,
            sent_bytes: outcome.sent_bytes,
        }
    }

    /// Pairs that met.
    pub fn pairs(&self) -> usize {
        self.meetings.len()
    }

    /// Of all pairs, the share that came to a straight path.
    pub fn share_direct(&self) -> f64 {
        ratio(self.times.len(), self.meetings.len())
    }

    /// The time within which `share` of the direct pairs were direct.
    pub fn time_to_direct(&self, share: f64) -> Duration {
        let last = self.times.len().saturating_sub(1);
        let index = (last as f64 * share).round() as usize;
        self.times.get(index).copied().unwrap_or_default()
    }

    /// Datagrams that were sent to find and prove paths, both ends together, for each pair.
    pub fn probes_per_pair(&self) -> f64 {
        self.probes as f64 / self.meetings.len().max(1) as f64
    }

    /// The pairs that a device at `site` was in, and how many of them became direct.
    pub(super) fn of_site(&self, site: Site) -> (usize, usize) {
        let pairs = || self.meetings.iter().filter(|meeting| meeting.sites.contains(&site));
        (pairs().count(), pairs().filter(|meeting| meeting.direct_after.is_some()).count())
    }

    /// A page for `docs/`, which shows the chart beside it.
    pub fn page(&self) -> String {
        let mut page = PAGE_HEAD.to_owned();
        let _ = write!(page, "{self}\n![Share of pairs that are direct, over time and by NAT](population.svg)\n\n");
        page += "| network of one end | of 1,000 devices | pairs | direct |\n|---|---:|---:|---:|\n";
        for site in Site::ALL {
            let (pairs, direct) = self.of_site(site);
            let share = 100.0 * ratio(direct, pairs);
            let _ = writeln!(page, "| {site} | {} | {pairs} | {share:.1} % |", site.per_mille());
        }
        page + PAGE_TAIL
    }

    /// The chart, an SVG document.
    pub fn chart(&self) -> String {
        chart::draw(self)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |share| self.time_to_direct(share).as_millis();
        writeln!(f, "| | |\n|---|---:|")?;
        writeln!(f, "| agents, seed | {}, {} |", self.agents, self.seed)?;
        writeln!(f, "| pairs that met | {} |", self.pairs())?;
        writeln!(f, "| direct | {:.1} % |", 100.0 * self.share_direct())?;
        writeln!(f, "| time to direct, p50 / p95 / p99 | {} / {} / {} ms |", millis(0.5), millis(0.95), millis(0.99))?;
        writeln!(f, "| datagrams to find and prove paths, per pair, both ends | {:.0} |", self.probes_per_pair())?;
        let (relayed, pairs) = (self.relayed_bytes as f64, self.pairs().max(1) as f64);
        writeln!(f, "| sent through the relay, per pair | {:.1} KB |", relayed / pairs / 1000.0)?;
        writeln!(f, "| inner packets, per pair | {:.1} KB |", self.sent_bytes as f64 / pairs / 1000.0)
    }
}

pub(super) fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

const PAGE_HEAD: &str = "# A population

What agents come to that stand behind the networks of the field: simulated by `cargo xtask population`, which wrote this page. Real
`proto::Node`s and the real coordinator; meshes of 50 devices; each device speaks to three others, any time within 40 s, two packets
a second for 60 s. Wires of 5 to 50 ms with up to 4 ms of jitter and half a percent of loss. A pair counts as direct when both ends
send straight to each other at the end; its time runs from the first packet, before which there is no session.

";
const PAGE_TAIL: &str = "
The mix follows the few measurements there are (Halkes and Pouwelse 2011; Richter et al. 2016; IPv6 for 48 % of the devices behind a
stateful firewall); none is recent, and the shares of a real fleet will differ.
";

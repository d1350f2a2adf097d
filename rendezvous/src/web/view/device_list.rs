//! The list of devices: one page of the rows that a query asks for.

use warren_proto::candidate::NatMapping;
use warren_proto::keys::UnixTime;

use super::super::format::{Bytes, Moment, Rtt};
use crate::actions::{DeviceSummary, Survey};

/// One row.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in crate::web) struct ListRow {
    pub(in crate::web) id: String,
    pub(in crate::web) name: String,
    pub(in crate::web) tags: Vec<String>,
    pub(in crate::web) v4: String,
    pub(in crate::web) v6: String,
    pub(in crate::web) online: bool,
    pub(in crate::web) last_seen: Option<Moment>,
    pub(in crate::web) relay_only: bool,
    pub(in crate::web) direct: usize,
    pub(in crate::web) relayed: usize,
    pub(in crate::web) rtt: Option<Rtt>,
    pub(in crate::web) nat: Option<&'static str>,
    pub(in crate::web) os: String,
    pub(in crate::web) agent_version: String,
    /// Whether the server is newer than the agent.
    pub(in crate::web) is_old: bool,
    pub(in crate::web) received: Bytes,
    pub(in crate::web) sent: Bytes,
    /// Whether whoever looks may select it.
    pub(in crate::web) may_manage: bool,
}

/// One page of the list.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in crate::web) struct DeviceList {
    pub(in crate::web) summary: String,
    pub(in crate::web) rows: Vec<ListRow>,
    /// How many the query found.
    pub(in crate::web) found: usize,
    /// How many there are.
    pub(in crate::web) total: usize,
    /// Counted from 1.
    pub(in crate::web) page: usize,
    pub(in crate::web) pages: usize,
    /// What the filters may choose from.
    pub(in crate::web) systems: Vec<String>,
    pub(in crate::web) tags: Vec<String>,
}

impl ListRow {
    /// A device in short; `may_manage` is whoever looks.
    pub(in crate::web) fn new(summary: &DeviceSummary, may_manage: bool, now: UnixTime) -> Self {
        let DeviceSummary { device, presence, nat, paths } = summary;
        Self {
            id: device.id.to_string(),
            name: device.name.to_string(),
            tags: device.tags.clone(),
            v4: device.v4.to_string(),
            v6: device.v6.to_string(),
            online: presence.is_some(),
            last_seen: device.last_seen_at.filter(|_| presence.is_none()).map(|at| Moment::new(at, now)),
            relay_only: device.relay_only,
            direct: paths.direct,
            relayed: paths.relayed,
            rtt: paths.median_rtt.map(Rtt),
            nat: nat.and_then(nat_words),
            os: device.os.clone(),
            agent_version: device.agent_version.clone(),
            is_old: is_older(&device.agent_version, env!("CARGO_PKG_VERSION")),
            received: Bytes(paths.rx_bytes),
            sent: Bytes(paths.tx_bytes),
            may_manage,
        }
    }
}

impl DeviceList {
    /// A page of what was found; a page beyond the last is the last.
    pub(in crate::web) fn new(survey: &Survey, page: usize, row: impl Fn(&DeviceSummary) -> ListRow) -> Self {
        let pages = survey.found.len().div_ceil(ROWS_IN_PAGE).max(1);
        let page = page.clamp(1, pages);
        let shown = survey.found.iter().skip((page - 1) * ROWS_IN_PAGE).take(ROWS_IN_PAGE);
        Self {
            summary: summary(survey),
            rows: shown.map(row).collect(),
            found: survey.found.len(),
            total: survey.total,
            page,
            pages,
            systems: survey.systems.iter().cloned().collect(),
            tags: survey.tags.iter().cloned().collect(),
        }
    }

    /// The order of the rows: while it stays, rows can be replaced one by one.
    pub(in crate::web) fn outline(&self) -> String {
        let ids: Vec<&str> = self.rows.iter().map(|row| row.id.as_str()).collect();
        format!("{} {} {}", self.pages, self.found, ids.join(" "))
    }
}

/// The mesh in one line.
fn summary(survey: &Survey) -> String {
    if survey.total == 0 {
        return "There are no devices here yet.".to_owned();
    }
    let summary = format!("{} of {} online", survey.online, survey.total);
    // each end reports its own path to the other, so this is the share of directions
    match (survey.direct * 100).checked_div(survey.direct + survey.relayed) {
        Some(share) => format!("{summary}, {share} % of paths direct"),
        None => summary,
    }
}

/// The kinds of NAT that a filter may choose: the word in the URL, and in words.
pub(in crate::web) const NATS: [(NatMapping, &str, &str); 4] = [
    (NatMapping::None, "none", "no NAT"),
    (NatMapping::EndpointIndependent, "endpoint-independent", "one port for all"),
    (NatMapping::AddressDependent, "address-dependent", "a port per address"),
    (NatMapping::EndpointDependent, "endpoint-dependent", "a port per destination"),
];

/// A kind of NAT in words.
fn nat_words(mapping: NatMapping) -> Option<&'static str> {
    NATS.into_iter().find(|(kind, ..)| *kind == mapping).map(|(_, _, words)| words)
}

/// Whether a version is older than another, by its numbers; what is no version is not.
pub(in crate::web) fn is_older(version: &str, than: &str) -> bool {
    let numbers = |text: &str| {
        let core = text.split(['-', '+', ' ']).next().unwrap_or_default();
        core.split('.').map(str::parse).collect::<Result<Vec<u32>, _>>().ok()
    };
    numbers(version).zip(numbers(than)).is_some_and(|(version, than)| version < than)
}

/// A page stays below 20 KB as it travels, and quick to draw on a phone.
const ROWS_IN_PAGE: usize = 100;

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::sync::Arc;

    use warren_proto::keys::{IdentityPublic, NodeId, StaticPublic};

    use super::*;
    use crate::actions::PathMix;
    use crate::domain::{Device, DeviceName, DeviceState};

    #[test]
    fn the_summary_counts_what_is_online() {
        let survey = |online, total, direct, relayed| Survey { online, total, direct, relayed, ..empty() };

        assert_eq!(summary(&survey(2, 3, 1, 1)), "2 of 3 online, 50 % of paths direct");
        assert_eq!(summary(&survey(0, 1, 0, 0)), "0 of 1 online");
        assert_eq!(summary(&empty()), "There are no devices here yet.");
    }

    #[test]
    fn a_long_list_has_pages() {
        let survey = Survey { found: (1..=250).map(device).collect(), ..empty() };

        let sizes = [0, 1, 3, 99].map(|page| {
            let list = DeviceList::new(&survey, page, |summary| ListRow::new(summary, false, NOW));
            (list.page, list.pages, list.rows.len())
        });

        assert_eq!(sizes, [(1, 3, 100), (1, 3, 100), (3, 3, 50), (3, 3, 50)]);
    }

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(is_older("0.9.0", "0.10.0") && is_older("1.2.3-rc1", "1.3.0"));
        assert!(!is_older("0.10.0", "0.9.9") && !is_older("1.0.0", "1.0.0"));
        assert!(!is_older("", "1.0.0") && !is_older("built by hand", "1.0.0"));
    }

    fn empty() -> Survey {
        let (systems, tags) = Default::default();
        Survey { found: Vec::new(), total: 0, online: 0, direct: 0, relayed: 0, systems, tags }
    }

    fn device(id: u8) -> DeviceSummary {
        let device = Device {
            id: NodeId::new([id; 16]),
            name: DeviceName::parse(&format!("device-{id}")).unwrap(),
            hostname: String::new(),
            identity_key: IdentityPublic::new([id; 32]),
            static_key: StaticPublic::new([id; 32]),
            v4: Ipv4Addr::new(100, 64, 0, id),
            v6: Ipv6Addr::LOCALHOST,
            certificate: Vec::new(),
            epoch: 1,
            not_after: NOW,
            tags: Vec::new(),
            os: String::new(),
            agent_version: String::new(),
            relay_only: false,
            state: DeviceState::Active,
            invite_id: None,
            owner_id: None,
            created_at: NOW,
            last_seen_at: None,
            ended_at: None,
        };
        DeviceSummary { device: Arc::new(device), presence: None, nat: None, paths: PathMix::default() }
    }

    const NOW: UnixTime = UnixTime::from_secs(1_000_000);
}

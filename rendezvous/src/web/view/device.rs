//! Devices as the list and their own page show them.

use std::collections::BTreeMap;

use warren_proto::keys::{NodeId, UnixTime};

use super::super::format::{Bytes, Moment};
use super::path::{PathKind, PathView};
use crate::actions::DeviceView;
use crate::domain::DeviceState;

/// One row of the list.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in crate::web) struct DeviceRow {
    pub(in crate::web) id: String,
    pub(in crate::web) name: String,
    pub(in crate::web) v4: String,
    pub(in crate::web) v6: String,
    pub(in crate::web) online: bool,
    pub(in crate::web) last_seen: Option<Moment>,
    /// To every peer there is something to say of, best first.
    pub(in crate::web) paths: Vec<PathView>,
    pub(in crate::web) received: Bytes,
    pub(in crate::web) sent: Bytes,
}

/// The names of the peers that paths lead to.
pub(super) type Names<'a> = BTreeMap<NodeId, &'a str>;

/// Names by id.
pub(super) fn names(devices: &[DeviceView]) -> Names<'_> {
    devices.iter().map(|view| (view.device.id, view.device.name.as_str())).collect()
}

impl DeviceRow {
    /// A device with the paths it has; to peers it is not connected to there is nothing to say in a list.
    pub(super) fn new(view: &DeviceView, names: &Names<'_>, now: UnixTime) -> Self {
        let paths = || view.paths.iter();
        let mut shown: Vec<PathView> = paths()
            .filter_map(|path| PathView::new(&path.report, names, now))
            .filter(|path| path.kind != PathKind::None)
            .collect();
        shown.sort_by(|a, b| (a.kind, &a.peer_name).cmp(&(b.kind, &b.peer_name)));
        Self {
            id: view.device.id.to_string(),
            name: view.device.name.to_string(),
            v4: view.device.v4.to_string(),
            v6: view.device.v6.to_string(),
            online: view.presence.is_some(),
            last_seen: view.device.last_seen_at.map(|at| Moment::new(at, now)),
            paths: shown,
            received: Bytes(paths().map(|path| path.report.rx_bytes).sum()),
            sent: Bytes(paths().map(|path| path.report.tx_bytes).sum()),
        }
    }

    /// As many paths as a row has room for.
    pub(in crate::web) fn shown_paths(&self) -> &[PathView] {
        &self.paths[..self.paths.len().min(PATHS_IN_ROW)]
    }

    /// How many more there are.
    pub(in crate::web) fn hidden_paths(&self) -> usize {
        self.paths.len() - self.shown_paths().len()
    }
}

/// The whole list.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(in crate::web) struct DeviceList {
    pub(in crate::web) rows: Vec<DeviceRow>,
}

impl DeviceList {
    /// The devices in the order given.
    pub(in crate::web) fn new(devices: &[DeviceView], now: UnixTime) -> Self {
        let names = names(devices);
        Self { rows: devices.iter().map(|view| DeviceRow::new(view, &names, now)).collect() }
    }

    /// The mesh in one line.
    pub(in crate::web) fn summary(&self) -> String {
        if self.rows.is_empty() {
            return "Your network has no devices.".to_owned();
        }
        let online = self.rows.iter().filter(|row| row.online).count();
        let paths = || self.rows.iter().filter(|row| row.online).flat_map(|row| &row.paths);
        let count = |kind| paths().filter(|path| path.kind == kind).count();
        let (direct, relay) = (count(PathKind::Direct), count(PathKind::Relay));
        let mut summary = format!("{online} of {} online", self.rows.len());
        // each end reports its own path to the other, so this is the share of directions
        if let Some(share) = (direct * 100).checked_div(direct + relay) {
            summary.push_str(&format!(", {share} % of paths direct"));
        }
        summary
    }

    /// The order of the rows: while it stays, rows can be replaced one by one.
    pub(in crate::web) fn outline(&self) -> String {
        self.rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>().join(" ")
    }
}

/// A device's own page.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in crate::web) struct Device {
    pub(in crate::web) id: String,
    pub(in crate::web) name: String,
    pub(in crate::web) row: DeviceRow,
    pub(in crate::web) active: bool,
    pub(in crate::web) ended_word: &'static str,
    pub(in crate::web) ended_at: Option<Moment>,
    pub(in crate::web) hostname: String,
    pub(in crate::web) os: String,
    pub(in crate::web) agent_version: String,
    pub(in crate::web) observed: Option<String>,
    pub(in crate::web) identity_key: String,
    pub(in crate::web) static_key: String,
    pub(in crate::web) epoch: u64,
    pub(in crate::web) not_after: Moment,
    pub(in crate::web) created_at: Moment,
}

impl Device {
    /// A device among the active ones. Its page also names the peers it could be connected to, and is not.
    pub(in crate::web) fn new(view: &DeviceView, active: &[DeviceView], now: UnixTime) -> Self {
        let device = &view.device;
        let names = names(active);
        let mut row = DeviceRow::new(view, &names, now);
        if row.online {
            let online = active.iter().filter(|peer| peer.presence.is_some() && peer.device.id != device.id);
            let missing = online.filter(|peer| row.paths.iter().all(|path| path.peer_id != peer.device.id.to_string()));
            let missing: Vec<PathView> = missing.map(|peer| PathView::none(view, peer, &names, now)).collect();
            row.paths.extend(missing);
        }
        let moment = |at| Moment::new(at, now);
        Self {
            id: row.id.clone(),
            name: row.name.clone(),
            row,
            active: device.state == DeviceState::Active,
            ended_word: if device.state == DeviceState::LoggedOut { "Logged out" } else { "Revoked" },
            ended_at: device.ended_at.map(moment),
            hostname: device.hostname.clone(),
            os: device.os.clone(),
            agent_version: device.agent_version.clone(),
            observed: view.presence.as_ref().map(|presence| presence.observed.to_string()),
            identity_key: device.identity_key.to_string(),
            static_key: device.static_key.to_string(),
            epoch: device.epoch,
            not_after: moment(device.not_after),
            created_at: moment(device.created_at),
        }
    }

    /// "a", "a and b", "a, b and 3 others": whom a revocation cuts off at this moment; empty for nobody.
    pub(in crate::web) fn peer_names(&self) -> String {
        let connected = self.row.paths.iter().filter(|path| path.kind != PathKind::None);
        let names: Vec<&str> = connected.map(|path| path.peer_name.as_str()).collect();
        match names.as_slice() {
            [] => String::new(),
            [one] => (*one).to_owned(),
            [one, two] => format!("{one} and {two}"),
            [one, two, three] => format!("{one}, {two} and {three}"),
            [one, two, rest @ ..] => format!("{one}, {two} and {} others", rest.len()),
        }
    }
}

/// A row of four lines stays a row.
const PATHS_IN_ROW: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn row(online: bool, kinds: &[PathKind]) -> DeviceRow {
        let path = |kind: &PathKind| PathView {
            peer_id: String::new(),
            peer_name: "nas".to_owned(),
            kind: *kind,
            via: None,
            remote: None,
            rtt: None,
            since: None,
            received: Bytes(0),
            sent: Bytes(0),
            explanation: "",
            remedy: None,
        };
        DeviceRow {
            id: "00".to_owned(),
            name: "laptop".to_owned(),
            v4: String::new(),
            v6: String::new(),
            online,
            last_seen: None,
            paths: kinds.iter().map(path).collect(),
            received: Bytes(0),
            sent: Bytes(0),
        }
    }

    #[test]
    fn the_summary_counts_what_is_online() {
        let rows = vec![row(true, &[PathKind::Direct]), row(true, &[PathKind::Relay]), row(false, &[PathKind::Direct])];

        assert_eq!(DeviceList { rows }.summary(), "2 of 3 online, 50 % of paths direct");
        assert_eq!(DeviceList { rows: vec![row(false, &[])] }.summary(), "0 of 1 online");
    }

    #[test]
    fn a_row_shows_the_best_paths_and_counts_the_rest() {
        let row = row(true, &[PathKind::Direct; 7]);

        assert_eq!((row.shown_paths().len(), row.hidden_paths()), (4, 3));
    }
}

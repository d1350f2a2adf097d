//! A device with its paths one by one, as its own page shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use warren_proto::keys::{NodeId, UnixTime};

use super::super::format::{Bytes, Moment};
use super::network::NetworkView;
use super::path::{PathKind, PathView};
use crate::actions::{DeviceView, ShownDevice};
use crate::auth::Person;
use crate::domain::{DeviceState, Right, Scope, may_on_device};

/// A device and its paths.
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
}

/// A device behind a WebSocket has no port of interest.
fn seen_from(address: SocketAddr) -> String {
    if address.port() == 0 { format!("{}, by WebSocket", address.ip()) } else { address.to_string() }
}

/// A device's own page.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in crate::web) struct Device {
    pub(in crate::web) id: String,
    pub(in crate::web) name: String,
    pub(in crate::web) row: DeviceRow,
    pub(in crate::web) active: bool,
    pub(in crate::web) relay_only: bool,
    /// Whether whoever looks may rename, hold and revoke it.
    pub(in crate::web) may_manage: bool,
    /// The peers whose pages whoever looks may open, by id, unless that is all of them.
    seen_peers: Option<BTreeSet<String>>,
    pub(in crate::web) ended_word: &'static str,
    pub(in crate::web) ended_at: Option<Moment>,
    pub(in crate::web) hostname: String,
    pub(in crate::web) os: String,
    pub(in crate::web) agent_version: String,
    /// As a person types them.
    pub(in crate::web) tags: String,
    pub(in crate::web) observed: Option<String>,
    pub(in crate::web) network: Option<NetworkView>,
    pub(in crate::web) identity_key: String,
    pub(in crate::web) static_key: String,
    pub(in crate::web) epoch: u64,
    pub(in crate::web) not_after: Moment,
    pub(in crate::web) created_at: Moment,
}

impl Device {
    /// Whether whoever looks may open the page of this peer, and of the pair with it.
    pub(in crate::web) fn sees(&self, peer_id: &str) -> bool {
        self.seen_peers.as_ref().is_none_or(|seen| seen.contains(peer_id))
    }

    /// A device among the active ones. Its page also names the peers it could be connected to, and is not.
    pub(in crate::web) fn new(shown: &ShownDevice, person: &Person, now: UnixTime) -> Self {
        let ShownDevice { view, active, candidates, verdicts } = shown;
        let device = &view.device;
        let names = names(active);
        let mut row = DeviceRow::new(view, &names, now);
        if row.online {
            let online = active.iter().filter(|peer| peer.presence.is_some() && peer.device.id != device.id);
            let missing = online.filter(|peer| row.paths.iter().all(|path| path.peer_id != peer.device.id.to_string()));
            let missing: Vec<PathView> = missing.map(|peer| PathView::none(view, peer, &names, now)).collect();
            row.paths.extend(missing);
        }
        for (peer, verdict) in verdicts {
            let id = peer.to_string();
            row.paths.iter_mut().filter(|path| path.peer_id == id).for_each(|path| path.explain(verdict));
        }
        let moment = |at| Moment::new(at, now);
        let scope = person.scope();
        let seen = || active.iter().map(|peer| &peer.device).filter(|peer| scope.holds(peer));
        Self {
            id: row.id.clone(),
            name: row.name.clone(),
            row,
            active: device.state == DeviceState::Active,
            relay_only: device.relay_only,
            may_manage: may_on_device(person.role, person.id, Right::ManageDevices, device),
            seen_peers: (scope != Scope::Mesh).then(|| seen().map(|peer| peer.id.to_string()).collect()),
            ended_word: if device.state == DeviceState::LoggedOut { "Logged out" } else { "Revoked" },
            ended_at: device.ended_at.map(moment),
            hostname: device.hostname.clone(),
            os: device.os.clone(),
            agent_version: device.agent_version.clone(),
            tags: device.tags.join(" "),
            observed: view.presence.as_ref().map(|presence| seen_from(presence.observed)),
            network: view.presence.as_ref().map(|presence| NetworkView::new(presence.observed, candidates.as_ref())),
            identity_key: device.identity_key.to_string(),
            static_key: device.static_key.to_string(),
            epoch: device.epoch,
            not_after: moment(device.not_after),
            created_at: moment(device.created_at),
        }
    }

    /// The address of its page.
    pub(in crate::web) fn base(&self) -> String {
        format!("/devices/{}", self.id)
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
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::time::Duration;

    use warren_coordinator::{Presence, ReportedPath};
    use warren_proto::control::PathReport;
    use warren_proto::keys::{IdentityPublic, StaticPublic};

    use super::*;
    use crate::domain::{Device, DeviceName};

    fn view(id: u8, online: bool, kinds: &[&str]) -> DeviceView {
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
        let observed = "192.0.2.1:1".parse().unwrap();
        let presence = online.then_some(Presence { since: NOW, observed, rtt: Duration::ZERO });
        DeviceView { device, presence, paths: kinds.iter().map(|kind| path(kind)).collect() }
    }

    /// To device 1.
    fn path(kind: &str) -> ReportedPath {
        let report = PathReport {
            peer: NodeId::new([1; 16]),
            kind: kind.to_owned(),
            via: String::new(),
            remote: None,
            rtt_us: 1,
            mtu: 0,
            since_unix_ms: 0,
            rx_bytes: 10,
            tx_bytes: 1,
            reason_code: String::new(),
            rx_packets: 0,
            tx_packets: 0,
            probes: 0,
            probes_lost: 0,
        };
        ReportedPath { at: NOW, report }
    }

    const NOW: UnixTime = UnixTime::from_secs(1_000_000);

    #[test]
    fn a_row_shows_the_best_paths_and_counts_the_rest() {
        let devices = [view(1, true, &[]), view(2, true, &["relay", "direct", "direct", "none", "direct", "direct"])];

        let row = DeviceRow::new(&devices[1], &names(&devices), NOW);

        assert_eq!((row.shown_paths().len(), row.paths.len()), (4, 5));
        assert!(row.shown_paths().iter().all(|path| path.kind == PathKind::Direct));
        assert_eq!((row.received, row.sent), (Bytes(60), Bytes(6)));
    }
}

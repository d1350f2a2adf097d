//! The devices in short, for lists of a thousand: filtered, sorted and counted without taking their paths apart.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::types::Uuid;
use warren_coordinator::{Presence, ReportedPath};
use warren_proto::candidate::NatMapping;
use warren_proto::keys::UnixTime;

use crate::app::App;
use crate::domain::{Device, Scope};
use crate::error::Error;

/// A device in short.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceSummary {
    /// As stored.
    pub device: Arc<Device>,
    /// Its connection, while it is online.
    pub presence: Option<Presence>,
    /// How its NAT maps, as far as it has found out.
    pub nat: Option<NatMapping>,
    /// Its paths.
    pub paths: PathMix,
}

/// The paths of one device, counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PathMix {
    /// From socket to socket.
    pub direct: usize,
    /// Through a relay.
    pub relayed: usize,
    /// The middle one of their round-trip times.
    pub median_rtt: Option<Duration>,
    /// Received over all of them, since the agent started.
    pub rx_bytes: u64,
    /// Sent over all of them, since the agent started.
    pub tx_bytes: u64,
}

/// Which devices are wanted, and in which order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DeviceQuery {
    /// Part of a name, host name or tag, or the beginning of an address or id; in any case.
    pub search: String,
    /// Only those that are, or are not.
    pub online: Option<bool>,
    /// Only those with at least one such path; for `None`, with no path at all.
    pub path: Option<PathFilter>,
    /// Only those of this system.
    pub os: Option<String>,
    /// Only those with this tag.
    pub tag: Option<String>,
    /// Only those whose NAT maps so.
    pub nat: Option<NatMapping>,
    /// Only those that came by this invite.
    pub invite: Option<Uuid>,
    /// What counts.
    pub sort: DeviceSort,
    /// From the last to the first.
    pub descending: bool,
}

/// What a device's paths must have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PathFilter {
    /// A direct one.
    Direct,
    /// None at all.
    None,
    /// A relayed one.
    Relay,
}

/// What a list is sorted by; the name decides between equals.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DeviceSort {
    /// The overlay address.
    Address,
    /// The name.
    #[default]
    Name,
    /// How many of its paths are relayed.
    Paths,
    /// Bytes received.
    Received,
    /// The median round-trip time.
    Rtt,
    /// When it was last seen; who is online is seen now.
    Seen,
    /// Bytes sent.
    Sent,
    /// System and agent.
    System,
}

/// What a list is made of.
#[derive(Clone, Debug)]
pub struct Survey {
    /// Those that were asked for, in that order.
    pub found: Vec<DeviceSummary>,
    /// How many there are in all.
    pub total: usize,
    /// How many of all are online.
    pub online: usize,
    /// Directions that are direct, of all.
    pub direct: usize,
    /// Directions that are relayed, of all.
    pub relayed: usize,
    /// Every system there is.
    pub systems: BTreeSet<String>,
    /// Every tag there is.
    pub tags: BTreeSet<String>,
}

/// The devices of a scope that a query asks for.
pub async fn survey_devices(app: &App, scope: Scope, query: &DeviceQuery) -> Result<Survey, Error> {
    let devices = app.devices().await?;
    let all = app.hub().survey(devices.iter().filter(|device| scope.holds(device)), summarise);
    let mut survey = Survey {
        found: Vec::new(),
        total: all.len(),
        online: all.iter().filter(|summary| summary.presence.is_some()).count(),
        direct: all.iter().map(|summary| summary.paths.direct).sum(),
        relayed: all.iter().map(|summary| summary.paths.relayed).sum(),
        systems: all.iter().map(|summary| summary.device.os.clone()).filter(|os| !os.is_empty()).collect(),
        tags: all.iter().flat_map(|summary| summary.device.tags.iter().cloned()).collect(),
    };
    let search = query.search.trim().to_lowercase();
    survey.found = all.into_iter().filter(|summary| query.wants(summary, &search)).collect();
    survey.found.sort_by(|one, other| query.order(one, other));
    Ok(survey)
}

fn summarise(
    device: &Arc<Device>,
    presence: Option<&Presence>,
    nat: Option<NatMapping>,
    paths: &mut dyn Iterator<Item = &ReportedPath>,
) -> DeviceSummary {
    DeviceSummary { device: Arc::clone(device), presence: presence.cloned(), nat, paths: mix(paths) }
}

fn mix(paths: &mut dyn Iterator<Item = &ReportedPath>) -> PathMix {
    let mut mix = PathMix::default();
    let mut rtts = Vec::new();
    for ReportedPath { report, .. } in paths {
        match report.kind.as_str() {
            "direct" => mix.direct += 1,
            "relay" => mix.relayed += 1,
            _ => {}
        }
        if report.kind != "none" && report.rtt_us > 0 {
            rtts.push(report.rtt_us);
        }
        mix.rx_bytes = mix.rx_bytes.saturating_add(report.rx_bytes);
        mix.tx_bytes = mix.tx_bytes.saturating_add(report.tx_bytes);
    }
    rtts.sort_unstable();
    mix.median_rtt = rtts.get(rtts.len() / 2).copied().map(Duration::from_micros);
    mix
}

impl DeviceQuery {
    fn wants(&self, summary: &DeviceSummary, search: &str) -> bool {
        let DeviceSummary { device, presence, nat, paths } = summary;
        let path = match self.path {
            None => true,
            Some(PathFilter::Direct) => paths.direct > 0,
            Some(PathFilter::None) => paths.direct + paths.relayed == 0,
            Some(PathFilter::Relay) => paths.relayed > 0,
        };
        path && self.online.is_none_or(|online| online == presence.is_some())
            && self.os.as_ref().is_none_or(|os| *os == device.os)
            && self.tag.as_ref().is_none_or(|tag| device.tags.contains(tag))
            && self.nat.is_none_or(|wanted| *nat == Some(wanted))
            && self.invite.is_none_or(|invite| device.invite_id == Some(invite))
            && (search.is_empty() || finds(device, search))
    }

    fn order(&self, one: &DeviceSummary, other: &DeviceSummary) -> Ordering {
        let by = |key: Ordering| if self.descending { key.reverse() } else { key };
        let order = match self.sort {
            DeviceSort::Address => one.device.v4.cmp(&other.device.v4),
            DeviceSort::Name => Ordering::Equal,
            DeviceSort::Paths => key(one).cmp(&key(other)),
            DeviceSort::Received => one.paths.rx_bytes.cmp(&other.paths.rx_bytes),
            // who has no round trip comes last, whichever way
            DeviceSort::Rtt => match (one.paths.median_rtt, other.paths.median_rtt) {
                (Some(one), Some(other)) => one.cmp(&other),
                (None, None) => Ordering::Equal,
                (one, _) => return if one.is_some() { Ordering::Less } else { Ordering::Greater },
            },
            DeviceSort::Seen => seen(one).cmp(&seen(other)),
            DeviceSort::Sent => one.paths.tx_bytes.cmp(&other.paths.tx_bytes),
            DeviceSort::System => {
                (&one.device.os, &one.device.agent_version).cmp(&(&other.device.os, &other.device.agent_version))
            }
        };
        let by_name = one.device.name.cmp(&other.device.name);
        if self.sort == DeviceSort::Name { by(by_name) } else { by(order).then(by_name) }
    }
}

fn key(summary: &DeviceSummary) -> (usize, usize) {
    (summary.paths.relayed, summary.paths.direct)
}

fn seen(summary: &DeviceSummary) -> (bool, Option<UnixTime>) {
    (summary.presence.is_some(), summary.device.last_seen_at)
}

/// Whether a device is meant by a search in lower case.
fn finds(device: &Device, search: &str) -> bool {
    let address = |ip: IpAddr| ip.to_string().starts_with(search);
    device.name.as_str().contains(search)
        || device.hostname.to_lowercase().contains(search)
        || device.tags.iter().any(|tag| tag.contains(search))
        || address(device.v4.into())
        || address(device.v6.into())
        || device.id.to_string().starts_with(search)
}

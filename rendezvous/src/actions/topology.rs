//! The mesh as it is: every device, and every path that somebody reports.

use std::collections::BTreeMap;
use std::time::Duration;

use warren_proto::keys::NodeId;

use super::list_devices::{DeviceView, list_devices};
use crate::app::App;
use crate::domain::history::{Kind, Way};
use crate::error::Error;

/// Devices and the paths between them.
#[derive(Clone, Debug)]
pub struct Topology {
    /// Every active device, by name.
    pub devices: Vec<DeviceView>,
    /// Every pair of which at least one end reports a path, by ids.
    pub links: Vec<TopologyLink>,
}

/// A pair that is connected.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TopologyLink {
    /// The two, the lower id first.
    pub ends: [NodeId; 2],
    /// The worse of what both report: each end chooses for itself what it sends on.
    pub kind: Kind,
    /// `lan`, `ipv4` and so on, of the end that reports that kind.
    pub via: String,
    /// The mean of what both measured; `None` if neither has.
    pub rtt: Option<Duration>,
    /// Both ways together, as the senders count.
    pub bytes_per_second: u64,
}

/// All of it.
pub async fn topology(app: &App) -> Result<Topology, Error> {
    let devices = list_devices(app).await?;
    let mut pairs = BTreeMap::<[NodeId; 2], Ends<'_>>::new();
    for view in devices.iter().filter(|view| view.presence.is_some()) {
        for path in &view.paths {
            let (from, to) = (view.device.id, path.report.peer);
            let ends = if from < to { [from, to] } else { [to, from] };
            pairs.entry(ends).or_default()[usize::from(from > to)] = Some(&path.report);
        }
    }
    let now = app.now();
    let recorder = app.hub().recorder();
    let rate = |from, to| recorder.rates(Way { from, to }, now)[1];
    let links = pairs.into_iter().filter_map(|(ends, reports)| {
        let rates = [rate(ends[0], ends[1]), rate(ends[1], ends[0])];
        joined(ends, reports, rates)
    });
    let links = links.collect();
    drop(recorder);
    Ok(Topology { devices, links })
}

type Ends<'a> = [Option<&'a warren_proto::control::PathReport>; 2];

/// What two ends say of their pair; nothing when neither has a path.
fn joined(ends: [NodeId; 2], reports: Ends<'_>, rates: [u64; 2]) -> Option<TopologyLink> {
    let told = || reports.iter().flatten().filter(|report| Kind::parse(&report.kind) != Kind::None);
    let worst = told().max_by_key(|report| Kind::parse(&report.kind))?;
    let rtts: Vec<u64> = told().map(|report| report.rtt_us).filter(|rtt| *rtt > 0).collect();
    let mean = rtts.iter().sum::<u64>().checked_div(rtts.len() as u64);
    Some(TopologyLink {
        ends,
        kind: Kind::parse(&worst.kind),
        via: worst.via.clone(),
        rtt: mean.map(Duration::from_micros),
        bytes_per_second: rates[0].saturating_add(rates[1]),
    })
}

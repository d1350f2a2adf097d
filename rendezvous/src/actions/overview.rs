//! The mesh at a glance: who is there, how they are connected, which pairs are worst off, and what wants attention.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::types::Uuid;
use warren_coordinator::Verdict;
use warren_proto::keys::{NodeId, UnixTime};

use crate::app::App;
use crate::domain::Scope;
use crate::error::Error;

use super::show_system::troubles;
use super::survey_devices::{DeviceQuery, survey_devices};

/// The mesh at a glance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Overview {
    /// How many devices there are.
    pub devices: usize,
    /// How many of them are online.
    pub online: usize,
    /// Pairs with a direct path, in at least one direction.
    pub direct: usize,
    /// Pairs that have relayed paths only.
    pub relayed: usize,
    /// The pairs that are worst off, the worst first.
    pub worst: Vec<WorstPair>,
    /// What somebody should look at, the most pressing first.
    pub attention: Vec<Attention>,
}

/// Two devices and how they are connected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WorstPair {
    /// Ids and names.
    pub devices: [(NodeId, String); 2],
    /// Whether no direction is direct.
    pub is_relayed: bool,
    /// The longer of the two round-trip times.
    pub rtt: Option<Duration>,
    /// Why it is not direct, and what would help.
    pub verdict: Option<Verdict>,
}

/// What somebody should look at.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Attention {
    /// Something is wrong with the server itself.
    Server {
        /// What, and what to do.
        trouble: String,
    },
    /// Devices wait to be let in.
    Waiting {
        /// How many.
        count: usize,
    },
    /// A certificate ends soon, and its device has not been there to get another.
    CertificateEnding {
        /// Which device.
        id: NodeId,
        /// Its name.
        name: String,
        /// When it ends.
        at: UnixTime,
    },
    /// An enrolment key ends soon.
    KeyEnding {
        /// Which.
        id: Uuid,
        /// Its name; may be empty.
        name: String,
        /// When it ends.
        at: UnixTime,
    },
    /// A key enrols any number of devices and never ends.
    KeyEndless {
        /// Which.
        id: Uuid,
        /// Its name; may be empty.
        name: String,
    },
    /// Agents are older than the server.
    AgentsOld {
        /// How many.
        count: usize,
    },
    /// Devices were not seen for a long time.
    LongGone {
        /// How many.
        count: usize,
    },
}

#[derive(Default)]
struct Pair {
    direct: bool,
    relayed: bool,
    rtt: Option<Duration>,
}

/// Looks at the whole mesh. `is_old` tells agents that the server has outgrown.
pub async fn overview(app: &App, is_old: impl Fn(&str) -> bool) -> Result<Overview, Error> {
    let now = app.now();
    let survey = survey_devices(app, Scope::Mesh, &DeviceQuery::default()).await?;
    let names: BTreeMap<NodeId, &str> =
        survey.found.iter().map(|summary| (summary.device.id, summary.device.name.as_str())).collect();
    let mut pairs: BTreeMap<[NodeId; 2], Pair> = BTreeMap::new();
    app.hub().for_each_path(|device, path| {
        let report = &path.report;
        if !names.contains_key(&device) || !names.contains_key(&report.peer) {
            return;
        }
        let pair = pairs.entry([device.min(report.peer), device.max(report.peer)]).or_default();
        pair.direct |= report.kind == "direct";
        pair.relayed |= report.kind == "relay";
        if report.kind != "none" && report.rtt_us > 0 {
            pair.rtt = pair.rtt.max(Some(Duration::from_micros(report.rtt_us)));
        }
    });
    let mut attention = Vec::new();
    attention.extend(troubles(app).into_iter().map(|trouble| Attention::Server { trouble }));
    let waiting = app.store().asking(now).await?.len();
    if waiting > 0 {
        attention.push(Attention::Waiting { count: waiting });
    }
    let ending = survey.found.iter().map(|summary| &summary.device).filter(|device| device.not_after < now.plus(SOON));
    let ending = ending.map(|device| (device.id, device.name.to_string(), device.not_after));
    attention.extend(ending.take(MAX_OF_A_KIND).map(|(id, name, at)| Attention::CertificateEnding { id, name, at }));
    for invite in app.store().working_invites(now, MAX_KEYS, 0).await?.into_iter().filter(|invite| invite.reusable) {
        let (id, name) = (invite.id, invite.name);
        match invite.expires_at {
            Some(at) if at < now.plus(KEY_SOON) => attention.push(Attention::KeyEnding { id, name, at }),
            None => attention.push(Attention::KeyEndless { id, name }),
            Some(_) => {}
        }
    }
    let old = survey.found.iter().filter(|summary| is_old(&summary.device.agent_version)).count();
    if old > 0 {
        attention.push(Attention::AgentsOld { count: old });
    }
    let gone = |summary: &&super::DeviceSummary| {
        let seen = summary.device.last_seen_at.unwrap_or(summary.device.created_at);
        summary.presence.is_none() && seen.plus(LONG) < now
    };
    let long_gone = survey.found.iter().filter(gone).count();
    if long_gone > 0 {
        attention.push(Attention::LongGone { count: long_gone });
    }
    attention.sort();
    let why = |a, b| app.hub().explain(a, b).map(|(explained, _)| explained.verdict);
    Ok(Overview {
        devices: survey.total,
        online: survey.online,
        direct: pairs.values().filter(|pair| pair.direct).count(),
        relayed: pairs.values().filter(|pair| pair.relayed && !pair.direct).count(),
        worst: worst(&pairs, &names, why),
        attention,
    })
}

/// Relayed pairs before direct ones, and the longer round trip first.
fn worst(
    pairs: &BTreeMap<[NodeId; 2], Pair>,
    names: &BTreeMap<NodeId, &str>,
    why: impl Fn(NodeId, NodeId) -> Option<Verdict>,
) -> Vec<WorstPair> {
    let mut connected: Vec<_> = pairs.iter().filter(|(_, pair)| pair.direct || pair.relayed).collect();
    connected.sort_by_key(|(ids, pair)| (pair.direct, std::cmp::Reverse(pair.rtt), **ids));
    let named = |id: &NodeId| (*id, names.get(id).map(|name| (*name).to_owned()).unwrap_or_default());
    let shown = connected.into_iter().take(MAX_WORST).map(|([a, b], pair)| WorstPair {
        devices: [named(a), named(b)],
        is_relayed: !pair.direct,
        rtt: pair.rtt,
        verdict: why(*a, *b).filter(|_| !pair.direct),
    });
    shown.collect()
}

/// One look.
const MAX_WORST: usize = 5;
/// Of one kind of attention; the lists have the rest.
const MAX_OF_A_KIND: usize = 5;
/// More keys than anybody has in use.
const MAX_KEYS: u32 = 1000;
/// Certificates are renewed half a year before; who is this late was away for long.
const SOON: Duration = Duration::from_secs(30 * 24 * 3600);
/// Time to make another.
const KEY_SOON: Duration = Duration::from_secs(3 * 24 * 3600);
/// A device in a drawer is a way in that nobody watches.
const LONG: Duration = Duration::from_secs(90 * 24 * 3600);

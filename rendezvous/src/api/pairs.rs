//! `/pairs`: the path between two devices, and why it is that one.

use std::collections::BTreeMap;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use warren_coordinator::{ReportedPath, Verdict};
use warren_proto::keys::NodeId;

use super::caller::{Caller, SignedIn, find_device};
use super::input::{Path, Query};
use super::output::{List, Moment};
use super::problem::Problem;
use crate::actions::{self, DeviceView, ExplainedPair, Tried};
use crate::app::App;
use crate::auth::ReadMesh;
use crate::domain::Right;

/// A pair of devices.
#[derive(Serialize, ToSchema)]
#[schema(as = Pair)]
pub(super) struct PairBody {
    reason: ReasonBody,
    /// In the order in which they were asked for.
    ends: [EndBody; 2],
}

/// Why a pair uses the path it uses.
#[derive(Serialize, ToSchema)]
#[schema(as = Reason)]
pub(super) struct ReasonBody {
    /// A stable word.
    #[schema(example = "both-symmetric")]
    code: &'static str,
    /// For people.
    text: String,
    /// What would help.
    remedy: Option<String>,
}

/// One end, and how it reaches the other.
#[derive(Serialize, ToSchema)]
#[schema(as = PairEnd)]
pub(super) struct EndBody {
    id: String,
    name: String,
    online: bool,
    relay_only: bool,
    path: Option<PathBody>,
    /// What it tried, oldest first.
    attempts: Vec<AttemptBody>,
}

/// A path, as the device that sends over it reported it.
#[derive(Serialize, ToSchema)]
#[schema(as = Path)]
pub(super) struct PathBody {
    #[schema(example = "direct")]
    kind: String,
    #[schema(example = "ipv4")]
    via: Option<String>,
    #[schema(example = "203.0.113.9:41000")]
    remote: Option<String>,
    rtt_ms: Option<f64>,
    since: Option<Moment>,
    reported_at: Option<Moment>,
}

/// What a device tried to reach another.
#[derive(Serialize, ToSchema)]
#[schema(as = Attempt)]
pub(super) struct AttemptBody {
    at: Moment,
    /// The same at both ends for what they tried together, 0 for what one tried alone; as text, for it has 64 bits.
    attempt: String,
    technique: String,
    local: Option<String>,
    remote: Option<String>,
    probes: u32,
    heard: u32,
    result: String,
}

/// A pair in a list.
#[derive(Serialize, ToSchema)]
#[schema(as = PairSummary)]
pub(super) struct SummaryBody {
    /// Both ends, the one with the lower id first.
    ends: [SummaryEnd; 2],
    /// Direct only if both ends send directly.
    #[schema(example = "relay")]
    kind: &'static str,
    /// The longer of the two that the ends measured.
    rtt_ms: Option<f64>,
    reason: Option<ReasonBody>,
}

/// One end of a pair in a list.
#[derive(Serialize, ToSchema)]
#[schema(as = PairSummaryEnd)]
pub(super) struct SummaryEnd {
    id: String,
    name: String,
    path: Option<PathBody>,
}

/// Which pairs.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// direct or relay.
    #[param(example = "relay")]
    path: Option<String>,
    /// Of this device, by id or name.
    device: Option<String>,
    /// At least so many milliseconds.
    min_rtt_ms: Option<f64>,
    /// From `next` of the page before.
    cursor: Option<String>,
    /// 1 to 200; 50 unless you say otherwise.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// The pairs that have a path
#[utoipa::path(get, path = "/pairs", tag = "Pairs", params(Filter), responses((status = 200, body = List<SummaryBody>)),
    security(("token" = ["read-mesh"]), ("session" = [])), extensions(("x-problems" = json!(["cursor-invalid"]))))]
pub(super) async fn list(
    State(app): State<App>,
    _: Caller<ReadMesh>,
    Query(filter): Query<Filter>,
) -> Result<axum::Json<List<SummaryBody>>, Problem> {
    let devices = actions::list_devices(&app).await?;
    let by_id: BTreeMap<NodeId, &DeviceView> = devices.iter().map(|view| (view.device.id, view)).collect();
    let mut pairs: BTreeMap<[NodeId; 2], [Option<&ReportedPath>; 2]> = BTreeMap::new();
    for view in &devices {
        for path in view.paths.iter().filter(|path| by_id.contains_key(&path.report.peer)) {
            let (from, to) = (view.device.id, path.report.peer);
            let end = usize::from(to < from);
            pairs.entry(if from < to { [from, to] } else { [to, from] }).or_default()[end] = Some(path);
        }
    }
    let found: Vec<_> = pairs.into_iter().filter(|(ids, paths)| filter.holds(&by_id, *ids, paths)).collect();
    let key = |(ids, _): &([NodeId; 2], _)| format!("{}/{}", ids[0], ids[1]);
    let body = |(ids, paths): ([NodeId; 2], [Option<&ReportedPath>; 2])| {
        let end = |at: usize| SummaryEnd {
            id: ids[at].to_string(),
            name: by_id.get(&ids[at]).map(|view| view.device.name.to_string()).unwrap_or_default(),
            path: paths[at].map(PathBody::from),
        };
        let reason = app.hub().explain(ids[0], ids[1]).map(|(explained, _)| explained.verdict.into());
        SummaryBody { ends: [end(0), end(1)], kind: kind(&paths), rtt_ms: rtt_ms(&paths), reason }
    };
    Ok(axum::Json(List::page(found, filter.cursor.as_deref(), filter.limit, key, body)?))
}

/// The path between two devices, and why it is that one
#[utoipa::path(get, path = "/pairs/{a}/{b}", tag = "Pairs",
    params(("a" = String, Path, description = "Id or name", example = "laptop"), ("b" = String, Path, description = "Id or name", example = "desktop")),
    responses((status = 200, body = PairBody)), security(("token" = ["read-mesh"]), ("session" = [])),
    extensions(("x-problems" = json!(["device-unknown"]))))]
pub(super) async fn show(
    State(app): State<App>,
    SignedIn(caller): SignedIn,
    Path((a, b)): Path<(String, String)>,
) -> Result<axum::Json<PairBody>, Problem> {
    let seen =
        [find_device(&app, &caller, &a, Right::ReadMesh).await, find_device(&app, &caller, &b, Right::ReadMesh).await];
    let hidden = seen.each_ref().map(Result::is_err);
    if let [Err(problem), Err(_)] = seen {
        return Err(problem);
    }
    let mut pair = PairBody::from(actions::explain_pair(&app, [&a, &b]).await?);
    for (end, _) in pair.ends.iter_mut().zip(hidden).filter(|(_, hidden)| *hidden) {
        // somebody else's device: that it is a peer is no secret, where it is and what it tried is
        end.path = None;
        end.attempts.clear();
    }
    Ok(axum::Json(pair))
}

impl Filter {
    fn holds(
        &self,
        devices: &BTreeMap<NodeId, &DeviceView>,
        ids: [NodeId; 2],
        paths: &[Option<&ReportedPath>; 2],
    ) -> bool {
        let is_of = |wanted: &String| {
            let named = |id: NodeId| devices.get(&id).is_some_and(|view| view.device.name.as_str() == *wanted);
            ids.into_iter().any(|id| Some(id) == NodeId::parse(wanted) || named(id))
        };
        self.path.as_ref().is_none_or(|wanted| kind(paths) == wanted)
            && self.device.as_ref().is_none_or(is_of)
            && self.min_rtt_ms.is_none_or(|least| rtt_ms(paths).is_some_and(|rtt| rtt >= least))
    }
}

fn kind(paths: &[Option<&ReportedPath>; 2]) -> &'static str {
    let mut kinds = paths.iter().flatten().map(|path| path.report.kind.as_str());
    if kinds.clone().any(|kind| kind == "relay") {
        return "relay";
    }
    if kinds.any(|kind| kind == "direct") { "direct" } else { "none" }
}

fn rtt_ms(paths: &[Option<&ReportedPath>; 2]) -> Option<f64> {
    let longest = paths.iter().flatten().map(|path| path.report.rtt_us).max()?;
    (longest > 0).then(|| longest as f64 / 1000.0)
}

impl From<Verdict> for ReasonBody {
    fn from(verdict: Verdict) -> Self {
        let remedy = Some(verdict.remedy).filter(|remedy| !remedy.is_empty());
        Self { code: verdict.code, text: verdict.text, remedy }
    }
}

impl From<&ReportedPath> for PathBody {
    fn from(path: &ReportedPath) -> Self {
        Self {
            kind: path.report.kind.clone(),
            via: Some(path.report.via.clone()).filter(|via| !via.is_empty()),
            remote: path.report.remote.map(|remote| remote.to_string()),
            rtt_ms: (path.report.rtt_us > 0).then(|| path.report.rtt_us as f64 / 1000.0),
            since: Some(Moment::of_millis(path.report.since_unix_ms)),
            reported_at: Some(path.at.into()),
        }
    }
}

impl From<ExplainedPair> for PairBody {
    fn from(pair: ExplainedPair) -> Self {
        let ExplainedPair { devices: [a, b], verdict, tried: [tried_a, tried_b] } = pair;
        Self { reason: verdict.into(), ends: [EndBody::new(&a, &b, tried_a), EndBody::new(&b, &a, tried_b)] }
    }
}

impl EndBody {
    fn new(end: &DeviceView, other: &DeviceView, tried: Vec<Tried>) -> Self {
        Self {
            id: end.device.id.to_string(),
            name: end.device.name.to_string(),
            online: end.presence.is_some(),
            relay_only: end.device.relay_only,
            path: end.paths.iter().find(|path| path.report.peer == other.device.id).map(PathBody::from),
            attempts: tried.into_iter().map(AttemptBody::from).collect(),
        }
    }
}

impl From<Tried> for AttemptBody {
    fn from(Tried { at, attempt }: Tried) -> Self {
        Self {
            at: at.into(),
            attempt: attempt.attempt.to_string(),
            technique: attempt.technique,
            local: attempt.local.map(|addr| addr.to_string()),
            remote: attempt.remote.map(|addr| addr.to_string()),
            probes: attempt.probes,
            heard: attempt.heard,
            result: attempt.result,
        }
    }
}

//! What is remembered of paths, and the mesh as it is: `/devices/{id}/metrics`, `/pairs/{a}/{b}/metrics`, `/topology`.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use warren_proto::keys::NodeId;

use super::caller::{Caller, OnDevice, OnPair};
use super::input::Query;
use super::output::Moment;
use super::problem::{Code, Problem};
use crate::actions::{self, History, TopologyLink};
use crate::app::App;
use crate::auth::ReadMesh;
use crate::domain::history::{PathChange, PathName, Point, Range};

/// A stretch of time in points; where nothing was reported there is none.
#[derive(Serialize, ToSchema)]
pub(super) struct Metrics {
    #[schema(example = "1h")]
    range: &'static str,
    since: Moment,
    until: Moment,
    /// What one point covers.
    step_s: u64,
    /// One for each who reports, in the order in which they were asked for.
    lines: Vec<Line>,
    /// When a path became another, newest first.
    changes: Vec<ChangeBody>,
}

/// What one device reports.
#[derive(Serialize, ToSchema)]
#[schema(as = MetricsLine)]
pub(super) struct Line {
    /// Who reports.
    device: String,
    points: Vec<PointBody>,
}

/// What was measured in one step.
#[derive(Serialize, ToSchema)]
#[schema(as = MetricsPoint)]
pub(super) struct PointBody {
    at: Moment,
    /// The worst kind of path in it: direct, relay or none.
    kind: Option<&'static str>,
    rtt_min_ms: Option<f64>,
    rtt_mean_ms: Option<f64>,
    rtt_max_ms: Option<f64>,
    /// Lost of a thousand probes.
    loss_per_mille: Option<u64>,
    rx_bytes: u64,
    tx_bytes: u64,
}

/// A path that became another.
#[derive(Serialize, ToSchema)]
#[schema(as = PathChange)]
pub(super) struct ChangeBody {
    at: Moment,
    /// Whose path.
    device: String,
    from: PathWords,
    to: PathWords,
    /// The agent's word for why.
    reason: String,
}

/// A path in two words.
#[derive(Serialize, ToSchema)]
pub(super) struct PathWords {
    #[schema(example = "relay")]
    kind: &'static str,
    #[schema(example = "udp-relay")]
    via: String,
}

/// Which stretch of time.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Stretch {
    /// 15m, 1h, 24h, 7d or 90d; an hour unless you say otherwise.
    #[param(example = "24h")]
    range: Option<String>,
}

/// The mesh: who is in it, and every pair that has a path.
#[derive(Serialize, ToSchema)]
pub(super) struct Mesh {
    devices: Vec<MeshDevice>,
    links: Vec<Link>,
}

/// A device of the mesh.
#[derive(Serialize, ToSchema)]
pub(super) struct MeshDevice {
    id: String,
    name: String,
    online: bool,
    tags: Vec<String>,
}

/// A pair that has a path.
#[derive(Serialize, ToSchema)]
pub(super) struct Link {
    /// Their ids, the lower first.
    ends: [String; 2],
    /// The worse of what both report.
    #[schema(example = "direct")]
    kind: &'static str,
    #[schema(example = "ipv4")]
    via: String,
    rtt_ms: Option<f64>,
    bytes_per_second: u64,
}

/// What a device has to do with all its peers, over time
#[utoipa::path(get, path = "/devices/{id}/metrics", tag = "Devices",
    params(("id" = String, Path, description = "Id, or name of an active device", example = "laptop"), Stretch),
    responses((status = 200, body = Metrics)), security(("token" = ["read-mesh"]), ("session" = [])),
    extensions(("x-problems" = json!(["device-unknown"]))))]
pub(super) async fn of_device(
    State(app): State<App>,
    OnDevice { device, .. }: OnDevice<ReadMesh>,
    Query(stretch): Query<Stretch>,
) -> Result<axum::Json<Metrics>, Problem> {
    let history = actions::device_history(&app, device.id, stretch.range()?).await?;
    Ok(axum::Json(Metrics::new(history, &[device.id])))
}

/// What two devices report of the paths between them, over time
#[utoipa::path(get, path = "/pairs/{a}/{b}/metrics", tag = "Pairs",
    params(("a" = String, Path, description = "Id or name", example = "laptop"),
        ("b" = String, Path, description = "Id or name", example = "desktop"), Stretch),
    responses((status = 200, body = Metrics)), security(("token" = ["read-mesh"]), ("session" = [])),
    extensions(("x-problems" = json!(["device-unknown"]))))]
pub(super) async fn of_pair(
    State(app): State<App>,
    OnPair { devices, .. }: OnPair<ReadMesh>,
    Query(stretch): Query<Stretch>,
) -> Result<axum::Json<Metrics>, Problem> {
    let pair = devices.map(|device| device.id);
    let history = actions::pair_history(&app, pair, stretch.range()?).await?;
    Ok(axum::Json(Metrics::new(history, &pair)))
}

/// The mesh as it is
#[utoipa::path(get, path = "/topology", tag = "Pairs", responses((status = 200, body = Mesh)),
    security(("token" = ["read-mesh"]), ("session" = [])))]
pub(super) async fn topology(State(app): State<App>, _: Caller<ReadMesh>) -> Result<axum::Json<Mesh>, Problem> {
    let mesh = actions::topology(&app).await?;
    let devices = mesh.devices.into_iter().map(|view| MeshDevice {
        id: view.device.id.to_string(),
        name: view.device.name.to_string(),
        online: view.presence.is_some(),
        tags: view.device.tags,
    });
    Ok(axum::Json(Mesh { devices: devices.collect(), links: mesh.links.into_iter().map(Link::from).collect() }))
}

impl Stretch {
    fn range(&self) -> Result<Range, Problem> {
        let word = self.range.as_deref().unwrap_or(Range::Hour.name());
        let unknown = || Problem::with_detail(Code::QueryInvalid, "a range is 15m, 1h, 24h, 7d or 90d");
        Range::parse(word).ok_or_else(unknown)
    }
}

impl Metrics {
    fn new(history: History, reporters: &[NodeId]) -> Self {
        let reporter = |line: usize| reporters.get(line).map(ToString::to_string).unwrap_or_default();
        let changes = history.changes.iter().map(|(line, change)| ChangeBody::new(reporter(*line), change));
        let lines = history.lines.iter().enumerate().map(|(line, points)| Line {
            device: reporter(line),
            points: points.iter().map(PointBody::from).collect(),
        });
        Self {
            range: history.range.name(),
            since: history.since.into(),
            until: history.until.into(),
            step_s: history.step.as_secs(),
            lines: lines.collect(),
            changes: changes.collect(),
        }
    }
}

impl From<&Point> for PointBody {
    fn from(point: &Point) -> Self {
        let sample = &point.sample;
        let ms = |micros: u64| micros as f64 / 1000.0;
        Self {
            at: point.at.into(),
            kind: sample.kinds.worst().map(|kind| kind.name()),
            rtt_min_ms: sample.rtts.map(|rtts| ms(rtts.min)),
            rtt_mean_ms: sample.rtts.map(|rtts| ms(rtts.mean())),
            rtt_max_ms: sample.rtts.map(|rtts| ms(rtts.max)),
            loss_per_mille: sample.loss_per_mille(),
            rx_bytes: sample.rx_bytes,
            tx_bytes: sample.tx_bytes,
        }
    }
}

impl From<TopologyLink> for Link {
    fn from(link: TopologyLink) -> Self {
        Self {
            ends: link.ends.map(|id| id.to_string()),
            kind: link.kind.name(),
            via: link.via,
            rtt_ms: link.rtt.map(|rtt| rtt.as_secs_f64() * 1000.0),
            bytes_per_second: link.bytes_per_second,
        }
    }
}

impl ChangeBody {
    fn new(device: String, change: &PathChange) -> Self {
        let words = |path: &PathName| PathWords { kind: path.kind.name(), via: path.via.clone() };
        let (from, to) = (words(&change.from), words(&change.to));
        Self { at: change.at.into(), device, from, to, reason: change.reason.clone() }
    }
}

//! `/api/v1/pairs`: the path between two devices, and why it is that one.

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use warren_proto::keys::UnixTime;

use super::problem::Problem;
use super::signed_in::ReadsMesh;
use crate::actions::{self, DeviceView, ExplainedPair, Tried};
use crate::app::App;

/// A pair of devices.
#[derive(Serialize)]
pub(super) struct PairBody {
    reason: ReasonBody,
    /// In the order in which they were asked for.
    ends: [EndBody; 2],
}

#[derive(Serialize)]
struct ReasonBody {
    code: &'static str,
    text: String,
    remedy: Option<String>,
}

/// One end, and how it reaches the other.
#[derive(Serialize)]
struct EndBody {
    id: String,
    name: String,
    online: bool,
    relay_only: bool,
    path: Option<PathBody>,
    attempts: Vec<AttemptBody>,
}

#[derive(Serialize)]
struct PathBody {
    kind: String,
    via: Option<String>,
    remote: Option<String>,
    rtt_ms: Option<f64>,
    since: Option<String>,
    reported_at: Option<String>,
}

#[derive(Serialize)]
struct AttemptBody {
    at: Option<String>,
    /// The same at both ends for what they tried together, 0 for what one tried alone; as text, for it has 64 bits.
    attempt: String,
    technique: String,
    local: Option<String>,
    remote: Option<String>,
    probes: u32,
    heard: u32,
    result: String,
}

/// `GET /api/v1/pairs/{a}/{b}`, each an id or a name.
pub(super) async fn show(
    State(app): State<App>,
    ReadsMesh: ReadsMesh,
    Path((a, b)): Path<(String, String)>,
) -> Result<Json<PairBody>, Problem> {
    let pair = actions::explain_pair(&app, [&a, &b]).await?;

    Ok(Json(pair.into()))
}

impl From<ExplainedPair> for PairBody {
    fn from(pair: ExplainedPair) -> Self {
        let ExplainedPair { devices: [a, b], verdict, tried: [tried_a, tried_b] } = pair;
        let remedy = Some(verdict.remedy).filter(|remedy| !remedy.is_empty());
        Self {
            reason: ReasonBody { code: verdict.code, text: verdict.text, remedy },
            ends: [EndBody::new(&a, &b, tried_a), EndBody::new(&b, &a, tried_b)],
        }
    }
}

impl EndBody {
    fn new(end: &DeviceView, other: &DeviceView, tried: Vec<Tried>) -> Self {
        let reported = end.paths.iter().find(|path| path.report.peer == other.device.id);
        let path = reported.map(|path| PathBody {
            kind: path.report.kind.clone(),
            via: Some(path.report.via.clone()).filter(|via| !via.is_empty()),
            remote: path.report.remote.map(|remote| remote.to_string()),
            rtt_ms: (path.report.rtt_us > 0).then(|| path.report.rtt_us as f64 / 1000.0),
            since: rfc3339(UnixTime::new(std::time::Duration::from_millis(path.report.since_unix_ms))),
            reported_at: rfc3339(path.at),
        });
        Self {
            id: end.device.id.to_string(),
            name: end.device.name.to_string(),
            online: end.presence.is_some(),
            relay_only: end.device.relay_only,
            path,
            attempts: tried.into_iter().map(AttemptBody::from).collect(),
        }
    }
}

impl From<Tried> for AttemptBody {
    fn from(Tried { at, attempt }: Tried) -> Self {
        Self {
            at: rfc3339(at),
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

/// To the millisecond; `None` for a time that no calendar has.
fn rfc3339(at: UnixTime) -> Option<String> {
    let millis = i128::try_from(at.since_epoch().as_millis()).ok()?;
    OffsetDateTime::from_unix_timestamp_nanos(millis * 1_000_000).ok()?.format(&Rfc3339).ok()
}

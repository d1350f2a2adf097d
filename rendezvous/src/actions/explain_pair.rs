//! Why two devices use the path they use, and what each of them tried.

use std::time::Duration;

use warren_coordinator::{Explained, Verdict};
use warren_proto::control::Attempt;
use warren_proto::keys::{NodeId, UnixTime};

use super::list_devices::{DeviceView, list_devices};
use crate::app::App;
use crate::error::Error;

/// Two devices and what is known of the paths between them.
#[derive(Clone, Debug)]
pub struct ExplainedPair {
    /// The two, in the order in which they were asked for.
    pub devices: [DeviceView; 2],
    /// What their reports say together.
    pub verdict: Verdict,
    /// What each reported that it tried, oldest first.
    pub tried: [Vec<Tried>; 2],
}

/// An attempt, and when it began.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tried {
    /// By our clock.
    pub at: UnixTime,
    /// What was tried.
    pub attempt: Attempt,
}

/// The pair of two active devices, each by its id or name.
pub async fn explain_pair(app: &App, pair: [&str; 2]) -> Result<ExplainedPair, Error> {
    let active = list_devices(app).await?;
    let find = |text: &str| {
        let id = NodeId::parse(text);
        let named = |view: &&DeviceView| Some(view.device.id) == id || view.device.name.as_str() == text;
        active.iter().find(named).cloned().ok_or(Error::DeviceUnknown)
    };
    let devices = [find(pair[0])?, find(pair[1])?];
    let ids = devices.each_ref().map(|view| view.device.id);
    if ids[0] == ids[1] {
        return Err(Error::DeviceUnknown);
    }
    let (Explained { verdict, reports }, ages) = app.hub().explain(ids[0], ids[1]).ok_or(Error::DeviceUnknown)?;
    let now = app.now();
    let [first, second] = reports.map(|held| held.map(|held| held.report.attempts).unwrap_or_default());
    let tried = [when(first, ages[0], now), when(second, ages[1], now)];
    Ok(ExplainedPair { devices, verdict, tried })
}

fn when(attempts: Vec<Attempt>, age: Duration, now: UnixTime) -> Vec<Tried> {
    let at = |attempt: &Attempt| {
        let ago = Duration::from_millis(attempt.ago_ms).saturating_add(age);
        UnixTime::new(now.since_epoch().saturating_sub(ago))
    };
    attempts.into_iter().map(|attempt| Tried { at: at(&attempt), attempt }).collect()
}

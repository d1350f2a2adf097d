//! Two devices with everything that is known of the paths between them at this moment.

use std::time::Duration;

use warren_coordinator::PingRun;
use warren_proto::control::CandidateSet;
use warren_proto::keys::NodeId;

use super::audit;
use super::explain_pair::{ExplainedPair, explain_pair};
use crate::app::App;
use crate::domain::Actor;
use crate::domain::history::Way;
use crate::error::Error;

/// A pair, in the order in which it was asked for.
#[derive(Clone, Debug)]
pub struct ShownPair {
    /// The devices, their paths, why they are what they are, what was tried.
    pub explained: ExplainedPair,
    /// Where each says that it may be reached, and what it says of its NAT.
    pub candidates: [Option<CandidateSet>; 2],
    /// Bytes a second that each receives from the other and sends to it.
    pub rates: [[u64; 2]; 2],
    /// The last pings that somebody asked for.
    pub pings: Option<PingRun>,
    /// How long it will be until another try may be asked for.
    pub retry_again_in: Option<Duration>,
}

/// The pair of two active devices, each by its id or name.
pub async fn show_pair(app: &App, pair: [&str; 2]) -> Result<ShownPair, Error> {
    let explained = explain_pair(app, pair).await?;
    let [a, b] = explained.devices.each_ref().map(|view| view.device.id);
    let (hub, now) = (app.hub(), app.now());
    let rates = {
        let recorder = hub.recorder();
        [recorder.rates(Way { from: a, to: b }, now), recorder.rates(Way { from: b, to: a }, now)]
    };
    Ok(ShownPair {
        candidates: [hub.candidates(a), hub.candidates(b)],
        rates,
        pings: hub.ping_run(a, b),
        retry_again_in: hub.retry_again_in(a, b),
        explained,
    })
}

/// Has both ends ping each other a few times; what comes of it shows with the pair.
pub async fn ping_pair(app: &App, actor: &Actor, [a, b]: [NodeId; 2]) -> Result<(), Error> {
    app.hub().ping_pair(a, b).map_err(Error::PairUnready)?;
    note(app, actor, "pair.ping", [a, b]).await
}

/// Has both ends look for a direct path now, with fresh budgets.
pub async fn retry_pair(app: &App, actor: &Actor, [a, b]: [NodeId; 2]) -> Result<(), Error> {
    app.hub().retry_pair(a, b).map_err(Error::PairUnready)?;
    note(app, actor, "pair.retry-direct", [a, b]).await
}

/// Says who had two devices do something: it costs them packets, and the coordinator grants it seldom enough for the log.
async fn note(app: &App, actor: &Actor, action: &str, [a, b]: [NodeId; 2]) -> Result<(), Error> {
    let devices = app.devices().await?;
    let name = |id| devices.iter().find(|device| device.id == id).map_or("?", |device| device.name.as_str());
    let detail = format!("{} and {}", name(a), name(b));
    let mut tx = app.store().begin().await?;
    audit(app, &mut tx, actor, action, format!("{a}/{b}"), detail).await?;
    Ok(tx.commit().await?)
}

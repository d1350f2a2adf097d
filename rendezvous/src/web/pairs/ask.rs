//! `POST /pairs/{a}/{b}/ping` and `.../retry`: has both ends do something, and goes back to where it shows.

use axum::extract::State;
use axum::response::Redirect;
use serde::Deserialize;
use warren_coordinator::Ungranted;
use warren_proto::keys::NodeId;

use super::super::Web;
use super::super::problem::Problem;
use crate::actions;
use crate::auth::{ManageDevices, MayPairForm};
use crate::domain::history::Range;
use crate::error::Error;

/// What the page showed.
#[derive(Debug, Deserialize)]
pub(in crate::web) struct AskForm {
    #[serde(default)]
    range: String,
}

/// `POST /pairs/{a}/{b}/ping`
pub(in crate::web) async fn ping(
    State(web): State<Web>,
    MayPairForm { person, devices, form, .. }: MayPairForm<ManageDevices, AskForm>,
) -> Result<Redirect, Problem> {
    back(devices, &form, actions::ping_pair(&web.app, &person.actor(), devices).await, "", "#pings")
}

/// `POST /pairs/{a}/{b}/retry`
pub(in crate::web) async fn retry(
    State(web): State<Web>,
    MayPairForm { person, devices, form, .. }: MayPairForm<ManageDevices, AskForm>,
) -> Result<Redirect, Problem> {
    back(devices, &form, actions::retry_pair(&web.app, &person.actor(), devices).await, "retried", "")
}

fn back(
    [a, b]: [NodeId; 2],
    form: &AskForm,
    asked: Result<(), Error>,
    done: &str,
    place: &str,
) -> Result<Redirect, Problem> {
    let (done, place) = match asked {
        Ok(()) => (done, place),
        Err(Error::PairUnready(Ungranted::Offline)) => ("offline", ""),
        Err(Error::PairUnready(Ungranted::TooSoon(_))) => ("too-soon", ""),
        Err(error) => return Err(error.into()),
    };
    let range = Range::parse(&form.range).unwrap_or_default().name();
    let done = if done.is_empty() { String::new() } else { format!("&done={done}") };
    Ok(Redirect::to(&format!("/pairs/{a}/{b}?range={range}{done}{place}")))
}

//! `/devices/{id}`: one device, its connections and its certificate, live.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use warren_proto::keys::NodeId;

use super::super::Web;
use super::super::activity::{self, Entry};
use super::super::live::{From, Part, Snapshot, Source};
use super::super::page::{self, Shell};
use super::super::pairs::show::{Look, PlotsPart};
use super::super::problem::Problem;
use super::super::view::{Device, Plots};
use super::Done;
use crate::actions;
use crate::auth::{MayDevice, Person, ReadMesh};
use crate::domain::Right;
use crate::domain::history::Range;

#[derive(Template)]
#[template(path = "devices/show.html")]
struct ShowPage {
    shell: Shell,
    state: String,
    done: Option<&'static str>,
    device: Device,
    new_name: String,
    wrong_name: Option<String>,
    range: Range,
    plots: Plots,
    log: Vec<Entry>,
}

#[derive(Template)]
#[template(path = "devices/_standing.html")]
struct StandingPart<'a> {
    device: &'a Device,
}

#[derive(Template)]
#[template(path = "devices/_overview.html")]
struct OverviewPart<'a> {
    device: &'a Device,
}

#[derive(Template)]
#[template(path = "devices/_network.html")]
struct NetworkPart<'a> {
    device: &'a Device,
}

#[derive(Template)]
#[template(path = "devices/_connections.html")]
struct ConnectionsPart<'a> {
    device: &'a Device,
}

/// `GET /devices/{id}`
pub(in crate::web) async fn page(
    State(web): State<Web>,
    MayDevice { person, device, .. }: MayDevice<ReadMesh>,
    Query(done): Query<Done>,
    Query(look): Query<Look>,
) -> Result<Html<String>, Problem> {
    let id = device;
    let device = load(&web, &person, id).await?;
    let plots = plots(&web, id, look.range()).await?;
    page::html(&ShowPage {
        shell: Shell::of_person(&web.app, &person, "devices"),
        state: snapshot(&device, &plots)?.state(),
        done: done.sentence(),
        new_name: device.name.clone(),
        wrong_name: None,
        range: look.range(),
        plots,
        log: log(&web, &person, id).await?,
        device,
    })
}

/// The page again, with the name that was not accepted and why.
pub(super) async fn page_with_wrong_name(
    web: &Web,
    person: &Person,
    id: NodeId,
    new_name: String,
    wrong_name: String,
) -> Result<Response, Problem> {
    let device = load(web, person, id).await?;
    let plots = plots(web, id, Range::default()).await?;
    let page = ShowPage {
        shell: Shell::of_person(&web.app, person, "devices"),
        state: snapshot(&device, &plots)?.state(),
        done: None,
        device,
        new_name,
        wrong_name: Some(wrong_name),
        range: Range::default(),
        plots,
        log: log(web, person, id).await?,
    };
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page::html(&page)?).into_response())
}

/// `GET /devices/{id}/live`
pub(in crate::web) async fn live(
    State(web): State<Web>,
    MayDevice { person, device, .. }: MayDevice<ReadMesh>,
    Query(look): Query<Look>,
    Query(from): Query<From>,
) -> Result<Response, Problem> {
    let seen_by = person.clone();
    let say = move |web: Web| {
        let (seen_by, range) = (seen_by.clone(), look.range());
        async move {
            let plots = plots(&web, device, range).await?;
            Ok(Some(snapshot(&load(&web, &seen_by, device).await?, &plots)?))
        }
    };
    Source::new(&web, person, say).stream(from).await
}

/// The device as pages show it.
pub(super) async fn load(web: &Web, person: &Person, id: NodeId) -> Result<Device, Problem> {
    let shown = actions::show_device(&web.app, id).await?;
    Ok(Device::new(&shown, person, web.app.now()))
}

async fn plots(web: &Web, id: NodeId, range: Range) -> Result<Plots, Problem> {
    Ok(Plots::of_device(&actions::device_history(&web.app, id, range).await?))
}

/// What happened to the device, for those who may see what happens.
async fn log(web: &Web, person: &Person, id: NodeId) -> Result<Vec<Entry>, Problem> {
    if person.role.has(Right::ReadActivity) { activity::of_device(web, id).await } else { Ok(Vec::new()) }
}

fn snapshot(device: &Device, plots: &Plots) -> Result<Snapshot, Problem> {
    Ok(Snapshot::of(vec![
        Part::new(
            "standing",
            &(device.active, device.row.online, &device.row.last_seen),
            StandingPart { device }.render()?,
        ),
        Part::new("connections", &device.row, ConnectionsPart { device }.render()?),
        Part::new("plots", plots, PlotsPart { plots }.render()?),
        Part::new("device-network", &device.network, NetworkPart { device }.render()?),
        Part::new("device-overview", device, OverviewPart { device }.render()?),
    ]))
}

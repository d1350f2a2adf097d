//! `/devices/{id}`: one device, its connections and its certificate, live.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use warren_proto::keys::NodeId;

use super::super::Web;
use super::super::live::{From, Part, Snapshot, Source};
use super::super::page::{self, Shell};
use super::super::problem::Problem;
use super::super::view::Device;
use super::Done;
use crate::actions;
use crate::auth::{MayDevice, Person, ReadMesh};

#[derive(Template)]
#[template(path = "devices/show.html")]
struct ShowPage {
    shell: Shell,
    state: String,
    done: Option<&'static str>,
    device: Device,
    new_name: String,
    wrong_name: Option<String>,
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
#[template(path = "devices/_connections.html")]
struct ConnectionsPart<'a> {
    device: &'a Device,
}

/// `GET /devices/{id}`
pub(in crate::web) async fn page(
    State(web): State<Web>,
    MayDevice { person, device, .. }: MayDevice<ReadMesh>,
    Query(done): Query<Done>,
) -> Result<Html<String>, Problem> {
    let device = load(&web, &person, device).await?;
    page::html(&ShowPage {
        shell: Shell::of_person(&web.app, &person, "devices"),
        state: snapshot(&device)?.state(),
        done: done.sentence(),
        new_name: device.name.clone(),
        wrong_name: None,
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
    let page = ShowPage {
        shell: Shell::of_person(&web.app, person, "devices"),
        state: snapshot(&device)?.state(),
        done: None,
        device,
        new_name,
        wrong_name: Some(wrong_name),
    };
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page::html(&page)?).into_response())
}

/// `GET /devices/{id}/live`
pub(in crate::web) async fn live(
    State(web): State<Web>,
    MayDevice { person, device, .. }: MayDevice<ReadMesh>,
    Query(from): Query<From>,
) -> Result<Response, Problem> {
    let seen_by = person.clone();
    let say = move |web: Web| {
        let seen_by = seen_by.clone();
        async move { Ok(Some(snapshot(&load(&web, &seen_by, device).await?)?)) }
    };
    Source::new(&web, person, say).stream(from).await
}

/// The device as pages show it.
pub(super) async fn load(web: &Web, person: &Person, id: NodeId) -> Result<Device, Problem> {
    let shown = actions::show_device(&web.app, id).await?;
    Ok(Device::new(&shown, person, web.app.now()))
}

fn snapshot(device: &Device) -> Result<Snapshot, Problem> {
    Ok(Snapshot::of(vec![
        Part::new(
            "standing",
            &(device.active, device.row.online, &device.row.last_seen),
            StandingPart { device }.render()?,
        ),
        Part::new("connections", &device.row, ConnectionsPart { device }.render()?),
        Part::new("device-overview", device, OverviewPart { device }.render()?),
    ]))
}

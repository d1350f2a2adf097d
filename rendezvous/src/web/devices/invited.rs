//! `/devices/new/{id}`: the one command to paste, and the device that arrives by it, live.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use warren_proto::control::Invite;

use super::super::Web;
use super::super::install::Installer;
use super::super::live::{From, Part, Snapshot, Source};
use super::super::page::{self, Shell};
use super::super::problem::Problem;
use super::super::view::{Enrolment, Stage};
use crate::actions;
use crate::auth::{AddDevices, May, Person, read_invite_cookie};

#[derive(Template)]
#[template(path = "devices/invited.html")]
struct InvitedPage {
    shell: Shell,
    state: String,
    installer: Installer,
    invite: String,
    enrolment: Enrolment,
}

#[derive(Template)]
#[template(path = "devices/_enrolment.html")]
struct EnrolmentPart<'a> {
    enrolment: &'a Enrolment,
}

/// `GET /devices/new/{id}`
pub(in crate::web) async fn page(
    State(web): State<Web>,
    May { person, .. }: May<AddDevices>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let invite = held(&headers, &person);
    let Some((invite, enrolment)) = load(&web, &id, invite).await? else {
        return Ok(Redirect::to("/devices/new?gone=1").into_response());
    };
    let page = InvitedPage {
        shell: Shell::of_person(&web.app, &person, "devices"),
        state: snapshot(&enrolment)?.state(),
        installer: Installer::find(&web).await?,
        invite: invite.to_string(),
        enrolment,
    };
    Ok(page::html(&page)?.into_response())
}

/// `GET /devices/new/{id}/live`
pub(in crate::web) async fn live(
    State(web): State<Web>,
    May { person, .. }: May<AddDevices>,
    Path(id): Path<String>,
    Query(from): Query<From>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let invite = held(&headers, &person);
    let say = move |web: Web| {
        let (id, invite) = (id.clone(), invite.clone());
        async move { load(&web, &id, invite).await?.map(|(_, enrolment)| snapshot(&enrolment)).transpose() }
    };
    Source::new(&web, person, say).stream(from).await
}

fn held(headers: &HeaderMap, person: &Person) -> Option<Invite> {
    read_invite_cookie(headers, person.client.is_secure)?.parse().ok()
}

/// The invite this browser holds, if it is the one in the URL, with what became of it.
async fn load(web: &Web, id: &str, invite: Option<Invite>) -> Result<Option<(Invite, Enrolment)>, Problem> {
    let Some(invite) = invite else { return Ok(None) };
    let Some((stored, devices)) = actions::follow_invite(&web.app, &invite.secret).await? else { return Ok(None) };
    if stored.id.to_string() != id {
        return Ok(None);
    }
    Ok(Some((invite, Enrolment::new(&stored, &devices, web.app.now()))))
}

fn snapshot(enrolment: &Enrolment) -> Result<Snapshot, Problem> {
    Ok(Snapshot::of(vec![Part::new("enrolment", enrolment, EnrolmentPart { enrolment }.render()?)]))
}

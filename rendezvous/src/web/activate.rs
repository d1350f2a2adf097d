//! `/activate`: a person lets a device in that asks without an invite, or does not.
//!
//! Whoever may manage devices sees all that wait; anybody who may bring devices of their own needs the code that the device
//! shows. The page says what the server knows of the device, and what it only says of itself.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use data_encoding::HEXLOWER;
use serde::Deserialize;

use super::Web;
use super::format::{Moment, sentence};
use super::live::{From, Part, Snapshot, Source};
use super::page::{self, Shell};
use super::problem::Problem;
use crate::actions::{self, Approval};
use crate::auth::{AddDevices, May, MayForm, Person};
use crate::domain::{DeviceName, EnrolmentCode, Right, parse_tags};
use crate::error::Error;
use crate::store::{AskedEnrolment, AskedState};

#[derive(Template)]
#[template(path = "activate/page.html")]
struct ActivatePage {
    shell: Shell,
    state: String,
    typed: String,
    found: Option<Asking>,
    name: String,
    tags: String,
    problem: Option<String>,
    denied: bool,
    waiting: Option<Vec<Asking>>,
    server_key: String,
}

#[derive(Template)]
#[template(path = "activate/_waiting.html")]
struct WaitingPart<'a> {
    waiting: &'a Option<Vec<Asking>>,
}

/// A device that asks, in words.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Asking {
    code: String,
    hostname: String,
    os: String,
    agent_version: String,
    address: String,
    fingerprint: String,
    asked: Moment,
    expires: Moment,
}

/// `?code=...`, and `?denied` after a no.
#[derive(Clone, Deserialize)]
pub(super) struct Typed {
    #[serde(default)]
    code: String,
    denied: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct ApproveForm {
    code: String,
    name: String,
    tags: String,
}

#[derive(Deserialize)]
pub(super) struct DenyForm {
    code: String,
}

/// `GET /activate`
pub(super) async fn page(
    State(web): State<Web>,
    May { person, .. }: May<AddDevices>,
    Query(typed): Query<Typed>,
) -> Result<Response, Problem> {
    let mut page = ActivatePage::blank(&web, &person).await?;
    page.denied = typed.denied.is_some();
    if !typed.code.trim().is_empty() {
        page.look_up(&web, &typed.code).await?;
        page.name =
            page.found.as_ref().map(|found| DeviceName::from_hostname(&found.hostname).to_string()).unwrap_or_default();
    }
    let status = if page.problem.is_some() { StatusCode::NOT_FOUND } else { StatusCode::OK };
    Ok((status, page::html(&page)?).into_response())
}

/// `GET /activate/live`
pub(super) async fn live(
    State(web): State<Web>,
    May { person, .. }: May<AddDevices>,
    Query(from): Query<From>,
) -> Result<Response, Problem> {
    let seen_by = person.clone();
    let say = move |web: Web| {
        let seen_by = seen_by.clone();
        async move { Ok(Some(snapshot(&waiting(&web, &seen_by).await?)?)) }
    };
    Source::new(&web, person, say).stream(from).await
}

/// `POST /activate/approve`
pub(super) async fn approve(
    State(web): State<Web>,
    MayForm { person, form, .. }: MayForm<AddDevices, ApproveForm>,
) -> Result<Response, Problem> {
    match try_approve(&web, &person, &form).await {
        Ok(to) => Ok(to.into_response()),
        Err(Error::Store(error)) => Err(error.into()),
        Err(Error::Internal(error)) => Err(Problem::Internal(error)),
        Err(error) => {
            let mut page = ActivatePage::blank(&web, &person).await?;
            page.look_up(&web, &form.code).await?;
            page.problem = Some(sentence(&error.to_string()));
            (page.name, page.tags) = (form.name, form.tags);
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page::html(&page)?).into_response())
        }
    }
}

async fn try_approve(web: &Web, person: &Person, form: &ApproveForm) -> Result<Redirect, Error> {
    let code = EnrolmentCode::parse(&form.code).ok_or(Error::EnrolmentUnknown)?;
    let tags = parse_tags(&form.tags).ok_or(Error::TagsInvalid)?;
    let name = Some(form.name.clone()).filter(|name| !name.trim().is_empty());
    let device = actions::approve_enrolment(&web.app, &person.actor(), &code, Approval { name, tags }).await?;
    Ok(Redirect::to(&format!("/devices/{}?done=approved", device.id)))
}

/// `POST /activate/deny`
pub(super) async fn deny(
    State(web): State<Web>,
    MayForm { person, form, .. }: MayForm<AddDevices, DenyForm>,
) -> Result<Redirect, Problem> {
    let code = EnrolmentCode::parse(&form.code).ok_or(Problem::NotFound)?;
    match actions::deny_enrolment(&web.app, &person.actor(), &code).await {
        Ok(()) => Ok(Redirect::to("/activate?denied=1")),
        // decided or expired meanwhile: the page says so
        Err(Error::EnrolmentUnknown) => Ok(Redirect::to(&format!("/activate?code={code}"))),
        Err(other) => Err(other.into()),
    }
}

impl ActivatePage {
    async fn blank(web: &Web, person: &Person) -> Result<Self, Problem> {
        let waiting = waiting(web, person).await?;
        Ok(Self {
            shell: Shell::of_person(&web.app, person, "devices"),
            state: snapshot(&waiting)?.state(),
            typed: String::new(),
            found: None,
            name: String::new(),
            tags: String::new(),
            problem: None,
            denied: false,
            waiting,
            server_key: in_groups(&web.app.server_key().pin()),
        })
    }

    /// Finds the device that asks with this code, or says that there is none.
    async fn look_up(&mut self, web: &Web, typed: &str) -> Result<(), Problem> {
        typed.trim().clone_into(&mut self.typed);
        let now = web.app.now();
        let asked = match EnrolmentCode::parse(typed) {
            Some(code) => web.app.store().asked_by_code(&code).await?,
            None => None,
        };
        let asked = asked.filter(|asked| asked.state == AskedState::Waiting && asked.expires_at > now);
        match asked {
            Some(asked) => self.found = Some(Asking::new(&asked, web)),
            None => self.problem = Some(sentence(&Error::EnrolmentUnknown.to_string())),
        }
        Ok(())
    }
}

impl Asking {
    fn new(asked: &AskedEnrolment, web: &Web) -> Self {
        let now = web.app.now();
        Self {
            code: asked.code.to_string(),
            hostname: asked.hostname.clone(),
            os: asked.os.clone(),
            agent_version: asked.agent_version.clone(),
            address: asked.address.clone(),
            fingerprint: in_groups(asked.identity_key.as_bytes()),
            asked: Moment::new(asked.created_at, now),
            expires: Moment::new(asked.expires_at, now),
        }
    }
}

/// Those who wait, for who may see them without their code.
async fn waiting(web: &Web, person: &Person) -> Result<Option<Vec<Asking>>, Problem> {
    if !person.role.has(Right::ManageDevices) {
        return Ok(None);
    }
    let asking = web.app.store().asking(web.app.now()).await?;
    Ok(Some(asking.iter().map(|asked| Asking::new(asked, web)).collect()))
}

fn snapshot(waiting: &Option<Vec<Asking>>) -> Result<Snapshot, Problem> {
    Ok(Snapshot::of(vec![Part::new("waiting", waiting, WaitingPart { waiting }.render()?)]))
}

/// A key as people compare it: in groups of four.
fn in_groups(key: &[u8; 32]) -> String {
    let text = HEXLOWER.encode(key);
    let groups: Vec<&str> = (0..text.len()).step_by(4).map(|at| &text[at..at + 4]).collect();
    groups.join(" ")
}

//! `/`: is the mesh well? Who is online, how pairs are connected, what wants attention, what happened last; live.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};

use super::Web;
use super::activity::{self, Entry};
use super::format::{Moment, Rtt};
use super::live::{From, Part, Snapshot, Source};
use super::page::{self, Shell};
use super::problem::Problem;
use super::view::{PathKind, is_older};
use crate::actions::{self, Attention, WorstPair};
use crate::auth::{May, Person, ReadMesh};
use crate::domain::Right;

#[derive(Template)]
#[template(path = "overview/page.html")]
struct OverviewPage {
    shell: Shell,
    state: String,
    network: String,
    view: View,
}

#[derive(Template)]
#[template(path = "overview/_view.html")]
struct ViewPart<'a> {
    view: &'a View,
}

/// What the page says.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct View {
    devices: usize,
    online: usize,
    direct: usize,
    relayed: usize,
    /// Of pairs that are connected; in per cent.
    share: Option<usize>,
    worst: Vec<WorstView>,
    attention: Vec<AttentionView>,
    recent: Option<Vec<Entry>>,
    may_add: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct WorstView {
    ids: [String; 2],
    names: [String; 2],
    kind: PathKind,
    rtt: Option<Rtt>,
    /// Why it is relayed, and what would make it direct; both may be empty.
    why: String,
    remedy: String,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct AttentionView {
    text: String,
    at: Option<Moment>,
    link: String,
    action: &'static str,
}

/// `GET /`: for who may not see the mesh, their devices.
pub(super) async fn page(State(web): State<Web>, person: Person) -> Result<Response, Problem> {
    if !person.role.has(Right::ReadMesh) {
        return Ok(Redirect::to("/devices").into_response());
    }
    let view = load(&web, &person).await?;
    let page = OverviewPage {
        shell: Shell::of_person(&web.app, &person, "overview"),
        state: snapshot(&view)?.state(),
        network: web.app.network_name(),
        view,
    };
    Ok(page::html(&page)?.into_response())
}

/// `GET /live`
pub(super) async fn live(
    State(web): State<Web>,
    May { person, .. }: May<ReadMesh>,
    Query(from): Query<From>,
) -> Result<Response, Problem> {
    let seen_by = person.clone();
    let say = move |web: Web| {
        let seen_by = seen_by.clone();
        async move { Ok(Some(snapshot(&load(&web, &seen_by).await?)?)) }
    };
    Source::new(&web, person, say).stream(from).await
}

async fn load(web: &Web, person: &Person) -> Result<View, Problem> {
    let overview = actions::overview(&web.app, |version| is_older(version, env!("CARGO_PKG_VERSION"))).await?;
    let now = web.app.now();
    let connected = overview.direct + overview.relayed;
    let worst = overview.worst.into_iter().map(WorstView::new);
    let attention = overview.attention.iter().filter(|one| may_act(person, one));
    let recent = if person.role.has(Right::ReadActivity) { Some(activity::recent(web, RECENT).await?) } else { None };
    Ok(View {
        devices: overview.devices,
        online: overview.online,
        direct: overview.direct,
        relayed: overview.relayed,
        share: (overview.direct * 100).checked_div(connected),
        worst: worst.collect(),
        attention: attention.map(|one| AttentionView::new(one, &|at| Moment::new(at, now))).collect(),
        recent,
        may_add: person.role.may_add_devices(),
    })
}

/// Whether somebody can do something about it; keys are shown to those who manage them.
fn may_act(person: &Person, attention: &Attention) -> bool {
    match attention {
        Attention::AgentsOld { .. } | Attention::CertificateEnding { .. } | Attention::LongGone { .. } => true,
        Attention::KeyEnding { .. } | Attention::KeyEndless { .. } => person.role.has(Right::ManageInvites),
        Attention::Server { .. } => person.role.has(Right::ManageServer),
        Attention::Waiting { .. } => person.role.has(Right::ManageDevices),
    }
}

impl WorstView {
    fn new(pair: WorstPair) -> Self {
        // names stand in backticks where there is no other type to set them in
        let plain = |text: &str| text.replace('`', "");
        let (why, remedy) = pair.verdict.as_ref().map(|why| (plain(&why.text), plain(&why.remedy))).unwrap_or_default();
        Self {
            ids: [pair.devices[0].0.to_string(), pair.devices[1].0.to_string()],
            names: pair.devices.map(|(_, name)| name),
            kind: if pair.is_relayed { PathKind::Relay } else { PathKind::Direct },
            rtt: pair.rtt.map(Rtt),
            why,
            remedy,
        }
    }
}

impl AttentionView {
    fn new(attention: &Attention, moment: &dyn Fn(warren_proto::keys::UnixTime) -> Moment) -> Self {
        let key = |name: &str| {
            if name.is_empty() { "An enrolment key".to_owned() } else { format!("The enrolment key {name}") }
        };
        let (text, at, link, action) = match attention {
            Attention::AgentsOld { count } => (
                plural(*count, "agent is", "agents are") + " older than this server",
                None,
                "/devices?sort=system".to_owned(),
                "See which",
            ),
            Attention::CertificateEnding { id, name, at } => (
                format!("The certificate of {name} ends, and it has not been online to get another"),
                Some(moment(*at)),
                format!("/devices/{id}"),
                "See the device",
            ),
            Attention::KeyEnding { id, name, at } => {
                (format!("{} ends", key(name)), Some(moment(*at)), format!("/keys/{id}"), "See the key")
            }
            Attention::KeyEndless { id, name } => (
                format!("{} lets in any number of devices and never ends", key(name)),
                None,
                format!("/keys/{id}"),
                "See the key",
            ),
            Attention::LongGone { count } => (
                plural(*count, "device was", "devices were") + " not seen for 90 days",
                None,
                "/devices?state=offline&sort=seen".to_owned(),
                "See which",
            ),
            Attention::Server { trouble } => (trouble.clone(), None, "/system".to_owned(), "See the server"),
            Attention::Waiting { count } => (
                plural(*count, "device waits", "devices wait") + " to be let in",
                None,
                "/activate".to_owned(),
                "Decide",
            ),
        };
        Self { text, at, link, action }
    }
}

fn plural(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn snapshot(view: &View) -> Result<Snapshot, Problem> {
    Ok(Snapshot::of(vec![Part::new("overview", view, ViewPart { view }.render()?)]))
}

/// What fits beside the rest.
const RECENT: u32 = 8;

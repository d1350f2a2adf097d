//! `/devices`: every device with its paths, live.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{Html, Response};
use serde::Deserialize;

use super::super::Web;
use super::super::live::{From, Part, Snapshot, Source};
use super::super::page::{self, Shell};
use super::super::problem::Problem;
use super::super::view::{DeviceList, DeviceRow};
use super::Done;
use crate::actions;
use crate::auth::Person;

#[derive(Template)]
#[template(path = "devices/list.html")]
struct ListPage {
    shell: Shell,
    state: String,
    done: Option<&'static str>,
    list: DeviceList,
}

#[derive(Template)]
#[template(path = "devices/_summary.html")]
struct SummaryPart<'a> {
    list: &'a DeviceList,
}

#[derive(Template)]
#[template(path = "devices/_list.html")]
struct ListPart<'a> {
    list: &'a DeviceList,
}

#[derive(Template)]
#[template(path = "devices/_device_row.html")]
struct RowPart<'a> {
    row: &'a DeviceRow,
}

/// `?page=N`
#[derive(Debug, Deserialize)]
pub(in crate::web) struct Which {
    #[serde(default)]
    page: usize,
}

/// `GET /devices`
pub(in crate::web) async fn page(
    State(web): State<Web>,
    person: Person,
    Query(which): Query<Which>,
    Query(done): Query<Done>,
) -> Result<Html<String>, Problem> {
    let list = load(&web, &person, which.page).await?;
    page::html(&ListPage {
        shell: Shell::of_person(&web.app, &person, "devices"),
        state: snapshot(&list)?.state(),
        done: done.sentence(),
        list,
    })
}

/// `GET /devices/live`
pub(in crate::web) async fn live(
    State(web): State<Web>,
    person: Person,
    Query(Which { page }): Query<Which>,
    Query(from): Query<From>,
) -> Result<Response, Problem> {
    let seen_by = person.clone();
    let say = move |web: Web| {
        let seen_by = seen_by.clone();
        async move { Ok(Some(snapshot(&load(&web, &seen_by, page).await?)?)) }
    };
    Source::new(&web, person, say).stream(from).await
}

async fn load(web: &Web, person: &Person, page: usize) -> Result<DeviceList, Problem> {
    let devices = actions::list_devices(&web.app).await?;
    let list = DeviceList::new(&devices, person.scope(), page, web.app.now());
    Ok(DeviceList { may_add: person.role.may_add_devices(), ..list })
}

fn snapshot(list: &DeviceList) -> Result<Snapshot, Problem> {
    let summary = Part::new("summary", &list.summary, SummaryPart { list }.render()?);
    let whole = Part::new("device-list", list, ListPart { list }.render()?);
    let mut parts = vec![summary.clone()];
    for row in &list.rows {
        parts.push(Part::new(format!("device-{}", row.id), row, RowPart { row }.render()?));
    }
    Ok(Snapshot { outline: list.outline(), whole: vec![summary, whole], parts })
}

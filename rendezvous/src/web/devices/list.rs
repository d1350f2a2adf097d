//! `/devices`: the devices with their paths in short, searched, filtered and sorted by the URL, live; and the same as a
//! table for spreadsheets.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{Html, Response};

use super::super::Web;
use super::super::csv::Csv;
use super::super::live::{From, Part, Snapshot, Source};
use super::super::page::{self, Shell};
use super::super::problem::Problem;
use super::super::view::{DeviceList, ListRow, NATS};
use super::query::ListQuery;
use super::{Done, Note};
use crate::actions::{self, Survey};
use crate::auth::Person;
use crate::domain::{Right, may_on_device};

#[derive(Template)]
#[template(path = "devices/list.html")]
struct ListPage {
    shell: Shell,
    state: String,
    done: Option<Note>,
    list: DeviceList,
    query: ListQuery,
    nats: [(&'static str, &'static str); 4],
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
    query: &'a ListQuery,
}

#[derive(Template)]
#[template(path = "devices/_device_row.html")]
struct RowPart<'a> {
    row: &'a ListRow,
    query: &'a ListQuery,
}

/// `GET /devices`
pub(in crate::web) async fn page(
    State(web): State<Web>,
    person: Person,
    Query(query): Query<ListQuery>,
    Query(done): Query<Done>,
) -> Result<Html<String>, Problem> {
    let list = load(&web, &person, &query).await?;
    page::html(&ListPage {
        shell: Shell::of_person(&web.app, &person, "devices"),
        state: snapshot(&list, &query)?.state(),
        done: done.known(),
        list,
        query,
        nats: NATS.map(|(_, word, words)| (word, words)),
    })
}

/// `GET /devices/live`
pub(in crate::web) async fn live(
    State(web): State<Web>,
    person: Person,
    Query(query): Query<ListQuery>,
    Query(from): Query<From>,
) -> Result<Response, Problem> {
    let seen_by = person.clone();
    let say = move |web: Web| {
        let (seen_by, query) = (seen_by.clone(), query.clone());
        async move { Ok(Some(snapshot(&load(&web, &seen_by, &query).await?, &query)?)) }
    };
    Source::new(&web, person, say).stream(from).await
}

/// `GET /devices.csv`: every device that the query finds.
pub(in crate::web) async fn csv(
    State(web): State<Web>,
    person: Person,
    Query(query): Query<ListQuery>,
) -> Result<Response, Problem> {
    let survey = survey(&web, &person, &query).await?;
    let mut csv = Csv::new(&[
        "id",
        "name",
        "tags",
        "ipv4",
        "ipv6",
        "online",
        "last_seen",
        "direct",
        "relayed",
        "rtt_ms",
        "nat",
        "os",
        "agent_version",
        "rx_bytes",
        "tx_bytes",
    ]);
    for summary in &survey.found {
        let row = ListRow::new(summary, false, web.app.now());
        let last_seen = row.last_seen.map(|seen| seen.rfc3339).unwrap_or_default();
        let rtt = summary.paths.median_rtt.map(|rtt| format!("{:.1}", rtt.as_secs_f64() * 1e3)).unwrap_or_default();
        let nat = NATS.into_iter().find(|(kind, ..)| Some(*kind) == summary.nat).map_or("", |(_, word, _)| word);
        csv.line(&[
            &row.id,
            &row.name,
            &row.tags.join(" "),
            &row.v4,
            &row.v6,
            if row.online { "yes" } else { "no" },
            &last_seen,
            &row.direct.to_string(),
            &row.relayed.to_string(),
            &rtt,
            nat,
            &row.os,
            &row.agent_version,
            &summary.paths.rx_bytes.to_string(),
            &summary.paths.tx_bytes.to_string(),
        ]);
    }
    Ok(csv.download("devices.csv"))
}

async fn survey(web: &Web, person: &Person, query: &ListQuery) -> Result<Survey, Problem> {
    Ok(actions::survey_devices(&web.app, person.scope(), &query.wanted()).await?)
}

async fn load(web: &Web, person: &Person, query: &ListQuery) -> Result<DeviceList, Problem> {
    let survey = survey(web, person, query).await?;
    let now = web.app.now();
    Ok(DeviceList::new(&survey, query.page(), |summary| {
        let may_manage = may_on_device(person.role, person.id, Right::ManageDevices, &summary.device);
        ListRow::new(summary, may_manage, now)
    }))
}

fn snapshot(list: &DeviceList, query: &ListQuery) -> Result<Snapshot, Problem> {
    let summary = Part::new("summary", &list.summary, SummaryPart { list }.render()?);
    let whole = Part::new("device-list", list, ListPart { list, query }.render()?);
    let mut parts = vec![summary.clone()];
    for row in &list.rows {
        parts.push(Part::new(format!("device-{}", row.id), row, RowPart { row, query }.render()?));
    }
    Ok(Snapshot { outline: list.outline(), whole: vec![summary, whole], parts })
}

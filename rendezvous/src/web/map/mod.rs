//! `/map`: the paths there really are, as a graph, as a matrix and as a table, live.

mod layout;
mod view;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{Html, Response};
use serde::Deserialize;

use super::Web;
use super::live::{From, Part, Snapshot, Source};
use super::page::{self, Shell};
use super::problem::Problem;
use crate::actions;
use crate::auth::{May, ReadMesh};
use crate::domain::history::Kind;

use view::{Filter, Form, MapView, SIZE};

/// `?kind=WORD&name=TEXT&form=WORD`
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Look {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    form: String,
}

impl Look {
    fn filter(&self) -> Filter {
        Filter {
            kind: Some(Kind::parse(&self.kind)).filter(|kind| *kind != Kind::None),
            name: self.name.trim().chars().take(NAME).collect::<String>().to_lowercase(),
            form: match self.form.as_str() {
                "graph" => Some(Form::Graph),
                "matrix" => Some(Form::Matrix),
                _ => None,
            },
        }
    }
}

#[derive(Template)]
#[template(path = "map/show.html")]
struct MapPage {
    shell: Shell,
    state: String,
    /// The same look again, for the stream.
    query: String,
    filter: Filter,
    map: MapView,
}

#[derive(Template)]
#[template(path = "map/_picture.html")]
struct PicturePart<'a> {
    map: &'a MapView,
}

#[derive(Template)]
#[template(path = "map/_table.html")]
struct TablePart<'a> {
    map: &'a MapView,
}

/// `GET /map`
pub(super) async fn page(
    State(web): State<Web>,
    May { person, .. }: May<ReadMesh>,
    Query(look): Query<Look>,
) -> Result<Html<String>, Problem> {
    let filter = look.filter();
    let map = load(&web, &filter).await?;
    let words = [("kind", look.kind.as_str()), ("name", &filter.name), ("form", &look.form)];
    page::html(&MapPage {
        shell: Shell::of_person(&web.app, &person, "map"),
        state: snapshot(&map)?.state(),
        query: serde_urlencoded::to_string(words).unwrap_or_default(),
        filter,
        map,
    })
}

/// `GET /map/live`
pub(super) async fn live(
    State(web): State<Web>,
    May { person, .. }: May<ReadMesh>,
    Query(look): Query<Look>,
    Query(from): Query<From>,
) -> Result<Response, Problem> {
    let filter = look.filter();
    let say = move |web: Web| {
        let filter = filter.clone();
        async move { Ok(Some(snapshot(&load(&web, &filter).await?)?)) }
    };
    Source::new(&web, person, say).stream(from).await
}

async fn load(web: &Web, filter: &Filter) -> Result<MapView, Problem> {
    Ok(MapView::new(&actions::topology(&web.app).await?, filter))
}

fn snapshot(map: &MapView) -> Result<Snapshot, Problem> {
    Ok(Snapshot::of(vec![
        Part::new("map-picture", &(&map.nodes, &map.edges, &map.matrix, &map.summary), PicturePart { map }.render()?),
        Part::new("map-table", &(&map.rows, map.hidden), TablePart { map }.render()?),
    ]))
}

/// Nobody's name is longer.
const NAME: usize = 63;

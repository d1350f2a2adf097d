//! `/pairs/{a}/{b}`: the path between two devices, why it is that one, how it was, live.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{Html, Response};
use serde::Deserialize;

use super::super::Web;
use super::super::live::{From, Part, Snapshot, Source};
use super::super::page::{self, Shell};
use super::super::problem::Problem;
use super::super::view::{ChangeView, PairView, Plots};
use crate::actions::{self, History};
use crate::auth::{MayPair, ReadMesh};
use crate::domain::Right;
use crate::domain::history::Range;

/// `?range=WORD&done=WORD`
#[derive(Clone, Debug, Deserialize)]
pub(in crate::web) struct Look {
    #[serde(default)]
    range: String,
    #[serde(default)]
    done: String,
}

impl Look {
    /// The range asked for; an unknown word is the usual one.
    pub(in crate::web) fn range(&self) -> Range {
        Range::parse(&self.range).unwrap_or_default()
    }

    fn sentence(&self) -> Option<&'static str> {
        Some(match self.done.as_str() {
            "offline" => "Neither of the two is connected to this server, so nobody can be asked.",
            "retried" => "Both look for a direct path now. What they try shows below within seconds.",
            "too-soon" => "That was asked for a moment ago. Wait a little, then ask again.",
            _ => return None,
        })
    }
}

#[derive(Template)]
#[template(path = "pairs/show.html")]
struct ShowPage {
    shell: Shell,
    state: String,
    done: Option<&'static str>,
    may_ask: bool,
    range: Range,
    pair: PairView,
    plots: Plots,
    changes: Vec<ChangeView>,
}

#[derive(Template)]
#[template(path = "pairs/_paths.html")]
struct PathsPart<'a> {
    pair: &'a PairView,
}

#[derive(Template)]
#[template(path = "pairs/_pings.html")]
struct PingsPart<'a> {
    pair: &'a PairView,
}

#[derive(Template)]
#[template(path = "pairs/_tried.html")]
struct TriedPart<'a> {
    pair: &'a PairView,
}

#[derive(Template)]
#[template(path = "pairs/_changes.html")]
struct ChangesPart<'a> {
    changes: &'a [ChangeView],
}

#[derive(Template)]
#[template(path = "_plots.html")]
pub(in crate::web) struct PlotsPart<'a> {
    pub(in crate::web) plots: &'a Plots,
}

/// `GET /pairs/{a}/{b}`, each an id or a name.
pub(in crate::web) async fn page(
    State(web): State<Web>,
    pair: MayPair<ReadMesh>,
    Path((a, b)): Path<(String, String)>,
    Query(look): Query<Look>,
) -> Result<Html<String>, Problem> {
    let shown = load(&web, [&a, &b], &Kept::default(), look.range()).await?;
    let shell = Shell::of_person(&web.app, &pair.person, "devices");
    page::html(&ShowPage {
        state: shown.snapshot()?.state(),
        done: look.sentence(),
        may_ask: pair.may(Right::ManageDevices),
        shell,
        range: look.range(),
        pair: shown.pair,
        plots: shown.plots,
        changes: shown.changes,
    })
}

/// `GET /pairs/{a}/{b}/live`
pub(in crate::web) async fn live(
    State(web): State<Web>,
    MayPair { person, .. }: MayPair<ReadMesh>,
    Path((a, b)): Path<(String, String)>,
    Query(look): Query<Look>,
    Query(from): Query<From>,
) -> Result<Response, Problem> {
    let kept = Kept::default();
    let say = move |web: Web| {
        let (a, b, kept, range) = (a.clone(), b.clone(), kept.clone(), look.range());
        async move { Ok(Some(load(&web, [&a, &b], &kept, range).await?.snapshot()?)) }
    };
    Source::new(&web, person, say).stream(from).await
}

struct Shown {
    pair: PairView,
    plots: Plots,
    changes: Vec<ChangeView>,
}

/// The history as a stream last read it: pages are told four times a second of what happens anywhere, and ninety days
/// are not read so often.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Option<(Instant, History)>>>);

async fn load(web: &Web, pair: [&str; 2], kept: &Kept, range: Range) -> Result<Shown, Problem> {
    let (app, now) = (&web.app, web.app.now());
    let shown = actions::show_pair(app, pair).await?;
    let devices = shown.explained.devices.each_ref().map(|view| &view.device);
    // whoever looks has both ends measure; a stream says itself every ten seconds at least
    app.hub().watch_pair(devices[0].id, devices[1].id);
    let held = kept.0.lock().expect("nothing panics while it holds the history").clone();
    let history = match held.filter(|(at, _)| at.elapsed() < READ_EVERY) {
        Some((_, history)) => history,
        None => {
            let history = actions::pair_history(app, devices.map(|device| device.id), range).await?;
            *kept.0.lock().expect("nothing panics while it holds the history") =
                Some((Instant::now(), history.clone()));
            history
        }
    };
    let names = devices.map(|device| device.name.as_str());
    Ok(Shown {
        plots: Plots::of_pair(&history, names),
        changes: ChangeView::all(&history, names, now),
        pair: PairView::new(&shown, now),
    })
}

impl Shown {
    fn snapshot(&self) -> Result<Snapshot, Problem> {
        let Self { pair, plots, changes } = self;
        Ok(Snapshot::of(vec![
            Part::new("pair-paths", &(&pair.ends, &pair.reason, &pair.remedy), PathsPart { pair }.render()?),
            Part::new("pair-pings", &pair.pings, PingsPart { pair }.render()?),
            Part::new("plots", plots, PlotsPart { plots }.render()?),
            Part::new("pair-changes", changes, ChangesPart { changes }.render()?),
            Part::new("pair-tried", &(&pair.tried, &pair.candidates), TriedPart { pair }.render()?),
        ]))
    }
}

/// A third of the time that a point covers.
const READ_EVERY: Duration = Duration::from_secs(5);

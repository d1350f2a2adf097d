//! Live pages: a stream of server-sent events that replaces the parts of a page which say something else than before.
//!
//! Every page that is live can say itself as a `Snapshot`. The stream keeps the last one it sent; when anything in the
//! mesh changes it takes another and sends the difference, at most four times a second. The event id names the state
//! that is complete with it: a browser that reconnects with it is told only what it missed. What changed is nobody's
//! concern here, so nothing can be forgotten.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Interval, MissedTickBehavior};

use super::Web;
use super::problem::Problem;
use crate::auth::Person;
use crate::control::LiveEvent;

/// What a live page says at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot {
    /// While this stays, parts can be replaced one by one.
    pub(super) outline: String,
    /// Replaces everything that is live.
    pub(super) whole: Vec<Part>,
    /// The smallest pieces, each inside `whole`.
    pub(super) parts: Vec<Part>,
}

/// One element of the page.
#[derive(Clone, Debug)]
pub(super) struct Part {
    id: String,
    state: u64,
    html: String,
}

impl Part {
    /// The element with this id, made from `value`.
    pub(super) fn new(id: impl Into<String>, value: &impl Hash, html: String) -> Self {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        // a carriage return cannot travel in an event, and HTML reads it as the space it is
        Self { id: id.into(), state: hasher.finish(), html: html.replace('\r', " ") }
    }
}

impl Snapshot {
    /// A page whose parts are always there.
    pub(super) fn of(parts: Vec<Part>) -> Self {
        Self { outline: String::new(), whole: parts.clone(), parts }
    }

    /// Names what the page says.
    pub(super) fn state(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.outline.hash(&mut hasher);
        for part in &self.parts {
            (&part.id, part.state).hash(&mut hasher);
        }
        format!("{:016x}", hasher.finish())
    }

    /// What to send to a page that shows `before`.
    fn changes<'a>(&'a self, before: &Self) -> Vec<&'a Part> {
        if self.outline != before.outline {
            return self.whole.iter().collect();
        }
        let same = |part: &Part| before.parts.iter().any(|old| old.id == part.id && old.state == part.state);
        self.parts.iter().filter(|part| !same(part)).collect()
    }
}

/// `?from=STATE`, the state that the page shows.
#[derive(Debug, Deserialize)]
pub(super) struct From {
    #[serde(default)]
    from: String,
}

/// Room for streams: each holds a connection and the last snapshot.
#[derive(Clone, Debug)]
pub(super) struct Streams(Arc<Semaphore>);

impl Streams {
    /// With room for `MAX_STREAMS`.
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MAX_STREAMS)))
    }
}

/// A page that can say itself again and again.
pub(super) struct Source<F> {
    web: Web,
    person: Person,
    say: F,
    events: Receiver<LiveEvent>,
}

impl<F, Said> Source<F>
where
    F: Fn(Web) -> Said + Send + Sync + 'static,
    Said: Future<Output = Result<Option<Snapshot>, Problem>> + Send + 'static,
{
    /// `say` makes the snapshot, or nothing when the page has lost its object.
    pub(super) fn new(web: &Web, person: Person, say: F) -> Self {
        Self { web: web.clone(), person, say, events: web.app.hub().subscribe() }
    }

    /// Streams this page to a browser that shows the state `from`.
    pub(super) async fn stream(self, from: From) -> Result<Response, Problem> {
        let Ok(permit) = Arc::clone(&self.web.streams.0).try_acquire_owned() else { return Err(Problem::Busy) };
        let Some(first) = (self.say)(self.web.clone()).await? else { return Err(Problem::Gone) };
        let mut queue = VecDeque::new();
        if first.state() == from.from {
            queue.push_back(beat());
        } else {
            enqueue(&mut queue, &first.whole.iter().collect::<Vec<_>>(), first.state());
        }
        let mut beats = tokio::time::interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beats.reset();
        let live = Live { source: self, last: first, queue, beats, _permit: permit };

        let mut response = Sse::new(stream::unfold(live, Live::next)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // nginx would otherwise hold events back
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        Ok(response)
    }

    /// What the page says at this moment; `None` ends the stream: the session or the object is gone, the database
    /// fails, and the browser asks again by itself.
    async fn snapshot(&self) -> Option<Snapshot> {
        if !self.person.is_still_signed_in(&self.web.app).await.ok()? {
            return None;
        }
        (self.say)(self.web.clone()).await.ok()?
    }
}

struct Live<F> {
    source: Source<F>,
    last: Snapshot,
    queue: VecDeque<Event>,
    beats: Interval,
    _permit: OwnedSemaphorePermit,
}

impl<F, Said> Live<F>
where
    F: Fn(Web) -> Said + Send + Sync + 'static,
    Said: Future<Output = Result<Option<Snapshot>, Problem>> + Send + 'static,
{
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some((Ok(event), self));
            }
            let is_beat = tokio::select! {
                event = self.source.events.recv() => match event {
                    // to have missed some is to have something to look at
                    Ok(_) | Err(RecvError::Lagged(_)) => false,
                    Err(RecvError::Closed) => return None,
                },
                _ = self.beats.tick() => true,
            };
            if !is_beat {
                tokio::time::sleep(COALESCE).await;
                self.source.events = self.source.events.resubscribe();
            }
            let next = self.source.snapshot().await?;
            enqueue(&mut self.queue, &next.changes(&self.last), next.state());
            if is_beat {
                self.queue.push_back(beat());
            }
            self.last = next;
        }
    }
}

/// The last of the events carries the state's name: only then is the page complete.
fn enqueue(queue: &mut VecDeque<Event>, parts: &[&Part], state: String) {
    let Some((last, others)) = parts.split_last() else { return };
    queue.extend(others.iter().map(|part| Event::default().event("patch").data(&part.html)));
    queue.push_back(Event::default().event("patch").id(state).data(&last.html));
}

fn beat() -> Event {
    Event::default().event("beat").data("")
}

/// Tells the page that silence means no change; proxies close what is silent for longer.
const BEAT: Duration = Duration::from_secs(10);
/// At most four differences a second, however much happens.
const COALESCE: Duration = Duration::from_millis(250);
/// Far more pages than one mesh has administrators looking at it.
const MAX_STREAMS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn part(id: &str, value: u32) -> Part {
        Part::new(id, &value, format!("<p id=\"{id}\">{value}</p>"))
    }

    fn ids(parts: &[&Part]) -> Vec<String> {
        parts.iter().map(|part| part.id.clone()).collect()
    }

    #[test]
    fn only_parts_that_say_something_else_are_sent() {
        let before = Snapshot::of(vec![part("a", 1), part("b", 1)]);
        let after = Snapshot::of(vec![part("a", 1), part("b", 2)]);

        assert_eq!(ids(&after.changes(&before)), ["b"]);
        assert!(after.changes(&after).is_empty());
        assert_ne!(before.state(), after.state());
    }

    #[test]
    fn another_outline_replaces_the_whole() {
        let snapshot = |outline: &str| Snapshot {
            outline: outline.to_owned(),
            whole: vec![part("list", 1)],
            parts: vec![part("row", 1)],
        };

        assert_eq!(ids(&snapshot("a b").changes(&snapshot("a"))), ["list"]);
    }
}

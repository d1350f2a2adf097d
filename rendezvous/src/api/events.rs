//! `/events`: what changes in the mesh, as it changes, by server-sent events.
//!
//! `device` events come from the change log and bear its revision as their id: whoever reconnects with `Last-Event-ID`
//! is told what it missed. `presence` and `path` events are of the moment and have no id; `hello` says where the stream
//! begins, and whether there is a gap before it that only reading the lists again closes.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Interval, MissedTickBehavior};

use super::caller::Caller;
use super::problem::{Code, Problem};
use crate::app::App;
use crate::auth::{Identity, ReadMesh};
use crate::control::LiveEvent;
use crate::store::ChangeKind;

/// What changes in the mesh, as it changes
///
/// Server-sent events. `hello` `{"revision": N, "complete": true}` comes first; if it is not complete, read the lists
/// again. Then `device` `{"revision": N, "device": ID}` (enrolled, changed or ended: read it), `presence`
/// `{"device": ID, "online": true}` and `path` `{"from": ID, "to": ID}` (read the pair). Reconnect with `Last-Event-ID`.
#[utoipa::path(get, path = "/events", tag = "Events",
    params(("last-event-id" = Option<String>, Header, description = "The id of the last event that you have seen")),
    responses((status = 200, description = "A stream that does not end by itself", content_type = "text/event-stream",
        body = String)),
    security(("token" = ["read-mesh"]), ("session" = [])), extensions(("x-problems" = json!(["too-many-streams"]))))]
pub(super) async fn stream(
    State(app): State<App>,
    State(streams): State<Arc<Semaphore>>,
    caller: Caller<ReadMesh>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let place = streams.try_acquire_owned().map_err(|_| Problem::for_now(Code::TooManyStreams, COME_BACK))?;
    let seen = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    // subscribed before the log is read: what happens in between is told twice rather than not at all
    let events = app.hub().subscribe();
    let mut beats = tokio::time::interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beats.reset();
    let identity = caller.identity;
    let mut live = Live { app, identity, events, beats, queue: VecDeque::new(), revision: 0, _place: place };
    live.begin(seen).await?;

    let mut response = Sse::new(stream::unfold(live, Live::next)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx would otherwise hold events back
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

struct Live {
    app: App,
    identity: Arc<Identity>,
    events: Receiver<LiveEvent>,
    beats: Interval,
    queue: VecDeque<Event>,
    /// Everything up to here was told.
    revision: u64,
    _place: OwnedSemaphorePermit,
}

impl Live {
    /// Queues what was missed since `seen`, and says whether that is all.
    async fn begin(&mut self, seen: Option<u64>) -> Result<(), Problem> {
        let newest = self.app.store().revision().await?;
        let oldest = self.app.store().oldest_revision().await?.unwrap_or(newest + 1);
        let complete = seen.is_some_and(|seen| seen <= newest && seen + 1 >= oldest);
        self.revision = if complete { seen.unwrap_or(newest) } else { newest };
        self.follow_log().await?;
        let hello = json!({ "revision": self.revision, "complete": complete }).to_string();
        self.queue.push_back(Event::default().event("hello").id(self.revision.to_string()).data(hello));
        Ok(())
    }

    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some((Ok(event), self));
            }
            let event = tokio::select! {
                event = self.events.recv() => Some(event),
                _ = self.beats.tick() => None,
            };
            let told = match event {
                Some(Ok(event)) => self.tell(event).await,
                // what the log holds is told, and that there was more
                Some(Err(RecvError::Lagged(_))) => {
                    let told = self.follow_log().await;
                    let hello = json!({ "revision": self.revision, "complete": false }).to_string();
                    self.queue.push_back(Event::default().event("hello").data(hello));
                    told
                }
                Some(Err(RecvError::Closed)) => return None,
                None => {
                    // a token that was revoked, a person who signed out: the stream ends with them
                    if !self.identity.is_alive(&self.app).await.ok()? {
                        return None;
                    }
                    self.queue.push_back(Event::default().comment("still here"));
                    Ok(())
                }
            };
            // the client asks again, from where it stands
            told.ok()?;
        }
    }

    async fn tell(&mut self, event: LiveEvent) -> Result<(), Problem> {
        match event {
            LiveEvent::Devices { .. } => return self.follow_log().await,
            // who asks to be let in is told in the audit log, and by webhook
            LiveEvent::Enrolments => {}
            LiveEvent::Path { from, to } => {
                let data = json!({ "from": from.to_string(), "to": to.to_string() }).to_string();
                self.queue.push_back(Event::default().event("path").data(data));
            }
            LiveEvent::Presence { device } => {
                let online = self.app.hub().is_online(device);
                let data = json!({ "device": device.to_string(), "online": online }).to_string();
                self.queue.push_back(Event::default().event("presence").data(data));
            }
        }
        Ok(())
    }

    /// Queues the changes that were not told yet.
    async fn follow_log(&mut self) -> Result<(), Problem> {
        loop {
            let changes = self.app.store().changes_since(self.revision, ChangeKind::Device, AT_ONCE).await?;
            for change in &changes {
                let data = json!({ "revision": change.revision, "device": change.subject.to_string() }).to_string();
                self.queue.push_back(Event::default().event("device").id(change.revision.to_string()).data(data));
                self.revision = change.revision;
            }
            if changes.len() < AT_ONCE as usize {
                return Ok(());
            }
        }
    }
}

/// Proxies close what is silent for longer; also how soon a stream ends with its credential.
const BEAT: Duration = Duration::from_secs(10);
/// Read from the log at once.
const AT_ONCE: u32 = 500;
/// Each holds a connection; far more than one mesh has programs that watch it.
pub(super) const MAX_STREAMS: usize = 256;
const COME_BACK: Duration = Duration::from_secs(30);

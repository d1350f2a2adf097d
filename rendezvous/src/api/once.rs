//! `Idempotency-Key`: a `POST` that is sent again is done once. `actions` remembers; this turns requests and answers into
//! bytes and back.
//!
//! The request runs in a task of its own: a client that hangs up in the middle, and asks again, finds the answer.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tracing::warn;

use super::caller::SignedIn;
use super::problem::{Code, Problem};
use super::{Api, MAX_BODY};
use crate::actions::{self, Once, OnceKey};

/// Does a `POST` under a key once.
pub(super) async fn once(State(api): State<Api>, request: Request, next: Next) -> Response {
    let caller = request.extensions().get::<SignedIn>().cloned();
    match (request.headers().contains_key(KEY) && request.method() == Method::POST, caller) {
        (true, Some(caller)) => run(api, caller, request, next).await.unwrap_or_else(|problem| problem.into_response()),
        // whoever is nobody is told so by the handler
        _ => next.run(request).await,
    }
}

async fn run(api: Api, SignedIn(caller): SignedIn, request: Request, next: Next) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let key = read_key(&parts.headers)?;
    let body = to_bytes(body, MAX_BODY).await.map_err(|_| Code::BodyTooLarge)?;
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let key = OnceKey::new(&caller, key.as_bytes(), &[target.as_bytes(), &body]);
    match actions::begin_once(&api.app, &key).await? {
        Once::Answered(answer) => return Ok(Answer::replay(&answer)),
        Once::First => {}
        Once::Reused => return Err(Code::IdempotencyKeyReused.into()),
        Once::Running => return Err(Problem::for_now(Code::IdempotencyInProgress, ASK_AGAIN)),
    }
    let request = Request::from_parts(parts, Body::from(body));
    tokio::spawn(async move { remember(&api, &key, next.run(request).await).await }).await.map_err(Problem::internal)
}

/// Keeps what was answered, if anything was done.
async fn remember(api: &Api, key: &OnceKey, response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, MAX_ANSWER).await else { return Problem::from(Code::Internal).into_response() };
    let kept = if parts.status.is_success() {
        actions::keep_answer(&api.app, key, Answer::of(parts.status, &parts.headers, &body)).await
    } else {
        actions::forget_once(&api.app, key).await
    };
    if let Err(error) = kept {
        warn!(%error, "cannot remember a request; the next one under its key waits a minute and runs");
    }
    Response::from_parts(parts, Body::from(body))
}

fn read_key(headers: &HeaderMap) -> Result<String, Problem> {
    let mut keys = headers.get_all(KEY).iter();
    let key = keys.next().and_then(|key| key.to_str().ok()).unwrap_or_default();
    let good = !key.is_empty() && key.len() <= MAX_KEY && key.bytes().all(|byte| byte.is_ascii_graphic());
    if good && keys.next().is_none() { Ok(key.to_owned()) } else { Err(Code::IdempotencyKeyInvalid.into()) }
}

/// An answer as it is kept.
#[derive(Serialize, Deserialize)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answer {
    fn of(status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Vec<u8> {
        let kept = |name: &HeaderName| Some((name.to_string(), headers.get(name)?.to_str().ok()?.to_owned()));
        let answer = Self {
            status: status.as_u16(),
            headers: KEPT.iter().filter_map(kept).collect(),
            body: String::from_utf8_lossy(body).into_owned(),
        };
        serde_json::to_vec(&answer).expect("strings and numbers have a JSON form")
    }

    fn replay(kept: &[u8]) -> Response {
        let Ok(answer) = serde_json::from_slice::<Self>(kept) else {
            return Problem::from(Code::Internal).into_response();
        };
        let mut response = answer.body.into_response();
        *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_TYPE);
        for (name, value) in answer.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                headers.insert(name, value);
            }
        }
        headers.insert("idempotency-replayed", HeaderValue::from_static("true"));
        response
    }
}

/// draft-ietf-httpapi-idempotency-key-header
const KEY: &str = "idempotency-key";
const MAX_KEY: usize = 255;
/// Headers that belong to an answer and not to its transport.
const KEPT: [HeaderName; 3] = [header::CONTENT_TYPE, header::ETAG, header::LOCATION];
/// Every answer to a POST is one object.
const MAX_ANSWER: usize = 256 * 1024;
const ASK_AGAIN: Duration = Duration::from_secs(1);

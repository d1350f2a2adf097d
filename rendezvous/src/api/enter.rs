//! What every request goes through before its handler: how often this caller may ask, who it is, and whether a browser's
//! session is used by one of our own pages.
//!
//! A caller with a credential has a budget of its own; strangers, and those whose credential does not work, share one by
//! network, so that guessing is slow and reading is not.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::Api;
use super::caller::SignedIn;
use super::problem::{Code, Problem};
use crate::actions;
use crate::app::App;
use crate::auth::{By, Client, Identity, Unidentified, is_from_own_page};
use crate::limits::{Budgets, Grant, prefix};

/// The budgets of those who call.
#[derive(Debug)]
pub(super) struct Limits {
    callers: Budgets,
    strangers: Budgets,
}

impl Limits {
    /// Full ones.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            callers: Budgets::new(CALLER_PER_SECOND, CALLER_BURST, now),
            strangers: Budgets::new(STRANGER_PER_SECOND, STRANGER_BURST, now),
        }
    }
}

/// Looks at the caller and its budget, and leaves a `SignedIn` with the request of somebody with an account.
pub(super) async fn enter(State(api): State<Api>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(client) = Client::from_request_parts(&mut parts, &api).await;
    let address = prefix(client.address);
    // whoever has guessed too often is not worth a look into the database
    let stranger = api.limits().strangers.look(address, Instant::now());
    let found = match parts.headers.contains_key("authorization") && !stranger.granted {
        true => Err(Unidentified::Invalid),
        false => Identity::of(&mut parts, &client, &api).await,
    };
    let (grant, policy) = match &found {
        Ok(Some(identity)) => {
            let caller = match &identity.by {
                By::Session(hash) => u64::from_be_bytes(hash[..8].try_into().unwrap_or_default()),
                By::Token { id, .. } => id.as_u64_pair().1,
            };
            (api.limits().callers.take(caller, Instant::now()), CALLER_POLICY)
        }
        Ok(None) | Err(_) => (api.limits().strangers.take(address, Instant::now()), STRANGER_POLICY),
    };
    let response = if grant.granted {
        match admit(&api.app, &client, &mut parts, found).await {
            Ok(()) => next.run(Request::from_parts(parts, body)).await,
            Err(problem) => problem.into_response(),
        }
    } else {
        Problem::for_now(Code::RateLimited, grant.wait).into_response()
    };
    with_limits(response, grant, policy)
}

async fn admit(
    app: &App,
    client: &Client,
    parts: &mut Parts,
    found: Result<Option<Identity>, Unidentified>,
) -> Result<(), Problem> {
    let identity = match found {
        Ok(Some(identity)) => identity,
        Ok(None) => return Ok(()),
        Err(Unidentified::Invalid) => return Err(Code::TokenInvalid.into()),
        Err(Unidentified::World(cause)) => return Err(Problem::internal(cause)),
    };
    let changes = !matches!(parts.method, Method::GET | Method::HEAD);
    if changes && matches!(identity.by, By::Session(_)) && !is_from_own_page(parts) {
        return Err(Code::OriginRefused.into());
    }
    actions::note_token_use(app, &identity, client.address).await?;
    parts.extensions.insert(SignedIn(Arc::new(identity)));
    Ok(())
}

/// `RateLimit-Policy` and `RateLimit`, as draft-ietf-httpapi-ratelimit-headers has them.
fn with_limits(mut response: Response, grant: Grant, policy: &'static str) -> Response {
    let headers = response.headers_mut();
    headers.insert("ratelimit-policy", HeaderValue::from_static(policy));
    let seconds = grant.full_in.as_secs_f32().ceil();
    if let Ok(value) = HeaderValue::try_from(format!("\"api\";r={};t={seconds}", grant.left)) {
        headers.insert("ratelimit", value);
    }
    response
}

/// A script that lists a thousand devices one by one takes a minute; a dashboard of somebody's own polls at leisure.
const CALLER_PER_SECOND: f32 = 20.0;
const CALLER_BURST: f32 = 400.0;
/// Both in one: 400 at once, and again after the 20 seconds in which they come back.
const CALLER_POLICY: &str = "\"api\";q=400;w=20";
/// Strangers may read what is public; those who guess at tokens of 256 bits are only kept from the database.
const STRANGER_PER_SECOND: f32 = 1.0;
const STRANGER_BURST: f32 = 60.0;
const STRANGER_POLICY: &str = "\"api\";q=60;w=60";

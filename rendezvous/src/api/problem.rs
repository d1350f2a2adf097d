//! What went wrong, in JSON: problem details by RFC 9457 with a stable `code`.
//!
//! The table of codes is the whole list: the OpenAPI document and `docs/api.md` are held against it. A code is never
//! taken away and never means something else.

use std::borrow::Cow;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::error;
use utoipa::ToSchema;
use warren_coordinator::Ungranted;

use crate::error::Error;

/// Why a request was not done.
#[derive(Debug)]
pub(super) struct Problem {
    /// What kind of problem it is.
    pub(super) code: Code,
    detail: Option<Cow<'static, str>>,
    retry_after: Option<Duration>,
    cause: Option<anyhow::Error>,
}

/// Declares the codes with all that is said of each.
macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $status:ident, $name:literal, $title:literal;)*) => {
        /// A stable word for each kind of problem.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub(crate) enum Code {
            $($(#[doc = $doc])+ $variant,)*
        }

        impl Code {
            /// Every code there is.
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)*];

            const fn entry(self) -> (StatusCode, &'static str, &'static str) {
                match self {
                    $(Self::$variant => (StatusCode::$status, $name, $title),)*
                }
            }
        }
    };
}

codes! {
    /// The overlay prefix is full.
    AddressPoolExhausted = CONFLICT, "address-pool-exhausted", "Every overlay address is in use.";
    /// The server is in a container, and nobody has said how the world reaches it.
    AddressUnknown = CONFLICT, "address-unknown", "The server does not know how devices reach it.";
    /// A body with a field missing, unknown, or of the wrong kind.
    BodyInvalid = UNPROCESSABLE_ENTITY, "body-invalid", "The body does not say what this call needs.";
    /// Longer than any call needs.
    BodyTooLarge = PAYLOAD_TOO_LARGE, "body-too-large", "The body is too long.";
    /// Not JSON.
    BodyUnreadable = BAD_REQUEST, "body-unreadable", "The body is not JSON.";
    /// Not a cursor of ours.
    CursorInvalid = BAD_REQUEST, "cursor-invalid", "That cursor did not come from this list.";
    /// The device left or was revoked.
    DeviceEnded = CONFLICT, "device-ended", "The device is no longer in the mesh.";
    /// No device has that id or name.
    DeviceUnknown = NOT_FOUND, "device-unknown", "No device has that id or name.";
    /// The role, or the token, lacks a right.
    Forbidden = FORBIDDEN, "forbidden", "You may not do that.";
    /// The first request under this key has not ended yet.
    IdempotencyInProgress = CONFLICT, "idempotency-in-progress", "The same request is being done at this moment.";
    /// Not a key.
    IdempotencyKeyInvalid = BAD_REQUEST, "idempotency-key-invalid", "An Idempotency-Key has 1 to 255 visible characters.";
    /// The key was used for something else.
    IdempotencyKeyReused = UNPROCESSABLE_ENTITY, "idempotency-key-reused", "That key was used for another request.";
    /// Our fault or the host's.
    Internal = INTERNAL_SERVER_ERROR, "internal", "The server could not do that.";
    /// A body without `Content-Type: application/json`.
    JsonExpected = UNSUPPORTED_MEDIA_TYPE, "json-expected", "The body must be application/json.";
    /// The enrolment key was withdrawn, is used up or past its time.
    KeyEnded = CONFLICT, "key-ended", "The enrolment key lets nobody in any more.";
    /// A device of the network holds the key that another one asks with.
    KeyTaken = CONFLICT, "key-taken", "Another device holds that key.";
    /// Nobody would be left who can do everything.
    LastOwner = CONFLICT, "last-owner", "This is the only owner.";
    /// More of these than anybody needs.
    LimitReached = CONFLICT, "limit-reached", "There are too many of these already.";
    /// There is such a route, but not for this method.
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method-not-allowed", "That cannot be done here.";
    /// Not a name for such a thing.
    NameInvalid = UNPROCESSABLE_ENTITY, "name-invalid", "That cannot be its name.";
    /// Another has the name.
    NameTaken = CONFLICT, "name-taken", "Another has that name.";
    /// There is no such route or thing.
    NotFound = NOT_FOUND, "not-found", "There is no such thing.";
    /// The person could not sign in any more.
    OnlyWayIn = CONFLICT, "only-way-in", "That is the only way to sign in to this account.";
    /// A cookie, but from another site's page.
    OriginRefused = FORBIDDEN, "origin-refused", "A session changes things only from the dashboard's own pages.";
    /// The thing has changed since it was read.
    PreconditionFailed = PRECONDITION_FAILED, "precondition-failed", "It has been changed since you read it.";
    /// A change without `If-Match`.
    PreconditionRequired = PRECONDITION_REQUIRED, "precondition-required", "Say in If-Match which version you change.";
    /// The path or the query cannot be read.
    QueryInvalid = BAD_REQUEST, "query-invalid", "The address of that call cannot be read.";
    /// One of the two is offline, or was asked a moment ago.
    PairUnready = CONFLICT, "pair-unready", "The pair cannot do that at this moment.";
    /// Too many requests.
    RateLimited = TOO_MANY_REQUESTS, "rate-limited", "Too many requests; wait a little.";
    /// Only a person in a browser may do that, not a token.
    SessionNeeded = FORBIDDEN, "session-needed", "That needs a signed-in person; a token is not enough.";
    /// Nobody is signed in.
    SignInFirst = UNAUTHORIZED, "sign-in-first", "Sign in first, or send a token.";
    /// The database does not answer.
    StoreUnavailable = SERVICE_UNAVAILABLE, "store-unavailable", "The database does not answer; try again.";
    /// A token that is unknown, has expired or was revoked.
    TokenInvalid = UNAUTHORIZED, "token-invalid", "That token does not work (any more).";
    /// Every stream is taken.
    TooManyStreams = SERVICE_UNAVAILABLE, "too-many-streams", "The server keeps no more streams than this.";
    /// A value that reads well and cannot be.
    ValueInvalid = UNPROCESSABLE_ENTITY, "value-invalid", "A value cannot be what it says.";
}

impl Code {
    /// The word that programs may rely on.
    pub(crate) const fn name(self) -> &'static str {
        self.entry().1
    }

    /// What it means, for people.
    pub(crate) const fn title(self) -> &'static str {
        self.entry().2
    }

    /// The HTTP status it comes with.
    pub(crate) const fn status(self) -> StatusCode {
        self.entry().0
    }

    /// The code of this word.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.name() == name)
    }
}

/// Problem details (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Body {
    /// Where the code is explained.
    #[schema(example = "/api#problem-device-unknown")]
    r#type: String,
    /// What the code means.
    title: &'static str,
    /// The HTTP status, once more.
    #[schema(example = 404)]
    status: u16,
    /// The stable word for this problem.
    #[schema(example = "device-unknown")]
    code: &'static str,
    /// What is wrong with this request in particular.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<Cow<'static, str>>,
}

impl Problem {
    /// A problem that says what it is about.
    pub(super) fn with_detail(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { detail: Some(detail.into()), ..Self::from(code) }
    }

    /// A problem that passes by itself.
    pub(super) fn for_now(code: Code, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..Self::from(code) }
    }

    /// Our fault or the host's: said to the log only.
    pub(super) fn internal(cause: impl Into<anyhow::Error>) -> Self {
        Self { cause: Some(cause.into()), ..Self::from(Code::Internal) }
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Self { code, detail: None, retry_after: None, cause: None }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if let Some(cause) = &self.cause {
            error!(error.reason = format!("{cause:#}"), "a request to the API failed");
        }
        let (status, code, title) = self.code.entry();
        let r#type = format!("/api#problem-{code}");
        let body = Body { r#type, title, status: status.as_u16(), code, detail: self.detail };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(wait) = self.retry_after {
            // whole seconds, and never "at once"
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_millis().div_ceil(1000).max(1) as u64));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"warren\""));
        }
        response
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::with_detail(Code::QueryInvalid, rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::with_detail(Code::QueryInvalid, rejection.body_text())
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let code = match &error {
            Error::TooManyAttempts(refused) => return Self::for_now(Code::RateLimited, refused.wait),
            Error::PairUnready(Ungranted::TooSoon(wait)) => return Self::for_now(Code::PairUnready, *wait),
            Error::AddressPoolExhausted => Code::AddressPoolExhausted,
            Error::AddressUnknown => Code::AddressUnknown,
            Error::DeviceRevoked => Code::DeviceEnded,
            Error::DeviceUnknown => Code::DeviceUnknown,
            Error::AccountDisabled
            | Error::EnrolmentDenied
            | Error::NotAllowed
            | Error::OidcBeforeSetup
            | Error::OidcNoRole => Code::Forbidden,
            Error::InviteExpired | Error::InviteUsed => Code::KeyEnded,
            Error::KeyTaken => Code::KeyTaken,
            Error::LastOwner => Code::LastOwner,
            Error::AccountsFull | Error::LimitReached(_) | Error::TooManyAsk => Code::LimitReached,
            Error::AdminNameInvalid | Error::LabelInvalid | Error::NameInvalid | Error::PasskeyNameInvalid => {
                Code::NameInvalid
            }
            Error::AdminNameTaken | Error::NameTaken | Error::OidcTaken => Code::NameTaken,
            Error::AccountLinkInvalid
            | Error::AccountUnknown
            | Error::EnrolmentExpired
            | Error::EnrolmentUnknown
            | Error::InviteUnknown
            | Error::OidcUnavailable
            | Error::PasskeyUnknown
            | Error::SetupTokenInvalid
            | Error::Unknown => Code::NotFound,
            Error::OnlyWayIn => Code::OnlyWayIn,
            Error::PairUnready(Ungranted::Offline) => Code::PairUnready,
            Error::ChangedMeanwhile => Code::PreconditionFailed,
            Error::Store(cause) if is_away(cause) => return Self::for_now(Code::StoreUnavailable, STORE_RETURNS),
            Error::CeremonyOver
            | Error::CodeWrong
            | Error::CredentialsWrong
            | Error::EventInvalid
            | Error::LifetimeInvalid
            | Error::OidcRefused
            | Error::PasskeyRefused
            | Error::PasswordRefused(_)
            | Error::TagsInvalid
            | Error::WebhookUrlInvalid(_) => Code::ValueInvalid,
            // nobody's fault but ours
            Error::Internal(_) | Error::Store(_) => return Self::internal(error),
        };
        // the title says it all, and the words would be about another kind of thing
        let is_said =
            [Code::DeviceEnded, Code::DeviceUnknown, Code::NotFound, Code::PreconditionFailed].contains(&code);
        if is_said { code.into() } else { Self::with_detail(code, error.to_string()) }
    }
}

/// Whether the database is not there, rather than asked something wrong.
const fn is_away(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(_) | sqlx::Error::PoolClosed | sqlx::Error::PoolTimedOut)
}

/// A database that restarts is back by then.
const STORE_RETURNS: Duration = Duration::from_secs(5);

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        Error::from(error).into()
    }
}

/// Whatever the URL table does not know.
pub(super) async fn not_found() -> Problem {
    Problem::with_detail(Code::NotFound, "There is no such route.")
}

/// A known route asked in a way it does not know.
pub(super) async fn not_allowed() -> Problem {
    Code::MethodNotAllowed.into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_has_a_name_of_its_own_and_the_manual_explains_it() {
        let manual = include_str!("../../../docs/api.md");
        let names: BTreeSet<_> = Code::ALL.iter().map(|code| code.name()).collect();

        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            let line = format!("| `{}` | {} |", code.name(), code.status().as_u16());
            assert!(manual.contains(&line), "docs/api.md lacks {line}");
        }
    }
}

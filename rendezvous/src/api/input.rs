//! What a request says: its path, its query, its JSON, and which version it means. Whatever cannot be read is a problem
//! that says what and where; unknown fields are refused, for a misspelt wish must not be a wish that was granted.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::problem::{Code, Problem};
use crate::domain::{Expected, Version};

/// The variable parts of the path.
#[derive(Debug, FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub(super) struct Path<T>(pub(super) T);

/// An id in a path.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Id(pub(super) Uuid);

impl TryFrom<String> for Id {
    type Error = uuid::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Uuid::parse_str(&text).map(Self)
    }
}

/// The query, without fields that nobody knows.
#[derive(Debug, FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub(super) struct Query<T>(pub(super) T);

/// A JSON body.
#[derive(Debug)]
pub(super) struct Json<T>(pub(super) T);

/// `If-Match`: the versions that may be changed.
#[derive(Debug)]
pub(super) struct IfMatch(Option<Expected>);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Code::JsonExpected.into());
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|_| Code::BodyTooLarge)?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            let code = if error.is_data() { Code::BodyInvalid } else { Code::BodyUnreadable };
            Problem::with_detail(code, error.to_string())
        })
    }
}

/// `application/json`, whatever its parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

impl IfMatch {
    /// For what is final, or undone easily: whoever says nothing means any version.
    pub(super) fn or_any(self) -> Expected {
        self.0.unwrap_or(Expected::Any)
    }

    /// For what would undo somebody else's change unseen.
    pub(super) fn required(self) -> Result<Expected, Problem> {
        self.0.ok_or_else(|| Code::PreconditionRequired.into())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut lines = parts.headers.get_all(header::IF_MATCH).iter().peekable();
        if lines.peek().is_none() {
            return Ok(Self(None));
        }
        let mut versions = Vec::new();
        for line in lines {
            for tag in line.to_str().unwrap_or_default().split(',').map(str::trim) {
                if tag == "*" {
                    return Ok(Self(Some(Expected::Any)));
                }
                // a tag that none of our answers carried matches nothing, as does a weak one (RFC 9110 section 13.1.1)
                versions.extend(tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).and_then(Version::parse));
            }
        }
        Ok(Self(Some(Expected::OneOf(versions))))
    }
}

/// The `ETag` that names a version.
pub(super) fn etag(version: Version) -> [(header::HeaderName, HeaderValue); 1] {
    let value = HeaderValue::try_from(format!("\"{version}\"")).expect("hexadecimal digits are visible");
    [(header::ETAG, value)]
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(lines: &[&str]) -> IfMatch {
        let mut request = Request::builder();
        for line in lines {
            request = request.header(header::IF_MATCH, *line);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        IfMatch::from_request_parts(&mut parts, &()).await.unwrap()
    }

    #[tokio::test]
    async fn if_match_names_versions_or_anything_or_is_not_there() {
        let (seen, other) = (Version::of(&["a"]), Version::of(&["b"]));
        let text = format!("\"{seen}\", W/\"{other}\", \"strange\"");

        assert_eq!(read(&[&text]).await.or_any(), Expected::OneOf(vec![seen]));
        assert_eq!(read(&["*"]).await.or_any(), Expected::Any);
        assert_eq!(read(&["nonsense"]).await.or_any(), Expected::OneOf(Vec::new()));
        assert_eq!(read(&[]).await.required().unwrap_err().code, Code::PreconditionRequired);
    }

    #[test]
    fn json_is_known_by_its_type() {
        let judged = |value: &'static str| {
            is_json(&HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(value))]))
        };

        assert!(judged("application/json") && judged("Application/JSON; charset=utf-8"));
        assert!(!judged("text/plain") && !judged("application/x-www-form-urlencoded") && !is_json(&HeaderMap::new()));
    }
}

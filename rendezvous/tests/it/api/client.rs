//! A program that calls the API.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, Response};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::common::{TestApp, Visitor};

/// One program, or the scripts of a page.
#[derive(Clone)]
pub(crate) struct Client {
    router: Router,
    headers: Vec<(String, String)>,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The code of a problem; empty for none.
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Client {
    /// Somebody without a credential.
    pub(crate) fn stranger(server: &TestApp) -> Self {
        Self { router: server.router.clone(), headers: vec![("host".to_owned(), "vpn.example.org".to_owned())] }
    }

    /// With a token.
    pub(crate) fn with_token(server: &TestApp, token: &str) -> Self {
        Self::stranger(server).with("authorization", &format!("Bearer {token}"))
    }

    /// A page of the dashboard in which somebody is signed in.
    pub(crate) fn of_browser(server: &TestApp, browser: &Visitor) -> Self {
        let cookies: Vec<_> = browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Self::stranger(server).with("cookie", &cookies.join("; ")).with("sec-fetch-site", "same-origin")
    }

    /// With another header.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut client = self.without(name);
        client.headers.push((name.to_owned(), value.to_owned()));
        client
    }

    /// Without this header.
    pub(crate) fn without(&self, name: &str) -> Self {
        let mut client = self.clone();
        client.headers.retain(|(known, _)| known != name);
        client
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        read(self.send("GET", path, None).await).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        read(self.send("POST", path, Some(body)).await).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        read(self.send("PATCH", path, Some(body)).await).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        read(self.send("DELETE", path, None).await).await
    }

    /// A response whose body is still open.
    pub(crate) async fn send(&self, method: &str, path: &str, body: Option<Value>) -> Response<Body> {
        let mut request = Request::builder().method(method).uri(format!("/api/v1{path}"));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap()
    }

    /// Makes a token with these scopes, and somebody who uses it.
    pub(crate) async fn token(&self, server: &TestApp, name: &str, scopes: &[&str]) -> Self {
        let made = self.post("/tokens", json!({ "name": name, "scopes": scopes })).await;
        assert_eq!(made.status, 201, "{}", made.body);
        Self::with_token(server, made.body["secret"].as_str().unwrap())
    }
}

pub(crate) async fn read(response: Response<Body>) -> Answer {
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, 1 << 20).await.unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let body = if bytes.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or_else(|_| text.into()) };
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

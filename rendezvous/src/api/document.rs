//! The OpenAPI document: collected from the handlers, completed by what is true of all of them.
//!
//! Handlers name the codes of their problems (`x-problems`); here those become responses, together with the codes that
//! any call may meet. What a browser or a generator of clients reads is thereby what the tests hold the server to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use axum::Json;
use serde_json::{Map, Value, json};
use utoipa::OpenApi as _;

use super::problem::{Body, Code};

#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(Body)))]
struct Common;

/// The document, whole.
pub(crate) fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(compose);
    &DOCUMENT
}

/// `GET /api/v1/openapi.json`
pub(super) async fn show() -> Json<&'static Value> {
    Json(document())
}

fn compose() -> Value {
    let mut described = super::described().into_openapi();
    described.merge(Common::openapi());
    let mut document = serde_json::to_value(described).expect("a description has a JSON form");
    document["info"] = json!({
        "title": "Warren",
        "version": "v1",
        "description": "The API of a Warren rendezvous: everything that the dashboard does. See docs/api.md.",
        "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
    });
    document["servers"] = json!([{ "url": "/api/v1" }]);
    document["components"]["securitySchemes"] = json!({
        "token": { "type": "http", "scheme": "bearer", "bearerFormat": "warren_pat_..." },
        "session": { "type": "apiKey", "in": "cookie", "name": "__Host-warren" },
    });
    let problem = |code: &Code| json!({ "code": code.name(), "status": code.status().as_u16(), "title": code.title() });
    document["x-problems"] = Code::ALL.iter().map(problem).collect();
    let paths = document["paths"].as_object_mut().expect("there are routes");
    for item in paths.values_mut().filter_map(Value::as_object_mut) {
        for (method, operation) in item.iter_mut() {
            if let Some(operation) = operation.as_object_mut() {
                complete(method, operation);
            }
        }
    }
    document
}

/// Adds what every operation of its kind shares.
fn complete(method: &str, operation: &mut Map<String, Value>) {
    let own = operation.get("x-problems").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut codes: BTreeSet<Code> = own.iter().filter_map(|name| Code::parse(name.as_str()?)).collect();
    assert_eq!(codes.len(), own.len(), "an operation names a problem that there is not: {own:?}");
    let is_public = operation.get("security").is_some_and(|security| *security == json!([{}]));
    let has_session = !is_public;
    codes.extend([Code::Internal, Code::RateLimited, Code::StoreUnavailable, Code::TokenInvalid]);
    if !is_public {
        codes.extend([Code::SignInFirst]);
    }
    if rights(operation).next().is_some() {
        codes.insert(Code::Forbidden);
    }
    if has_session && method != "get" {
        codes.insert(Code::OriginRefused);
    }
    if operation.get("requestBody").is_some() {
        codes.extend([Code::BodyInvalid, Code::BodyTooLarge, Code::BodyUnreadable, Code::JsonExpected]);
    }
    if operation.get("parameters").is_some() {
        codes.insert(Code::QueryInvalid);
    }
    if method == "post" {
        codes.extend([Code::IdempotencyInProgress, Code::IdempotencyKeyInvalid, Code::IdempotencyKeyReused]);
        let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
        parameters.as_array_mut().expect("parameters are a list").push(json!({
            "name": "idempotency-key", "in": "header", "required": false,
            "description": "Your name for this request: sent again under the same one, it is not done again.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
        }));
        codes.insert(Code::BodyTooLarge);
    }
    let names: Vec<_> = codes.iter().map(|code| code.name()).collect();
    operation.insert("x-problems".to_owned(), json!(names));
    let mut by_status: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for code in codes {
        by_status.entry(code.status().as_u16()).or_default().push(code.name());
    }
    let responses = operation["responses"].as_object_mut().expect("every operation has responses");
    for (status, names) in by_status {
        responses.insert(
            status.to_string(),
            json!({
                "description": names.join(", "),
                "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
            }),
        );
    }
}

/// The rights that a token needs for an operation.
fn rights(operation: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let schemes = operation.get("security").and_then(Value::as_array).into_iter().flatten();
    schemes.filter_map(|scheme| scheme.get("token")?.as_array()).flatten().filter_map(Value::as_str)
}

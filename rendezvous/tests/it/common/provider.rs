//! An OpenID provider of the test's own: discovery, keys, authorization and tokens over HTTP, signed with a real key.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tower::ServiceExt as _;

/// The provider; it answers while the test runs.
#[derive(Clone)]
pub(crate) struct Provider(Arc<Inner>);

struct Inner {
    issuer: String,
    pair: EcdsaKeyPair,
    state: Mutex<Given>,
}

#[derive(Default)]
struct Given {
    /// What the next token says besides what it must.
    claims: Value,
    codes: BTreeMap<String, BTreeMap<String, String>>,
    count: u32,
}

impl Provider {
    /// Serves on a port of its own.
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let rng = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &rng).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &rng).unwrap();
        let provider = Self(Arc::new(Inner { issuer, pair, state: Mutex::new(Given::default()) }));
        let router = provider.router();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        provider
    }

    /// The settings of a server that has this provider.
    pub(crate) fn settings(&self, more: &str) -> String {
        format!(
            "oidc-issuer = \"{}\"\noidc-client-id = \"warren\"\noidc-client-secret = \"a secret: 100 %\"\n\
             oidc-name = \"Example\"\n{more}",
            self.0.issuer
        )
    }

    /// Who signs in from here on: claims of the token.
    pub(crate) fn say(&self, claims: Value) {
        self.0.state.lock().unwrap().claims = claims;
    }

    /// What a browser is answered that follows this link, without cookies of this provider.
    pub(crate) async fn follow(&self, url: &str) -> Response {
        let path = url.strip_prefix(&self.0.issuer).unwrap_or_else(|| panic!("{url} is of somebody else"));
        let request = Request::get(path).body(Body::empty()).unwrap();
        self.router().oneshot(request).await.unwrap()
    }

    fn router(&self) -> Router {
        Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .with_state(self.clone())
    }

    fn sign(&self, claims: &Value) -> String {
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(&json!({ "alg": "ES256", "kid": "one" })), part(claims));
        let signature = self.0.pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
    }
}

async fn discovery(State(provider): State<Provider>) -> Json<Value> {
    let issuer = &provider.0.issuer;
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
    }))
}

async fn keys(State(provider): State<Provider>) -> Json<Value> {
    let point = provider.0.pair.public_key().as_ref();
    let [x, y] = [&point[1..33], &point[33..]].map(|part| BASE64URL_NOPAD.encode(part));
    Json(json!({ "keys": [{ "kty": "EC", "crv": "P-256", "kid": "one", "use": "sig", "x": x, "y": y }] }))
}

async fn authorize(State(provider): State<Provider>, Query(asked): Query<BTreeMap<String, String>>) -> Redirect {
    assert_eq!(asked["response_type"], "code");
    assert_eq!(asked["client_id"], "warren");
    assert_eq!(asked["code_challenge_method"], "S256");
    assert!(asked["scope"].split(' ').any(|scope| scope == "openid"));
    let mut given = provider.0.state.lock().unwrap();
    given.count += 1;
    let code = format!("code-{}", given.count);
    let to = serde_urlencoded::to_string([("code", &code), ("state", &asked["state"])]).unwrap();
    let to = format!("{}?{to}", asked["redirect_uri"]);
    given.codes.insert(code, asked);
    Redirect::to(&to)
}

async fn token(
    State(provider): State<Provider>,
    headers: HeaderMap,
    Form(form): Form<BTreeMap<String, String>>,
) -> Response {
    let mut given = provider.0.state.lock().unwrap();
    let Some(asked) = given.codes.remove(&form["code"]) else { return StatusCode::BAD_REQUEST.into_response() };
    let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(&form["code_verifier"]));
    let secret = format!("Basic {}", BASE64.encode(b"warren:a+secret%3A+100+%25"));
    if challenge != asked["code_challenge"]
        || form["redirect_uri"] != asked["redirect_uri"]
        || form["grant_type"] != "authorization_code"
        || headers[header::AUTHORIZATION] != secret
    {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let mut claims = json!({
        "iss": provider.0.issuer, "aud": "warren", "exp": 4_000_000_000_u64, "nonce": asked["nonce"],
    });
    claims.as_object_mut().unwrap().extend(given.claims.as_object().cloned().unwrap_or_default());
    Json(json!({ "access_token": "a", "token_type": "Bearer", "id_token": provider.sign(&claims) })).into_response()
}

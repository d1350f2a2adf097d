//! Who may call what: every route, every role, by session and by token, on objects that are somebody else's.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU8, Ordering};

use serde_json::{Value, json};
use warren_rendezvous::actions::{self, By};
use warren_rendezvous::domain::{Actor, Right, Role};

use super::client::{Client, read};
use super::enrollments::ask;
use super::own::passkey;
use crate::common::TestApp;

/// Method, route, whether it is open (y) to the session of an owner, admin, operator, viewer and member, and what a token
/// of theirs needs besides: a scope, `any` token, or `-` where no token is enough. What an `{id}` names is nobody's of
/// them.
const TABLE: &[(&str, &str, &str, &str)] = &[
    ("GET", "/account-invites", "yynnn", "manage-users"),
    ("POST", "/account-invites", "yynnn", "-"),
    ("DELETE", "/account-invites/{id}", "yynnn", "manage-users"),
    ("GET", "/audit", "yyyyn", "read-activity"),
    ("GET", "/devices", "yyyyy", "read-mesh"),
    ("DELETE", "/devices/{id}", "yyynn", "manage-devices"),
    ("GET", "/devices/{id}", "yyyyn", "read-mesh"),
    ("PATCH", "/devices/{id}", "yyynn", "manage-devices"),
    ("GET", "/devices/{id}/connections", "yyyyn", "read-mesh"),
    ("GET", "/devices/{id}/metrics", "yyyyn", "read-mesh"),
    ("DELETE", "/devices/{id}/tags/{tag}", "yyynn", "manage-devices"),
    ("PUT", "/devices/{id}/tags/{tag}", "yyynn", "manage-devices"),
    ("GET", "/enroll-keys", "yyyny", "manage-invites"),
    ("POST", "/enroll-keys", "yyyny", "manage-invites"),
    ("DELETE", "/enroll-keys/{id}", "yyynn", "manage-invites"),
    ("GET", "/enroll-keys/{id}", "yyynn", "manage-invites"),
    ("PATCH", "/enroll-keys/{id}", "yyynn", "manage-invites"),
    ("GET", "/enrollments", "yyynn", "manage-devices"),
    // whoever knows the code has seen the device
    ("GET", "/enrollments/{code}", "yyyny", "manage-devices"),
    ("POST", "/enrollments/{code}/approve", "yyyny", "manage-devices"),
    ("POST", "/enrollments/{code}/deny", "yyyny", "manage-devices"),
    ("GET", "/events", "yyyyn", "read-mesh"),
    ("GET", "/instance", "yyyyy", "any"),
    ("GET", "/me", "yyyyy", "any"),
    ("PATCH", "/me", "yyyyy", "-"),
    ("GET", "/me/passkeys", "yyyyy", "-"),
    ("DELETE", "/me/passkeys/{id}", "nnnnn", "-"),
    // there is no provider here
    ("DELETE", "/me/provider", "nnnnn", "-"),
    ("GET", "/me/sessions", "yyyyy", "-"),
    ("DELETE", "/me/sessions", "yyyyy", "-"),
    ("DELETE", "/me/sessions/{id}", "nnnnn", "-"),
    ("GET", "/pairs", "yyyyn", "read-mesh"),
    ("GET", "/pairs/{a}/{b}", "yyyyn", "read-mesh"),
    ("GET", "/pairs/{a}/{b}/metrics", "yyyyn", "read-mesh"),
    ("POST", "/pairs/{a}/{b}/ping", "yyynn", "manage-devices"),
    ("POST", "/pairs/{a}/{b}/retry-direct", "yyynn", "manage-devices"),
    ("GET", "/settings", "yynnn", "manage-server"),
    ("PATCH", "/settings", "yynnn", "manage-server"),
    ("GET", "/system", "yynnn", "manage-server"),
    ("GET", "/tags", "yyyyy", "read-mesh"),
    ("GET", "/tokens", "yyyyy", "-"),
    ("POST", "/tokens", "yyyyy", "-"),
    ("DELETE", "/tokens/{id}", "nnnnn", "-"),
    ("GET", "/topology", "yyyyn", "read-mesh"),
    ("GET", "/users", "yynnn", "manage-users"),
    ("DELETE", "/users/{id}", "yynnn", "manage-users"),
    ("GET", "/users/{id}", "yynnn", "manage-users"),
    ("PATCH", "/users/{id}", "yynnn", "manage-users"),
    ("POST", "/users/{id}/reset-link", "yynnn", "-"),
    ("GET", "/webhooks", "yynnn", "manage-server"),
    ("POST", "/webhooks", "yynnn", "manage-server"),
    ("DELETE", "/webhooks/{id}", "yynnn", "manage-server"),
    ("GET", "/webhooks/{id}", "yynnn", "manage-server"),
    ("PATCH", "/webhooks/{id}", "yynnn", "manage-server"),
    ("GET", "/webhooks/{id}/attempts", "yynnn", "manage-server"),
    ("GET", "/webhooks/{id}/deliveries", "yynnn", "manage-server"),
    ("POST", "/webhooks/{id}/rotate-secret", "yynnn", "manage-server"),
    ("POST", "/webhooks/{id}/test", "yynnn", "manage-server"),
    // the last, for nobody is signed in afterwards
    ("DELETE", "/session", "yyyyy", "-"),
];

/// In the order of the table's letters.
const ROLES: [Role; 5] = [Role::Owner, Role::Admin, Role::Operator, Role::Viewer, Role::Member];
/// Routes that ask for nobody.
const PUBLIC: &[&str] = &["/instance"];

#[tokio::test]
async fn every_route_of_the_document_is_in_the_table() {
    let server = TestApp::new().await;

    let document = Client::stranger(&server).get("/openapi.json").await.body;

    let documented: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    let table: BTreeSet<_> = TABLE.iter().map(|(method, path, ..)| (method.to_string(), path.to_string())).collect();
    assert_eq!(documented, table);
    for (method, path, _, token) in TABLE {
        let security = &document["paths"][path][method.to_lowercase()]["security"];
        let scheme = security.as_array().unwrap().iter().find_map(|scheme| scheme.get("token"));
        let said = match (PUBLIC.contains(path), scheme.map(|rights| rights[0].as_str())) {
            (true, _) | (_, Some(None)) => "any",
            (_, Some(Some(right))) => right,
            (_, None) => "-",
        };
        // a token ends itself, and nobody else's
        assert!(said == *token || *path == "/tokens/{id}", "{method} {path}: the document says {said}");
    }
}

#[tokio::test]
async fn exactly_those_may_call_whom_the_table_names() {
    let server = TestApp::new().await;
    let world = World::new(&server).await;
    let all: Vec<&str> = Right::ALL.into_iter().map(Right::name).collect();
    let mut callers = Vec::new();
    for role in ROLES {
        let browser = server.person(&format!("a-{role}"), role).await;
        let page = Client::of_browser(&server, &browser);
        let mut tokens = vec![(all.clone(), page.token(&server, "all", &all).await)];
        for (at, right) in all.iter().enumerate() {
            tokens.push((vec![*right], page.token(&server, &format!("only {right}"), &[right]).await));
            let but: Vec<&str> =
                all.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, word)| *word).collect();
            tokens.push((but.clone(), page.token(&server, &format!("all but {right}"), &but).await));
        }
        tokens.push((Vec::new(), page.token(&server, "none", &[]).await));
        callers.push((page, tokens));
    }
    let stranger = Client::stranger(&server);

    for (method, route, sessions, needed) in TABLE {
        let path = world.path(&server, method, route).await;
        assert_eq!(call(&stranger, method, &path).await, PUBLIC.contains(route), "a stranger: {method} {route}");
        for ((page, tokens), letter) in callers.iter().zip(sessions.chars()) {
            for (scopes, token) in tokens {
                let expected = letter == 'y' && (*needed == "any" || scopes.contains(needed));
                let path = world.path(&server, method, route).await;
                let found = call(token, method, &path).await;
                assert_eq!(found, expected, "{method} {route}: a token of {scopes:?} of {}", who(page).await);
            }
            let path = world.path(&server, method, route).await;
            assert_eq!(call(page, method, &path).await, letter == 'y', "{method} {route}: {}", who(page).await);
        }
    }
}

/// The objects that the paths name.
struct World {
    device: String,
    other: String,
    key: String,
    passkey: String,
    session: String,
    token: String,
    user: String,
    webhook: String,
}

impl World {
    async fn new(server: &TestApp) -> Self {
        let page = Client::of_browser(server, &server.admin().await);
        let id = |answer: super::client::Answer| answer.body["id"].as_str().unwrap().to_owned();
        let hook = json!({ "name": "chat", "url": "http://127.0.0.1:1/", "events": ["none"] });
        server.person("mel", Role::Member).await;
        Self {
            device: server.device("laptop", 1).await.id.to_string(),
            other: server.device("desktop", 2).await.id.to_string(),
            key: id(page.post("/enroll-keys", json!({})).await),
            passkey: passkey(server, "ada", b"blue").await,
            session: page.get("/me/sessions").await.body["items"][0]["id"].as_str().unwrap().to_owned(),
            token: id(page.post("/tokens", json!({ "name": "foreign", "scopes": [] })).await),
            user: id(page.get("/users/mel").await),
            webhook: id(page.post("/webhooks", hook).await),
        }
    }

    /// The path of a route to something that is there, whatever was done before.
    async fn path(&self, server: &TestApp, method: &str, route: &str) -> String {
        let id = match (method, route.rsplit_once("/{id}").map_or("", |(before, _)| before)) {
            ("DELETE", "/account-invites") => &invite(server).await,
            (_, "/enroll-keys") => &self.key,
            (_, "/me/passkeys") => &self.passkey,
            (_, "/me/sessions") => &self.session,
            (_, "/tokens") => &self.token,
            (_, "/users") => &self.user,
            (_, "/webhooks") => &self.webhook,
            _ => &self.device,
        };
        let code = if route.contains("{code}") { asking(server).await } else { String::new() };
        let route = route.replace("{code}", &code).replace("{tag}", "office");
        route.replace("{id}", id).replace("{a}", &self.device).replace("{b}", &self.other)
    }
}

/// An invite for somebody that nobody has withdrawn yet.
async fn invite(server: &TestApp) -> String {
    let by = By { actor: &Actor::Cli, role: Role::Owner };
    actions::invite_user(&server.app, by, Role::Member, "").await.unwrap().id.to_string()
}

/// The code of a device that waits to be let in.
async fn asking(server: &TestApp) -> String {
    let store = server.app.store();
    if let Some(asked) = store.asking(server.app.now()).await.unwrap().pop() {
        return asked.code.to_string();
    }
    // what was denied stays known for a while, and few may ask from one place
    static NEXT: AtomicU8 = AtomicU8::new(10);
    let key = NEXT.fetch_add(1, Ordering::Relaxed);
    ask(server, key, [198, 51, 100, key].into()).await
}

/// Whether the request gets past the question who asks. It is made so that it changes nothing that the next one needs: a
/// body that says nothing, a version that never was.
async fn call(client: &Client, method: &str, path: &str) -> bool {
    let body = matches!(method, "POST" | "PATCH").then(|| json!({ "nothing": true }));
    let answer = client.with("if-match", "\"00\"").send(method, path, body).await;
    let status = answer.status().as_u16();
    // the body of a stream never ends
    let code = if path == "/events" && status == 200 { String::new() } else { read(answer).await.code().to_owned() };
    assert!(status < 500 && status != 429, "{method} {path}: {status} {code}");
    match status {
        401 => assert!(["sign-in-first", "token-invalid"].contains(&code.as_str()), "{method} {path}: {code}"),
        403 => assert!(["forbidden", "session-needed"].contains(&code.as_str()), "{method} {path}: {code}"),
        _ => {}
    }
    !matches!(status, 401 | 403 | 404)
}

async fn who(page: &Client) -> Value {
    page.get("/me").await.body["name"].clone()
}

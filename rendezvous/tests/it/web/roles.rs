//! Who may do what: every route against every role.

use std::path::Path;

use axum::body::Body;
use axum::http::Method;
use warren_rendezvous::actions::{self, InviteRequest};
use warren_rendezvous::domain::{Actor, DeviceState, Role};

use crate::common::{TestApp, Visitor, attribute, text};

/// Method, route, and whether it is open (y) to an owner, admin, operator, viewer, member and stranger. The device in a
/// path is nobody's of them.
const TABLE: &[(&str, &str, &str)] = &[
    ("GET", "/", "yyyyyn"),
    ("GET", "/.well-known/warren", "yyyyyy"),
    ("GET", "/activate", "yyynyn"),
    ("GET", "/activate/live", "yyynyn"),
    ("POST", "/activate/approve", "yyynyn"),
    ("POST", "/activate/deny", "yyynyn"),
    ("GET", "/account", "yyyyyn"),
    ("GET", "/account/authenticator", "yyyyyn"),
    ("POST", "/account/authenticator", "yyyyyn"),
    ("POST", "/account/authenticator/codes", "yyyyyn"),
    ("POST", "/account/authenticator/remove", "yyyyyn"),
    ("POST", "/account/name", "yyyyyn"),
    ("POST", "/account/passkeys", "yyyyyn"),
    ("POST", "/account/passkeys/challenge", "yyyyyn"),
    ("POST", "/account/passkeys/{id}/remove", "yyyyyn"),
    ("POST", "/account/password", "yyyyyn"),
    ("POST", "/account/provider/unlink", "yyyyyn"),
    ("POST", "/account/sessions/end-others", "yyyyyn"),
    ("POST", "/account/sessions/{id}/end", "yyyyyn"),
    ("GET", "/activity", "yyyynn"),
    ("GET", "/activity.csv", "yyyynn"),
    ("GET", "/api", "yyyyyy"),
    ("GET", "/assets/{name}", "yyyyyy"),
    ("GET", "/devices", "yyyyyn"),
    ("GET", "/devices.csv", "yyyyyn"),
    // anybody's form is read; whose devices it names is asked for each of them
    ("POST", "/devices/bulk", "yyyyyn"),
    ("GET", "/devices/live", "yyyyyn"),
    ("GET", "/devices/new", "yyynyn"),
    ("POST", "/devices/new", "yyynyn"),
    ("GET", "/devices/new/{id}", "yyynyn"),
    ("GET", "/devices/new/{id}/live", "yyynyn"),
    ("GET", "/devices/{id}", "yyyynn"),
    ("GET", "/devices/{id}/live", "yyyynn"),
    ("POST", "/devices/{id}/relay", "yyynnn"),
    ("POST", "/devices/{id}/rename", "yyynnn"),
    ("POST", "/devices/{id}/tags", "yyynnn"),
    ("GET", "/devices/{id}/revoke", "yyynnn"),
    ("POST", "/devices/{id}/revoke", "yyynnn"),
    // there is none of this name to give out, to nobody
    ("GET", "/dl/{name}", "nnnnnn"),
    ("GET", "/healthz", "yyyyyy"),
    ("GET", "/install.sh", "yyyyyy"),
    ("GET", "/join", "yyyyyy"),
    ("POST", "/join", "yyyyyy"),
    ("GET", "/map", "yyyynn"),
    ("GET", "/map/live", "yyyynn"),
    ("GET", "/pairs/{a}/{b}", "yyyynn"),
    ("GET", "/pairs/{a}/{b}/live", "yyyynn"),
    ("POST", "/pairs/{a}/{b}/ping", "yyynnn"),
    ("POST", "/pairs/{a}/{b}/retry", "yyynnn"),
    ("GET", "/reset", "yyyyyy"),
    ("POST", "/reset", "yyyyyy"),
    ("GET", "/keys", "yyynnn"),
    ("POST", "/keys", "yyynnn"),
    // the device in the path is no key
    ("GET", "/keys/{id}", "nnnnnn"),
    ("POST", "/keys/{id}/revoke", "yyynnn"),
    ("GET", "/live", "yyyynn"),
    ("GET", "/readyz", "yyyyyy"),
    ("GET", "/settings", "yynnnn"),
    ("POST", "/settings/name", "yynnnn"),
    // closed once there is an administrator
    ("GET", "/setup", "nnnnnn"),
    ("POST", "/setup", "yyyyyy"),
    ("GET", "/sign-in", "yyyyyy"),
    ("POST", "/sign-in", "yyyyyy"),
    // leads to the sign-in where no password was right
    ("GET", "/sign-in/code", "nnnnnn"),
    ("POST", "/sign-in/code", "yyyyyy"),
    ("GET", "/sign-in/oidc", "yyyyyy"),
    ("GET", "/sign-in/oidc/callback", "yyyyyy"),
    ("POST", "/sign-in/passkey", "yyyyyy"),
    ("POST", "/sign-in/passkey/challenge", "yyyyyy"),
    ("POST", "/sign-out", "yyyyyn"),
    ("GET", "/system", "yynnnn"),
    ("GET", "/tokens", "yyyyyn"),
    ("POST", "/tokens", "yyyyyn"),
    ("POST", "/tokens/{id}/revoke", "yyyyyn"),
    ("GET", "/users", "yynnnn"),
    ("GET", "/users/invite", "yynnnn"),
    ("POST", "/users/invite", "yynnnn"),
    ("GET", "/users/links/{id}", "yynnnn"),
    ("POST", "/users/links/{id}/withdraw", "yynnnn"),
    ("GET", "/users/{id}", "yynnnn"),
    ("POST", "/users/{id}/disable", "yynnnn"),
    ("POST", "/users/{id}/enable", "yynnnn"),
    ("GET", "/users/{id}/remove", "yynnnn"),
    ("POST", "/users/{id}/remove", "yynnnn"),
    ("POST", "/users/{id}/reset", "yynnnn"),
    ("POST", "/users/{id}/role", "yynnnn"),
    ("GET", "/webhooks", "yynnnn"),
    ("POST", "/webhooks", "yynnnn"),
    // the device in the path is no webhook
    ("GET", "/webhooks/{id}", "nnnnnn"),
    ("POST", "/webhooks/{id}", "yynnnn"),
    ("POST", "/webhooks/{id}/remove", "yynnnn"),
    ("POST", "/webhooks/{id}/rotate", "yynnnn"),
    ("POST", "/webhooks/{id}/test", "yynnnn"),
];

#[test]
fn every_route_of_the_pages_is_in_the_table() {
    let mut routes = routes(&["src/web", "src/router.rs"]);
    let mut table: Vec<_> = TABLE.iter().map(|(method, path, _)| (method.to_string(), path.to_string())).collect();
    routes.sort();
    table.sort();

    assert_eq!(routes, table);
}

#[tokio::test]
async fn each_role_may_what_the_table_says() {
    let server = TestApp::new().await;
    let owner = server.admin().await;
    let mut browsers = vec![owner];
    for role in [Role::Admin, Role::Operator, Role::Viewer, Role::Member] {
        browsers.push(server.person(role.name(), role).await);
    }
    browsers.push(server.visitor());
    let device = server.device("laptop", 1).await;
    let other = server.device("desktop", 2).await;
    let user = server.app.store().admin_by_name("member").await.unwrap().unwrap().id;
    let css = attribute(&browsers[0].get("/devices").await.body, "rel=\"stylesheet\"", "href").unwrap();

    for (method, route, expected) in TABLE {
        let id = if route.starts_with("/users/") { user.to_string() } else { device.id.to_string() };
        let path = route
            .replace("{id}", &id)
            .replace("{a}", &device.id.to_string())
            .replace("{b}", &other.id.to_string())
            .replace("/assets/{name}", &css);
        let path = path.replace("{name}", "warren-linux-pdp11");
        let mut found = String::new();
        for browser in &mut browsers {
            found.push(if is_open(browser, method, &path).await { 'y' } else { 'n' });
        }
        assert_eq!(&found, expected, "{method} {route}");
    }
    assert_eq!(server.app.store().device(device.id).await.unwrap().unwrap().state, DeviceState::Active);
}

/// Whether the request gets past the question who asks. A form is posted without its token, so that nothing is done.
async fn is_open(browser: &mut Visitor, method: &str, path: &str) -> bool {
    let method: Method = method.parse().unwrap();
    let response = browser.send(method.clone(), path, Body::empty()).await;
    let status = response.status().as_u16();
    let to = response.headers().get("location").map_or("", |to| to.to_str().unwrap()).to_owned();
    // the body of a stream never ends
    let body = if status == 200 { String::new() } else { crate::common::read(response).await.body };
    let shown = text(&body);
    let refused = shown.contains("Your account may not do that") || status == 404;
    assert!(method == Method::GET || refused || status == 303 || shown.contains("That form has expired"), "{shown}");
    // a command that this browser does not hold is gone, which only those are told who may ask
    let gone = path.ends_with("/live") && shown.contains("That is gone");
    (!refused || gone) && !to.starts_with("/sign-in")
}

/// Method and path of each `.route(..)` in these files and folders.
fn routes(places: &[&str]) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    for place in places {
        read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join(place), &mut texts);
    }
    let mut found = Vec::new();
    for call in texts.iter().flat_map(|text| text.split(".route(").skip(1)) {
        let mut depth = 1;
        let end = call.find(|letter| {
            depth += i32::from(letter == '(') - i32::from(letter == ')');
            depth == 0
        });
        let arguments = &call[..end.unwrap()];
        let path = arguments.split('"').nth(1).unwrap();
        let before = found.len();
        for method in ["get", "post", "put", "patch", "delete"] {
            let word = |edge: char| format!("{edge}{method}(");
            if arguments.contains(&word(' ')) || arguments.contains(&word('.')) || arguments.contains(&word('\n')) {
                found.push((method.to_uppercase(), path.to_owned()));
            }
        }
        assert!(found.len() > before, "no method of {path} was understood");
    }
    found
}

fn read_all(place: &Path, texts: &mut Vec<String>) {
    if place.is_file() {
        texts.push(std::fs::read_to_string(place).unwrap());
        return;
    }
    for entry in std::fs::read_dir(place).unwrap() {
        read_all(&entry.unwrap().path(), texts);
    }
}

#[tokio::test]
async fn a_member_sees_and_manages_their_own_devices_and_no_others() {
    let server = TestApp::new().await;
    server.admin().await;
    let mut member = server.person("mia", Role::Member).await;
    let account = server.app.store().admin_by_name("mia").await.unwrap().unwrap();
    let actor = Actor::User { id: account.id, name: account.name };
    let invite = actions::create_invite(&server.app, &actor, InviteRequest::default()).await.unwrap().invite;
    let own = server.enrol(&invite, "phone", 1).await;
    let foreign = server.device("vault", 2).await;

    let list = member.get("/devices").await;
    let page = member.get(&format!("/devices/{}", own.id)).await;
    let renamed = member.submit(&page, &format!("/devices/{}/rename", own.id), &[("name", "pocket")]).await;
    let refused = member.submit(&page, &format!("/devices/{}/rename", foreign.id), &[("name", "mine")]).await;

    assert!(list.body.contains("phone") && !list.body.contains("vault") && !list.body.contains("/activity"));
    assert_eq!((page.status, renamed.status, refused.status), (200, 303, 404));
    assert_eq!(server.app.store().device(foreign.id).await.unwrap().unwrap().name.as_str(), "vault");
    assert_eq!(member.get(&format!("/devices/{}", foreign.id)).await.status, 404);
}

#[tokio::test]
async fn a_device_belongs_to_whoever_made_its_invite() {
    let server = TestApp::new().await;
    server.admin().await;
    let mut member = server.person("mia", Role::Member).await;
    let page = member.get("/devices/new").await;
    let made = member.submit(&page, "/devices/new", &[]).await;
    let shown = member.get(made.location()).await;
    let command = shown.body.split_once("<code id=\"command\">").unwrap().1.split('<').next().unwrap();

    let device = server.enrol(&command.split(' ').next_back().unwrap().parse().unwrap(), "phone", 1).await;

    assert_eq!(member.get(&format!("/devices/{}", device.id)).await.status, 200);
}

#[tokio::test]
async fn a_viewer_is_offered_nothing_that_they_may_not_do() {
    let server = TestApp::new().await;
    server.admin().await;
    let mut viewer = server.person("vera", Role::Viewer).await;
    let device = server.device("laptop", 1).await;

    let list = viewer.get("/devices").await;
    let page = viewer.get(&format!("/devices/{}", device.id)).await;

    assert_eq!((list.status, page.status), (200, 200));
    assert!(!list.body.contains("/devices/new") && !page.body.contains("/rename") && !page.body.contains("/revoke"));
    assert!(list.body.contains("/activity"));
}

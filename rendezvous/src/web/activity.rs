//! `/activity`: who did what, newest first.

use askama::Template;
use axum::extract::State;
use axum::response::Html;

use super::Web;
use super::format::Moment;
use super::page::{self, Shell};
use super::problem::Problem;
use crate::auth::Admin;
use crate::store::AuditEntry;

#[derive(Template)]
#[template(path = "activity/list.html")]
struct ActivityPage {
    shell: Shell,
    entries: Vec<Entry>,
}

struct Entry {
    at: Moment,
    actor: String,
    sentence: String,
}

/// `GET /activity`
pub(super) async fn page(State(web): State<Web>, admin: Admin) -> Result<Html<String>, Problem> {
    let now = web.app.now();
    let entries = web.app.store().recent_audit(SHOWN).await?;
    page::html(&ActivityPage {
        shell: Shell::of_admin(&web.app, &admin, "activity"),
        entries: entries.into_iter().map(|entry| Entry::new(entry, now)).collect(),
    })
}

impl Entry {
    fn new(entry: AuditEntry, now: warren_proto::keys::UnixTime) -> Self {
        let actor = match entry.actor.split_once(':') {
            Some(("admin", name)) => name.to_owned(),
            Some(("device", id)) => format!("device {id}"),
            _ if entry.actor == "cli" => "the server's shell".to_owned(),
            _ => entry.actor.clone(),
        };
        Self { at: Moment::new(entry.at, now), actor, sentence: sentence(&entry) }
    }
}

fn sentence(entry: &AuditEntry) -> String {
    let AuditEntry { subject, detail, .. } = entry;
    match entry.action.as_str() {
        "admin.create" => format!("created the account {subject}"),
        "session.begin" => format!("signed in from {detail}"),
        "session.end" => "signed out".to_owned(),
        "invite.create" => format!("made an invite for {detail}"),
        "device.enrol" => format!("joined the network as {detail}"),
        "device.rename" => format!("renamed a device: {detail}"),
        "device.revoke" => format!("revoked the device {subject}"),
        "device.logout" => "left the network".to_owned(),
        other => format!("{other} {subject} {detail}"),
    }
}

/// One screen of history.
const SHOWN: u32 = 100;

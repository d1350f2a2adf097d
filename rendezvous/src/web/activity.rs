//! `/activity`: who did what, newest first.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::State;
use axum::response::Html;
use warren_proto::keys::{NodeId, UnixTime};

use super::Web;
use super::format::Moment;
use super::page::{self, Shell};
use super::problem::Problem;
use crate::auth::{May, ReadActivity};
use crate::store::{AuditEntry, AuditFilter};

#[derive(Template)]
#[template(path = "activity/list.html")]
struct ActivityPage {
    shell: Shell,
    entries: Vec<Entry>,
}

/// One sentence: the actor, what was done, the device it was done to, and how.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) at: Moment,
    pub(super) actor: String,
    pub(super) verb: String,
    pub(super) device: Option<Device>,
    pub(super) rest: String,
}

/// Whom a sentence is about.
#[derive(Clone, Debug)]
pub(super) struct Device {
    pub(super) id: String,
    pub(super) name: String,
}

type Devices = BTreeMap<NodeId, String>;

/// `GET /activity`
pub(super) async fn page(State(web): State<Web>, may: May<ReadActivity>) -> Result<Html<String>, Problem> {
    let entries = web.app.store().recent_audit(SHOWN).await?;
    let devices = devices(&web, &entries).await?;
    let now = web.app.now();
    page::html(&ActivityPage {
        shell: Shell::of_person(&web.app, &may.person, "activity"),
        entries: entries.iter().map(|entry| Entry::new(entry, &devices, now)).collect(),
    })
}

/// What happened to one device, newest first.
pub(super) async fn of_device(web: &Web, id: NodeId) -> Result<Vec<Entry>, Problem> {
    let filter = AuditFilter { subject: Some(id.to_string()), ..AuditFilter::default() };
    let entries = web.app.store().audit(&filter, SHOWN_OF_DEVICE).await?;
    let entries: Vec<AuditEntry> = entries.into_iter().map(|(_, entry)| entry).collect();
    let devices = devices(web, &entries).await?;
    Ok(entries.iter().map(|entry| Entry::new(entry, &devices, web.app.now())).collect())
}

/// The present names of the devices that the entries speak of; one that was revoked keeps its last.
async fn devices(web: &Web, entries: &[AuditEntry]) -> Result<Devices, Problem> {
    let mut devices = Devices::new();
    for id in entries.iter().filter_map(subject_device) {
        if !devices.contains_key(&id)
            && let Some(device) = web.app.store().device(id).await?
        {
            devices.insert(id, device.name.to_string());
        }
    }
    Ok(devices)
}

fn subject_device(entry: &AuditEntry) -> Option<NodeId> {
    entry.action.starts_with("device.").then(|| NodeId::parse(&entry.subject)).flatten()
}

impl Entry {
    fn new(entry: &AuditEntry, devices: &Devices, now: UnixTime) -> Self {
        let AuditEntry { subject, detail, .. } = entry;
        let device =
            subject_device(entry).and_then(|id| Some(Device { id: id.to_string(), name: devices.get(&id)?.clone() }));
        let did_itself = entry.actor.starts_with("device:");
        let (verb, rest) = match entry.action.as_str() {
            "admin.create" => (format!("created the account {subject}"), String::new()),
            "session.begin" => (format!("signed in from {detail}"), String::new()),
            "session.revoke" => (format!("signed out {detail}"), String::new()),
            "user.add-authenticator" => ("set up an authenticator app".to_owned(), String::new()),
            "user.add-passkey" => (format!("added the passkey {detail}"), String::new()),
            "user.change-password" => ("changed their password".to_owned(), String::new()),
            "user.disable" => (format!("disabled the account {subject}"), String::new()),
            "user.enable" => (format!("enabled the account {subject}"), String::new()),
            "user.invite" => (format!("made an invite for a person as {detail}"), subject.clone()),
            "user.remove" => (format!("removed the account {subject}"), format!("({detail})")),
            "user.remove-authenticator" => ("switched the authenticator app off".to_owned(), String::new()),
            "user.remove-passkey" => (format!("removed the passkey {detail}"), String::new()),
            "user.link-provider" => (format!("linked their account to {detail}"), String::new()),
            "user.unlink-provider" => (format!("unlinked their account from {detail}"), String::new()),
            "user.rename" => ("renamed their account".to_owned(), format!("({})", detail.replace(" -> ", " to "))),
            "user.renew-recovery-codes" => ("made new recovery codes".to_owned(), String::new()),
            "user.reset" => (format!("reset the password of {subject}"), detail.clone()),
            "user.reset-link" => (format!("made a link to reset the password of {subject}"), detail.clone()),
            "user.role" => (format!("changed the role of {subject}"), format!("({})", detail.replace(" -> ", " to "))),
            "user.withdraw-invite" => (format!("withdrew an invite for a person as {detail}"), subject.clone()),
            "session.end" => ("signed out".to_owned(), String::new()),
            "invite.create" => (format!("made an invite for {detail}"), String::new()),
            "device.enrol" => ("joined the network".to_owned(), String::new()),
            "device.rekey" => ("enrolled again with a new key".to_owned(), String::new()),
            "device.renew" => ("renewed the certificate of".to_owned(), String::new()),
            "device.rename" => ("renamed".to_owned(), format!("({})", detail.replace(" -> ", " to "))),
            "device.hold-to-relay" => ("held".to_owned(), "to the relay".to_owned()),
            "device.release-from-relay" => ("released".to_owned(), "from the relay".to_owned()),
            "device.revoke" => ("revoked".to_owned(), String::new()),
            "device.logout" => ("left the network".to_owned(), String::new()),
            other => (format!("{other} {subject}"), detail.clone()),
        };
        let actor = match entry.action.as_str() {
            // nobody is signed in yet: who holds the link acts
            "admin.create" if entry.actor == "server" => "A one-time link".to_owned(),
            _ if did_itself => String::new(),
            _ => actor(&entry.actor),
        };
        Self { at: Moment::new(entry.at, now), actor, verb, device, rest }
    }
}

fn actor(actor: &str) -> String {
    match actor {
        "cli" => "Somebody at the server's shell".to_owned(),
        "server" => "The server".to_owned(),
        other => other.split_once(':').map_or(other, |(_, name)| name).to_owned(),
    }
}

/// One screen of history.
const SHOWN: u32 = 100;
/// Of one device.
const SHOWN_OF_DEVICE: u32 = 30;

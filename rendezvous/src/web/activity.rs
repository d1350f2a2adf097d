//! `/activity`: who did what, from where, and what became of what; filtered by the URL, newest first; and the same as a
//! table for spreadsheets.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{Html, Response};
use serde::Deserialize;
use sqlx::types::Uuid;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Date, Duration as Days};
use warren_proto::keys::{NodeId, UnixTime};

use super::Web;
use super::csv::Csv;
use super::format::Moment;
use super::page::{self, Shell};
use super::problem::Problem;
use crate::actions;
use crate::auth::{May, ReadActivity};
use crate::store::{AuditEntry, AuditFilter, FieldChange};

#[derive(Template)]
#[template(path = "activity/list.html")]
struct ActivityPage {
    shell: Shell,
    entries: Vec<Entry>,
    query: ActivityQuery,
    /// The id of the last entry, if there are older ones.
    older: Option<String>,
    kinds: &'static [(&'static str, &'static str)],
}

/// One sentence: the actor, what was done, the device it was done to, and how.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Entry {
    pub(super) at: Moment,
    pub(super) actor: String,
    pub(super) verb: String,
    pub(super) device: Option<Device>,
    pub(super) rest: String,
    pub(super) address: String,
    pub(super) changes: Vec<Change>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Device {
    pub(super) id: String,
    pub(super) name: String,
}

/// A field before and after.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Change {
    pub(super) field: String,
    pub(super) before: String,
    pub(super) after: String,
}

/// As in the URL; what makes no sense is as if it were not there.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ActivityQuery {
    /// A person's name, "server" or "cli".
    actor: String,
    /// A device's name or id, or whatever else was changed.
    object: String,
    /// The first word of an action.
    kind: String,
    /// The first day, as "2026-11-23".
    from: String,
    /// The last day.
    to: String,
    /// Entries older than this one.
    before: String,
}

type Devices = BTreeMap<NodeId, String>;

/// `GET /activity`
pub(super) async fn page(
    State(web): State<Web>,
    may: May<ReadActivity>,
    Query(query): Query<ActivityQuery>,
) -> Result<Html<String>, Problem> {
    let filter = query.filter(&web).await?;
    // one more, to know whether there are older ones
    let mut found = web.app.store().audit(&filter, IN_PAGE + 1).await?;
    let is_last = found.len() <= IN_PAGE as usize;
    found.truncate(IN_PAGE as usize);
    let older = found.last().filter(|_| !is_last).map(|(id, _)| id.to_string());
    let entries: Vec<AuditEntry> = found.into_iter().map(|(_, entry)| entry).collect();
    page::html(&ActivityPage {
        shell: Shell::of_person(&web.app, &may.person, "activity"),
        entries: told(&web, &entries).await?,
        query,
        older,
        kinds: KINDS,
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

/// `GET /activity.csv`: everything that the query finds, up to a limit.
pub(super) async fn csv(
    State(web): State<Web>,
    _: May<ReadActivity>,
    Query(query): Query<ActivityQuery>,
) -> Result<Response, Problem> {
    let filter = query.filter(&web).await?;
    let mut csv = Csv::new(&["at", "actor", "address", "action", "subject", "detail", "changes"]);
    for (_, entry) in web.app.store().audit(&filter, IN_TABLE).await? {
        let at = Moment::new(entry.at, entry.at).rfc3339;
        let change = |FieldChange(field, before, after): &FieldChange| format!("{field}: {before} -> {after}");
        let changes: Vec<String> = entry.changes.iter().map(change).collect();
        csv.line(&[
            &at,
            &entry.actor,
            &entry.address,
            &entry.action,
            &entry.subject,
            &entry.detail,
            &changes.join("; "),
        ]);
    }
    Ok(csv.download("activity.csv"))
}

/// The newest entries in words.
pub(super) async fn recent(web: &Web, limit: u32) -> Result<Vec<Entry>, Problem> {
    let entries = web.app.store().recent_audit(limit).await?;
    told(web, &entries).await
}

async fn told(web: &Web, entries: &[AuditEntry]) -> Result<Vec<Entry>, Problem> {
    let devices = devices(web, entries).await?;
    let now = web.app.now();
    Ok(entries.iter().map(|entry| Entry::new(entry, &devices, now)).collect())
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

impl ActivityQuery {
    async fn filter(&self, web: &Web) -> Result<AuditFilter, Problem> {
        let some = |text: String| (!text.is_empty()).then_some(text);
        let actor = self.actor.trim();
        let actor = match actor {
            "" | "cli" | "server" => actor.to_owned(),
            name if name.contains(':') => name.to_owned(),
            name => format!("user:{name}"),
        };
        let day = |text: &str| Date::parse(text, DAY).ok();
        let moment = |date: Date| {
            let seconds = date.midnight().assume_utc().unix_timestamp();
            UnixTime::from_secs(u64::try_from(seconds).unwrap_or(0))
        };
        Ok(AuditFilter {
            actor: some(actor),
            action: some(self.kind.clone()).map(|kind| format!("{kind}.*")),
            subject: actions::audit_subject(&web.app, &self.object).await?,
            since: day(&self.from).map(moment),
            until: day(&self.to).and_then(|date| date.checked_add(Days::DAY)).map(moment),
            before: Uuid::parse_str(&self.before).ok(),
        })
    }

    fn is_filtered(&self) -> bool {
        [&self.actor, &self.object, &self.kind, &self.from, &self.to].into_iter().any(|text| !text.is_empty())
    }

    /// The query, with its question mark, from the entry with this id on.
    fn suffix(&self, before: &str) -> String {
        let fields = [
            ("actor", self.actor.as_str()),
            ("object", &self.object),
            ("kind", &self.kind),
            ("from", &self.from),
            ("to", &self.to),
            ("before", before),
        ];
        let said: Vec<_> = fields.into_iter().filter(|(_, text)| !text.is_empty()).collect();
        match serde_urlencoded::to_string(said) {
            Ok(query) if !query.is_empty() => format!("?{query}"),
            Ok(_) | Err(_) => String::new(),
        }
    }
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
            "invite.change" => ("changed an enrolment key".to_owned(), detail.clone()),
            "invite.revoke" => ("revoked an enrolment key".to_owned(), detail.clone()),
            "enrolment.ask" => (format!("was asked to let in {detail}"), format!("(code {subject})")),
            "enrolment.deny" => (format!("kept out {detail}"), format!("(code {subject})")),
            "network.rename" => (format!("named the network {subject}"), String::new()),
            "device.approve" => ("let in".to_owned(), format!("({detail})")),
            "device.enrol" => ("joined the network".to_owned(), String::new()),
            "device.rekey" => ("enrolled again with a new key".to_owned(), String::new()),
            "device.renew" => ("renewed the certificate of".to_owned(), String::new()),
            "device.rename" => ("renamed".to_owned(), format!("({})", detail.replace(" -> ", " to "))),
            "device.tag" => ("changed the tags of".to_owned(), String::new()),
            "device.hold-to-relay" => ("held".to_owned(), "to the relay".to_owned()),
            "device.release-from-relay" => ("released".to_owned(), "from the relay".to_owned()),
            "device.revoke" => ("revoked".to_owned(), String::new()),
            "token.create" => (format!("made the API token {detail}"), String::new()),
            "token.revoke" => (format!("revoked the API token {detail}"), String::new()),
            "token.use" => (format!("used the API token {detail} from an address that is new"), String::new()),
            "webhook.change" => (format!("changed the webhook {detail}"), String::new()),
            "webhook.create" => (format!("made the webhook {detail}"), String::new()),
            "webhook.delete" => (format!("removed the webhook {detail}"), String::new()),
            "webhook.rotate" => (format!("gave the webhook {detail} another secret"), String::new()),
            "webhook.test" => (format!("tried the webhook {detail} out"), String::new()),
            "pair.ping" => (format!("had {detail} ping each other"), String::new()),
            "pair.retry-direct" => (format!("had {detail} look for a direct path"), String::new()),
            "device.logout" => ("left the network".to_owned(), String::new()),
            other => (format!("{other} {subject}"), detail.clone()),
        };
        let actor = match entry.action.as_str() {
            // nobody is signed in yet: who holds the link acts
            "admin.create" if entry.actor == "server" => "A one-time link".to_owned(),
            _ if did_itself => String::new(),
            _ => actor(&entry.actor),
        };
        let change = |FieldChange(field, before, after): &FieldChange| Change {
            field: field.clone(),
            before: before.clone(),
            after: after.clone(),
        };
        Self {
            at: Moment::new(entry.at, now),
            actor,
            verb,
            device,
            rest,
            // a sign-in says it in its sentence
            address: if entry.action == "session.begin" { String::new() } else { entry.address.clone() },
            changes: entry.changes.iter().map(change).collect(),
        }
    }
}

fn actor(actor: &str) -> String {
    match actor {
        "cli" => "Somebody at the server's shell".to_owned(),
        "server" => "The server".to_owned(),
        other => other.split_once(':').map_or(other, |(_, name)| name).to_owned(),
    }
}

/// What a filter may choose: the first word of actions, and in words.
const KINDS: &[(&str, &str)] = &[
    ("admin", "Accounts made"),
    ("device", "Devices"),
    ("enrolment", "Devices that ask"),
    ("invite", "Enrolment keys"),
    ("network", "Settings"),
    ("pair", "Pairs"),
    ("session", "Sign-ins"),
    ("token", "API tokens"),
    ("user", "Accounts changed"),
    ("webhook", "Webhooks"),
];
const DAY: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");
/// One screen of history.
const IN_PAGE: u32 = 100;
/// As many lines as a spreadsheet opens without a pause.
const IN_TABLE: u32 = 10_000;
/// Of one device.
const SHOWN_OF_DEVICE: u32 = 30;

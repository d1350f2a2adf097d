//! What a person says of a webhook: its name, where it is, what it is told.

use crate::actions::WebhookChange;
use crate::error::Error;
use crate::store::Webhook;

/// The fields as they were sent, for `PersonForm` and its like: a box that is ticked is one more `event`.
pub(in crate::web) type Fields = Vec<(String, String)>;

/// What the form shows.
pub(super) struct WebhookForm {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) kinds: Vec<KindChoice>,
    /// Patterns that are no box's.
    pub(super) more: String,
    pub(super) enabled: bool,
}

/// A box to tick.
pub(super) struct KindChoice {
    pub(super) pattern: &'static str,
    pub(super) words: &'static str,
    pub(super) is_ticked: bool,
}

impl WebhookForm {
    /// One that wants nothing yet.
    pub(super) fn blank() -> Self {
        Self::new(String::new(), String::new(), &[], true)
    }

    /// What a webhook says at this moment.
    pub(super) fn of(webhook: &Webhook) -> Self {
        Self::new(webhook.name.clone(), webhook.url.clone(), &webhook.events, webhook.enabled)
    }

    /// What was sent, to be put right.
    pub(super) fn sent(fields: &Fields) -> Self {
        Self::new(field(fields, "name"), field(fields, "url"), &events(fields), is_enabled(fields))
    }

    fn new(name: String, url: String, events: &[String], enabled: bool) -> Self {
        let kind = |(pattern, words): &(&'static str, &'static str)| KindChoice {
            pattern,
            words,
            is_ticked: events.iter().any(|event| event == pattern),
        };
        let more: Vec<&str> = events
            .iter()
            .map(String::as_str)
            .filter(|event| KINDS.iter().all(|(pattern, _)| pattern != event))
            .collect();
        Self { name, url, kinds: KINDS.iter().map(kind).collect(), more: more.join(" "), enabled }
    }
}

/// What was sent, as a change to all that the form has.
pub(super) fn change(fields: &Fields) -> WebhookChange {
    WebhookChange {
        name: Some(field(fields, "name")),
        url: Some(field(fields, "url").trim().to_owned()),
        events: Some(events(fields)),
        enabled: Some(is_enabled(fields)),
    }
}

/// Whether a person can put it right in the form.
pub(super) fn can_be_put_right(error: &Error) -> bool {
    matches!(
        error,
        Error::ChangedMeanwhile
            | Error::EventInvalid
            | Error::LabelInvalid
            | Error::LimitReached(_)
            | Error::WebhookUrlInvalid(_)
    )
}

/// The field of this name; empty if it was not sent.
pub(super) fn field(fields: &Fields, wanted: &str) -> String {
    fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone()).unwrap_or_default()
}

fn is_enabled(fields: &Fields) -> bool {
    !field(fields, "enabled").is_empty()
}

fn events(fields: &Fields) -> Vec<String> {
    let ticked = fields.iter().filter(|(name, _)| name == "event").map(|(_, value)| value.clone());
    let more = field(fields, "more");
    let typed = more.split([',', ' ', '\n', '\r', '\t']).filter(|word| !word.is_empty()).map(str::to_owned);
    let mut events = Vec::new();
    for event in ticked.chain(typed) {
        if !events.contains(&event) {
            events.push(event);
        }
    }
    events
}

/// What can be ticked; anything else is typed.
const KINDS: &[(&str, &str)] = &[
    ("device.*", "Devices: joined, renamed, tagged, revoked"),
    ("enrolment.*", "Devices that ask to be let in"),
    ("invite.*", "Enrolment keys"),
    ("user.*", "Accounts: roles, passwords, invites"),
    ("session.*", "Sign-ins"),
    ("token.*", "API tokens"),
    ("webhook.*", "Webhooks"),
    ("network.*", "Settings"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(all: &[(&str, &str)]) -> Fields {
        all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_is_ticked_and_typed_is_one_list_and_comes_back_as_both() {
        let sent = fields(&[("event", "device.*"), ("more", "user.create, session.begin device.*")]);

        let events = change(&sent).events.unwrap();
        let form = WebhookForm::sent(&sent);

        assert_eq!(events, ["device.*", "user.create", "session.begin"]);
        assert_eq!(form.more, "user.create session.begin");
        let ticked: Vec<_> = form.kinds.iter().filter(|kind| kind.is_ticked).map(|kind| kind.pattern).collect();
        assert_eq!((ticked, form.enabled), (vec!["device.*"], false));
    }
}

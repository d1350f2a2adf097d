//! `/webhooks`: web servers that are told what happens: listed, made, changed, tried out.

pub(super) mod form;
pub(super) mod list;
pub(super) mod show;

use warren_proto::keys::UnixTime;

use super::format::Moment;
use crate::store::Webhook;

/// A webhook in words.
struct Row {
    id: String,
    name: String,
    url: String,
    /// What it is told.
    events: Vec<String>,
    standing: Standing,
    waiting: u64,
    dropped: u64,
    last: Option<Moment>,
}

/// How it goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// The last attempt failed.
    Fails,
    /// It was told nothing yet.
    New,
    /// It is switched off.
    Off,
    /// The last attempt went well.
    Works,
}

impl Row {
    fn new(webhook: &Webhook, waiting: u64, now: UnixTime) -> Self {
        let standing = match &webhook.last {
            _ if !webhook.enabled => Standing::Off,
            None => Standing::New,
            Some(last) if last.error.is_some() => Standing::Fails,
            Some(_) => Standing::Works,
        };
        Self {
            id: webhook.id.to_string(),
            name: webhook.name.clone(),
            url: webhook.url.clone(),
            events: webhook.events.clone(),
            standing,
            waiting,
            dropped: webhook.dropped,
            last: webhook.last.as_ref().map(|last| Moment::new(last.at, now)),
        }
    }
}

impl Standing {
    const fn words(self) -> &'static str {
        match self {
            Self::Fails => "fails",
            Self::New => "not told anything yet",
            Self::Off => "switched off",
            Self::Works => "works",
        }
    }

    fn is_good(self) -> bool {
        self == Self::Works
    }

    fn is_bad(self) -> bool {
        self == Self::Fails
    }
}

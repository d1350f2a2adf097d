//! The devices: the list, one device, adding, renaming, holding to the relay and revoking.

pub(super) mod add;
pub(super) mod bulk;
pub(super) mod invited;
pub(super) mod list;
pub(super) mod query;
pub(super) mod relay;
pub(super) mod rename;
pub(super) mod revoke;
pub(super) mod show;
pub(super) mod tags;

use serde::Deserialize;

/// `?done=WORD`, what the form before this page has done.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Done {
    #[serde(default)]
    done: String,
}

impl Done {
    /// The sentence for a word of ours; somebody else's words are never shown.
    fn sentence(&self) -> Option<&'static str> {
        self.note().map(|(_, sentence)| sentence)
    }

    /// Itself, if it is a word of ours.
    fn known(self) -> Option<Note> {
        self.note().map(|(is_good, sentence)| Note { is_good, sentence })
    }

    fn note(&self) -> Option<(bool, &'static str)> {
        Some(match self.done.as_str() {
            "approved" => (true, "Let in. It connects to the others by itself."),
            "held" => (true, "Held to the relay. Peers take their traffic there within a second."),
            "no-tag" => (false, "Nothing was changed: a tag is a word of letters, digits and any of - _ . : /"),
            "none-selected" => (false, "Nothing was changed: select devices first."),
            "released" => (true, "Released. Direct paths are looked for at once."),
            "renamed" => (true, "Renamed. Peers know the new name within a second."),
            "revoked" => (true, "Revoked. Its peers close their connections to it within a second."),
            "revoked-many" => (true, "Revoked. Their peers close the connections to them within a second."),
            "tagged" => (true, "The tags are changed."),
            _ => return None,
        })
    }
}

/// What a form has done, above the page it leads to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Note {
    is_good: bool,
    sentence: &'static str,
}

impl Note {
    /// Its class in the style sheet.
    pub(super) fn tone(&self) -> &'static str {
        if self.is_good { "good" } else { "warn" }
    }

    /// Its icon.
    pub(super) fn icon(&self) -> &'static str {
        if self.is_good { "check" } else { "warn" }
    }

    /// Its words.
    pub(super) fn sentence(&self) -> &'static str {
        self.sentence
    }
}

/// A form without fields of its own.
#[derive(Debug, Deserialize)]
pub(super) struct Nothing {}

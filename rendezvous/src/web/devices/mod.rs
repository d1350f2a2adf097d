//! The devices: the list, one device, adding, renaming, holding to the relay and revoking.

pub(super) mod add;
pub(super) mod invited;
pub(super) mod list;
pub(super) mod relay;
pub(super) mod rename;
pub(super) mod revoke;
pub(super) mod show;

use serde::Deserialize;

/// `?done=WORD`, what the form before this page has done.
#[derive(Debug, Deserialize)]
pub(super) struct Done {
    #[serde(default)]
    done: String,
}

impl Done {
    /// The sentence for a word of ours; somebody else's words are never shown.
    fn sentence(&self) -> Option<&'static str> {
        Some(match self.done.as_str() {
            "held" => "Held to the relay. Its peers take their traffic there within a second.",
            "released" => "Released. It and its peers look for direct paths at once.",
            "renamed" => "Renamed. Peers know the new name within a second.",
            "revoked" => "Revoked. Its peers close their connections to it within a second.",
            _ => return None,
        })
    }
}

/// A form without fields of its own.
#[derive(Debug, Deserialize)]
pub(super) struct Nothing {}

//! How the log names what somebody asks about.

use warren_proto::keys::NodeId;

use crate::app::App;
use crate::error::Error;

/// The object as the log names it: a device by its id, whatever it was called then. `None` for no word at all.
pub async fn audit_subject(app: &App, text: &str) -> Result<Option<String>, Error> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let named = app.devices().await?.iter().find(|device| device.name.as_str() == text).map(|device| device.id);
    Ok(Some(NodeId::parse(text).or(named).map_or_else(|| text.to_owned(), |id| id.to_string())))
}

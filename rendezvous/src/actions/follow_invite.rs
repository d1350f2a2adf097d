//! What became of an invite: whether it still works, and which device came by it.

use super::list_devices::{DeviceView, list_devices};
use super::secret_hash;
use crate::app::App;
use crate::error::Error;
use crate::store::StoredInvite;

/// The invite of this secret, with every active device; who came by it bears its id. `None` for an unknown secret.
pub async fn follow_invite(app: &App, secret: &[u8]) -> Result<Option<(StoredInvite, Vec<DeviceView>)>, Error> {
    let Some(invite) = app.store().invite_by_hash(&secret_hash(secret)).await? else { return Ok(None) };
    Ok(Some((invite, list_devices(app).await?)))
}

//! Makes an invite: the one word that enrols a device.

use std::time::Duration;

use sqlx::types::Uuid;
use warren_proto::control::Invite;
use warren_proto::keys::UnixTime;

use super::{audit, secret_hash};
use crate::app::App;
use crate::domain::{Actor, check_tags};
use crate::error::Error;
use crate::public;
use crate::store::StoredInvite;

/// What kind of invite is wanted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct InviteRequest {
    /// What people will know it by; may be empty.
    pub name: String,
    /// For more than one device.
    pub reusable: bool,
    /// How long it works; `None` for a day, or for ever when reusable.
    pub expires_after: Option<Duration>,
    /// Given to the devices it enrols.
    pub tags: Vec<String>,
}

/// An invite and what is known of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CreatedInvite {
    /// The word to paste; shown this once.
    pub invite: Invite,
    /// Names it in lists.
    pub id: Uuid,
    /// When it stops working, if ever.
    pub expires_at: Option<UnixTime>,
}

/// Makes an invite; only the hash of its secret is kept.
pub async fn create_invite(app: &App, actor: &Actor, request: InviteRequest) -> Result<CreatedInvite, Error> {
    let now = app.now();
    let name = check_name(&request.name)?;
    let tags = check_tags(request.tags).ok_or(Error::TagsInvalid)?;
    let secret: [u8; 16] = app.random();
    let default = if request.reusable { None } else { Some(ONE_TIME_WORKS_FOR) };
    let stored = StoredInvite {
        id: app.new_id(),
        hash: secret_hash(&secret),
        name,
        reusable: request.reusable,
        tags,
        created_by: actor.to_string(),
        owner_id: actor.owner(),
        created_at: now,
        expires_at: request.expires_after.or(default).map(|after| now.plus(after)),
        used_count: 0,
        last_used_at: None,
        revoked_at: None,
    };
    let mut tx = app.store().begin().await?;
    let network = tx.network().await?;
    let server = public::host(app.config(), network.as_ref());
    if !public::is_known(&server) {
        return Err(Error::AddressUnknown);
    }
    tx.insert_invite(&stored).await?;
    audit(
        app,
        &mut tx,
        actor,
        "invite.create",
        stored.id,
        if stored.reusable { "any number of devices" } else { "one device" },
    )
    .await?;
    tx.commit().await?;
    let servers = vec![public::control_addr(app.config(), network.as_ref())];
    let web = public::web_url(app.config(), network.as_ref());
    let invite = Invite { servers, web, pin: app.server_key().pin(), secret };
    Ok(CreatedInvite { invite, id: stored.id, expires_at: stored.expires_at })
}

/// The name as it is stored, which may be none.
pub(super) fn check_name(name: &str) -> Result<String, Error> {
    let name = name.trim();
    let good = name.chars().count() <= MAX_NAME && !name.chars().any(char::is_control);
    if good { Ok(name.to_owned()) } else { Err(Error::LabelInvalid) }
}

/// Enough to say what it is for.
const MAX_NAME: usize = 100;
/// Time to walk to the other device; a forgotten invite should not stay a way in.
const ONE_TIME_WORKS_FOR: Duration = Duration::from_secs(24 * 3600);

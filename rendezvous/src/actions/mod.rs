//! What can be done, one verb a file: check the rule, write in one transaction with audit and change log, then tell the
//! hub. No SQL text, no HTTP, no QUIC.

mod account_link;
mod api_tokens;
mod ask_to_join;
mod attempts;
mod audit_subject;
mod authenticator;
mod ceremony;
mod certify;
mod change_device;
mod change_invite;
mod create_admin;
mod create_invite;
mod decide_enrolment;
mod deliver_webhooks;
mod enrol_device;
mod explain_pair;
mod follow_invite;
mod hold_to_relay;
mod keep_backups;
mod learn_address;
mod list_devices;
mod logout_device;
mod manage_user;
mod note_token_use;
mod oidc;
mod open_network;
mod overview;
mod own_account;
mod pair_history;
mod passkeys;
mod record_paths;
mod rename_device;
mod rename_network;
mod renew_certificate;
mod revoke_device;
mod revoke_invite;
mod run_once;
mod second_factor;
mod setup_token;
mod show_device;
mod show_pair;
mod show_system;
mod sign_in;
mod sign_out;
mod survey_devices;
mod tag_devices;
mod tidy;
mod topology;
mod webhooks;
mod welcome_device;

use sha2::{Digest, Sha256};

use crate::app::App;
use crate::domain::Actor;
use crate::error::Error;
use crate::origin;
use crate::store::{AuditEntry, FieldChange, Tx};

pub use account_link::{
    CreatedLink, accept_user_invite, create_reset_link, invite_user, reset_link_user, reset_user, use_reset_link,
    withdraw_user_invite,
};
pub(crate) use api_tokens::{TokenRequest, create_api_token, list_api_tokens, revoke_api_token};
pub use ask_to_join::{Asked, ask_to_join, follow_asked};
pub(crate) use attempts::count_client;
pub use audit_subject::audit_subject;
pub(crate) use authenticator::{
    NewAuthenticator, RecoveryCodes, begin_authenticator, confirm_authenticator, remove_authenticator,
    replace_recovery_codes, resume_authenticator,
};
pub use change_device::{DeviceChange, change_device};
pub(crate) use change_invite::version as invite_version;
pub use change_invite::{InviteChange, change_invite};
pub use create_admin::create_admin;
pub use create_invite::{CreatedInvite, InviteRequest, create_invite};
pub use decide_enrolment::{Approval, approve_enrolment, deny_enrolment};
pub(crate) use deliver_webhooks::{ATTEMPTS_KEPT, keep_delivering, ping_webhook};
pub use enrol_device::{Enrolment, enrol_device};
pub use explain_pair::{ExplainedPair, Tried, explain_pair};
pub use follow_invite::follow_invite;
pub use hold_to_relay::hold_to_relay;
pub use keep_backups::{BackupState, backup_state, keep_backups};
pub use learn_address::learn_address;
pub use list_devices::{DeviceView, list_devices};
pub use logout_device::logout_device;
pub(crate) use manage_user::version as user_version;
pub use manage_user::{By, UserChange, change_user, remove_user};
pub(crate) use note_token_use::note_token_use;
pub(crate) use oidc::{begin_oidc, finish_oidc, unlink_oidc};
pub use open_network::open_network;
pub use overview::{Attention, Overview, WorstPair, overview};
pub(crate) use own_account::{
    change_password, end_other_sessions, end_session, list_sessions, prove_password, rename_account,
};
pub use pair_history::{History, device_history, pair_history};
pub(crate) use passkeys::{add_passkey, begin_passkey, begin_passkey_sign_in, remove_passkey, sign_in_with_passkey};
pub use record_paths::record_paths;
pub use rename_device::rename_device;
pub(crate) use rename_network::version as network_version;
pub use rename_network::{network_name, rename_network};
pub(crate) use renew_certificate::acme_status;
pub use renew_certificate::renew_certificate;
pub use revoke_device::{revoke_device, revoke_expected_device};
pub use revoke_invite::{revoke_invite, revoke_invite_with_devices};
pub(crate) use run_once::{Once, OnceKey, begin_once, forget_once, keep_answer};
pub(crate) use second_factor::{awaits_code, sign_in_with_code};
pub use setup_token::{consume_setup_token, create_setup_token};
pub use show_device::{ShownDevice, show_device};
pub use show_pair::{ShownPair, ping_pair, retry_pair, show_pair};
pub use show_system::{SystemView, disk_trouble, show_system};
pub(crate) use sign_in::{SignedIn, begin_session, sign_in};
pub(crate) use sign_out::sign_out;
pub use survey_devices::{DeviceQuery, DeviceSort, DeviceSummary, PathFilter, PathMix, Survey, survey_devices};
pub use tag_devices::{TagChange, tag_devices};
pub use tidy::tidy;
pub use topology::{Topology, TopologyLink, topology};
pub(crate) use webhooks::{
    WebhookChange, change_webhook, create_webhook, delete_webhook, rotate_webhook, version as webhook_version,
    webhook_secret,
};
pub use welcome_device::welcome_device;

/// Appends an audit line to the transaction, and a message to the webhooks that want to know.
async fn audit(
    app: &App,
    tx: &mut Tx,
    actor: &Actor,
    action: &str,
    subject: impl ToString,
    detail: impl ToString,
) -> Result<(), Error> {
    audit_change(app, tx, actor, action, subject, detail, &[]).await
}

/// Appends an audit line that says what became of what: fields with their values before and after.
async fn audit_change(
    app: &App,
    tx: &mut Tx,
    actor: &Actor,
    action: &str,
    subject: impl ToString,
    detail: impl ToString,
    changes: &[(&str, &str, &str)],
) -> Result<(), Error> {
    let change = |(field, before, after): &(&str, &str, &str)| {
        FieldChange((*field).to_owned(), (*before).to_owned(), (*after).to_owned())
    };
    let entry = AuditEntry {
        at: app.now(),
        actor: actor.to_string(),
        action: action.to_owned(),
        subject: subject.to_string(),
        detail: detail.to_string(),
        address: origin::address().map(|address| address.to_string()).unwrap_or_default(),
        changes: changes.iter().map(change).collect(),
    };
    let id = app.new_id();
    tx.insert_audit(id, &entry).await?;
    deliver_webhooks::announce(app, tx, id, &entry).await
}

/// What is stored of a random secret: a plain hash suffices, there is nothing to guess.
fn secret_hash(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

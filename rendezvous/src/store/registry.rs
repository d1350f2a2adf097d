//! Every SQL statement of the program by name, so that a test can prepare them all on both engines.

use super::{
    account_link, acme, address, admin_user, api_token, attempt, audit, ceremony, change, device, enrolment,
    idempotency, invite, network, oidc_identity, passkey, path_history, recovery_code, replica, session, setup_token,
    webhook, webhook_attempt,
};

/// Asks nothing; answers whether anybody answers.
pub(super) const PING: &str = "SELECT 1";

/// All statements, grouped by the module that runs them.
pub const STATEMENTS: &[&[(&str, &str)]] = &[
    account_link::STATEMENTS,
    acme::STATEMENTS,
    address::STATEMENTS,
    admin_user::STATEMENTS,
    api_token::STATEMENTS,
    attempt::STATEMENTS,
    audit::STATEMENTS,
    ceremony::STATEMENTS,
    change::STATEMENTS,
    device::STATEMENTS,
    enrolment::STATEMENTS,
    idempotency::STATEMENTS,
    invite::STATEMENTS,
    network::STATEMENTS,
    oidc_identity::STATEMENTS,
    passkey::STATEMENTS,
    path_history::STATEMENTS,
    replica::STATEMENTS,
    recovery_code::STATEMENTS,
    session::STATEMENTS,
    setup_token::STATEMENTS,
    webhook::STATEMENTS,
    webhook_attempt::STATEMENTS,
    &[("ping", PING)],
];

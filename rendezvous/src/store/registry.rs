//! Every SQL statement of the program by name, so that a test can prepare them all on both engines.

use super::{
    address, admin_user, api_token, audit, change, device, idempotency, invite, network, path_history, replica,
    session, setup_token, webhook,
};

/// Asks nothing; answers whether anybody answers.
pub(super) const PING: &str = "SELECT 1";

/// All statements, grouped by the module that runs them.
pub const STATEMENTS: &[&[(&str, &str)]] = &[
    address::STATEMENTS,
    admin_user::STATEMENTS,
    api_token::STATEMENTS,
    audit::STATEMENTS,
    change::STATEMENTS,
    device::STATEMENTS,
    idempotency::STATEMENTS,
    invite::STATEMENTS,
    network::STATEMENTS,
    path_history::STATEMENTS,
    replica::STATEMENTS,
    session::STATEMENTS,
    setup_token::STATEMENTS,
    webhook::STATEMENTS,
    &[("ping", PING)],
];

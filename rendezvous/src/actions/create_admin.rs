//! Makes an account for a person.

use super::account_link::MAX_ACCOUNTS;
use super::audit;
use crate::app::App;
use crate::domain::{Actor, Role, parse_user_name};
use crate::error::Error;
use crate::store::{AdminUser, Tx};

/// Makes an account of this role; the first one is the owner's whatever is asked. The password has been hashed by
/// `auth::password`, which also has its rule. Setup links die.
pub async fn create_admin(
    app: &App,
    actor: &Actor,
    name: &str,
    password_hash: String,
    role: Role,
) -> Result<AdminUser, Error> {
    let mut tx = app.store().begin().await?;
    let user = insert_admin(app, &mut tx, actor, name, password_hash, role).await?;
    tx.use_setup_tokens(app.now()).await?;
    tx.commit().await?;
    Ok(user)
}

/// Adds the account to a transaction; the first one owns the server.
pub(super) async fn insert_admin(
    app: &App,
    tx: &mut Tx,
    actor: &Actor,
    name: &str,
    password_hash: String,
    role: Role,
) -> Result<AdminUser, Error> {
    let name = parse_user_name(name).ok_or(Error::AdminNameInvalid)?;
    if tx.admin_by_name(name).await?.is_some() {
        return Err(Error::AdminNameTaken);
    }
    let count = tx.admin_count().await?;
    if count >= MAX_ACCOUNTS {
        return Err(Error::AccountsFull);
    }
    let role = if count == 0 { Role::Owner } else { role };
    let user = AdminUser {
        id: app.new_id(),
        name: name.to_owned(),
        password_hash,
        role,
        created_at: app.now(),
        signed_in_at: None,
        disabled_at: None,
        totp_secret: None,
        totp_step: 0,
    };
    tx.insert_admin(&user).await?;
    audit(app, tx, actor, "admin.create", &user.name, role).await?;
    Ok(user)
}

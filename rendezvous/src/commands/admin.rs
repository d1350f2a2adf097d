//! `admin create`, `admin list` and `admin reset`: accounts without a browser, for whoever has the server's shell.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Subcommand;

use super::open;
use crate::actions::{self, By, create_admin};
use crate::app::App;
use crate::auth::password;
use crate::config::Config;
use crate::domain::{Actor, Role};

/// Accounts for people.
#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// Make an account
    Create {
        /// What the person signs in with
        name: String,
        /// File with the password in its first line; "-" reads standard input
        #[arg(long, value_name = "FILE")]
        password_file: PathBuf,
        /// owner, admin, operator, viewer or member; the first account is the owner's
        #[arg(long, default_value = "admin", value_parser = role)]
        role: Role,
    },
    /// Print every account: name, role, state
    List,
    /// Give an account another password and sign it out everywhere; without a password, print a link for that
    Reset {
        /// Whose
        name: String,
        /// File with the new password in its first line; "-" reads standard input
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// Also remove passkeys, authenticator app and sign-in providers
        #[arg(long)]
        drop_factors: bool,
    },
}

pub(super) async fn admin(config: Config, command: AdminCommand) -> Result<()> {
    let app = open(config).await?;
    match command {
        AdminCommand::Create { name, password_file, role } => {
            let hash = password::hash(&read_password(&password_file)?, &app.random())?;
            let user = create_admin(&app, &Actor::Cli, &name, hash, role).await?;
            println!("{} can sign in as {}", user.name, user.role);
        }
        AdminCommand::List => list(&app).await?,
        AdminCommand::Reset { name, password_file, drop_factors } => {
            reset(&app, &name, password_file.as_deref(), drop_factors).await?;
        }
    }
    app.store().close().await;
    Ok(())
}

/// Makes the first account of a server that has none, as `run` is told to by its settings.
pub(super) async fn create_first(app: &App, name: &str, password_file: &Path) -> Result<()> {
    if app.store().admin_count().await.context("count the accounts")? > 0 {
        return Ok(());
    }
    let hash = password::hash(&read_password(password_file)?, &app.random())?;
    create_admin(app, &Actor::Server, name, hash, Role::Owner).await.context("make the first administrator")?;
    Ok(())
}

async fn list(app: &App) -> Result<()> {
    for user in app.store().admins(u32::MAX).await.context("read the accounts")? {
        let state = if user.disabled_at.is_some() { "disabled" } else { "active" };
        println!("{}\t{}\t{state}", user.name, user.role);
    }
    Ok(())
}

async fn reset(app: &App, name: &str, password_file: Option<&Path>, drop_factors: bool) -> Result<()> {
    let Some(user) = app.store().admin_by_name(name).await.context("read the account")? else {
        bail!("there is no account {name}; `admin list` prints all");
    };
    if let Some(file) = password_file {
        let hash = password::hash(&read_password(file)?, &app.random())?;
        actions::reset_user(app, &Actor::Cli, user.id, &hash, drop_factors).await?;
        println!("{} can sign in with the new password", user.name);
    } else {
        let by = By { actor: &Actor::Cli, role: Role::Owner };
        println!("{}", actions::create_reset_link(app, by, user.id, drop_factors).await?.url);
    }
    if user.disabled_at.is_some() {
        eprintln!("the account is disabled; an administrator can enable it on its page");
    }
    Ok(())
}

fn role(word: &str) -> Result<Role, String> {
    Role::parse(word).ok_or_else(|| "a role is owner, admin, operator, viewer or member".to_owned())
}

fn read_password(file: &Path) -> Result<String> {
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().take(MAX_INPUT).read_to_string(&mut text).context("read the password from standard input")?;
    } else {
        std::fs::File::open(file)
            .and_then(|file| file.take(MAX_INPUT).read_to_string(&mut text))
            .with_context(|| format!("read the password from {}", file.display()))?;
    }
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Longer than any password that is accepted.
const MAX_INPUT: u64 = 4096;

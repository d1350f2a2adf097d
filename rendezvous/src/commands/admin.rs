//! `admin create`: an account without a browser.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Subcommand;

use super::open;
use crate::actions::create_admin;
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
}

pub(super) async fn admin(config: Config, command: AdminCommand) -> Result<()> {
    let AdminCommand::Create { name, password_file, role } = command;
    let password = read_password(&password_file)?;
    let app = open(config).await?;
    let hash = password::hash(&password, &app.random())?;
    let user = create_admin(&app, &Actor::Cli, &name, hash, role).await?;
    app.store().close().await;
    println!("{} can sign in as {}", user.name, user.role);
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

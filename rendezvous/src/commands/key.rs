//! `key create`: prints one invite, alone, so that a script can take it.

use anyhow::Result;
use clap::Subcommand;

use super::open;
use crate::actions::{InviteRequest, create_invite};
use crate::config::Config;
use crate::domain::Actor;

/// Invites for devices.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Print a new invite
    Create {
        /// For more than one device
        #[arg(long)]
        reusable: bool,
        /// How long it works, as in "15m" or "7days" [default: one day; for ever when reusable]
        #[arg(long, value_name = "DURATION")]
        expires: Option<humantime::Duration>,
        /// Tag for the devices it enrols; may be repeated
        #[arg(long, value_name = "TAG")]
        tag: Vec<String>,
    },
}

pub(super) async fn key(config: Config, command: KeyCommand) -> Result<()> {
    let KeyCommand::Create { reusable, expires, tag } = command;
    let app = open(config).await?;
    let request = InviteRequest { name: String::new(), reusable, expires_after: expires.map(Into::into), tags: tag };
    let created = create_invite(&app, &Actor::Cli, request).await?;
    app.store().close().await;
    println!("{}", created.invite);
    Ok(())
}

//! The command line: what can be asked for, and one file for each that does more than one call.

mod admin;
mod backup;
mod db;
mod healthcheck;
mod key;
mod manual;
mod run;
mod setup_link;

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use clap::{ArgMatches, FromArgMatches, Parser, Subcommand};

use crate::api;
use crate::app::App;
use crate::clock::{Clock as _, SystemClock};
use crate::config::{Config, Settings};
use crate::container;
use crate::web_tls;

pub use admin::AdminCommand;
pub use backup::BackupCommand;
pub use db::DbCommand;
pub use key::KeyCommand;
pub use run::serve;

/// Rendezvous server of a Warren mesh
#[derive(Debug, Parser)]
#[command(name = "warren-rendezvous", version, propagate_version = true)]
pub struct Cli {
    /// Settings file [default: /etc/warren/rendezvous.toml, if there is one]
    #[arg(long, global = true, value_name = "FILE", env = "WARREN_CONFIG")]
    pub config: Option<PathBuf>,
    /// Every setting is also an environment variable and a key of the settings file
    #[command(flatten, next_help_heading = "Settings")]
    pub settings: Settings,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve until told to stop
    Run,
    /// Invites for devices
    #[command(subcommand)]
    Key(KeyCommand),
    /// Print the one-time link that makes the first administrator
    SetupLink,
    /// Accounts for people
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Exit 0 if the server on this host is ready
    Healthcheck,
    /// The database
    #[command(subcommand)]
    Db(DbCommand),
    /// Backups
    #[command(subcommand)]
    Backup(BackupCommand),
    /// Print the settings in force and where each comes from, without secrets; exit 1 when they make no sense
    CheckConfig,
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write all of them into a directory
    Man {
        /// Where to
        #[arg(value_name = "DIR")]
        directory: Option<PathBuf>,
    },
    /// Print the description of the API, as /api/v1/openapi.json serves it
    Openapi,
}

/// Puts command line, environment and settings file together.
pub fn read(matches: &ArgMatches) -> Result<(Command, Config)> {
    let cli = Cli::from_arg_matches(matches)?;
    let (file, origins) = Settings::from_file(cli.config.as_deref())?;
    let origins = origins.under(matches);
    let config = cli.settings.over(file).resolve().map_err(|error| {
        let complaint = format!("{error:#}");
        origins.explain(&complaint).map_or(error, |places| anyhow!("{complaint} ({places})"))
    })?;
    Ok((cli.command, Config { origins, bridge: container::bridge(), ..config }))
}

/// Does what the command line asks for.
pub async fn dispatch(command: Command, config: Config) -> Result<()> {
    match command {
        Command::Run => run::run(config).await,
        Command::Key(command) => key::key(config, command).await,
        Command::SetupLink => setup_link::setup_link(config).await,
        Command::Admin(command) => admin::admin(config, command).await,
        Command::Healthcheck => healthcheck::healthcheck(&config).await,
        Command::Backup(command) => backup::backup(&config, command).await,
        Command::Db(command) => db::db(&config, command).await,
        Command::CheckConfig => {
            print!("{config}");
            // as a comment, for the whole can be read as a settings file
            if let Some(certificate) = web_tls::check(&config, SystemClock.now())? {
                println!("# {certificate}");
            }
            Ok(())
        }
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { directory } => manual::man(directory.as_deref()),
        Command::Openapi => {
            println!("{:#}", api::document());
            Ok(())
        }
    }
}

/// Opens what every command but `healthcheck` works on.
async fn open(config: Config) -> Result<App> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).context("read random bytes from the system")?;
    App::open(config, SystemClock, seed).await
}

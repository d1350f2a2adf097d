//! The command line, as clap types. What a command does is left to `commands`, defaults from the environment to
//! `config`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use warren_proto::crypto::Suite;

/// Connects this device to the other devices of its mesh, directly.
#[derive(Parser, Debug)]
#[command(name = "warren", version, arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Cli {
    /// The daemon's socket [env: WARREN_SOCKET] [default: /run/warren/warren.sock]
    #[arg(long, global = true, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run the daemon, in the foreground
    Daemon(DaemonArgs),
    /// Enrol this device if it needs to be, and connect it
    Up(UpArgs),
    /// Disconnect this device until the next `warren up`
    Down,
    /// Leave the mesh: the server forgets this device, and this device its keys
    Logout,
    /// Show this device, its server and its peers
    Status(JsonArgs),
    /// Measure this network: UDP, NAT, distance to the server
    Netcheck(JsonArgs),
    /// Ask a peer's daemon for an answer, and show the path it takes
    Ping(PingArgs),
    /// Explain the path to a peer: what is used, what was tried, what would make it better
    Path(PathArgs),
    /// Print overlay addresses, one a line
    Ip(IpArgs),
    /// Wait until this device is connected
    Wait(WaitArgs),
    /// Look for what keeps this device from its mesh
    Doctor(DoctorArgs),
    /// Write an archive for whoever is to find out what is wrong
    Bugreport(BugreportArgs),
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print the manual page, or write all of them into a directory
    Man {
        /// Where to
        #[arg(value_name = "DIR")]
        directory: Option<PathBuf>,
    },
}

/// `warren daemon`.
#[derive(Args, Debug)]
pub struct DaemonArgs {
    /// Where identity and state are kept [default: /var/lib/warren]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Name of the network interface to make
    #[arg(long, value_name = "NAME", default_value = "warren0", value_parser = interface_name)]
    pub tun: String,
    /// UDP port to use; without it, one is chosen at random once and kept
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// Append the keys of every security association to this file, for Wireshark (whoever reads it can read the traffic)
    #[arg(long, value_name = "FILE")]
    pub sa_keylog: Option<PathBuf>,
    /// Use the relay only: tell nobody where this device is, and probe nobody [env: WARREN_RELAY_ONLY]
    #[arg(long)]
    pub relay_only: bool,
    /// Hand packets to the kernel one by one, for drivers that do large ones wrongly [env: WARREN_NO_OFFLOAD]
    #[arg(long)]
    pub no_offload: bool,
    /// Do not ask the gateway to forward the UDP port (PCP, NAT-PMP, UPnP) [env: WARREN_NO_PORT_MAPPING]
    #[arg(long)]
    pub no_port_mapping: bool,
    /// Do not use UPnP for it, whose search goes to the whole network [env: WARREN_NO_UPNP]
    #[arg(long)]
    pub no_upnp: bool,
    /// Do not announce this device to the other devices of its mesh on the local network, nor listen for them
    /// [env: WARREN_NO_LAN_DISCOVERY]
    #[arg(long)]
    pub no_lan_discovery: bool,
    /// Do not search for a port behind a NAT that gives out another for each destination, which may take up to 256 of its
    /// entries for a quarter of a minute [env: WARREN_NO_PORT_SEARCH]
    #[arg(long)]
    pub no_port_search: bool,
    /// Let Prometheus read here, at /metrics; off by default [env: WARREN_METRICS_LISTEN]
    #[arg(long, value_name = "ADDR:PORT")]
    pub metrics_listen: Option<SocketAddr>,
    /// How log lines look: text for people, json for programs [env: WARREN_LOG_FORMAT] [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Threads for packets in each direction, on a machine with many processors and many peers
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=4))]
    pub threads: u8,
    /// How packets are sealed: aes256gcm-iiv, aes256gcm or chacha20poly1305-iiv [default: the first, or the last with a
    /// peer if either processor has no AES instructions]
    #[arg(long, value_name = "NAME")]
    pub suite: Option<Suite>,
}

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    #[default]
    Text,
}

/// `warren up`.
#[derive(Args, Debug)]
pub struct UpArgs {
    /// The first time: the invite from the dashboard, or the server's address to be let in by a person
    #[arg(value_name = "INVITE | URL", conflicts_with = "key")]
    pub invite: Option<String>,
    /// Where the invite is: itself, file:PATH, env:NAME, or - for standard input
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Name of this device in the mesh [default: the host name]
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// The key of the server at URL, where TLS does not vouch for it; the dashboard shows it
    #[arg(long, value_name = "KEY")]
    pub server_key: Option<String>,
    /// Give up after this long [default: 30s; 16m where a person is to let the device in]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
}

/// `--json`.
#[derive(Args, Debug)]
pub struct JsonArgs {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `warren ping`.
#[derive(Args, Debug)]
pub struct PingArgs {
    /// Name, overlay address or id
    #[arg(value_name = "PEER")]
    pub peer: String,
    /// How many times [default: 4, or until direct]
    #[arg(short, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub count: Option<u32>,
    /// Go on until an answer comes over a direct path
    #[arg(long)]
    pub until_direct: bool,
    /// Give up after this long in all [default with --until-direct: 30s]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
    /// Print one JSON object for each answer
    #[arg(long)]
    pub json: bool,
}

/// `warren path`.
#[derive(Args, Debug)]
pub struct PathArgs {
    /// Name, overlay address or id
    #[arg(value_name = "PEER")]
    pub peer: String,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `warren ip`.
#[derive(Args, Debug)]
pub struct IpArgs {
    /// Name or id; this device without it
    #[arg(value_name = "PEER")]
    pub peer: Option<String>,
    /// The IPv4 address only
    #[arg(short = '4', conflicts_with = "v6")]
    pub v4: bool,
    /// The IPv6 address only
    #[arg(short = '6')]
    pub v6: bool,
}

/// `warren wait`.
#[derive(Args, Debug)]
pub struct WaitArgs {
    /// Give up after this long
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
}

/// `warren doctor`.
#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// The server to try the way to: a host, a link or an invite [default: the one this device is enrolled with]
    #[arg(value_name = "SERVER")]
    pub server: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `warren bugreport`.
#[derive(Args, Debug)]
pub struct BugreportArgs {
    /// Where to write it [default: warren-bugreport-TIME.tar.gz here]
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Leave public addresses as they are; secrets are left out in any case
    #[arg(long)]
    pub with_addresses: bool,
}

/// What the kernel accepts as an interface's name (`dev_valid_name`).
fn interface_name(name: &str) -> Result<String, &'static str> {
    let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'/' && byte != b':';
    match name.len() {
        1..=15 if name.bytes().all(allowed) && name != "." && name != ".." => Ok(name.to_owned()),
        _ => Err("an interface name has 1 to 15 printable characters, without / and :"),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_manual_names_every_setting_of_the_daemon_with_its_variable() {
        let manual = include_str!("../../docs/operations.md");
        let table = manual.split_once("## Settings of the agent").unwrap().1.split("\n## ").next().unwrap();
        let rows = table.lines().filter(|line| line.starts_with("| `--"));
        let cells = rows.map(|row| row.split('|').map(|cell| cell.trim().trim_matches('`')).collect::<Vec<_>>());
        let told: Vec<_> = cells.map(|cells| (cells[1].to_owned(), cells[2].to_owned())).collect();

        let command = Cli::command();
        let daemon = command.find_subcommand("daemon").unwrap();
        let flags = command.get_arguments().filter(|flag| flag.is_global_set()).chain(daemon.get_arguments());
        let variable = |flag: &clap::Arg| {
            let help = flag.get_help().unwrap().to_string();
            let named = help.split_once("[env: ").and_then(|(_, rest)| rest.split(']').next());
            named.unwrap_or("-").to_owned()
        };
        let there: Vec<_> = flags.map(|flag| (format!("--{}", flag.get_long().unwrap()), variable(flag))).collect();

        assert_eq!(told, there);
    }

    #[test]
    fn the_socket_may_stand_before_or_after_the_command() {
        for line in [["warren", "--socket", "/x", "status"], ["warren", "status", "--socket", "/x"]] {
            assert_eq!(Cli::try_parse_from(line).unwrap().socket, Some(PathBuf::from("/x")));
        }
    }

    #[test]
    fn names_the_kernel_would_refuse_are_refused_here() {
        for bad in ["", "a/b", "a b", "averyverylongname", ".."] {
            assert!(interface_name(bad).is_err(), "{bad}");
        }
        assert_eq!(interface_name("warren0").as_deref(), Ok("warren0"));
    }
}

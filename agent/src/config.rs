//! What the environment and the flags say, as plain values; the only reader of environment variables.
//!
//! Flag beats environment beats default. What the daemon remembers from run to run is in `state`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use warren_proto::config::Config as NodeConfig;
use warren_proto::crypto::{Preference, Suite};

use crate::cli::{DaemonArgs, LogFormat};
use crate::control::{Exceptions, InvalidProxy, Proxies, Proxy};
use crate::cpu;
use crate::exit::{Exit, Failure};

/// Everything a daemon is told at start.
#[derive(Clone, Debug)]
pub struct Config {
    /// Holds the identity and what is remembered.
    pub state_dir: PathBuf,
    /// Where commands reach the daemon.
    pub socket: PathBuf,
    /// Name of the TUN interface.
    pub tun: String,
    /// UDP port asked for by flag; `None` keeps the remembered one.
    pub port: Option<u16>,
    /// Threads for each direction.
    pub threads: usize,
    /// Whether the kernel is given up to 64 KiB at a time, to cut and to join.
    pub offload: bool,
    /// Whether the gateway is asked to forward our UDP port.
    pub port_mapping: bool,
    /// Whether it is asked by UPnP as well.
    pub upnp: bool,
    /// Whether peers on the local network are told of us and listened for.
    pub lan_discovery: bool,
    /// Where the keys of security associations are written, for Wireshark.
    pub sa_keylog: Option<PathBuf>,
    /// Where Prometheus may read, if anywhere.
    pub metrics_listen: Option<SocketAddr>,
    /// Proxies on the way to web servers.
    pub proxies: Proxies,
    /// What the protocol core is told.
    pub node: NodeConfig,
}

impl Config {
    /// Puts flags, environment and defaults together.
    pub fn load(args: DaemonArgs, socket: Option<PathBuf>) -> Result<Self, Failure> {
        let node = node_config(preference(args.suite, cpu::has_aes()), variable("WARREN_REKEY_SECONDS"))?;
        Ok(Self {
            state_dir: args.state_dir.unwrap_or_else(|| DEFAULT_STATE_DIR.into()),
            socket: socket_path(socket),
            tun: args.tun,
            port: args.port,
            threads: args.threads.into(),
            proxies: proxies(&variable)?,
            offload: !args.no_offload && variable("WARREN_NO_OFFLOAD").is_none(),
            port_mapping: !args.no_port_mapping && variable("WARREN_NO_PORT_MAPPING").is_none(),
            lan_discovery: !args.no_lan_discovery && variable("WARREN_NO_LAN_DISCOVERY").is_none(),
            upnp: !args.no_upnp && variable("WARREN_NO_UPNP").is_none(),
            node: NodeConfig {
                export_sa_keys: args.sa_keylog.is_some(),
                relay_only: args.relay_only || variable("WARREN_RELAY_ONLY").is_some(),
                port_search: !args.no_port_search && variable("WARREN_NO_PORT_SEARCH").is_none(),
                ..node
            },
            sa_keylog: args.sa_keylog,
            metrics_listen: metrics_listen(args.metrics_listen, variable("WARREN_METRICS_LISTEN"))?,
        })
    }
}

/// The daemon's socket: the flag, else WARREN_SOCKET, else the default.
pub fn socket_path(flag: Option<PathBuf>) -> PathBuf {
    flag.or_else(|| variable("WARREN_SOCKET").map(PathBuf::from)).unwrap_or_else(|| DEFAULT_SOCKET.into())
}

/// The log filter: WARREN_LOG in the syntax of tracing's `EnvFilter`.
pub fn log_filter() -> Option<String> {
    variable("WARREN_LOG")
}

/// Whether the user asked for no colour (<https://no-color.org>).
pub fn no_color() -> bool {
    variable("NO_COLOR").is_some()
}

/// A variable's value; an empty one counts as not set.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The proxies of our own environment, for commands that ask a web server themselves.
pub fn proxies_of_environment() -> Result<Proxies, Failure> {
    proxies(&variable)
}

/// What the usual variables say, in either spelling.
fn proxies(read: &dyn Fn(&str) -> Option<String>) -> Result<Proxies, Failure> {
    let first = |names: &[&str]| {
        let found = names.iter().find_map(|name| Some((*name, read(name)?)));
        let parsed = found.map(|(name, text)| Proxy::parse(&text).map_err(|error| not_a_proxy(name, error)));
        parsed.transpose()
    };
    Ok(Proxies {
        https: first(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])?,
        http: first(&["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])?,
        except: Exceptions::parse(&read("NO_PROXY").or_else(|| read("no_proxy")).unwrap_or_default()),
    })
}

/// The value is not quoted: it may hold a password.
fn not_a_proxy(name: &str, error: InvalidProxy) -> Failure {
    Failure::new(Exit::Usage, format!("the variable {name} is {error}"))
        .remedy("Correct it, or start the daemon without it: other kinds of proxy are of no use to it.")
}

/// Nobody reads a device's metrics unless somebody says where.
fn metrics_listen(flag: Option<SocketAddr>, variable: Option<String>) -> Result<Option<SocketAddr>, Failure> {
    let Some(text) = variable.filter(|text| flag.is_none() && text != "off") else { return Ok(flag) };
    let addr = text.parse();
    addr.map(Some).map_err(|_| Failure::new(Exit::Usage, format!("WARREN_METRICS_LISTEN is \"{text}\", not ADDR:PORT")))
}

/// The format of the log: the flag, else WARREN_LOG_FORMAT, else text.
pub fn log_format(flag: Option<LogFormat>) -> Result<LogFormat, Failure> {
    let Some(text) = variable("WARREN_LOG_FORMAT").filter(|_| flag.is_none()) else {
        return Ok(flag.unwrap_or_default());
    };
    LogFormat::from_str(&text, false)
        .map_err(|_| Failure::new(Exit::Usage, format!("WARREN_LOG_FORMAT is \"{text}\", not text or json")))
}

/// What a person asked for, else what this processor does best.
fn preference(asked: Option<Suite>, has_aes: bool) -> Preference {
    asked.map_or_else(|| Preference::of_processor(has_aes), Preference::Asked)
}

fn node_config(suite: Preference, rekey_seconds: Option<String>) -> Result<NodeConfig, Failure> {
    let config = NodeConfig { suite, ..NodeConfig::default() };
    let Some(text) = rekey_seconds else { return Ok(config) };
    let seconds: u64 = text.parse().ok().filter(|seconds| (1..=LONGEST_REKEY).contains(seconds)).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("WARREN_REKEY_SECONDS is \"{text}\", not a number of seconds from 1 to 120"))
    })?;
    let rekey_after = Duration::from_secs(seconds);
    // The gap between rekey and reject stays that of the defaults: a handshake needs as long as ever.
    let reject_after = rekey_after + (config.reject_after - config.rekey_after);
    Ok(NodeConfig { rekey_after, reject_after, ..config })
}

const DEFAULT_STATE_DIR: &str = "/var/lib/warren";
const DEFAULT_SOCKET: &str = "/run/warren/warren.sock";
/// The default's own value: the variable may shorten a key's life, never lengthen it.
const LONGEST_REKEY: u64 = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shorter_rekey_keeps_the_gap_to_the_hard_stop() {
        let config = node_config(Preference::default(), Some("5".to_owned())).unwrap();

        assert_eq!((config.rekey_after, config.reject_after), (Duration::from_secs(5), Duration::from_secs(65)));
    }

    #[test]
    fn a_rekey_interval_that_is_no_interval_is_a_usage_error() {
        for bad in ["0", "121", "-1", "soon", "1.5"] {
            assert_eq!(
                node_config(Preference::default(), Some(bad.to_owned())).unwrap_err().exit,
                Exit::Usage,
                "{bad}"
            );
        }
    }

    #[test]
    fn metrics_are_read_where_somebody_said_so_and_nowhere_else() {
        let variable = |text: &str| Some(text.to_owned());

        assert_eq!(metrics_listen(None, None).unwrap(), None);
        assert_eq!(metrics_listen(None, variable("off")).unwrap(), None);
        assert_eq!(metrics_listen(None, variable("127.0.0.1:9")).unwrap(), "127.0.0.1:9".parse().ok());
        assert_eq!(metrics_listen("[::1]:8".parse().ok(), variable("127.0.0.1:9")).unwrap(), "[::1]:8".parse().ok());
        assert_eq!(metrics_listen(None, variable("here")).unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn the_processor_chooses_the_suite_unless_a_person_does() {
        assert_eq!(preference(None, true), Preference::Fastest(Suite::Aes256GcmIiv));
        assert_eq!(preference(None, false), Preference::Fastest(Suite::ChaCha20Poly1305Iiv));
        for has_aes in [false, true] {
            assert_eq!(preference(Some(Suite::Aes256Gcm), has_aes), Preference::Asked(Suite::Aes256Gcm));
        }
    }

    #[test]
    fn the_more_special_variable_names_the_proxy_in_either_spelling() {
        let environment =
            [("all_proxy", "http://other:1"), ("https_proxy", "http://web:2"), ("no_proxy", "example.org")];
        let read =
            |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());

        let proxies = proxies(&read).unwrap();

        assert_eq!(proxies.https, Some(Proxy::parse("http://web:2").unwrap()));
        assert_eq!(proxies.http, Some(Proxy::parse("http://other:1").unwrap()));
        assert_eq!(proxies.except, Exceptions::parse("example.org"));
    }

    #[test]
    fn a_proxy_that_is_none_is_a_usage_error_that_keeps_its_password() {
        let read = |name: &str| (name == "HTTPS_PROXY").then(|| "socks5://ada:sesame@proxy".to_owned());

        let failure = proxies(&read).unwrap_err();

        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.text.contains("HTTPS_PROXY") && !failure.text.contains("sesame"), "{failure}");
    }

    #[test]
    fn the_socket_flag_beats_everything() {
        assert_eq!(socket_path(Some("/tmp/x.sock".into())), PathBuf::from("/tmp/x.sock"));
    }
}

//! The composition root: makes the parts of a daemon, connects them, and ends them in order. No packets here.
//!
//! What needs privileges or a place in the file system is made by `Prepared::new`, before there is a second thread;
//! then everything but CAP_NET_ADMIN is given up, and the rest runs.

use std::io;
use std::sync::Arc;

use anyhow::Context;
use arc_swap::ArcSwap;
use quinn::{Endpoint, EndpointConfig, TokioRuntime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::alarm::Alarm;
use crate::clock::Clock;
use crate::config::Config;
use crate::data_plane::{DataPlane, Fib};
use crate::exit::{Exit, Failure};
use crate::identity::Identity;
use crate::ipc;
use crate::keylog::KeyLog;
use crate::logging::RecentLog;
use crate::meters::MetricsListener;
use crate::netcfg::NetConfig;
use crate::privileges::{self, PrivilegeError};
use crate::service;
use crate::slow_path::{Settings, SlowPath, Tools};
use crate::state::{State, StateDir};
use crate::tun::{LinuxTun, OpenError};
use crate::udp::{Layout, Sockets, quic_socket};

/// A daemon that holds all it needs and has given up all other privileges.
pub struct Prepared {
    config: Config,
    state_dir: StateDir,
    state: State,
    tun: LinuxTun,
    sockets: Arc<Sockets>,
    server: ipc::Server,
    keylog: Option<KeyLog>,
    metrics: Option<MetricsListener>,
    log: RecentLog,
}

impl Prepared {
    /// Takes what the daemon needs of this host, or says what is missing and what to do.
    pub fn new(config: Config, log: RecentLog) -> Result<Self, Failure> {
        let state_dir = StateDir::open(&config.state_dir)?;
        let mut state = state_dir.load()?;
        Identity::load_or_create(&state_dir)?;
        let keylog = config.sa_keylog.as_deref().map(KeyLog::open).transpose()?;
        let sockets = bind(config.port, state.port, Layout { offload: config.offload, threads: config.threads })?;
        let metrics = config.metrics_listen.map(MetricsListener::bind).transpose()?;
        let server = ipc::Server::bind(&config.socket)?;
        let tun = LinuxTun::open(&config.tun, config.offload, QUEUES * config.threads).map_err(no_tun)?;
        privileges::reduce().map_err(no_privilege)?;
        // Saved with the privileges that later writes will have, so that a directory of somebody else shows at once.
        state.port = Some(sockets.port());
        state_dir.save(&state)?;
        Ok(Self { config, state_dir, state, tun, sockets, server, keylog, metrics, log })
    }

    /// Runs until SIGTERM or SIGINT.
    pub async fn run(self) -> Result<(), Failure> {
        let clock = Clock::start();
        let (quic, feed) = quic_socket(Arc::clone(&self.sockets));
        let fib = Arc::new(ArcSwap::from_pointee(Fib::default()));
        let settings = Settings::keep(NetConfig::new(self.tun.index()).context("reach the kernel's network settings")?);
        let tun_index = self.tun.index();
        let (plane, upcalls) = DataPlane::start(Arc::new(self.tun), Arc::clone(&self.sockets), Arc::clone(&fib), feed)
            .context("start the packet path")?;
        let socket: Arc<dyn quinn::AsyncUdpSocket> = Arc::clone(&quic) as _;
        let endpoint = Endpoint::new_with_abstract_socket(endpoint_config(), None, socket, Arc::new(TokioRuntime))
            .context("start QUIC")?;
        let (calls_end, calls) = mpsc::channel(MAX_CALLS);
        let shutdown = shutdown().context("listen for signals")?;
        if let Some(metrics) = self.metrics {
            let addr = metrics.addr().context("read the address of the metrics")?;
            tokio::spawn(metrics.serve(calls_end.clone()));
            info!("metrics on http://{addr}/metrics");
        }
        let listener = tokio::spawn(ipc::serve(self.server, calls_end));
        info!("listening for commands on {}", self.config.socket.display());
        service::ready();
        let tools = Tools {
            clock,
            alarm: Alarm::new().context("make a timer")?,
            config: self.config,
            state_dir: Arc::new(self.state_dir),
            sockets: self.sockets,
            quic,
            endpoint,
            plane,
            upcalls,
            fib,
            settings,
            tun_index,
            calls,
            keylog: self.keylog,
            is_watched: service::is_watched(),
            log: self.log,
        };
        let ended = SlowPath::new(tools, self.state).run(shutdown).await;
        // With the slow path gone, the socket's task ends and removes the socket's file.
        let _ = listener.await;
        ended
    }
}

/// Greased fixed bits would look like ESP: our demultiplexer relies on the bit being set.
fn endpoint_config() -> EndpointConfig {
    let mut config = EndpointConfig::default();
    config.grease_quic_bit(false);
    config
}

fn shutdown() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("ending");
        service::stopping();
    })
}

/// Binds the port asked for, else the remembered one, else any; only the first is insisted on.
fn bind(asked: Option<u16>, remembered: Option<u16>, layout: Layout) -> Result<Arc<Sockets>, Failure> {
    if let Some(port) = asked {
        return Sockets::bind(Some(port), layout).map_err(|error| no_port(port, &error));
    }
    if let Some(port) = remembered {
        match Sockets::bind(Some(port), layout) {
            Ok(sockets) => return Ok(sockets),
            Err(error) => warn!(port, %error, "the UDP port used so far is not free: another is chosen"),
        }
    }
    Ok(Sockets::bind(None, layout).context("bind a UDP port")?)
}

fn no_port(port: u16, error: &io::Error) -> Failure {
    let failure = |exit| Failure::new(exit, format!("cannot use UDP port {port}: {error}"));
    if error.kind() == io::ErrorKind::PermissionDenied {
        return failure(Exit::NoPermission).remedy("Choose a port above 1023 with --port, or run the daemon as root.");
    }
    failure(Exit::Failure).remedy("Choose another with --port, or leave the option out.")
}

fn no_tun(error: OpenError) -> Failure {
    let exit = match error {
        OpenError::Permission => Exit::NoPermission,
        OpenError::NameInvalid(_) => Exit::Usage,
        OpenError::DeviceMissing | OpenError::NameTaken(_) | OpenError::Other(_) => Exit::Failure,
    };
    Failure::new(exit, error.to_string())
}

fn no_privilege(error: PrivilegeError) -> Failure {
    let exit = match error {
        PrivilegeError::Missing => Exit::NoPermission,
        PrivilegeError::Refused(_) => Exit::Failure,
    };
    Failure::new(exit, error.to_string())
}

/// As many as callers at a time.
const MAX_CALLS: usize = 64;

/// Queues of the device for each thread: a flow that sends all it can shares one with a quarter of the others.
const QUEUES: usize = 4;

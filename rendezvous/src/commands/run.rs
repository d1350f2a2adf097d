//! `run`: opens every socket, says `ready`, serves until told to stop.

use std::future::{Future, pending};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::{Context, Result};
use data_encoding::HEXLOWER;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;
use tracing::{info, warn};

use super::{admin, open};
use crate::actions::{self, create_setup_token};
use crate::app::App;
use crate::cluster::Cluster;
use crate::config::Config;
use crate::control::{Listener, Services};
use crate::keys::DataDir;
use crate::meters::MetricsServer;
use crate::public;
use crate::relay::Relay;
use crate::self_check::{self, Finding, Ports};
use crate::service;
use crate::stun::Stun;
use crate::web_server::WebServer;
use crate::web_tls;

pub(super) async fn run(config: Config) -> Result<()> {
    let _occupied = DataDir::open(&config.data_dir)?.occupy()?;
    let app = open(config).await?;
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    serve(&app, stop, |ready| eprintln!("{ready}")).await
}

/// Serves until `stop` is done. `announce` is given the line that says that everything is open, and where.
pub async fn serve(app: &App, stop: impl Future<Output = ()>, announce: impl FnOnce(&str)) -> Result<()> {
    let listener = Listener::bind(app)?;
    let web = WebServer::bind(app).await?;
    let (config, table) = (app.config(), Arc::clone(app.hub().relay()));
    let relay = Relay::start(config.relay_listen, config.relay_offload, table)
        .with_context(|| format!("listen for relayed packets on {} (UDP)", config.relay_listen))?;
    let stun = Stun::bind(config.stun_listen)
        .await
        .with_context(|| format!("listen for STUN on {} and the next port (UDP)", config.stun_listen))?;
    let metrics = MetricsServer::bind(app).await?;
    let stun_addrs = stun.addrs().context("read the STUN addresses")?;
    let (quic_addr, web_addr) = (listener.addr()?, web.addr());
    app.tunnels().serve(quic_addr, relay.addr());
    app.hub().load(app.store()).await.context("read the devices")?;
    let (host, control, dashboard) = remember_public(app, quic_addr, web_addr).await?;
    let public = Public { addresses: Arc::default(), dashboard: Arc::new(Mutex::new(dashboard.clone())) };
    let services = Services {
        relay: Some(relay.addr()),
        stun: stun_addrs.to_vec(),
        public: Arc::clone(&public.addresses),
        dashboard: Arc::clone(&public.dashboard),
    };
    public.resolve(config, &host).await;
    app.hub().introduce(control, services.advertised(relay.addr()));
    let cluster = Cluster::bind(app).await?;
    greet(app).await?;
    // from here on SIGHUP does not end us
    let reload = signal(SignalKind::hangup()).context("listen for SIGHUP")?;
    let ports = Ports { web: web_addr.port(), quic: quic_addr.port(), stun: stun_addrs.map(|addr| addr.port()) };
    let [stun_first, stun_second] = stun_addrs;
    let metrics_addr = metrics.addr().map_or_else(|| "off".to_owned(), |addr| addr.to_string());
    announce(&format!(
        "ready web={web_addr} quic={quic_addr} stun={stun_first},{stun_second} relay={} metrics={metrics_addr} url={dashboard}",
        relay.addr()
    ));
    service::ready(&format!("serving {dashboard}"));
    tokio::select! {
        () = listener.run(app, services) => {}
        () = web.run() => {}
        () = web_tls::keep(app) => {}
        () = stun.run(app.vouchers(), app.meters(), || app.now()) => {}
        () = metrics.run(app) => {}
        () = stay_alive(app) => {}
        () = app.hub().run(app.store()) => {}
        () = public.follow(app, host, ports, reload) => {}
        () = replicate(app, cluster.as_ref()) => {}
        () = keep_tidy(app) => {}
        () = keep_history(app) => {}
        () = actions::keep_delivering(app) => {}
        () = keep_backups(app) => {}
        () = async { stop.await; drain(app).await } => {}
    }
    info!("stopping");
    service::stopping();
    // what is not said by then is not worth waiting for: agents and browsers return by themselves
    let _ = timeout(PARTING, listener.close()).await;
    if let Some(cluster) = &cluster {
        let _ = timeout(PARTING, cluster.close(app)).await;
    }
    drop(relay);
    app.hub().flush_seen(app.store()).await.unwrap_or_else(|error| warn!(%error, "cannot note who was seen last"));
    actions::record_paths(app).await.unwrap_or_else(|error| warn!(%error, "cannot note the last seconds of the paths"));
    app.store().close().await;
    Ok(())
}

/// Writes down how the world reaches us, for `key create` and `setup-link` of other processes.
async fn remember_public(app: &App, quic: SocketAddr, web: SocketAddr) -> Result<(String, String, String)> {
    let mut config = app.config().clone();
    // what is open now counts, not what a run before had
    config.quic_listen = Some(SocketAddr::new(config.quic_listen().ip(), quic.port()));
    config.web_listen = Some(SocketAddr::new(config.web_listen().ip(), web.port()));
    // behind a bridge nothing here is better than what an administrator's browser has shown once
    let known = config.bridge.is_some() && config.public_addr.is_none();
    let known = if known { app.store().network().await.context("read the public address")? } else { None };
    let known = known.as_ref();
    let host = public::host(&config, known);
    let (control, url) = (public::control_addr(&config, known), public::web_url(&config, known));
    let mut tx = app.store().begin().await.context("write the public address")?;
    tx.set_public(&host, &control, &url).await.context("write the public address")?;
    tx.commit().await.context("write the public address")?;
    Ok((host, control, url))
}

/// How the world reaches us, as it changes.
struct Public {
    addresses: Arc<Mutex<Vec<IpAddr>>>,
    dashboard: Arc<Mutex<String>>,
}

impl Public {
    /// Looks up the addresses behind the public name, if there is one. A name that does not resolve here may still do
    /// so for agents: they are then told the address their own connection came to.
    async fn resolve(&self, config: &Config, host: &str) {
        if (config.public_addr.is_none() && config.bridge.is_none()) || !public::is_known(host) {
            return;
        }
        match timeout(LOOK_UP_WITHIN, tokio::net::lookup_host((host, 0))).await {
            Ok(Ok(addrs)) => *self.addresses() = addrs.map(|addr| addr.ip()).collect(),
            Ok(Err(error)) => warn!(%error, host, "cannot resolve the public name {host}"),
            Err(_) => warn!(host, "the public name {host} does not resolve in time"),
        }
    }

    /// Checks how we stand, then keeps up with the world: the server of a home has another address every now and then,
    /// and one in a container learns its own when somebody opens the dashboard by it.
    async fn follow(&self, app: &App, mut host: String, ports: Ports, mut reload: Signal) {
        self.check(app, &host, ports).await;
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_UP_EVERY) => self.resolve(app.config(), &host).await,
                Some(()) = reload.recv() => {
                    info!("asked to reload: looking at {host} again");
                    self.resolve(app.config(), &host).await;
                    self.check(app, &host, ports).await;
                }
                () = app.address_learned().notified() => {
                    let Ok(Some(network)) = app.store().network().await else { continue };
                    host = public::host(app.config(), Some(&network));
                    let url = public::web_url(app.config(), Some(&network));
                    *self.dashboard.lock().expect("nothing panics while it holds the address") = url;
                    self.resolve(app.config(), &host).await;
                    self.check(app, &host, ports).await;
                }
            }
        }
    }

    async fn check(&self, app: &App, host: &str, ports: Ports) {
        let mut findings = vec![self_check::clock(app.now(), app.store().newest_audit().await.unwrap_or_default())];
        if public::is_known(host) && (app.config().public_addr.is_some() || app.config().bridge.is_some()) {
            let addresses = self.addresses().clone();
            findings.extend(self_check::ports(host, &addresses, ports).await);
        }
        for Finding { is_fine, text } in findings {
            if is_fine { info!("self-check: {text}") } else { warn!("self-check: {text}") }
        }
    }

    fn addresses(&self) -> MutexGuard<'_, Vec<IpAddr>> {
        self.addresses.lock().expect("nothing panics while it holds the addresses")
    }
}

/// Keeps the links to other replicas; nothing to do for a server that is alone.
async fn replicate(app: &App, cluster: Option<&Cluster>) {
    match cluster {
        Some(cluster) => cluster.run(app).await,
        None => pending().await,
    }
}

/// Sends the agents to other replicas, if there are any, and waits until they have gone.
async fn drain(app: &App) {
    if !app.hub().drain() {
        return;
    }
    info!("sending the agents to other servers");
    let gone = async {
        while app.hub().attached() > 0 {
            tokio::time::sleep(LOOK_WHO_IS_LEFT).await;
        }
    };
    // whoever has not gone by then finds another by itself
    let _ = timeout(DRAIN_WITHIN, gone).await;
}

async fn keep_tidy(app: &App) {
    loop {
        // one of several servers is enough
        match app.store().lead("tidy").await {
            Ok(Some(_lead)) => {
                if let Err(error) = actions::tidy(app).await {
                    warn!(%error, "cannot tidy the database; it will be tried again");
                }
            }
            Ok(None) => {}
            Err(error) => warn!(%error, "cannot tidy the database; it will be tried again"),
        }
        tokio::time::sleep(TIDY_EVERY).await;
    }
}

async fn keep_history(app: &App) {
    let mut works = true;
    loop {
        tokio::time::sleep(RECORD_EVERY).await;
        let written = actions::record_paths(app).await;
        if let (Err(error), true) = (&written, works) {
            warn!(%error, "cannot write down what agents report of their paths; an hour of it is kept");
        }
        works = written.is_ok();
    }
}

/// Tells systemd that we live, each time after the locks that everything needs could be had.
async fn stay_alive(app: &App) {
    let Some(every) = service::alive_every() else { return std::future::pending().await };
    loop {
        let _ = app.hub().connected();
        service::alive();
        tokio::time::sleep(every).await;
    }
}

async fn keep_backups(app: &App) {
    loop {
        // what every start would make is made when the start has proved to be no mistake
        tokio::time::sleep(BACK_UP_CHECK).await;
        if let Err(error) = actions::keep_backups(app).await {
            warn!(error = format!("{error:#}"), "cannot make the nightly backup; it will be tried again");
        }
    }
}

/// What the person who starts the server needs to know.
async fn greet(app: &App) -> Result<()> {
    let pin = HEXLOWER.encode(&app.server_key().pin());
    info!("server key {pin}");
    if let Some((name, file)) = &app.config().first_admin {
        admin::create_first(app, name, file).await?;
    }
    if let Some(link) = create_setup_token(app).await? {
        eprintln!("\nMake the first administrator within a day at:\n\n    {link}\n");
        if link.starts_with("https://localhost") {
            eprintln!("From another machine, put this one's name or address in the place of localhost.\n");
        }
    }
    Ok(())
}

/// A name server that does not answer must not keep the server from starting.
const LOOK_UP_WITHIN: Duration = Duration::from_secs(3);
/// A usual time to live of a dynamic name.
const LOOK_UP_EVERY: Duration = Duration::from_secs(300);
/// One transaction a point of the finest history.
const RECORD_EVERY: Duration = Duration::from_secs(15);
const TIDY_EVERY: Duration = Duration::from_secs(24 * 3600);
/// An agent reaches another server in a round trip or two, and lets go of this one three seconds later.
const DRAIN_WITHIN: Duration = Duration::from_secs(10);
const LOOK_WHO_IS_LEFT: Duration = Duration::from_millis(100);
/// How often it is asked whether the newest backup is a day old.
const BACK_UP_CHECK: Duration = Duration::from_secs(600);
/// To tell every agent goodbye.
const PARTING: Duration = Duration::from_secs(2);

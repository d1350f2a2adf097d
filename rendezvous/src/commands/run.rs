//! `run`: opens every socket, says `ready`, serves until told to stop.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use data_encoding::HEXLOWER;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;
use tracing::{info, warn};

use super::open;
use crate::actions::{self, create_setup_token};
use crate::app::App;
use crate::config::Config;
use crate::control::{Listener, Services};
use crate::public;
use crate::relay::Relay;
use crate::stun::Stun;
use crate::web_server::WebServer;

pub(super) async fn run(config: Config) -> Result<()> {
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
    let stun_addrs = stun.addrs().context("read the STUN addresses")?;
    let (quic_addr, web_addr) = (listener.addr()?, web.addr());
    app.tunnels().serve(quic_addr, relay.addr());
    app.hub().load(app.store()).await.context("read the devices")?;
    let (host, dashboard) = remember_public(app, quic_addr, web_addr).await?;
    let public = Arc::new(Mutex::new(Vec::new()));
    let services = Services {
        relay: Some(relay.addr()),
        stun: stun_addrs.to_vec(),
        public: Arc::clone(&public),
        dashboard: dashboard.clone(),
    };
    resolve(config, &host, &public).await;
    greet(app).await?;
    let [stun_first, stun_second] = stun_addrs;
    announce(&format!(
        "ready web={web_addr} quic={quic_addr} stun={stun_first},{stun_second} relay={} url={dashboard}",
        relay.addr()
    ));
    tokio::select! {
        () = listener.run(app, services) => {}
        () = web.run() => {}
        () = stun.run() => {}
        () = app.hub().run(app.store()) => {}
        () = follow_name(config, &host, &public) => {}
        () = keep_tidy(app) => {}
        () = stop => {}
    }
    info!("stopping");
    // what is not said by then is not worth waiting for: agents and browsers return by themselves
    let _ = timeout(PARTING, listener.close()).await;
    drop(relay);
    app.hub().flush_seen(app.store()).await.unwrap_or_else(|error| warn!(%error, "cannot note who was seen last"));
    app.store().close().await;
    Ok(())
}

/// Writes down how the world reaches us, for `key create` and `setup-link` of other processes.
async fn remember_public(app: &App, quic: SocketAddr, web: SocketAddr) -> Result<(String, String)> {
    let mut config = app.config().clone();
    // what is open now counts, not what a run before had
    config.quic_listen = Some(SocketAddr::new(config.quic_listen().ip(), quic.port()));
    config.web_listen = Some(SocketAddr::new(config.web_listen().ip(), web.port()));
    let host = public::host(&config, None);
    let (control, url) = (public::control_addr(&config, None), public::web_url(&config, None));
    let mut tx = app.store().begin().await.context("write the public address")?;
    tx.set_public(&host, &control, &url).await.context("write the public address")?;
    tx.commit().await.context("write the public address")?;
    Ok((host, url))
}

/// Looks up the addresses behind the public name, if somebody said one. A name that does not resolve here may still do
/// so for agents: they are then told the address their own connection came to.
async fn resolve(config: &Config, host: &str, public: &Mutex<Vec<IpAddr>>) {
    if config.public_addr.is_none() {
        return;
    }
    match timeout(LOOK_UP_WITHIN, tokio::net::lookup_host((host, 0))).await {
        Ok(Ok(addrs)) => {
            *public.lock().expect("nothing panics while it holds the addresses") =
                addrs.map(|addr| addr.ip()).collect();
        }
        Ok(Err(error)) => warn!(%error, host, "cannot resolve the public name {host}"),
        Err(_) => warn!(host, "the public name {host} does not resolve in time"),
    }
}

/// The server of a home has another address every now and then.
async fn follow_name(config: &Config, host: &str, public: &Mutex<Vec<IpAddr>>) {
    loop {
        tokio::time::sleep(LOOK_UP_EVERY).await;
        resolve(config, host, public).await;
    }
}

async fn keep_tidy(app: &App) {
    loop {
        if let Err(error) = actions::tidy(app).await {
            warn!(%error, "cannot tidy the database; it will be tried again");
        }
        tokio::time::sleep(TIDY_EVERY).await;
    }
}

/// What the person who starts the server needs to know.
async fn greet(app: &App) -> Result<()> {
    let pin = HEXLOWER.encode(&app.server_key().pin());
    info!("server key {pin}");
    if let Some(link) = create_setup_token(app).await? {
        eprintln!("\nMake the first administrator within a day at:\n\n    {link}\n");
    }
    Ok(())
}

/// A name server that does not answer must not keep the server from starting.
const LOOK_UP_WITHIN: Duration = Duration::from_secs(3);
/// A usual time to live of a dynamic name.
const LOOK_UP_EVERY: Duration = Duration::from_secs(300);
const TIDY_EVERY: Duration = Duration::from_secs(24 * 3600);
/// To tell every agent goodbye.
const PARTING: Duration = Duration::from_secs(2);

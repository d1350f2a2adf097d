//! The control plane over real QUIC, with all its services open on ports of their own.

pub(crate) mod agent;
mod asking;
mod enrolment;
mod mesh;
mod tunnel;

use std::net::SocketAddr;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use uuid::Uuid;
use warren_proto::control::Invite;
use warren_rendezvous::actions::{self, InviteRequest};
use warren_rendezvous::app::App;
use warren_rendezvous::clock::SystemClock;
use warren_rendezvous::commands::serve;
use warren_rendezvous::config::Settings;
use warren_rendezvous::domain::Actor;

/// A server with every socket open.
pub(crate) struct Running {
    pub(crate) app: App,
    pub(crate) web: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    /// Starts in a data directory, which may have been used before.
    pub(crate) async fn start(dir: &std::path::Path) -> Self {
        let text = format!(
            "data-dir = {dir:?}\nweb-listen = \"127.0.0.1:0\"\nquic-listen = \"127.0.0.1:0\"\n\
             stun-listen = \"127.0.0.1:0\"\nrelay-listen = \"127.0.0.1:0\"\ntls = \"proxy\""
        );
        let config = toml::from_str::<Settings>(&text).unwrap().resolve().unwrap();
        // another one at each start, as in life: what a restarted server draws must not repeat what is stored
        let seed = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat().try_into().unwrap();
        let app = App::open(config, SystemClock, seed).await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, is_ready) = oneshot::channel();
        let serving = app.clone();
        let served = tokio::spawn(async move {
            let stop = async { drop(stopped.await) };
            serve(&serving, stop, |line| drop(ready.send(line.to_owned()))).await
        });
        let line = is_ready.await.unwrap();
        let (_, web) = line.split_once("web=").unwrap();
        let web = web.split(' ').next().unwrap().parse().unwrap();
        Self { app, web, stop, served }
    }

    /// Stops as on SIGTERM.
    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.served.await.unwrap().unwrap();
    }

    /// An invite for one device.
    pub(crate) async fn invite(&self) -> Invite {
        self.invite_with(InviteRequest::default()).await
    }

    /// An invite of a kind.
    pub(crate) async fn invite_with(&self, request: InviteRequest) -> Invite {
        actions::create_invite(&self.app, &Actor::Cli, request).await.unwrap().invite
    }
}

//! A certificate from an ACME authority: the newest that any server on this database has got is served; until there is one,
//! our own.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rustls::ServerConfig;
use rustls::server::ClientHello;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;
use tracing::{debug, info, warn};

use super::certificate::Certificate;
use crate::acme::{AcmeConfig, PROTOCOL, answer};
use crate::actions;
use crate::app::App;

/// The certificate of an earlier run, if it is still of use.
pub(super) async fn earlier(app: &App, acme: &AcmeConfig) -> Result<Option<Certificate>> {
    let status = actions::acme_status(app, acme).await?;
    Ok(status.certificate.filter(|certificate| !certificate.validity.left(app.now()).is_zero()))
}

/// Renews in time, and serves what others have renewed.
pub(super) async fn follow(app: &App, acme: &AcmeConfig) {
    let mut reload = match signal(SignalKind::hangup()) {
        Ok(reload) => reload,
        Err(error) => return warn!(%error, "cannot listen for SIGHUP: certificates are not renewed"),
    };
    let mut is_asked = false;
    loop {
        let renewed = actions::renew_certificate(app, is_asked).await;
        if let Err(error) = renewed.and(take(app, acme).await) {
            app.dashboard_tls().blame(Some(format!("cannot look after it: {error:#}")));
        }
        is_asked = tokio::select! {
            () = sleep(LOOK_EVERY) => false,
            Some(()) = reload.recv() => true,
        };
    }
}

/// Serves the newest certificate of the database.
async fn take(app: &App, acme: &AcmeConfig) -> Result<()> {
    let status = actions::acme_status(app, acme).await?;
    let is_new = |certificate: &Certificate| !app.dashboard_tls().serves(certificate);
    if let Some(certificate) = status.certificate.filter(is_new) {
        info!("serving a certificate for {}, good until {}", acme.name, certificate.validity);
        app.dashboard_tls().serve(certificate);
    }
    let retried = |reason| format!("{reason} (it is tried again by itself, and at once on SIGHUP)");
    app.dashboard_tls().blame(status.trouble.map(retried));
    Ok(())
}

/// What the authority is shown when it asks who serves our host; `None` for everybody else.
pub(crate) async fn challenge(app: &App, hello: &ClientHello<'_>) -> Option<Arc<ServerConfig>> {
    let acme = app.config().acme.as_ref()?;
    let name = acme.name.as_str();
    // nobody gets us to ask the database for names of his own
    if !hello.alpn()?.eq([PROTOCOL]) || !hello.server_name()?.eq_ignore_ascii_case(name) {
        return None;
    }
    let shown = async {
        let digest = app.store().acme_challenge(name).await.context("read the answer")?;
        digest.map(|digest| answer(name, &digest)).transpose()
    };
    shown.await.unwrap_or_else(|error| {
        debug!(error = format!("{error:#}"), "cannot answer the authority");
        None
    })
}

/// Another server's certificate is a minute late at worst, which is nothing to a third of its life.
const LOOK_EVERY: Duration = Duration::from_secs(60);

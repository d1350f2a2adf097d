//! A certificate that somebody else renews in files: taken as they change, without a restart.
//!
//! The files are read and compared, not watched: what renews certificates replaces files, links or whole directories, and
//! a few kilobytes every few seconds cost less than to follow all of that. SIGHUP has them read at once.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;
use tracing::{info, warn};
use warren_proto::keys::UnixTime;

use super::certificate::{Certificate, host_of};
use crate::app::App;
use crate::config::{Config, TlsMode};
use crate::public;

/// The certificate in these files.
pub(super) fn read(certificate: &Path, key: &Path) -> Result<Certificate> {
    taken(&contents(certificate, key)?, certificate, key)
}

/// For `check-config`: what a server would make of the files that the settings name, for a person.
pub(crate) fn check(config: &Config, now: UnixTime) -> Result<Option<String>> {
    let (TlsMode::File, Some((certificate, key))) = (config.tls, &config.tls_files) else { return Ok(None) };
    let read = read(certificate, key)?;
    let host = host_of(&public::web_url(config, None));
    Ok(Some(match read.complaint(&host, now) {
        Some(complaint) => format!("{}: {complaint}", certificate.display()),
        None => format!("{}: for {host}, good until {}", certificate.display(), read.validity),
    }))
}

/// Serves what is in the files whenever that has changed and is good.
pub(super) async fn follow(app: &App, certificate: &Path, key: &Path) {
    let mut reload = match signal(SignalKind::hangup()) {
        Ok(reload) => reload,
        Err(error) => return warn!(%error, "cannot listen for SIGHUP: a new certificate needs a restart"),
    };
    let mut watch = Watch { certificate, key, served: None, doubt: None };
    if let Ok(found) = contents(certificate, key)
        && let Ok(read) = taken(&found, certificate, key)
    {
        watch.served = Some((found, read));
    }
    loop {
        let is_asked = tokio::select! {
            () = sleep(LOOK_EVERY) => false,
            Some(()) = reload.recv() => true,
        };
        watch.look(app, is_asked).await;
    }
}

/// What was in the files when they were last of use.
struct Watch<'a> {
    certificate: &'a Path,
    key: &'a Path,
    served: Option<(Contents, Certificate)>,
    /// Why the last look was in vain.
    doubt: Option<String>,
}

impl Watch<'_> {
    async fn look(&mut self, app: &App, is_asked: bool) {
        let found = contents(self.certificate, self.key);
        if let (Ok(found), Some((served, read))) = (&found, &self.served)
            && found == served
        {
            // complaints come with the calendar, too
            app.dashboard_tls().blame(complaint(app, read).await);
            self.doubt = None;
            return;
        }
        let good = found.and_then(|found| Ok((good(&found, self.certificate, self.key, app.now())?, found)));
        match good {
            Ok((read, found)) => {
                info!("serving the certificate in {}, good until {}", self.certificate.display(), read.validity);
                app.dashboard_tls().serve(read.clone());
                app.dashboard_tls().blame(complaint(app, &read).await);
                self.served = Some((found, read));
                self.doubt = None;
            }
            Err(error) => {
                let reason = format!("{error:#}");
                // two files are written one after the other: what does not fit together may do so at the next look
                if is_asked || self.doubt.as_ref() == Some(&reason) {
                    app.dashboard_tls()
                        .blame(Some(format!("the new files are not taken, the one before stays: {reason}")));
                }
                self.doubt = Some(reason);
            }
        }
    }
}

/// What is wrong with it for the host that browsers go to; nothing while the database cannot say which that is.
async fn complaint(app: &App, certificate: &Certificate) -> Option<String> {
    certificate.complaint(&super::host(app).await.ok()?, app.now())
}

type Contents = (Vec<u8>, Vec<u8>);

fn contents(certificate: &Path, key: &Path) -> Result<Contents> {
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("read {}", path.display()));
    Ok((read(certificate)?, read(key)?))
}

fn taken((chain, secret): &Contents, certificate: &Path, key: &Path) -> Result<Certificate> {
    Certificate::read(chain, secret).with_context(|| format!("{} with {}", certificate.display(), key.display()))
}

/// A certificate that may take the place of another.
fn good(contents: &Contents, certificate: &Path, key: &Path, now: UnixTime) -> Result<Certificate> {
    let read = taken(contents, certificate, key)?;
    if read.validity.left(now).is_zero() {
        bail!("{} ended on {}", certificate.display(), read.validity);
    }
    Ok(read)
}

/// Soon enough for who has just renewed a certificate and looks whether it was taken.
const LOOK_EVERY: Duration = Duration::from_secs(5);

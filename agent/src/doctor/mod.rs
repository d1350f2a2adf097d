//! What on this host or on the way to the server keeps a device from its mesh: one finding for each thing looked at, each
//! with what to do.
//!
//! `host` looks at this machine, `server` goes to the rendezvous, `mesh` reads what the daemon has found out. Nothing is
//! changed anywhere. Showing it to people is left to `output`.

mod firewall;
mod host;
mod mesh;
mod server;

use serde::Serialize;

use crate::report::{Counters, Netcheck, SCHEMA, State};

/// `warren doctor --json`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Diagnosis {
    /// `SCHEMA`.
    pub schema: u32,
    /// The worst of all verdicts.
    pub verdict: Verdict,
    /// In the order in which one thing builds on another.
    pub findings: Vec<Finding>,
}

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// Stable word for programs.
    pub check: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// For a person.
    pub text: String,
    /// What would make it better; `None` when there is nothing to do.
    pub remedy: Option<String>,
}

/// How something is; a later one is worse.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, but could be better, or could not be looked at.
    Warn,
    /// It keeps this device from working.
    Fail,
}

impl Finding {
    fn ok(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, text: text.into(), remedy: None }
    }

    fn warn(check: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Warn, text: text.into(), remedy: Some(remedy.into()) }
    }

    fn fail(check: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Fail, text: text.into(), remedy: Some(remedy.into()) }
    }

    fn at_most(self, verdict: Verdict) -> Self {
        Self { verdict: self.verdict.min(verdict), ..self }
    }
}

/// What a running daemon could tell.
#[derive(Clone, Debug)]
pub struct Told {
    /// Its state and counters.
    pub counters: Counters,
    /// What it measured; nothing while the device is in no mesh.
    pub netcheck: Option<Netcheck>,
}

impl Diagnosis {
    /// Looks at everything. `daemon` is what a running daemon told, `server` a place to go to if none is known.
    pub async fn make(daemon: Result<Told, String>, server: Option<&str>) -> Self {
        let mut findings = host::look(daemon.is_ok());
        let told = daemon.as_ref().ok();
        findings.push(firewall::look(told.map(|told| told.counters.udp_port)));
        findings.extend(mesh::standing(&daemon));
        let known = told.and_then(|told| told.counters.status.rendezvous.url.clone());
        let is_connected = told.is_some_and(|told| told.counters.status.state == State::Connected);
        match server.map(str::to_owned).or(known) {
            Some(place) => {
                let found = server::look(&place).await;
                // a device that is connected has found a way, whatever is wrong with this one
                findings.extend(
                    found.into_iter().map(|found| if is_connected { found.at_most(Verdict::Warn) } else { found }),
                );
            }
            None => findings.push(Finding::warn(
                "server",
                "no server is known, so none was tried",
                "Name one: `warren doctor HOST`.",
            )),
        }
        findings.extend(told.map(mesh::look).unwrap_or_default());
        let verdict = findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Ok);
        Self { schema: SCHEMA, verdict, findings }
    }
}

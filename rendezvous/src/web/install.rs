//! `/install.sh` and `/dl/...`: the agent from one's own server, and the one line to paste that fetches it.
//!
//! The line trusts this server as far as a browser would; where its certificate is its own, the line carries the SHA-256
//! of the certificate's key instead. The script then carries the SHA-256 of the programs. Nothing here is a secret: who
//! joins is decided by the invite, which is no part of the script.

use std::io;

use askama::Template;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use data_encoding::{BASE64, HEXLOWER};
use tokio::fs::File;
use tokio_util::io::ReaderStream;
use tracing::error;

use super::Web;
use super::problem::Problem;
use crate::agents::{Agent, Arch};
use crate::public;
use crate::web_tls;

#[derive(Template)]
#[template(path = "install.sh", escape = "none")]
struct Script<'a> {
    base: String,
    version: &'a str,
    server_key: String,
    sha256_x86_64: String,
    sha256_aarch64: String,
    unit: String,
}

/// The way to the agent, for the page that adds a device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Installer {
    /// What stands before the invite in the line to paste; `None` when there is no program to give out.
    pub(super) line: Option<String>,
    /// How curl trusts this server as the line does.
    pub(super) curl: String,
    /// The processors that it has programs for: "x86_64 and aarch64".
    pub(super) archs: String,
    /// The processors that it has none for.
    pub(super) missing: String,
    /// Whether somebody on the way could change what is pasted into a shell.
    pub(super) is_unprotected: bool,
}

impl Installer {
    /// As things are at this moment.
    pub(super) async fn find(web: &Web) -> Result<Self, Problem> {
        let base = base(web).await?;
        let mut archs = Vec::new();
        let mut missing = Vec::new();
        for arch in Arch::ALL {
            let found = web.agents.find(arch).await.map_err(unreadable)?;
            if found.is_some() { &mut archs } else { &mut missing }.push(arch.name());
        }
        let curl = match web_tls::pin(&web.app).await.map_err(Problem::Internal)? {
            // without -L: a redirect must not lead away from the pinned key
            Some(pin) => format!("curl -fsSk --pinnedpubkey sha256//{}", BASE64.encode(&pin)),
            None => "curl -fsSL".to_owned(),
        };
        Ok(Self {
            line: (!archs.is_empty()).then(|| format!("{curl} {base}/install.sh | sudo sh -s --")),
            curl,
            archs: archs.join(" and "),
            missing: missing.join(" and "),
            is_unprotected: base.starts_with("http://"),
        })
    }
}

/// `GET /install.sh`
pub(super) async fn script(State(web): State<Web>) -> Result<Response, Problem> {
    let sha256 = async |arch| -> Result<String, Problem> {
        let agent = web.agents.find(arch).await.map_err(unreadable)?;
        Ok(agent.map(|agent| HEXLOWER.encode(&agent.sha256)).unwrap_or_default())
    };
    let script = Script {
        base: base(&web).await?,
        version: env!("CARGO_PKG_VERSION"),
        server_key: HEXLOWER.encode(&web.app.server_key().pin()),
        sha256_x86_64: sha256(Arch::X86_64).await?,
        sha256_aarch64: sha256(Arch::Aarch64).await?,
        // packages own /usr/bin; what is installed by hand goes where they never look
        unit: UNIT.trim_end().replace("/usr/bin/warren", "/usr/local/bin/warren"),
    };
    Ok(([(header::CONTENT_TYPE, "text/x-shellscript; charset=utf-8")], script.render()?).into_response())
}

/// `GET /dl/{name}`
pub(super) async fn program(State(web): State<Web>, Path(name): Path<String>) -> Response {
    let Some(arch) = Arch::ALL.into_iter().find(|arch| arch.file() == name) else {
        return absent(format!("There is no {name} here.\n"));
    };
    match open(&web, arch).await {
        Ok(Some((agent, file))) => {
            let headers = [
                (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
                (header::CONTENT_LENGTH, agent.len.to_string()),
            ];
            (headers, Body::from_stream(ReaderStream::with_capacity(file, CHUNK))).into_response()
        }
        Ok(None) => absent(format!("This server has no agent for {} to give out.\n", arch.name())),
        Err(error) => unreadable(error).into_response(),
    }
}

async fn open(web: &Web, arch: Arch) -> io::Result<Option<(Agent, File)>> {
    let Some(agent) = web.agents.find(arch).await? else { return Ok(None) };
    let file = File::open(&agent.path).await?;
    Ok(Some((agent, file)))
}

fn absent(words: String) -> Response {
    (StatusCode::NOT_FOUND, words).into_response()
}

/// An agent that is there and cannot be read is the operator's to mend.
fn unreadable(error: io::Error) -> Problem {
    error!(%error, "cannot read an agent's program");
    Problem::Internal(error.into())
}

/// The origin that people and agents are told.
pub(super) async fn base(web: &Web) -> Result<String, Problem> {
    Ok(public::web_url(web.app.config(), web.app.store().network().await?.as_ref()))
}

/// The agent's service, the same file that packages install.
const UNIT: &str = include_str!("../../../packaging/systemd/warren.service");
/// Few system calls for a program of some megabytes, little memory for many who fetch one.
const CHUNK: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_of_the_script_runs_the_program_of_the_script() {
        let script = include_str!("../../templates/install.sh");

        assert!(script.contains("PROGRAM=/usr/local/bin/warren"));
        assert!(UNIT.contains("ExecStart=/usr/bin/warren daemon"), "the script replaces this path");
    }
}

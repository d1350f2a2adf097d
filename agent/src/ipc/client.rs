//! A command's end of the socket.

use std::io;
use std::path::Path;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use zeroize::Zeroizing;

use super::{MAX_REPLY, Reply, Request};
use crate::exit::{Exit, Failure};

/// A connection to the daemon; requests go one after the other.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Reaches the daemon, or says why not.
    pub async fn connect(path: &Path) -> Result<Self, Failure> {
        match UnixStream::connect(path).await {
            Ok(stream) => Ok(Self { stream: BufReader::new(stream) }),
            Err(error) => Err(unreachable(path, &error)),
        }
    }

    /// Asks, and waits for the answer; a refusal by the daemon is an error.
    pub async fn ask(&mut self, request: &Request) -> Result<Reply, Failure> {
        match self.exchange(request).await? {
            Reply::Failed(failure) => Err(failure),
            reply @ (Reply::Asked { .. }
            | Reply::Counters(_)
            | Reply::Log(_)
            | Reply::Netcheck(_)
            | Reply::Path(_)
            | Reply::Pong(_)
            | Reply::Status(_)) => Ok(reply),
        }
    }

    async fn exchange(&mut self, request: &Request) -> Result<Reply, Failure> {
        let mut line = Zeroizing::new(serde_json::to_vec(request).context("encode the request")?);
        line.push(b'\n');
        let sent = self.stream.get_mut().write_all(&line).await;
        sent.map_err(|_| Failure::new(Exit::DaemonNotRunning, "the daemon ended before it was asked"))?;
        let mut answer = Vec::new();
        let limit = MAX_REPLY as u64;
        let read = (&mut self.stream).take(limit).read_until(b'\n', &mut answer).await;
        read.context("read the daemon's answer")?;
        if answer.is_empty() {
            return Err(Failure::new(Exit::DaemonNotRunning, "the daemon ended while it was asked"));
        }
        serde_json::from_slice(&answer).map_err(|_| {
            Failure::new(Exit::Failure, "the daemon's answer makes no sense to this command")
                .remedy("They may be of different versions: restart the daemon.")
        })
    }
}

fn unreachable(path: &Path, error: &io::Error) -> Failure {
    let kind = error.kind();
    if kind == io::ErrorKind::PermissionDenied {
        return super::server::not_allowed();
    }
    if kind == io::ErrorKind::NotFound || kind == io::ErrorKind::ConnectionRefused {
        return Failure::new(Exit::DaemonNotRunning, format!("no daemon listens on {}", path.display()))
            .remedy("Start it with `sudo warren daemon`, or name its socket with --socket.");
    }
    Failure::new(Exit::Failure, format!("cannot reach the daemon on {}: {error}", path.display()))
}

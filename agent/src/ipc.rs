//! The unix socket between commands and the daemon: one JSON line asks, one JSON line answers.
//!
//! Who may ask is decided here, by the caller's credentials; what the answer is, by whoever takes the `Call`. The
//! format of the lines is between one binary and itself and may change with any version.

mod client;
mod server;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::exit::Failure;
use crate::report::{Counters, Netcheck, PathReport, Pong, Status};

pub use client::Client;
pub use server::{Server, serve};

/// What a command asks of the daemon. No `Debug`: an invite carries a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Request {
    /// Connect, enrolling first if an invite is given and needed. Answered when connected, or after `timeout_ms`.
    Up {
        /// The pasted invite.
        invite: Option<String>,
        /// The server that is asked to let this device in, where there is no invite.
        #[serde(default)]
        server: Option<Rendezvous>,
        /// Name to enrol under.
        hostname: Option<String>,
        /// Answer with `Asked` once a person is to decide, rather than when one has.
        #[serde(default)]
        wants_code: bool,
        /// When to stop waiting.
        timeout_ms: u64,
    },
    /// Disconnect and stay so.
    Down,
    /// Leave the mesh.
    Logout,
    /// Everything that is counted.
    Counters,
    /// The last lines of the log.
    Log,
    /// The whole state.
    Status,
    /// Measure the network.
    Netcheck,
    /// One ping.
    Ping {
        /// Name, overlay address or id.
        peer: String,
        /// Echoed in the answer.
        seq: u32,
        /// When to stop waiting.
        timeout_ms: u64,
    },
    /// Explain the path to a peer.
    Path {
        /// Name, overlay address or id.
        peer: String,
    },
}

/// What the daemon answers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "answer", content = "body", rename_all = "kebab-case")]
pub enum Reply {
    /// It is done; here is how things stand.
    Status(Box<Status>),
    /// To `Counters`.
    Counters(Box<Counters>),
    /// To `Log`, oldest first.
    Log(Vec<String>),
    /// To `Netcheck`.
    Netcheck(Netcheck),
    /// To `Ping`.
    Pong(Pong),
    /// To `Path`.
    Path(PathReport),
    /// A person is to let this device in.
    Asked {
        /// What they type.
        code: String,
        /// Where they type it.
        url: String,
        /// How long it is good for.
        expires_in_s: u32,
    },
    /// It is not done.
    Failed(Failure),
}

/// A server that is known by its address and key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rendezvous {
    /// "host:port" of the control plane, in order of preference.
    pub servers: Vec<String>,
    /// Origin of its web server.
    pub web: String,
    /// SHA-256 of its public key.
    pub pin: [u8; 32],
}

/// A request on its way to the one who answers. When the caller goes away, `reply.is_closed()`.
pub struct Call {
    /// What is asked.
    pub request: Request,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Reply>,
}

/// Longest request: an invite and a host name fit many times.
const MAX_REQUEST: usize = 64 * 1024;
/// Longest answer: a status of 10,000 peers is a few megabytes.
const MAX_REPLY: usize = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;
    use tokio::sync::mpsc;

    use super::*;
    use crate::exit::Exit;

    #[tokio::test]
    async fn a_request_reaches_the_daemon_and_its_answer_the_caller() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("warren.sock");
        answer_pings(&path);
        let mut client = Client::connect(&path).await.unwrap();

        for seq in [1, 2] {
            let request = Request::Ping { peer: "desk".to_owned(), seq, timeout_ms: 1000 };
            let Reply::Pong(pong) = client.ask(&request).await.unwrap() else { panic!("not a pong") };

            assert_eq!(pong.seq, seq);
        }
    }

    #[tokio::test]
    async fn without_a_daemon_the_caller_learns_how_to_start_one() {
        let dir = tempfile::tempdir().unwrap();

        let failure = Client::connect(&dir.path().join("none.sock")).await.err().unwrap();

        assert_eq!(failure.exit, Exit::DaemonNotRunning);
        assert!(failure.remedy.unwrap().contains("warren daemon"));
    }

    #[tokio::test]
    async fn a_line_that_is_no_request_is_answered_and_hurts_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("warren.sock");
        answer_pings(&path);

        for garbage in ["hello\n", "{\"ask\":\"dance\"}\n", "\n", "{\"ask\":\"up\"}\n"] {
            let mut stream = UnixStream::connect(&path).await.unwrap();
            stream.write_all(garbage.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();

            assert!(answer.contains("failed"), "{garbage} was answered by {answer}");
        }
        let mut client = Client::connect(&path).await.unwrap();
        assert!(client.ask(&ping()).await.is_ok());
    }

    #[tokio::test]
    async fn a_socket_left_by_a_crash_is_taken_over_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("warren.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());

        let first = Server::bind(&path).unwrap();
        let second = Server::bind(&path).unwrap_err();

        assert!(second.text.contains("another daemon"), "{second}");
        drop(first);
        assert!(!path.exists());
    }

    fn answer_pings(path: &std::path::Path) {
        let (calls, mut inbox) = mpsc::channel::<Call>(4);
        tokio::spawn(serve(Server::bind(path).unwrap(), calls));
        tokio::spawn(async move {
            while let Some(call) = inbox.recv().await {
                let Request::Ping { seq, .. } = call.request else { continue };
                let pong = Pong { schema: 1, seq, rtt_ms: 1.5, path: crate::report::Path::default() };
                let _ = call.reply.send(Reply::Pong(pong));
            }
        });
    }

    fn ping() -> Request {
        Request::Ping { peer: "desk".to_owned(), seq: 1, timeout_ms: 1000 }
    }
}

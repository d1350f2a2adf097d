//! The listener that Prometheus reads from: one request a connection, one page, whoever asks.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::timeout;
use tracing::debug;

use super::page::Ledger;
use crate::exit::{Exit, Failure};
use crate::ipc::{Call, Reply, Request};

/// An open listener.
#[derive(Debug)]
pub struct MetricsListener {
    listener: TcpListener,
}

impl MetricsListener {
    /// Opens the socket.
    pub fn bind(addr: SocketAddr) -> Result<Self, Failure> {
        let bound = TcpListener::bind(addr).and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
        let listener = bound.map_err(|error| {
            Failure::new(Exit::Failure, format!("cannot serve metrics on {addr}: {error}"))
                .remedy("Choose another address with --metrics-listen, or leave the option out.")
        })?;
        Ok(Self { listener })
    }

    /// The socket's address.
    pub fn addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until the one who takes the calls goes away.
    pub async fn serve(self, calls: mpsc::Sender<Call>) {
        let listener = tokio::net::TcpListener::from_std(self.listener);
        let listener = listener.expect("a bound, non-blocking socket in a runtime can be waited for");
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        loop {
            let stream = tokio::select! {
                accepted = listener.accept() => accepted,
                () = calls.closed() => return,
            };
            let Ok((stream, _)) = stream else {
                // out of descriptors, most likely: they come back
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let (calls, ledger) = (calls.clone(), Arc::clone(&ledger));
            tokio::spawn(async move {
                match timeout(CONVERSE_WITHIN, converse(stream, &calls, &ledger)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => debug!(%error, "a reader of metrics went away"),
                    Err(_) => debug!("a reader of metrics is too slow"),
                }
            });
        }
    }
}

async fn converse(mut stream: TcpStream, calls: &mpsc::Sender<Call>, ledger: &Mutex<Ledger>) -> io::Result<()> {
    let head = read_head(&mut stream).await?;
    let (status, page) = match head.split(' ').collect::<Vec<_>>()[..] {
        ["GET", "/metrics", _] => match page(calls, ledger).await {
            Some(page) => ("200 OK", page),
            None => ("503 Service Unavailable", "the daemon is ending\n".to_owned()),
        },
        ["GET", _, _] => ("404 Not Found", "there is only /metrics here\n".to_owned()),
        _ => ("405 Method Not Allowed", "there is only GET here\n".to_owned()),
    };
    let kind = if status.starts_with("200") { OPEN_METRICS } else { "text/plain; charset=utf-8" };
    let length = page.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{page}"
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// The first line of a request that is there to its end.
async fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        if head.len() > MAX_HEAD || stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    let head = String::from_utf8_lossy(&head);
    Ok(head.lines().next().unwrap_or_default().to_owned())
}

async fn page(calls: &mpsc::Sender<Call>, ledger: &Mutex<Ledger>) -> Option<String> {
    // one reader at a time: each adds to what the one before had
    let mut ledger = ledger.lock().await;
    let (reply, answer) = oneshot::channel();
    calls.send(Call { request: Request::Counters, reply }).await.ok()?;
    let Ok(Reply::Counters(counters)) = answer.await else { return None };
    ledger.page(&counters).ok()
}

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Prometheus sends less than half a kilobyte.
const MAX_HEAD: usize = 8 * 1024;
/// As Prometheus waits by default.
const CONVERSE_WITHIN: Duration = Duration::from_secs(10);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

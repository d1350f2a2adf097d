//! The daemon's end of the socket: takes lines from callers who may ask, and passes them on.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::unistd::{Gid, Group, Uid, User};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tracing::{debug, warn};

use super::{Call, MAX_REQUEST, Reply, Request};
use crate::exit::{Exit, Failure};

/// A bound socket; its file goes away with it.
#[derive(Debug)]
pub struct Server {
    listener: std::os::unix::net::UnixListener,
    path: PathBuf,
}

impl Server {
    /// Binds the socket for root, the daemon's own user and the group `warren`. A file left by a crash is replaced.
    /// Needs no runtime, but the privilege to give the file to the group.
    pub fn bind(path: &Path) -> Result<Self, Failure> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|error| unusable(path, &error))?;
        }
        clear_stale(path)?;
        let listener = std::os::unix::net::UnixListener::bind(path).map_err(|error| unusable(path, &error))?;
        let server = Self { listener, path: path.to_owned() };
        server.listener.set_nonblocking(true).map_err(|error| unusable(path, &error))?;
        std::fs::set_permissions(path, Permissions::from_mode(0o660)).map_err(|error| unusable(path, &error))?;
        if let Some(group) = operators() {
            // Only root may give the socket away; another user's daemon then serves that user and root.
            let _ = nix::unistd::chown(path, None, Some(group));
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Answers callers until the one who takes the calls goes away.
pub async fn serve(server: Server, calls: mpsc::Sender<Call>) {
    let listener = server.listener.try_clone().and_then(UnixListener::from_std);
    let listener = listener.expect("a bound, non-blocking socket in a runtime can be waited for");
    let callers = Arc::new(Semaphore::new(MAX_CALLERS));
    loop {
        let Ok(permit) = Arc::clone(&callers).acquire_owned().await else { return };
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            () = calls.closed() => return,
        };
        match stream {
            Ok((stream, _)) => {
                let calls = calls.clone();
                tokio::spawn(async move {
                    if let Err(error) = converse(stream, calls).await {
                        debug!(%error, "a command went away");
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                warn!(%error, "cannot accept a command");
                // Out of descriptors: accepting again at once would spin.
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// What a caller without permission is told.
pub(super) fn not_allowed() -> Failure {
    Failure::new(Exit::NoPermission, "this user may not command the warren daemon")
        .remedy("Use sudo, or add the user to the group `warren`.")
}

async fn converse(stream: UnixStream, calls: mpsc::Sender<Call>) -> io::Result<()> {
    let caller = stream.peer_cred()?;
    let allowed = may_ask(Uid::from_raw(caller.uid()), Gid::from_raw(caller.gid()));
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        (&mut stream).take(MAX_REQUEST as u64).read_until(b'\n', &mut line).await?;
        if line.is_empty() {
            return Ok(());
        }
        let Ok(request) = serde_json::from_slice::<Request>(&line) else {
            let failure = Failure::new(Exit::Failure, "the daemon does not know this request")
                .remedy("Daemon and command may be of different versions: restart the daemon.");
            return write_line(&mut stream, &Reply::Failed(failure)).await;
        };
        if !allowed {
            return write_line(&mut stream, &Reply::Failed(not_allowed())).await;
        }
        let reply = pass_on(request, &calls, &mut stream).await?;
        write_line(&mut stream, &reply).await?;
    }
}

/// Waits for the answer as long as the caller does.
async fn pass_on(
    request: Request,
    calls: &mpsc::Sender<Call>,
    stream: &mut BufReader<UnixStream>,
) -> io::Result<Reply> {
    let (reply, answer) = oneshot::channel();
    let ending = || Reply::Failed(Failure::new(Exit::DaemonNotRunning, "the daemon is ending"));
    if calls.send(Call { request, reply }).await.is_err() {
        return Ok(ending());
    }
    tokio::select! {
        answer = answer => Ok(answer.unwrap_or_else(|_| ending())),
        closed = stream.fill_buf() => match closed {
            Ok(_) => Err(io::ErrorKind::ConnectionAborted.into()),
            Err(error) => Err(error),
        },
    }
}

async fn write_line(stream: &mut BufReader<UnixStream>, reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    stream.get_mut().write_all(&line).await
}

fn may_ask(user: Uid, group: Gid) -> bool {
    if user.is_root() || user == Uid::effective() {
        return true;
    }
    let Some(operators) = operators() else { return false };
    group == operators || groups_of(user, group).contains(&operators)
}

fn operators() -> Option<Gid> {
    Group::from_name(OPERATORS).ok().flatten().map(|group| group.gid)
}

fn groups_of(user: Uid, group: Gid) -> Vec<Gid> {
    let Ok(Some(user)) = User::from_uid(user) else { return Vec::new() };
    let Ok(name) = std::ffi::CString::new(user.name) else { return Vec::new() };
    nix::unistd::getgrouplist(&name, group).unwrap_or_default()
}

fn clear_stale(path: &Path) -> Result<(), Failure> {
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(Failure::new(Exit::Failure, format!("another daemon listens on {}", path.display()))
            .remedy("Stop it, or give this one its own --socket.")),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(|error| unusable(path, &error))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unusable(path, &error)),
    }
}

fn unusable(path: &Path, error: &io::Error) -> Failure {
    let denied = error.kind() == io::ErrorKind::PermissionDenied;
    let exit = if denied { Exit::NoPermission } else { Exit::Failure };
    Failure::new(exit, format!("cannot listen on {}: {error}", path.display()))
        .remedy("Run the daemon as root, or choose another socket with --socket.")
}

/// Its members may command the daemon without being root.
const OPERATORS: &str = "warren";
/// Commands answered at a time; further ones wait in the listener's backlog.
const MAX_CALLERS: usize = 64;
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

//! `warren wait`: until the device is connected, for scripts and units that need the mesh.

use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::cli::WaitArgs;
use crate::exit::{Exit, Failure};
use crate::ipc::{Client, Reply, Request};
use crate::report::State;

pub(super) async fn run(socket: &Path, args: &WaitArgs) -> Result<(), Failure> {
    let since = Instant::now();
    loop {
        let failure = match standing(socket).await {
            Ok(State::Connected) => return Ok(()),
            // both may be about to change: the daemon is only starting, or somebody else runs `warren up`
            Ok(State::NeedsEnrolment) => Failure::not_enrolled(),
            Ok(State::Connecting | State::Stopped) => Failure::new(Exit::Unreachable, "the device is not connected")
                .remedy("`warren doctor` looks for the cause."),
            Err(failure) if failure.exit == Exit::DaemonNotRunning => failure,
            Err(failure) => return Err(failure),
        };
        if since.elapsed() >= args.timeout {
            return Err(failure);
        }
        sleep(EVERY).await;
    }
}

async fn standing(socket: &Path) -> Result<State, Failure> {
    let reply = Client::connect(socket).await?.ask(&Request::Status).await?;
    let Reply::Status(status) = reply else { return Err(super::odd()) };
    Ok(status.state)
}

/// Soon enough for a boot, seldom enough to cost nothing.
const EVERY: Duration = Duration::from_millis(250);

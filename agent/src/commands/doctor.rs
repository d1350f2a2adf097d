//! `warren doctor`: what keeps this device from its mesh, and what to do about it. Works without a daemon, too.

use std::path::Path;

use crate::cli::DoctorArgs;
use crate::doctor::{Diagnosis, Told, Verdict};
use crate::exit::{Exit, Failure};
use crate::ipc::{Client, Reply, Request};
use crate::output::{self, Colour};

pub(super) async fn run(socket: &Path, args: &DoctorArgs) -> Result<(), Failure> {
    let diagnosis = Diagnosis::make(told(socket).await, args.server.as_deref()).await;

    if args.json {
        super::print_json(&diagnosis)?;
    } else {
        super::print(&output::diagnosis(&diagnosis, Colour::of_stdout()))?;
    }
    match diagnosis.verdict {
        Verdict::Fail => Err(Failure::new(Exit::Failure, "something keeps this device from working")),
        Verdict::Ok | Verdict::Warn => Ok(()),
    }
}

/// What a running daemon says; or why none does.
pub(super) async fn told(socket: &Path) -> Result<Told, String> {
    let mut client = Client::connect(socket).await.map_err(|failure| failure.text)?;
    let counters = match client.ask(&Request::Counters).await {
        Ok(Reply::Counters(counters)) => *counters,
        Ok(_) => return Err(super::odd().text),
        Err(failure) => return Err(failure.text),
    };
    let netcheck = match client.ask(&Request::Netcheck).await {
        Ok(Reply::Netcheck(report)) => Some(report),
        Ok(_) | Err(_) => None,
    };
    Ok(Told { counters, netcheck })
}

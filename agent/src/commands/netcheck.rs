//! `warren netcheck`: what this network lets through.

use std::path::Path;

use crate::cli::JsonArgs;
use crate::exit::Failure;
use crate::ipc::{Client, Reply, Request};
use crate::output;

pub(super) async fn run(socket: &Path, args: &JsonArgs) -> Result<(), Failure> {
    let reply = Client::connect(socket).await?.ask(&Request::Netcheck).await?;
    let Reply::Netcheck(report) = reply else { return Err(super::odd()) };

    if args.json { super::print_json(&report) } else { super::print(&output::netcheck(&report)) }
}

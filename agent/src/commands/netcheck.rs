//! `warren netcheck`: what this network lets through.

use std::path::Path;

use crate::cli::JsonArgs;
use crate::exit::Failure;
use crate::ipc::{Client, Reply, Request};
use crate::output;

pub(super) async fn run(socket: &Path, args: &JsonArgs) -> Result<(), Failure> {
    match Client::connect(socket).await?.ask(&Request::Netcheck).await? {
        Reply::Netcheck(report) if args.json => super::print_json(&report),
        Reply::Netcheck(report) => super::print(&output::netcheck(&report)),
        other => Err(super::odd(other)),
    }
}

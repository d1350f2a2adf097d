//! `warren status`: this device, its server, its peers.

use std::path::Path;

use crate::cli::JsonArgs;
use crate::exit::Failure;
use crate::ipc::{Client, Reply, Request};
use crate::output::{self, Colour};

pub(super) async fn run(socket: &Path, args: &JsonArgs) -> Result<(), Failure> {
    let reply = Client::connect(socket).await?.ask(&Request::Status).await?;
    let Reply::Status(status) = reply else { return Err(super::odd()) };

    if args.json { super::print_json(&status) } else { super::print(&output::status(&status, Colour::of_stdout())) }
}

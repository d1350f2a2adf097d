//! `warren path PEER`: which path, why this one, what would make it better.

use std::path::Path;

use crate::cli::PathArgs;
use crate::exit::Failure;
use crate::ipc::{Client, Reply, Request};
use crate::output::{self, Colour};

pub(super) async fn run(socket: &Path, args: &PathArgs) -> Result<(), Failure> {
    let request = Request::Path { peer: args.peer.clone() };
    let reply = Client::connect(socket).await?.ask(&request).await?;
    let Reply::Path(report) = reply else { return Err(super::odd()) };

    if args.json { super::print_json(&report) } else { super::print(&output::path(&report, Colour::of_stdout())) }
}

//! `warren logout`: leave the mesh and forget its keys.

use std::path::Path;

use crate::exit::Failure;
use crate::ipc::{Client, Reply, Request};

pub(super) async fn run(socket: &Path) -> Result<(), Failure> {
    let reply = Client::connect(socket).await?.ask(&Request::Logout).await?;
    let Reply::Status(status) = reply else { return Err(super::odd()) };
    if let Some(problem) = status.problem.filter(|problem| problem.code == "server-not-told") {
        eprintln!("{}", problem.text);
    }

    super::print("logged out; this device is in no mesh\n")
}

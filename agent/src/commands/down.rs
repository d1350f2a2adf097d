//! `warren down`: disconnect, and stay so after a restart of the daemon.

use std::path::Path;

use crate::exit::Failure;
use crate::ipc::{Client, Request};

pub(super) async fn run(socket: &Path) -> Result<(), Failure> {
    Client::connect(socket).await?.ask(&Request::Down).await?;

    super::print("down; `warren up` connects again\n")
}

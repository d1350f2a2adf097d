//! `warren logout`: leave the mesh and forget its keys.

use std::path::Path;

use crate::exit::Failure;
use crate::ipc::{Client, Request};

pub(super) async fn run(socket: &Path) -> Result<(), Failure> {
    Client::connect(socket).await?.ask(&Request::Logout).await?;

    super::print("logged out; this device is in no mesh\n")
}

//! `warren ip [PEER]`: overlay addresses, one a line and nothing else, for scripts.

use std::net::IpAddr;
use std::path::Path;

use crate::cli::IpArgs;
use crate::exit::{Exit, Failure};
use crate::ipc::{Client, Reply, Request};
use crate::report::Status;

pub(super) async fn run(socket: &Path, args: &IpArgs) -> Result<(), Failure> {
    let reply = Client::connect(socket).await?.ask(&Request::Status).await?;
    let Reply::Status(status) = reply else { return Err(super::odd()) };
    let wanted = |address: &IpAddr| (!args.v4 || address.is_ipv4()) && (!args.v6 || address.is_ipv6());
    let addresses = addresses(&status, args.peer.as_deref())?;
    let lines: Vec<String> = addresses.iter().filter(|address| wanted(address)).map(|ip| format!("{ip}\n")).collect();

    super::print(&lines.concat())
}

fn addresses(status: &Status, peer: Option<&str>) -> Result<[IpAddr; 2], Failure> {
    let Some(own) = &status.device else { return Err(Failure::not_enrolled()) };
    let Some(peer) = peer else { return Ok(own.addresses) };
    if own.name.eq_ignore_ascii_case(peer) {
        return Ok(own.addresses);
    }
    let is_it = |name: &str, id: &str| name.eq_ignore_ascii_case(peer) || id == peer;
    let found = status.peers.iter().find(|known| is_it(&known.name, &known.id)).map(|known| known.addresses);
    found.ok_or_else(|| {
        Failure::new(Exit::Failure, format!("no peer has the name or id {peer}"))
            .remedy("`warren status` lists the peers.")
    })
}

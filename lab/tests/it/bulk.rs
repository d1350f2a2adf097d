//! Much data both ways at once arrives as it was sent, and in the order in which it was sent.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use warren_lab::agent::Options;
use warren_lab::mesh::Mesh;
use warren_lab::namespace::Namespace;
use warren_lab::nat::NatKind;
use warren_lab::topology::Internet;
use warren_lab::{transfer, usage};

#[test]
fn bulk_both_ways_at_once_arrives_intact_and_in_order() -> Result<()> {
    let mesh = Mesh::enrol(Internet::figure_one("bulk", NatKind::None, NatKind::None)?, &Options::default())?;
    mesh.wait_direct(Duration::from_secs(20))?;
    let bytes = bytes()?;
    let (near, far) = (mesh.laptop.host(), mesh.desktop.host());
    let [(laptop, _), (desktop, _)] = mesh.addresses()?;

    let plain = exchange([&near.namespace, &far.namespace], [near.address.into(), far.address.into()], bytes)?;
    let tunnel = exchange([&near.namespace, &far.namespace], [laptop.into(), desktop.into()], bytes)?;

    println!("{bytes} bytes each way\n  plain  {plain}\n  tunnel {tunnel}");
    ensure!(tunnel.reordered <= plain.reordered, "the tunnel reorders: {tunnel}; without it {plain}");
    Ok(())
}

/// What both transfers together met.
#[derive(Debug, Default)]
struct Met {
    took: Duration,
    /// Segments that arrived before one sent earlier, because that one was lost or late.
    out_of_order: u64,
    /// How often a sender saw that one had not been lost but late.
    reordered: u64,
    retransmitted: u64,
}

impl fmt::Display for Met {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { took, out_of_order, reordered, retransmitted } = self;
        write!(f, "{took:?}, {out_of_order} out of order, {retransmitted} retransmitted, {reordered} reordered")
    }
}

/// Sends that many bytes each way at once, and compares both ends' SHA-256.
fn exchange(hosts: [&Namespace; 2], addresses: [IpAddr; 2], bytes: usize) -> Result<Met> {
    let before = counters(hosts)?;
    let transfers = [(0, 1), (1, 0)].map(|(from, to)| {
        let (from, to, target) = (hosts[from].clone(), hosts[to].clone(), SocketAddr::new(addresses[to], 5001));
        thread::spawn(move || transfer::tcp(&from, &to, target, bytes))
    });
    let mut met = Met::default();
    for transfer in transfers {
        met.took = met.took.max(transfer.join().map_err(|_| anyhow!("a transfer panicked"))??);
    }
    let after = counters(hosts)?;
    let [out_of_order, sack, timestamp, reno, retransmitted] =
        std::array::from_fn(|index| after[index] - before[index]);
    Ok(Met { out_of_order, reordered: sack + timestamp + reno, retransmitted, ..met })
}

fn counters(hosts: [&Namespace; 2]) -> Result<[u64; 5]> {
    let names = ["TCPOFOQueue", "TCPSACKReorder", "TCPTSReorder", "TCPRenoReorder", "TCPFastRetrans"];
    let mut sums = [0; 5];
    for (sum, name) in sums.iter_mut().zip(names) {
        *sum = usage::tcp_counter(hosts[0], name)? + usage::tcp_counter(hosts[1], name)?;
    }
    Ok(sums)
}

/// How much to send each way.
fn bytes() -> Result<usize> {
    let asked = std::env::var("WARREN_LAB_BULK_BYTES").ok();
    asked.map_or(Ok(BYTES), |text| text.parse().context("WARREN_LAB_BULK_BYTES is a number of bytes"))
}

/// What unoptimised programs carry in some ten seconds; with optimised ones set `WARREN_LAB_BULK_BYTES` to 2 GB.
const BYTES: usize = 256_000_000;

//! Datagrams without manners at 10,000 a second, from the place on the path where it hurts most: nothing panics, memory
//! stays bounded, and legitimate traffic goes on.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use warren_lab::agent::Options;
use warren_lab::capture::Capture;
use warren_lab::hostile::{Forger, any, cut, damaged, noise};
use warren_lab::mesh::Mesh;
use warren_lab::stream::Stream;
use warren_lab::topology::RENDEZVOUS;

#[test]
fn an_agent_withstands_random_truncated_damaged_replayed_and_spoofed_datagrams() -> Result<()> {
    let mut mesh = Mesh::direct("hostile-agent", &Options::default().env("WARREN_REKEY_SECONDS", "4"))?;
    let [_, (desktop, _)] = mesh.addresses()?;
    let capture = Capture::start(&mesh.internet.core, "isp0", &mesh.internet.records().join("stolen.pcap"))?;
    let target = (desktop, 9000).into();
    let stream = Stream::start(&mesh.laptop.host().namespace, &mesh.desktop.host().namespace, target, 200, 200)?;
    // Long enough to have stolen a handshake too.
    std::thread::sleep(Duration::from_secs(6));
    let home = mesh.internet.sites[1].public;
    let stolen: Vec<_> = capture.stop()?.into_iter().filter(|packet| *packet.destination().ip() == home).collect();
    let example = stolen.iter().find(|packet| packet.esp().is_some()).context("nothing to steal")?.clone();
    let memory = mesh.desktop.daemon().memory()?;

    let forger = Forger::new(&mesh.internet.sites[1].isp)?;
    let sent = forger.flood(RATE, DURATION, |random| {
        let packet = any(&stolen, random);
        let payload = match random.wrapping_mul(5) >> 61 {
            0 | 1 => noise(random),
            2 => cut(packet.payload(), random),
            3 | 4 => damaged(packet.payload(), random),
            _ => packet.payload().to_vec(),
        };
        // Only what claims to come from the peer passes the home's NAT.
        (example.source(), example.destination(), payload)
    })?;
    let report = stream.finish()?;

    println!("{sent} hostile datagrams; {report:?}");
    ensure!(sent > 9_000 * DURATION.as_secs(), "the flood was a trickle: {sent}");
    let status = mesh.desktop.status()?;
    let dropped = mesh.desktop.run(&["status", "--json"])?.success()?;
    for reason in ["authentication", "replay"] {
        ensure!(dropped.contains(reason), "{reason} is not counted: {dropped}");
    }
    ensure!(status.peer("laptop").is_some_and(warren_lab::status::Peer::is_direct), "the path was lost: {status:?}");
    ensure!(report.lost * 20 < report.sent, "legitimate traffic suffered: {report:?}");
    let grown = mesh.desktop.daemon().memory()?.saturating_sub(memory);
    ensure!(grown < MEMORY, "its memory grew by {grown} bytes");
    calm(&mesh.desktop.daemon().output())
}

#[test]
fn a_rendezvous_withstands_the_same_on_all_its_ports() -> Result<()> {
    let mut mesh = Mesh::direct("hostile-rendezvous", &Options::default())?;
    let memory = mesh.server.daemon().memory()?;
    let forger = Forger::new(&mesh.internet.core)?;
    let coffee_shop = mesh.internet.sites[0].public;
    let shapes: [&[u8]; 5] = [
        &[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
        &[0x0c, 1, 0, 0, 0, 0, 0, 0, 1, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9],
        &[0x0c, 1, 0, 0, 0, 0, 0, 7, 0x80, 1, 2, 3, 4, 5, 6, 7, 8],
        &[0xc0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0],
        &[0x40, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    ];

    let sent = forger.flood(RATE, DURATION, |random| {
        let port = *any(&[443, 3478, 3479, 3480], random);
        let from = *any(&[coffee_shop, Ipv4Addr::new(198, 51, 100, 77), Ipv4Addr::new(203, 0, 113, 99)], random);
        let source = SocketAddrV4::new(from, 1024 + (*random >> 50) as u16);
        let shape = *any(&shapes, random);
        let payload = match *random >> 62 {
            0 => noise(random),
            1 => cut(shape, random),
            2 => damaged(shape, random),
            _ => shape.to_vec(),
        };
        (source, SocketAddrV4::new(RENDEZVOUS, port), payload)
    })?;

    println!("{sent} hostile datagrams");
    ensure!(mesh.server.daemon().ended().is_none(), "the rendezvous ended");
    let grown = mesh.server.daemon().memory()?.saturating_sub(memory);
    ensure!(grown < MEMORY, "its memory grew by {grown} bytes");
    let connected = mesh.laptop.status()?.rendezvous.is_some_and(|server| server.connected);
    ensure!(connected, "the laptop lost the rendezvous");
    mesh.server.run(&["healthcheck"])?.success()?;
    calm(&mesh.server.daemon().output())
}

/// A log that says nothing of a panic or an error.
fn calm(log: &str) -> Result<()> {
    let alarm = log.lines().find(|line| line.contains("panicked") || line.contains("ERROR"));
    ensure!(alarm.is_none(), "{alarm:?}");
    Ok(())
}

const RATE: u32 = 10_000;
const DURATION: Duration = Duration::from_secs(5);
/// What caches and counters may take; 50,000 datagrams kept would be several times as much.
const MEMORY: u64 = 32 << 20;

//! Paths of every width carry what fits them, find out what that is by themselves, and lose nothing for good.
//!
//! No router here says that a packet was too big for it: whoever relies on being told stands still.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use warren_lab::agent::{Agent, Options, TUN};
use warren_lab::host::Finished;
use warren_lab::mesh::Mesh;
use warren_lab::nat::NatKind;
use warren_lab::stream::Stream;
use warren_lab::topology::Internet;
use warren_lab::{link, transfer};

#[test]
fn a_path_of_1500_bytes_carries_1466() -> Result<()> {
    check(1500, |_| Ok(()))
}

#[test]
fn a_path_of_1420_bytes_is_measured_and_used() -> Result<()> {
    check(1420, |internet| link::narrow(internet, 0, 1420))
}

#[test]
fn a_path_of_1280_bytes_is_measured_and_used() -> Result<()> {
    check(1280, |internet| link::narrow(internet, 1, 1280))
}

#[test]
fn a_path_of_1124_bytes_is_measured_and_used() -> Result<()> {
    check(1124, |internet| link::narrow_between_sites(internet, 1124))
}

#[test]
fn a_path_that_narrows_under_a_transfer_is_measured_anew() -> Result<()> {
    let mesh = Mesh::direct("mtu-narrows", &Options::default())?;
    settle(&mesh.laptop, "desktop", inner_mtu(1500))?;
    let target = SocketAddr::new(mesh.desktop.status()?.addresses()?.0.into(), 5001);
    let (near, far) = (mesh.laptop.host().namespace.clone(), mesh.desktop.host().namespace.clone());

    let transfer = std::thread::spawn(move || transfer::tcp(&near, &far, target, IN_FLIGHT));
    std::thread::sleep(Duration::from_millis(300));
    ensure!(!transfer.is_finished(), "the transfer was over before the path narrowed");
    link::narrow(&mesh.internet, 0, 1300)?;
    let took = transfer.join().map_err(|_| anyhow::anyhow!("the transfer panicked"))??;

    println!("{IN_FLIGHT} bytes in {took:?} over a path that went from 1500 to 1300");
    settle(&mesh.laptop, "desktop", inner_mtu(1300))?;
    carry(&mesh, 3_000_000)?;
    // the way back has narrowed too, which shows as soon as it is used for more than acknowledgements
    let target = SocketAddr::new(mesh.laptop.status()?.addresses()?.0.into(), 9000);
    let stream = Stream::start(&mesh.desktop.host().namespace, &mesh.laptop.host().namespace, target, 20, 1400)?;
    settle(&mesh.desktop, "laptop", inner_mtu(1300))?;
    stream.finish()?;
    Ok(())
}

/// What must hold on a path whose narrowest link is this wide.
fn check(link_mtu: u32, narrow: impl FnOnce(&Internet) -> Result<()>) -> Result<()> {
    let nat = NatKind::PortRestricted;
    let internet = Internet::figure_one(&format!("mtu-{link_mtu}"), nat, nat)?;
    narrow(&internet)?;
    let mesh = Mesh::enrol(internet, &Options::default())?;
    mesh.wait_direct(Duration::from_secs(20))?;

    // before the path is measured, and while it is
    carry(&mesh, 1_000_000).context("at first")?;
    let v4 = inner_mtu(link_mtu);
    settle(&mesh.laptop, "desktop", v4)?;
    settle(&mesh.desktop, "laptop", v4)?;
    carry(&mesh, 3_000_000).context("once measured")?;

    for (from, to) in [(&mesh.laptop, &mesh.desktop), (&mesh.desktop, &mesh.laptop)] {
        let (to_v4, to_v6) = to.status()?.addresses()?;
        largest_fits(from, to_v4.into(), v4)?;
        // to those who use it no IPv6 path is narrower than 1280 bytes (RFC 8200 section 5)
        largest_fits(from, to_v6.into(), (v4 + 20).max(1280))?;
    }
    Ok(())
}

/// Bytes there and back in both families.
fn carry(mesh: &Mesh, bytes: usize) -> Result<()> {
    for (from, to) in [(&mesh.laptop, &mesh.desktop), (&mesh.desktop, &mesh.laptop)] {
        let (v4, v6) = to.status()?.addresses()?;
        for address in [IpAddr::from(v4), v6.into()] {
            let target = SocketAddr::new(address, 5001);
            let took = transfer::tcp(&from.host().namespace, &to.host().namespace, target, bytes)
                .with_context(|| format!("TCP to {address}"))?;
            println!("{bytes} bytes to {address} in {took:?}");
        }
    }
    Ok(())
}

/// Waits until the agent reports this MTU.
fn settle(agent: &Agent, peer: &str, mtu: u32) -> Result<()> {
    agent.wait_status(&format!("an MTU of {mtu}"), Duration::from_secs(20), |status| {
        status.peer(peer).is_some_and(|peer| peer.is_direct() && peer.path.mtu == Some(mtu))
    })?;
    Ok(())
}

/// The host's route says what fits, a packet of that size arrives, and the sender of a larger one is told.
fn largest_fits(from: &Agent, to: IpAddr, mtu: u32) -> Result<()> {
    let host = &from.host().namespace;
    let route = host.ip(&["route", "get", &to.to_string()])?;
    let installed = route.split_once(" mtu ").and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
    ensure!(installed == Some(mtu), "the route is {route:?}, not of {mtu} bytes");

    let ping = |size: u32| {
        let payload = (size - headers(to)).to_string();
        let words = ["-n", "-c", "2", "-i", "0.2", "-W", "2", "-M", "do", "-s", &payload, &to.to_string()];
        Finished::run(host.command("ping").args(words))
    };
    let full = ping(mtu)?;
    ensure!(full.code == 0, "{mtu} bytes to {to}: {full:?}");
    let too_big = ping(mtu + 1)?;
    let told = too_big.stderr.contains("message too long") && too_big.stderr.contains(&mtu.to_string());
    ensure!(too_big.code != 0 && told, "{} bytes to {to}: {too_big:?}", mtu + 1);

    // a sender that does not know the route yet is told by ICMP
    let device = device_mtu(from)?;
    if mtu < device {
        let family = if to.is_ipv4() { "-4" } else { "-6" };
        host.ip(&[family, "route", "del", &to.to_string(), "dev", TUN])?;
        host.ip(&[family, "route", "flush", "cache"])?;
        let told = ping(device)?;
        ensure!(told.code != 0 && told.stdout.contains(&mtu.to_string()), "{device} bytes to {to}: {told:?}");
    }
    Ok(())
}

fn device_mtu(agent: &Agent) -> Result<u32> {
    let link = agent.host().namespace.ip(&["-o", "link", "show", TUN])?;
    let mtu = link.split_once(" mtu ").and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
    mtu.with_context(|| format!("no MTU in {link}"))
}

/// What fits into a path of that many bytes: docs/protocol.md sections 2 and 2.4, suite 1, IPv4 in IPv4. Less IP and UDP
/// headers outside, SPI, sequence number and ICV; whole words, two bytes of which the trailer takes; the IP header inside
/// is not sent.
fn inner_mtu(link_mtu: u32) -> u32 {
    let esp = link_mtu - 20 - 8;
    (esp - 8 - 16) / 4 * 4 - 2 + 20
}

/// IP and ICMP before a ping's payload.
fn headers(to: IpAddr) -> u32 {
    if to.is_ipv4() { 20 + 8 } else { 40 + 8 }
}

/// Long enough that the path narrows under it.
const IN_FLIGHT: usize = 60_000_000;

//! On a link that loses packets TCP does through the tunnel about what it does without.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Result, ensure};
use warren_lab::agent::Options;
use warren_lab::link;
use warren_lab::mesh::Mesh;
use warren_lab::nat::NatKind;
use warren_lab::topology::Internet;
use warren_lab::transfer;

#[test]
fn two_percent_loss_costs_the_tunnel_little_more_than_plain_tcp() -> Result<()> {
    let internet = Internet::figure_one("loss", NatKind::None, NatKind::None)?;
    let mesh = Mesh::enrol(internet, &Options::default())?;
    mesh.wait_direct(Duration::from_secs(20))?;
    let (near, far) = (mesh.laptop.host(), mesh.desktop.host());
    let [_, (desktop, _)] = mesh.addresses()?;
    link::send_singly(&mesh.internet)?;
    link::throttle(&mesh.internet, LINE)?;
    link::lose(&mesh.internet, 2)?;

    let goodput = |to: IpAddr| -> Result<f64> {
        let took = transfer::tcp(&near.namespace, &far.namespace, SocketAddr::new(to, 5001), BYTES)?;
        Ok(BYTES as f64 * 8.0 / took.as_secs_f64() / 1e6)
    };
    let (mut plain, mut tunnel) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        plain.push(goodput(far.address.into())?);
        tunnel.push(goodput(desktop.into())?);
    }

    println!("Mb/s plain {plain:.1?}, tunnel {tunnel:.1?}");
    let (plain, tunnel) = (median(plain), median(tunnel));
    println!("medians: plain {plain:.1} Mb/s, tunnel {tunnel:.1} Mb/s, ratio {:.2}", tunnel / plain);
    ensure!(tunnel >= AT_LEAST * plain, "{tunnel} Mb/s through the tunnel, {plain} without");
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

const ROUNDS: usize = 5;
const BYTES: usize = 5_000_000;
/// Megabits a second: what an unoptimised agent carries with ease, so that the line is what TCP meets.
const LINE: u32 = 50;
/// Of plain TCP's goodput.
const AT_LEAST: f64 = 0.7;

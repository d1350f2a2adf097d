//! A peer that is sent, or that sends, all that a device can do leaves the other peers of that device their share.
//!
//! The other peer's line is modest, as most are: what the busy one takes is everything else the machine has. Everything is
//! measured against the same line without the busy flow, never against a clock.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use warren_lab::agent::{Agent, Options};
use warren_lab::link;
use warren_lab::namespace::Namespace;
use warren_lab::nat::NatKind;
use warren_lab::server::Server;
use warren_lab::shell;
use warren_lab::topology::{Internet, Place};

#[test]
fn a_peer_that_is_sent_all_there_is_does_not_starve_another() -> Result<()> {
    // what crowds the device's queues and the thread that seals
    Star::build("fairness-out")?.compare(|hub, busy| (hub, busy))
}

#[test]
fn a_peer_that_sends_all_it_can_does_not_starve_another() -> Result<()> {
    // what crowds the sockets and the thread that opens
    Star::build("fairness-in")?.compare(|hub, busy| (busy, hub))
}

/// A device with two peers: one on a line as fast as the machine, one on a modest line.
struct Star {
    hub: Agent,
    busy: Agent,
    modest: Agent,
    _server: Server,
    internet: Internet,
}

/// A device's end of a flow.
type End<'a> = (&'a Namespace, IpAddr);

/// What the modest peer's line carried.
struct Share {
    /// Both ways, one after the other, in megabits a second.
    goodput: [f64; 2],
    /// Of the round trips, in milliseconds.
    p99: f64,
}

impl Star {
    fn build(title: &str) -> Result<Self> {
        let places = [["hub"], ["busy"], ["modest"]];
        let places: Vec<_> = places.iter().map(|hosts| Place { nat: NatKind::None, hosts }).collect();
        let internet = Internet::build(title, &places)?;
        let server = Server::start(&internet)?;
        let start = |label: &str| -> Result<Agent> {
            let agent = Agent::start(&internet, label, Options::default())?;
            agent.up(&server.invite(&[])?)?;
            Ok(agent)
        };
        let (hub, busy, modest) = (start("hub")?, start("busy")?, start("modest")?);
        for peer in ["busy", "modest"] {
            hub.wait_direct(peer, Duration::from_secs(20))?;
        }
        link::throttle_site(&internet, MODEST_SITE, LINE)?;
        Ok(Self { hub, busy, modest, _server: server, internet })
    }

    /// Measures the modest peer alone, and while the busy flow runs between the ends that `flow` chooses.
    fn compare(&self, flow: impl for<'a> Fn(End<'a>, End<'a>) -> (End<'a>, End<'a>)) -> Result<()> {
        let address = |agent: &Agent| -> Result<IpAddr> { Ok(agent.status()?.addresses()?.0.into()) };
        let (hub_at, busy_at, modest_at) = (address(&self.hub)?, address(&self.busy)?, address(&self.modest)?);
        let hub: End<'_> = (&self.hub.host().namespace, hub_at);
        let modest: End<'_> = (&self.modest.host().namespace, modest_at);
        let (from, to) = flow(hub, (&self.busy.host().namespace, busy_at));

        let alone = share(hub, modest)?;
        let crowd = Crowd::start(from, to)?;
        let crowded = share(hub, modest);
        let crowd = crowd.finish()?;
        let crowded = crowded?;

        println!(
            "alone {:.1?} Mb/s, p99 {:.2} ms; beside a flow of {crowd:.0} Mb/s {:.1?} Mb/s, p99 {:.2} ms; records in {}",
            alone.goodput,
            alone.p99,
            crowded.goodput,
            crowded.p99,
            self.internet.records().display()
        );
        ensure!(crowd > f64::from(LINE) * 2.0, "a flow of {crowd} Mb/s crowds nobody");
        for (alone, crowded) in alone.goodput.into_iter().zip(crowded.goodput) {
            ensure!(crowded >= AT_LEAST * alone, "{crowded} of {alone} Mb/s are left");
        }
        ensure!(crowded.p99 <= alone.p99 + QUEUE_MS, "the 99th percentile of round trips is {} ms", crowded.p99);
        Ok(())
    }
}

/// The goodput from the one end to the other and back, and round trips while nothing else uses that line.
fn share(one: End<'_>, other: End<'_>) -> Result<Share> {
    let trips = {
        let mut ping = one.0.command("ping");
        ping.args(["-n", "-i", "0.01", "-W", "1", "-c", PINGS, &other.1.to_string()]);
        let output = shell::run(&mut ping)?;
        let mut trips: Vec<f64> = output.lines().filter_map(round_trip).collect();
        trips.sort_by(f64::total_cmp);
        trips
    };
    let rank = (trips.len() * 99).div_ceil(100).checked_sub(1).context("no ping was answered")?;
    Ok(Share { goodput: [goodput(one, other)?, goodput(other, one)?], p99: trips[rank] })
}

fn round_trip(line: &str) -> Option<f64> {
    line.split_once("time=")?.1.split(' ').next()?.parse().ok()
}

/// Megabits a second that one TCP flow delivers.
fn goodput(from: End<'_>, to: End<'_>) -> Result<f64> {
    let flow = Crowd::start(from, to)?;
    thread::sleep(MEASURED);
    flow.finish()
}

/// A TCP flow that sends as much as it can until it is finished.
struct Crowd {
    stop: Arc<AtomicBool>,
    arrived: Arc<AtomicU64>,
    began: Instant,
    threads: [thread::JoinHandle<()>; 2],
}

impl Crowd {
    fn start(from: End<'_>, to: End<'_>) -> Result<Self> {
        let listener = to.0.inside(|| TcpListener::bind((to.1, 0)))?.context("listen on the overlay address")?;
        let at = SocketAddr::new(to.1, listener.local_addr()?.port());
        let mut sender = from.0.inside(|| TcpStream::connect_timeout(&at, LIMIT))?.context("connect")?;
        let (mut receiver, _) = listener.accept().context("accept the connection")?;
        sender.set_write_timeout(Some(LIMIT))?;
        receiver.set_read_timeout(Some(LIMIT))?;
        let (stop, arrived) = <(Arc<AtomicBool>, Arc<AtomicU64>)>::default();
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&arrived));
        let sends = thread::spawn(move || {
            let block = vec![0x5a; BLOCK];
            while !stopped.load(Ordering::Relaxed) && sender.write_all(&block).is_ok() {}
        });
        let receives = thread::spawn(move || {
            let mut block = vec![0; BLOCK];
            while let Ok(len @ 1..) = receiver.read(&mut block) {
                count.fetch_add(len as u64, Ordering::Relaxed);
            }
        });
        Ok(Self { stop, arrived, began: Instant::now(), threads: [sends, receives] })
    }

    /// Ends it; what it delivered in megabits a second.
    fn finish(self) -> Result<f64> {
        let rate = self.arrived.load(Ordering::Relaxed) as f64 * 8.0 / self.began.elapsed().as_secs_f64() / 1e6;
        self.stop.store(true, Ordering::Relaxed);
        self.threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| anyhow!("a flow's thread panicked")))?;
        Ok(rate)
    }
}

/// Where the modest peer is among the places.
const MODEST_SITE: usize = 2;
/// Megabits a second of its line: a tenth of what an unoptimised agent carries.
const LINE: u32 = 50;
/// Of the goodput without the busy flow.
const AT_LEAST: f64 = 0.8;
/// What the busy flow may add to a round trip: several turns of the scheduler on a machine with two processors and no
/// preemption, on which all three devices and the flows run; a standing queue would add more.
const QUEUE_MS: f64 = 40.0;
const PINGS: &str = "200";
const MEASURED: Duration = Duration::from_secs(2);
const BLOCK: usize = 256 << 10;
/// No healthy flow stands still for so long.
const LIMIT: Duration = Duration::from_secs(20);

//! Keeps the kernel's settings of the TUN device as the mesh needs them, beside the slow path's task.
//!
//! Netlink answers in its own time. Only the newest order counts: what was asked for in between is skipped. How the
//! settings are made is left to `netcfg`.

use ipnet::IpNet;
use tokio::sync::watch;
use tracing::warn;
use warren_proto::certificate::Certificate;
use warren_proto::control::Network;
use warren_proto::node::Forwarding;

use crate::netcfg::{Desired, NetConfig, Route};

/// The keeper's handle; the settings stay when it is dropped, the TUN device's own end removes them.
pub struct Settings {
    orders: watch::Sender<Order>,
    done: watch::Receiver<Done>,
}

#[derive(Clone, PartialEq, Default)]
struct Order {
    serial: u64,
    desired: Option<Desired>,
}

#[derive(Clone, Default)]
struct Done {
    serial: u64,
    error: Option<String>,
}

impl Settings {
    /// Starts to keep the settings of one device.
    pub fn keep(netcfg: NetConfig) -> Self {
        let (orders, orders_end) = watch::channel(Order::default());
        let (done_end, done) = watch::channel(Done::default());
        tokio::spawn(follow(netcfg, orders_end, done_end));
        Self { orders, done }
    }

    /// Orders settings, or that ours are undone. Returns at once.
    pub fn order(&self, desired: Option<Desired>) {
        self.orders.send_if_modified(|order| {
            let changed = order.desired != desired;
            if changed {
                *order = Order { serial: order.serial + 1, desired };
            }
            changed
        });
    }

    /// Waits until the newest order is carried out.
    pub async fn settle(&mut self) -> Result<(), String> {
        let serial = self.orders.borrow().serial;
        match self.done.wait_for(|done| done.serial >= serial).await {
            Ok(done) => done.error.clone().map_or(Ok(()), Err),
            Err(_) => Err("the keeper of the network settings ended".to_owned()),
        }
    }
}

/// What the device needs to carry a mesh: our addresses, the overlay's prefixes, and peers whose MTU is known.
pub(super) fn desired(certificate: &Certificate, overlays: &[IpNet], forwarding: &Forwarding) -> Desired {
    let mut routes: Vec<Route> = overlays.iter().map(|prefix| Route { prefix: *prefix, mtu: None }).collect();
    for peer in &forwarding.peers {
        let (Some([v4, v6]), Some(_)) = (&peer.outbound, &peer.remote) else { continue };
        let mtu = |(inner, _): (usize, usize), least: u32| u32::try_from(inner).ok().map(|mtu| mtu.max(least));
        let (v4_mtu, v6_mtu) = (v4.inner_mtu(peer.udp_payload), v6.inner_mtu(peer.udp_payload));
        routes.push(Route { prefix: host(peer.v4.into()), mtu: mtu(v4_mtu, MIN_MTU_V4) });
        routes.push(Route { prefix: host(peer.v6.into()), mtu: mtu(v6_mtu, MIN_MTU_V6) });
    }
    Desired { addresses: vec![certificate.v4.into(), certificate.v6.into()], routes }
}

/// The overlay's prefixes; one that makes no sense is left out, for the server's word is not to stop the daemon.
pub(super) fn overlays(network: &Network) -> Vec<IpNet> {
    [&network.v4, &network.v6].into_iter().filter_map(|prefix| prefix.parse().ok()).collect()
}

fn host(address: std::net::IpAddr) -> IpNet {
    IpNet::from(address)
}

async fn follow(netcfg: NetConfig, mut orders: watch::Receiver<Order>, done: watch::Sender<Done>) {
    while orders.changed().await.is_ok() {
        let order = orders.borrow_and_update().clone();
        let outcome = match &order.desired {
            Some(desired) => netcfg.apply(desired).await,
            None => netcfg.undo().await,
        };
        let error = outcome.err().map(|error| error.to_string());
        if let Some(error) = &error {
            warn!(error, "the network settings of the TUN device are not as they should be");
        }
        done.send_replace(Done { serial: order.serial, error });
    }
}

/// No IPv4 link carries less (RFC 791 section 3.2).
const MIN_MTU_V4: u32 = 68;
/// IPv6 needs it of every link (RFC 8200 section 5), and kernels refuse to believe less.
const MIN_MTU_V6: u32 = 1280;

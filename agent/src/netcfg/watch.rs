//! Notices when the host's addresses or default routes change: another network, a new lease, a cable pulled.
//!
//! Netlink tells of every small step; they are gathered until a moment of quiet, then the host is looked at afresh. What
//! a change means for paths is the core's decision.

use std::net::IpAddr;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use rtnetlink::MulticastGroup;
use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::route::{RouteAttribute, RouteHeader, RouteMessage};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::kernel::{AbortOnDrop, Kernel, address_of};
use super::{Exclude, Gateway, NetError, OnLink, gateway, host};

/// The host's own addresses, and how often its network has changed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HostNetwork {
    /// As [`super::addresses`] lists them.
    pub addresses: Vec<IpAddr>,
    /// The same with their interfaces.
    pub links: Vec<OnLink>,
    /// The router that the rest of the world is behind.
    pub gateway: Option<Gateway>,
    /// Moves on with every change, also when an address went and came back: the network behind it may be another.
    pub generation: u64,
}

/// Starts watching; the receiver holds the present state at once and hears of every change. Dropping it ends the watch.
pub async fn watch(exclude: Exclude) -> Result<watch::Receiver<HostNetwork>, NetError> {
    let (connection, handle, messages) = rtnetlink::new_multicast_connection(&GROUPS).map_err(NetError::Socket)?;
    let connection = AbortOnDrop::spawn(connection);
    let kernel = Kernel::connect()?;
    let first = look(&kernel, &exclude).await?;
    let (sender, receiver) = watch::channel(first);
    tokio::spawn(async move {
        // the connection ends with its last handle
        let _connection = (connection, handle);
        let events = messages.map(|(message, _)| Event::of(&message.payload, &exclude)).boxed();
        tokio::select! {
            () = follow(events, &kernel, &exclude, &sender) => tracing::warn!("the kernel's network notices have ended"),
            () = sender.closed() => {}
        }
    });
    Ok(receiver)
}

/// What a netlink notice means here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Event {
    /// Not about how this host is reached.
    Irrelevant,
    /// Something may be different now.
    Look,
    /// Something was there and went: the network is another even if it comes back alike.
    Lost,
}

async fn follow(
    mut events: impl Stream<Item = Event> + Unpin,
    kernel: &Kernel,
    exclude: &Exclude,
    sender: &watch::Sender<HostNetwork>,
) {
    while let Some(first) = events.next().await {
        if first == Event::Irrelevant {
            continue;
        }
        let event = gather(first, &mut events).await;
        let Ok(seen) = look(kernel, exclude).await else { continue };
        sender.send_if_modified(|network| {
            let seen = HostNetwork { generation: network.generation, ..seen };
            let changed = event == Event::Lost || *network != seen;
            if changed {
                *network = HostNetwork { generation: network.generation + 1, ..seen };
            }
            changed
        });
    }
}

async fn look(kernel: &Kernel, exclude: &Exclude) -> Result<HostNetwork, NetError> {
    let gateway = gateway::find(kernel, exclude).await;
    let links = host::list(kernel, exclude).await?;
    Ok(HostNetwork { addresses: host::sorted(&links), links, gateway, generation: 0 })
}

/// Waits until nothing more comes for [`QUIET`], but not for ever.
async fn gather(first: Event, events: &mut (impl Stream<Item = Event> + Unpin)) -> Event {
    let latest = Instant::now() + GATHER_AT_MOST;
    let mut worst = first;
    loop {
        let wait_until = latest.min(Instant::now() + QUIET);
        match timeout_at(wait_until, events.next()).await {
            Ok(Some(event)) => worst = worst.max(event),
            Ok(None) | Err(_) => return worst,
        }
    }
}

impl Event {
    fn of(payload: &NetlinkPayload<RouteNetlinkMessage>, exclude: &Exclude) -> Self {
        if let NetlinkPayload::InnerMessage(message) = payload {
            Self::of_message(message, exclude)
        } else if let NetlinkPayload::Overrun(_) = payload {
            // the kernel dropped notices: anything may have happened
            Self::Lost
        } else {
            Self::Irrelevant
        }
    }

    fn of_message(message: &RouteNetlinkMessage, exclude: &Exclude) -> Self {
        use RouteNetlinkMessage::{DelAddress, DelLink, DelRoute, NewAddress, NewLink, NewRoute};

        let (event, interface) = if let NewAddress(address) | DelAddress(address) = message {
            let is_overlay = |ip: IpAddr| exclude.prefixes.iter().any(|prefix| prefix.contains(&ip));
            let gone = matches!(message, DelAddress(_));
            let event = match address_of(address) {
                Some(ip) if !is_overlay(ip) => {
                    if gone {
                        Self::Lost
                    } else {
                        Self::Look
                    }
                }
                Some(_) | None => Self::Irrelevant,
            };
            (event, Some(address.header.index))
        } else if let NewLink(link) | DelLink(link) = message {
            (Self::Look, Some(link.header.index))
        } else if let DelRoute(route) = message
            && is_default(route)
        {
            (Self::Lost, interface_of(route))
        } else if let NewRoute(route) = message
            && is_default(route)
        {
            (Self::Look, interface_of(route))
        } else {
            (Self::Irrelevant, None)
        };
        if interface.is_some() && interface == exclude.interface { Self::Irrelevant } else { event }
    }
}

fn is_default(route: &RouteMessage) -> bool {
    route.header.destination_prefix_length == 0 && route.header.table == RouteHeader::RT_TABLE_MAIN
}

fn interface_of(route: &RouteMessage) -> Option<u32> {
    route
        .attributes
        .iter()
        .find_map(|attribute| if let RouteAttribute::Oif(index) = attribute { Some(*index) } else { None })
}

const GROUPS: [MulticastGroup; 5] = [
    MulticastGroup::Link,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv6Route,
];

/// A lease or router advertisement changes several things within a few milliseconds.
const QUIET: Duration = Duration::from_millis(100);

/// A change that goes on for longer is acted on in between.
const GATHER_AT_MOST: Duration = Duration::from_millis(500);

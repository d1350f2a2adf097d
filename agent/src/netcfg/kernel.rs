//! The netlink requests behind `NetConfig`: what they ask of the kernel and how its answers read.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use futures_util::{Stream, TryStreamExt};
use ipnet::IpNet;
use nix::libc;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use rtnetlink::packet_route::link::{AfSpecInet6, AfSpecUnspec, In6AddrGenMode, LinkAttribute, LinkFlags};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteMetric, RouteProtocol, RouteScope, RouteType,
};
use rtnetlink::{Handle, LinkUnspec, RouteMessageBuilder};
use tokio::task::JoinHandle;

use super::{Desired, NetError, Route};

/// A netlink connection, served by a task of its own while it lives.
#[derive(Clone, Debug)]
pub(super) struct Kernel {
    handle: Handle,
    _task: Arc<AbortOnDrop>,
}

/// Ends the connection's task with its last user.
#[derive(Debug)]
pub(super) struct AbortOnDrop(JoinHandle<()>);

impl AbortOnDrop {
    pub(super) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(task))
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Kernel {
    /// Opens a connection whose dumps the kernel filters itself: a host may have a million routes.
    pub(super) fn connect() -> Result<Self, NetError> {
        let (connection, handle, _) = rtnetlink::new_connection_with_strict_check().map_err(NetError::Socket)?;
        Ok(Self { handle, _task: Arc::new(AbortOnDrop::spawn(connection)) })
    }

    pub(super) const fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(super) async fn take_up(&self, index: u32) -> Result<(), NetError> {
        if self.is_up(index).await? {
            return Ok(());
        }
        // A link-local address would only send router solicitations into the overlay. Fails where IPv6 is off.
        let quiet = vec![AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::None)])];
        let message =
            LinkUnspec::new_with_index(index).append_extra_attribute(LinkAttribute::AfSpecUnspec(quiet)).build();
        let _ = self.handle.link().change(message).execute().await;
        // A packet that is cut into more would need a second send for its rest. An old kernel cuts as it likes.
        let segments = LinkAttribute::GsoMaxSegs(MAX_SEGMENTS);
        let message = LinkUnspec::new_with_index(index).append_extra_attribute(segments).build();
        let _ = self.handle.link().change(message).execute().await;

        let message = LinkUnspec::new_with_index(index).up().build();
        self.handle.link().change(message).execute().await.map_err(refused("take the TUN device up"))
    }

    pub(super) async fn take_down(&self, index: u32) -> Result<(), NetError> {
        let message = LinkUnspec::new_with_index(index).down().build();
        self.handle.link().change(message).execute().await.map_err(refused("take the TUN device down"))
    }

    async fn is_up(&self, index: u32) -> Result<bool, NetError> {
        let links = self.handle.link().get().match_index(index).execute();
        let links = collect(links, "look at the TUN device").await?;
        Ok(links.iter().any(|link| link.header.flags.contains(LinkFlags::Up)))
    }

    /// The addresses of the device, and its routes that carry our protocol number.
    pub(super) async fn current(&self, index: u32) -> Result<Desired, NetError> {
        let mut routes = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let dump = self.handle.route().get(route_filter(family, index)).execute();
            let dump = collect(dump, "read the routes").await?;
            routes.extend(dump.iter().filter(|message| is_ours(message, index)).filter_map(read_route));
        }
        let messages = self.address_messages(index).await?;
        Ok(Desired { addresses: messages.iter().filter_map(overlay_address).collect(), routes })
    }

    async fn address_messages(&self, index: u32) -> Result<Vec<AddressMessage>, NetError> {
        let request = self.handle.address().get().set_link_index_filter(index).execute();
        collect(request, "read the addresses").await
    }

    pub(super) async fn add_address(&self, index: u32, address: IpAddr) -> Result<(), NetError> {
        let mut request = self.handle.address().add(index, address, host_prefix(address)).replace();
        if address.is_ipv6() {
            // nobody else is on this link to ask for duplicates
            request.message_mut().attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
        request.execute().await.map_err(refused("set an overlay address"))
    }

    pub(super) async fn remove_address(&self, index: u32, address: IpAddr) -> Result<(), NetError> {
        let messages = self.address_messages(index).await?;
        for message in messages.into_iter().filter(|message| overlay_address(message) == Some(address)) {
            let request = self.handle.address().del(message).execute();
            request.await.or_else(ignore_gone).map_err(refused("remove an overlay address"))?;
        }
        Ok(())
    }

    pub(super) async fn set_route(&self, index: u32, route: &Route) -> Result<(), NetError> {
        let request = self.handle.route().add(route_message(index, route)).replace();
        request.execute().await.map_err(refused("set an overlay route"))
    }

    pub(super) async fn remove_route(&self, index: u32, route: &Route) -> Result<(), NetError> {
        let request = self.handle.route().del(route_message(index, &Route { mtu: None, ..*route }));
        request.execute().await.or_else(ignore_gone).map_err(refused("remove an overlay route"))
    }
}

/// Whether an error says that this host or this interface has no IPv6.
pub(super) fn ipv6_is_off(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EACCES | libc::EAFNOSUPPORT | libc::EOPNOTSUPP | libc::ENETDOWN | libc::EADDRNOTAVAIL)
    )
}

/// Collects a dump; an answer cut short by a change in between is still an answer.
pub(super) async fn collect<T>(
    dump: impl Stream<Item = Result<T, rtnetlink::Error>>,
    action: &'static str,
) -> Result<Vec<T>, NetError> {
    dump.try_collect().await.or_else(|error| match to_io(&error).raw_os_error() {
        // a kernel without this family has nothing to list
        Some(libc::EAFNOSUPPORT | libc::EOPNOTSUPP) => Ok(Vec::new()),
        Some(_) | None => Err(refused(action)(error)),
    })
}

fn refused(action: &'static str) -> impl FnOnce(rtnetlink::Error) -> NetError {
    move |error| NetError::Refused { action, source: to_io(&error) }
}

fn to_io(error: &rtnetlink::Error) -> io::Error {
    if let rtnetlink::Error::NetlinkError(message) = error {
        message.to_io()
    } else {
        io::Error::other(error.to_string())
    }
}

/// What is to be removed may have gone by itself, with its address or its device.
fn ignore_gone(error: rtnetlink::Error) -> Result<(), rtnetlink::Error> {
    match to_io(&error).raw_os_error() {
        Some(libc::ESRCH | libc::EADDRNOTAVAIL | libc::ENODEV) => Ok(()),
        Some(_) | None => Err(error),
    }
}

fn route_message(index: u32, route: &Route) -> RouteMessage {
    let mut message = match route.prefix {
        IpNet::V4(net) => {
            RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(net.network(), net.prefix_len()).build()
        }
        IpNet::V6(net) => {
            RouteMessageBuilder::<Ipv6Addr>::new().destination_prefix(net.network(), net.prefix_len()).build()
        }
    };
    message.header.protocol = RouteProtocol::Other(PROTOCOL);
    if matches!(route.prefix, IpNet::V4(_)) {
        // IPv4 asks whether a destination without gateway is on the link; in IPv6 the scope says nothing
        message.header.scope = RouteScope::Link;
    }
    message.attributes.push(RouteAttribute::Oif(index));
    message.attributes.extend(route.mtu.map(|mtu| RouteAttribute::Metrics(vec![RouteMetric::Mtu(mtu)])));
    message
}

fn route_filter(family: AddressFamily, index: u32) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Other(PROTOCOL);
    message.header.kind = RouteType::Unicast;
    message.attributes.push(RouteAttribute::Oif(index));
    message
}

/// The kernel's filter is a wish; old kernels send everything.
fn is_ours(message: &RouteMessage, index: u32) -> bool {
    message.header.protocol == RouteProtocol::Other(PROTOCOL)
        && message.attributes.contains(&RouteAttribute::Oif(index))
}

fn read_route(message: &RouteMessage) -> Option<Route> {
    let destination = message.attributes.iter().find_map(|attribute| {
        if let RouteAttribute::Destination(destination) = attribute { read_address(destination) } else { None }
    });
    let mtu = message
        .attributes
        .iter()
        .find_map(|attribute| if let RouteAttribute::Metrics(metrics) = attribute { read_mtu(metrics) } else { None });
    // a default route has no destination; none of ours is one
    let prefix = IpNet::new(destination?, message.header.destination_prefix_length).ok()?;
    Some(Route { prefix, mtu })
}

fn read_address(address: &RouteAddress) -> Option<IpAddr> {
    if let RouteAddress::Inet(ip) = address {
        Some((*ip).into())
    } else if let RouteAddress::Inet6(ip) = address {
        Some((*ip).into())
    } else {
        None
    }
}

fn read_mtu(metrics: &[RouteMetric]) -> Option<u32> {
    metrics.iter().find_map(|metric| if let RouteMetric::Mtu(mtu) = metric { Some(*mtu) } else { None })
}

/// The address of a message, unless the kernel made it by itself (link-local).
fn overlay_address(message: &AddressMessage) -> Option<IpAddr> {
    address_of(message).filter(|address| match address {
        IpAddr::V4(_) => true,
        IpAddr::V6(ip) => !ip.is_unicast_link_local(),
    })
}

/// On a point-to-point link `Address` is the far end's and `Local` ours; elsewhere there is only the first.
pub(super) fn address_of(message: &AddressMessage) -> Option<IpAddr> {
    let attributes = || message.attributes.iter();
    let local = attributes()
        .find_map(|attribute| if let AddressAttribute::Local(address) = attribute { Some(*address) } else { None });
    let any = || {
        attributes().find_map(
            |attribute| if let AddressAttribute::Address(address) = attribute { Some(*address) } else { None },
        )
    };
    local.or_else(any)
}

const fn host_prefix(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// As many datagrams of a 1500-byte path, relay frames and all, as one send takes: 65,507 bytes.
const MAX_SEGMENTS: u32 = 44;

/// Marks our routes in the kernel's tables. Above 15 the numbers are for daemons; this one is in nobody's list.
const PROTOCOL: u8 = 87;

//! The router that this host's IPv4 traffic leaves by: whom to ask for a port mapping.
//!
//! The kernel is asked for one route, never for its table: a host may have a million routes, and rules that choose
//! between tables.

use std::net::Ipv4Addr;

use futures_util::StreamExt;
use rtnetlink::RouteMessageBuilder;
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};

use super::Exclude;
use super::kernel::Kernel;

/// The way out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gateway {
    /// The router's address on the link.
    pub router: Ipv4Addr,
    /// Our own address on that link.
    pub source: Ipv4Addr,
}

/// The gateway, if there is one and it is not reached through our own device.
pub(super) async fn find(kernel: &Kernel, exclude: &Exclude) -> Option<Gateway> {
    let message = RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(SOMEWHERE, 32).build();
    let mut answers = Box::pin(kernel.handle().route().get(asking(message)).execute());
    // no route there is an error, and means that there is no gateway
    let route = answers.next().await?.ok()?;
    read(&route, exclude.interface)
}

/// A question names neither table nor kind of route, which a new route does.
fn asking(mut message: RouteMessage) -> RouteMessage {
    message.header = Default::default();
    message.header.address_family = rtnetlink::packet_route::AddressFamily::Inet;
    message.header.destination_prefix_length = 32;
    message
}

fn read(route: &RouteMessage, excluded: Option<u32>) -> Option<Gateway> {
    let (mut router, mut source) = (None, None);
    for attribute in &route.attributes {
        if let RouteAttribute::Gateway(RouteAddress::Inet(address)) = attribute {
            router = Some(*address);
        } else if let RouteAttribute::PrefSource(RouteAddress::Inet(address)) = attribute {
            source = Some(*address);
        } else if let RouteAttribute::Oif(index) = attribute
            && Some(*index) == excluded
        {
            return None;
        }
    }
    Some(Gateway { router: router?, source: source? })
}

/// In no network of anybody's (RFC 5737): whatever way it would go is the default way.
const SOMEWHERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_through_a_router_names_it_and_our_address() {
        let route = route(Some([192, 168, 1, 1]), 3);

        let gateway = read(&route, Some(9)).unwrap();

        assert_eq!(gateway, Gateway { router: [192, 168, 1, 1].into(), source: [192, 168, 1, 20].into() });
    }

    #[test]
    fn a_destination_on_the_link_has_no_gateway_nor_has_one_through_our_own_device() {
        assert_eq!(read(&route(None, 3), None), None);
        assert_eq!(read(&route(Some([192, 168, 1, 1]), 3), Some(3)), None);
    }

    fn route(router: Option<[u8; 4]>, interface: u32) -> RouteMessage {
        let mut route = RouteMessage::default();
        route.attributes = vec![
            RouteAttribute::Oif(interface),
            RouteAttribute::PrefSource(RouteAddress::Inet([192, 168, 1, 20].into())),
        ];
        route.attributes.extend(router.map(|router| RouteAttribute::Gateway(RouteAddress::Inet(router.into()))));
        route
    }
}

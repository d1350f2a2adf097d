//! What is to be had of the network next to us without any server: a way through the gateway, and peers on our own links.
//!
//! Both run as tasks of their own, in `port_mapping` and `discovery`; here what they find out comes to the core.

use std::num::NonZeroU16;

use warren_proto::keys::NodeId;
use warren_proto::node::LocalDevice;

use super::attachment::Input;
use super::{SlowPath, Tools};
use crate::discovery::announcement::MeshKey;
use crate::discovery::{self, Discovery, Sighting};
use crate::netcfg::HostNetwork;
use crate::port_mapping::{self, Outlook, PortMapper};

/// Each is `None` when it is switched off.
pub(super) struct Vicinity {
    port_mapper: Option<PortMapper>,
    discovery: Option<Discovery>,
}

impl Vicinity {
    /// The network changed, or this is the first look at it.
    pub(super) fn set_network(&self, network: &HostNetwork) {
        if let Some(port_mapper) = &self.port_mapper {
            port_mapper.set_gateway(network.gateway);
        }
        if let Some(discovery) = &self.discovery {
            discovery.set_network(network);
        }
    }

    /// Says whom to listen for, and whether to say nothing meanwhile.
    pub(super) fn set_peers(&self, peers: impl Iterator<Item = NodeId>, silent: bool) {
        if let Some(discovery) = &self.discovery {
            discovery.set_peers(peers.collect(), silent);
        }
    }

    /// The next thing found out.
    pub(super) async fn next(&mut self) -> Input {
        let Self { port_mapper, discovery } = self;
        tokio::select! {
            outlook = next_outlook(port_mapper) => Input::Mapping(outlook),
            sighting = next_sighting(discovery) => Input::Sighting(sighting),
        }
    }

    /// What is known of the gateway.
    pub(super) fn outlook(&self) -> Outlook {
        let off = || Outlook { settled: true, ..Outlook::default() };
        self.port_mapper.as_ref().map_or_else(off, PortMapper::outlook)
    }

    /// Gives back what the gateway granted.
    pub(super) async fn end(self) {
        if let Some(port_mapper) = self.port_mapper {
            port_mapper.end().await;
        }
    }
}

async fn next_outlook(port_mapper: &mut Option<PortMapper>) -> Outlook {
    match port_mapper {
        Some(port_mapper) => port_mapper.changed().await,
        None => std::future::pending().await,
    }
}

async fn next_sighting(discovery: &mut Option<Discovery>) -> Sighting {
    match discovery {
        Some(discovery) => discovery.sighting().await,
        None => std::future::pending().await,
    }
}

impl Tools {
    /// Starts what is not switched off.
    pub(super) fn look_around(&self, local: &LocalDevice, network: &HostNetwork) -> Vicinity {
        let (config, port) = (&self.config, self.sockets.port());
        let port_mapper = NonZeroU16::new(port).filter(|_| config.port_mapping).map(|port| {
            let secret = local.static_secret.clone();
            PortMapper::start(port_mapping::Settings { port, upnp: config.upnp, secret })
        });
        let discovery = config.lan_discovery.then(|| {
            let (key, node) = (MeshKey::of(&local.network), local.certificate.node);
            Discovery::start(discovery::Settings { key, node, port, clock: self.clock })
        });
        let vicinity = Vicinity { port_mapper, discovery };
        vicinity.set_network(network);
        vicinity
    }
}

impl SlowPath {
    pub(super) fn handle_mapping(&mut self, outlook: &Outlook) {
        let now = self.tools.clock.now();
        let Some(mesh) = self.mesh() else { return };
        if mesh.surroundings.set_mapping(outlook.mapping) {
            mesh.node.handle_candidates(mesh.surroundings.candidates(), now);
        }
    }

    pub(super) fn handle_sighting(&mut self, sighting: Sighting) {
        let now = self.tools.clock.now();
        if let Some(mesh) = self.mesh() {
            mesh.node.handle_discovered(sighting.peer, sighting.addr, now);
        }
    }
}

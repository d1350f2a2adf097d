//! A world in memory: hosts that run the real `proto::Node`, NATs as RFC 4787 describes them, links with delay and loss.
//!
//! One seed gives one run. Time moves from event to event, so a simulated minute takes milliseconds. The packet path of
//! a host is the one of the agent in miniature: it seals and opens with the SAs that `Node` publishes. Real kernels,
//! sockets and clocks are `lab`'s business.

mod host;
mod nat;
mod rendezvous;
mod world;

pub use host::Host;
pub use nat::{Filtering, Mapping, Nat, NatKind};
pub use world::{HostId, Link, World};

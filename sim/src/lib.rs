//! A world in memory: hosts that run the real `proto::Node` and the real coordinator, NATs as RFC 4787 describes them,
//! links that delay, lose, reorder, double and cut, and an oracle that checks at every step what must always hold.
//!
//! One seed gives one run. Time moves from event to event, so a simulated minute takes milliseconds. The packet path of
//! a host is the one of the agent in miniature: it seals and opens with the SAs that `Node` publishes. Real kernels,
//! sockets and clocks are `lab`'s business. `chaos` troubles small worlds, `population` asks what the field would see.

mod attachment;
pub mod chaos;
mod gather;
mod host;
mod link;
mod nat;
mod net;
mod oracle;
mod packet;
pub mod population;
mod rendezvous;
mod rng;
mod trouble;
mod world;

pub use host::{Host, HostId};
pub use link::Link;
pub use nat::{Filtering, Mapping, Nat, NatKind, Ports};
pub use net::{NatId, Net};
pub use oracle::{MARKER, Oracle};
pub use packet::numbered;
pub use world::{Attachment, Place, World};

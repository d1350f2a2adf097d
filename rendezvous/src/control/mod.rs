//! The control plane: agents' QUIC connections. A listener admits connections, each is one task, and the hub joins them
//! with the coordinator, which decides. Admission checks who it is; what an enrolment means is `actions`' business. `tunnel`
//! brings in those whose networks let no UDP out.

mod admission;
mod connection;
mod endpoint;
mod hub;
mod listener;
mod queue;
mod replicas;
mod tls;
mod tunnel;

pub use hub::{Census, Hub, LiveEvent};
pub use listener::{Listener, Services};
pub use tunnel::{Tunnels, router};

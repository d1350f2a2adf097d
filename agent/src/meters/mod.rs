//! What Prometheus may read of a daemon: what the slow path knows at that moment, added up so that nothing ever falls.
//!
//! Packets are counted where they always were; this asks for those counters when somebody reads. Peers come and go and take
//! their counters with them, so what they counted is kept here (`totals`).

mod listener;
mod page;
mod totals;

pub use listener::MetricsListener;

//! The numbers that inner packets of the tests carry.

use std::collections::BTreeSet;

use warren_sim::Host;
pub(crate) use warren_sim::numbered;

/// The numbers of the packets that arrived.
pub(crate) fn numbers(host: &Host) -> BTreeSet<u32> {
    let number = |packet: &Vec<u8>| u32::from_be_bytes(packet[28..32].try_into().expect("four bytes"));
    host.received.iter().map(number).collect()
}

//! The real core in a world in memory: NAT pairs, loss, rekeys, a rendezvous that goes away.

mod chaos;
mod connect;
mod nat_matrix;
mod packets;
mod recover;
mod roam;
mod sparing;
mod suites;
mod survive;
mod without_server;

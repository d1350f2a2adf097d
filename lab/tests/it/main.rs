//! The system tests: real kernels, real NATs, real processes, foreign programs as judges. They need root and the tools
//! that `cargo xtask setup` installs, and run one at a time: each has the machine to itself.

mod bench;
mod budget;
mod bulk;
mod cleanup;
mod compose;
mod connectivity;
mod demo;
mod errors;
mod explain;
mod fairness;
mod faults;
mod handover;
mod hostile;
mod idle;
mod install;
mod journey;
mod lan_discovery;
mod letting_in;
mod loss;
mod matrix;
mod moving;
mod nat;
mod oracle;
mod path_mtu;
mod port_mapping;
mod privilege;
mod rekey;
mod replicas;
mod revoke;
mod websocket;
mod without_server;

//! The protocol core from outside: published and golden bytes, properties over random input, whole exchanges.

mod control_golden;
mod esp_allocation;
mod esp_overhead;
mod esp_pair;
mod esp_properties;
mod esp_vectors;
#[cfg(test)]
mod fuzz_corpus;
mod handshake;
mod introductions;
mod node_map;
mod noise_oracle;

//! Keys into bytes: the AEAD, every key-derivation label, and Diffie-Hellman. No message order and no state.

mod suite;

pub use suite::{Suite, UnknownSuite};

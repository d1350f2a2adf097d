//! Keys into bytes: the AEAD, every key-derivation label, and Diffie-Hellman. No message order and no state.

mod aead;
mod suite;

pub use aead::{EspAead, KEY_LEN, NONCE_LEN, TAG_LEN};
pub use suite::{Suite, UnknownSuite};

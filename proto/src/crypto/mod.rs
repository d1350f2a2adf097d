//! Keys into bytes: the AEAD, every key-derivation label, and Diffie-Hellman. No message order and no state.

mod aead;
pub(crate) mod dh;
pub mod kdf;
pub(crate) mod mac;
mod one_time;
mod suite;

pub use aead::{EspAead, KEY_LEN, NONCE_LEN, TAG_LEN};
pub(crate) use one_time::OneTimeKey;
pub use suite::{Preference, Suite, UnknownSuite};

//! See `entries::cut`.
#![no_main]

#[path = "../entries.rs"]
mod entries;
#[path = "../../../agent/tests/it/common/reference.rs"]
mod reference;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entries::cut(bytes));

//! Whether this process may still make things, or is being cleaned up.
//!
//! While the signal handler removes what the process made, its other threads run on, see their things fail, and would go
//! on to make new ones or end the process too soon. Whoever comes to a closed gate waits there for the process's end.

use std::mem;
use std::sync::{PoisonError, RwLock};

/// Does the work if the gate is open; the gate does not close meanwhile.
pub(crate) fn pass<T>(work: impl FnOnce() -> T) -> T {
    let _open = GATE.read().unwrap_or_else(PoisonError::into_inner);
    work()
}

/// Closes the gate for good, once nobody is in it.
pub(crate) fn close() {
    mem::forget(GATE.write().unwrap_or_else(PoisonError::into_inner));
}

static GATE: RwLock<()> = RwLock::new(());

//! Waiting for something to become true, with a limit and a sentence for when it does not.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Asks until the answer is there; `what` finishes the sentence "waited 5s for ...".
pub fn until<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Ok(answer);
        }
        if start.elapsed() >= limit {
            bail!("waited {limit:?} for {what}");
        }
        sleep(POLL);
    }
}

/// Short against every time the lab measures, long against what asking costs.
const POLL: Duration = Duration::from_millis(10);

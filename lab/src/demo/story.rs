//! How the demo speaks: a sentence when something has happened, with the time since the beginning.

use std::time::{Duration, Instant};

pub(super) struct Story {
    start: Instant,
}

impl Story {
    pub(super) fn begin() -> Self {
        Self { start: Instant::now() }
    }

    pub(super) fn say(&self, sentence: &str) {
        println!("{:8.3} s  {sentence}", self.start.elapsed().as_secs_f64());
    }

    /// Something to look at, without a time.
    pub(super) fn show(&self, picture: &str) {
        println!("{picture}");
    }
}

/// A short time as people say it.
pub(super) fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

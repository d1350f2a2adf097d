//! Ctrl-C: removes what this process made, whatever it is doing, and ends it.

use std::process;
use std::thread;

use anyhow::{Context, Result};
use nix::sys::signal::{SigSet, Signal};

use crate::run;

/// From here on SIGINT, SIGTERM and SIGHUP clean up and end the process. Call it before any other thread is started:
/// threads inherit the blocked signals, and the processes they start do not.
pub fn clean_up_on_signals() -> Result<()> {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM] {
        signals.add(signal);
    }
    signals.thread_block().context("take over the signals")?;
    thread::spawn(move || {
        let signal = signals.wait();
        if let Err(error) = run::remove_own() {
            eprintln!("lab: could not clean up: {error:#}");
        }
        // As a shell reports a process that the signal itself ended.
        process::exit(signal.map_or(1, |signal| 128 + signal as i32));
    });
    Ok(())
}

/// Gives the main thread nothing more to do.
pub fn wait_forever() -> ! {
    loop {
        thread::park();
    }
}

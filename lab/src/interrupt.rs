//! Ctrl-C: removes what this process made, whatever it is doing, and ends it.

use std::process;
use std::thread;

use anyhow::{Context, Result};
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::run;

/// From here on SIGINT, SIGTERM and SIGHUP clean up and end the process. They are handled, not blocked: the programs
/// that the lab starts would inherit a block and never end when asked.
pub fn clean_up_on_signals() -> Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_io().build().context("take over the signals")?;
    let guard = runtime.enter();
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    drop(guard);
    thread::spawn(move || {
        let received = runtime.block_on(async {
            tokio::select! {
                _ = hang_up.recv() => SignalKind::hangup(),
                _ = interrupt.recv() => SignalKind::interrupt(),
                _ = terminate.recv() => SignalKind::terminate(),
            }
        });
        if let Err(error) = run::remove_own() {
            eprintln!("lab: could not clean up: {error:#}");
        }
        // As a shell reports a process that the signal itself ended.
        process::exit(128 + received.as_raw_value());
    });
    Ok(())
}

/// Gives the main thread nothing more to do.
pub fn wait_forever() -> ! {
    loop {
        thread::park();
    }
}

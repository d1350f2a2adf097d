//! Runs a command to its end and turns failure into an error that quotes it. Starts nothing that stays.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};

/// Runs the command; its standard output, or an error with its standard error.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("start {command:?}"))?;
    checked(command, &output)
}

/// Runs the command with `input` on its standard input.
pub fn run_with_input(command: &mut Command, input: &str) -> Result<String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {command:?}"))?;
    child.stdin.take().context("open the command's input")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    checked(command, &output)
}

/// `ip` with these words.
pub fn ip(words: &[&str]) -> Result<String> {
    run(Command::new("ip").args(words))
}

fn checked(command: &Command, output: &Output) -> Result<String> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} ended with {}: {}", output.status, stderr.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

//! The benchmark measures all it promises, says what it could not measure, and leaves nothing behind.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use warren_lab::bench::{self, Figure, Results};
use warren_lab::host::Finished;
use warren_lab::{binaries, namespace, wait};

#[test]
fn a_short_bench_has_every_figure_of_the_cable_and_of_warren() -> Result<()> {
    let results = measure("bench-short", &["--only", "plain,warren", "--rounds", "1", "--seconds", "1"])?;

    for name in ["plain", "warren"] {
        let entry = results.entry(name).with_context(|| format!("{name} is missing"))?;
        let round = entry.rounds.first().context("no round")?;
        ensure!(round.failures.is_empty(), "{name}: {:?}", round.failures);
        for figure in Figure::ALL.into_iter().filter(|figure| name != "plain" || *figure != Figure::ResidentBytes) {
            ensure!(round.figures.contains_key(&figure), "{name} lacks {figure:?}");
        }
        let value = |figure| round.figures[&figure];
        ensure!(value(Figure::OneFlowGbps) > 0.0 && value(Figure::SmallPacketsDelivered) > 0.0, "{name}: {round:?}");
        ensure!(value(Figure::CpuSecondsPerGb) > value(Figure::TunnelCpuSecondsPerGb), "{name}: {round:?}");
        ensure!(value(Figure::PingIdleP50Ms) <= value(Figure::PingIdleP99Ms), "{name}: {round:?}");
    }
    // Headers are 66 bytes of 1514 without a tunnel; a count of super-packets would show next to none.
    let wire = |name: &str| results.entry(name).map_or(0.0, |entry| entry.median[&Figure::WireBytesPerByte]);
    ensure!(wire("plain") > 1.04 && wire("warren") > wire("plain"), "{} and {}", wire("plain"), wire("warren"));
    Ok(())
}

#[test]
fn rounds_are_added_to_rounds_that_are_alike_and_to_no_others() -> Result<()> {
    let words = ["--only", "plain", "--phases", "ping-idle", "--rounds", "1", "--seconds"];
    measure("bench-append", &[&words[..], &["1"]].concat())?;

    let results = measure("bench-append", &[&words[..], &["1", "--append"]].concat())?;
    let refused = measure("bench-append", &[&words[..], &["2", "--append"]].concat());

    ensure!(results.rounds == 2 && results.contenders[0].rounds.len() == 2, "{results:?}");
    let Err(refused) = refused else { anyhow::bail!("rounds of another length were added") };
    ensure!(refused.to_string().contains("took 1 s"), "{refused:#}");
    Ok(())
}

#[test]
fn a_contender_that_does_not_start_is_reported_and_ends_nothing_else() -> Result<()> {
    // As a yardstick, a program that does nothing at all.
    let words = ["--only", "limit,plain", "--limit", "/bin/true", "--phases", "ping-idle", "--rounds", "1"];
    let results = measure("bench-failing", &[&words[..], &["--seconds", "1"]].concat())?;

    let [limit, plain] = &results.contenders[..] else { anyhow::bail!("two contenders: {results:?}") };
    let failures = &limit.rounds[0].failures;
    ensure!(failures.len() == 1 && failures[0].phase == "start", "{failures:?}");
    ensure!(failures[0].reason.contains("the yardstick's interface"), "{failures:?}");
    ensure!(plain.median.contains_key(&Figure::PingIdleP50Ms), "{plain:?}");
    Ok(())
}

#[test]
fn who_is_asked_for_and_not_installed_is_an_error_that_says_what_to_do() -> Result<()> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
    command.args(["bench", "--only", "gotatun", "--out", "/nonexistent"]).env("PATH", "/nonexistent");

    let finished = Finished::run(&mut command)?;

    ensure!(finished.code == 1, "{finished:?}");
    ensure!(finished.stderr.contains("gotatun is not installed (`cargo xtask setup --peers`"), "{finished:?}");
    Ok(())
}

#[test]
fn a_bench_that_is_interrupted_leaves_nothing() -> Result<()> {
    let mut bench = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(["bench", "--only", "plain", "--phases", "one-flow", "--seconds", "60", "--out", "/nonexistent"])
        .stderr(Stdio::null())
        .spawn()?;
    let began =
        wait::until("its hosts", Duration::from_secs(10), || Some(made_by(&bench).ok()?.len() == 3).filter(|all| *all));

    kill(Pid::from_raw(bench.id().cast_signed()), Signal::SIGINT)?;
    let ended = bench.wait()?;

    began?;
    ensure!(ended.code() == Some(130), "it ended with {ended}");
    ensure!(made_by(&bench)?.is_empty(), "namespaces are left");
    Ok(())
}

/// Runs the benchmark and reads the JSON it wrote; the table and the chart must be there too.
fn measure(title: &str, words: &[&str]) -> Result<Results> {
    let out: PathBuf = binaries::target_directory()?.join("lab").join(title);
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
    let table = Finished::run(command.arg("bench").args(words).arg("--out").arg(&out))?.success()?;
    ensure!(table.contains(fs::read_to_string(out.join("bench.md"))?.trim()), "the table is not shown: {table}");
    ensure!(fs::read_to_string(out.join("bench.svg"))?.starts_with("<svg"), "the chart is no SVG");
    bench::read(&out.join("bench.json"))
}

fn made_by(lab: &Child) -> Result<Vec<String>> {
    Ok(namespace::all()?.into_iter().filter(|name| name.contains(&format!("-{}-", lab.id()))).collect())
}

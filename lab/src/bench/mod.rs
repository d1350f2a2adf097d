//! `cargo xtask bench`: how fast this machine is without a tunnel, through the yardstick, through Warren and through
//! others.
//!
//! A *contender* is brought up between the two hosts of a `pair`, and *phases* take *figures* from it. Every round runs
//! every contender once, in turn, so that a slow minute of the machine hits all alike. What fails is reported with its
//! reason and ends nothing else.

mod contender;
mod figure;
mod pair;
mod phase;
mod profile;
mod report;
mod results;
mod usage;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;

pub use crate::machine::Machine;
pub use contender::{Contender, Programs};
pub use figure::Figure;
pub use phase::Phase;
pub use profile::{Recording, Side, record};
pub use results::{Entry, Failure, Results, Round, Skipped};

use pair::Pair;
use phase::Course;
use usage::Usage;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How often every contender runs.
    pub rounds: u32,
    /// How long each phase measures.
    pub seconds: u32,
    /// Who runs; empty for everyone who is installed.
    pub only: Vec<Contender>,
    /// What is measured; empty for everything.
    pub phases: Vec<Phase>,
    /// Where the contenders' programs are.
    pub programs: Programs,
    /// The day, as the report shows it.
    pub date: String,
    /// Rounds that this run only adds to.
    pub earlier: Option<Results>,
}

/// Runs the benchmark and says on standard error how it goes.
pub fn run(settings: &Settings) -> Result<Results> {
    let machine = Machine::this()?;
    let (mut present, skipped) = roll_call(settings)?;
    if let Some(earlier) = &settings.earlier {
        continue_from(earlier, settings, &machine, &mut present)?;
    }
    warn_if_busy()?;
    for round in 1..=settings.rounds {
        for Present { contender, rounds, .. } in &mut present {
            eprintln!("round {round} of {}: {}", settings.rounds, contender.name());
            rounds.push(run_one(*contender, settings));
        }
    }
    let entries = present.into_iter().map(|one| Entry::new(one.contender, one.version, one.rounds));
    Ok(Results::new(settings, machine, entries.collect(), skipped))
}

/// Writes the results as `bench.json`, `bench.svg` and `bench.md`; the table is also the answer.
pub fn write(results: &Results, directory: &Path) -> Result<String> {
    let table = report::table(results);
    let mut json = serde_json::to_string_pretty(results).context("encode the results")?;
    json.push('\n');
    fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
    for (name, text) in [("bench.json", &json), ("bench.svg", &report::chart(results)), ("bench.md", &table)] {
        let file: PathBuf = directory.join(name);
        fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
    }
    Ok(table)
}

/// Reads what `write` has written.
pub fn read(file: &Path) -> Result<Results> {
    let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("understand {}", file.display()))
}

/// Gives everybody the rounds they had; medians over rounds mean something only if the rounds are alike.
fn continue_from(earlier: &Results, settings: &Settings, machine: &Machine, present: &mut [Present]) -> Result<()> {
    ensure!(earlier.machine == *machine, "the earlier rounds are of another machine: {}", earlier.machine.describe());
    ensure!(earlier.seconds == settings.seconds, "a phase of the earlier rounds took {} s", earlier.seconds);
    let who = |entry: &Entry| format!("{} ({})", entry.name, entry.version);
    let before: Vec<_> = earlier.contenders.iter().map(who).collect();
    let now: Vec<_> = present.iter().map(|one| format!("{} ({})", one.contender.name(), one.version)).collect();
    ensure!(before == now, "the earlier rounds are of {}", before.join(", "));
    for (one, entry) in present.iter_mut().zip(&earlier.contenders) {
        one.rounds.clone_from(&entry.rounds);
    }
    Ok(())
}

/// Figures of a machine that does something else meanwhile are of little use, and nothing in them would show it.
fn warn_if_busy() -> Result<()> {
    let before = Usage::of(&[])?;
    thread::sleep(BUSY_WINDOW);
    let work = (Usage::of(&[])?.machine - before.machine) / BUSY_WINDOW.as_secs_f64();
    if work > BUSY {
        eprintln!("this machine is at work already: {:.0} % of a core; the figures will suffer", work * 100.0);
    }
    Ok(())
}

/// A contender that can run here.
struct Present {
    contender: Contender,
    version: String,
    rounds: Vec<Round>,
}

/// Splits those who are wanted into who can run and who is skipped. Who was asked for by name must be there.
fn roll_call(settings: &Settings) -> Result<(Vec<Present>, Vec<Skipped>)> {
    let wanted = if settings.only.is_empty() { Contender::value_variants() } else { &settings.only };
    let mut present = Vec::new();
    let mut skipped = Vec::new();
    for &contender in wanted {
        match contender.version(&settings.programs) {
            Ok(version) => present.push(Present { contender, version, rounds: Vec::new() }),
            Err(error) if settings.only.is_empty() => {
                eprintln!("skipping {}: {error:#}", contender.name());
                skipped.push(Skipped { name: contender.name(), reason: format!("{error:#}") });
            }
            Err(error) => bail!("{}: {error:#}", contender.name()),
        }
    }
    Ok((present, skipped))
}

/// One contender through all phases, on hosts of its own.
fn run_one(contender: Contender, settings: &Settings) -> Round {
    let mut round = Round::default();
    if let Err(error) = try_one(contender, settings, &mut round) {
        eprintln!("  failed: {error:#}");
        round.failures.push(Failure { phase: "start".to_owned(), reason: format!("{error:#}") });
    }
    round
}

fn try_one(contender: Contender, settings: &Settings, round: &mut Round) -> Result<()> {
    let pair = Pair::build(&format!("bench/{}", contender.name()))?;
    let mut tunnel = contender.start(&pair, &settings.programs)?;
    phase::reach(&pair, &tunnel)?;
    let phases = if settings.phases.is_empty() { Phase::value_variants() } else { &settings.phases };
    for &phase in phases {
        let course = Course { pair: &pair, tunnel: &tunnel, seconds: settings.seconds };
        let measured = phase.measure(&course).and_then(|figures| tunnel.check().map(|()| figures));
        match measured {
            Ok(figures) => {
                let said: Vec<_> = figures.iter().map(|(figure, value)| figure.say(*value)).collect();
                eprintln!("  {:<16} {}", phase.name(), said.join(", "));
                round.figures.extend(figures);
            }
            Err(error) => {
                eprintln!("  {:<16} failed: {error:#}", phase.name());
                round.failures.push(Failure { phase: phase.name(), reason: format!("{error:#}") });
            }
        }
    }
    Ok(())
}

const BUSY_WINDOW: Duration = Duration::from_millis(500);
/// More of a core than an idle system uses.
const BUSY: f64 = 0.15;

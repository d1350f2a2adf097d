//! `cargo xtask matrix`: every kind of NAT against every other, with the real programs.
//!
//! A `world` has two places of each kind, with an agent on a host in each. A *cell* is a pair of kinds; a *try* takes
//! the two agents up behind NATs that remember nothing and watches them meet. `expect` says what each cell must come to,
//! and is held against what came of it. What is no pair of kinds (two hosts behind one NAT, and the like) is a `scene`.

mod attempt;
mod expect;
mod meter;
mod pulse;
mod report;
mod results;
mod scene;
mod world;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

pub use expect::{Expectation, KINDS, expected};
pub use results::{Cell, Kind, Results, Try};
pub use scene::Scene;
pub use world::World;

use crate::machine::Machine;
use crate::nat::NatKind;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Pairs of these kinds alone; empty for all, and then scenes as well.
    pub only: Vec<NatKind>,
    /// How often each pair meets.
    pub tries: u32,
    /// The day, as the report shows it.
    pub date: String,
}

/// Runs the matrix and says on standard error how it goes.
pub fn run(settings: &Settings) -> Result<Results> {
    let kinds: Vec<_> =
        KINDS.into_iter().filter(|kind| settings.only.is_empty() || settings.only.contains(kind)).collect();
    ensure!(!kinds.is_empty(), "none of these kinds has a place in the matrix");
    let machine = Machine::this()?;
    eprintln!("matrix: building {} kinds of places, two of each", kinds.len());
    let mut world = World::build("matrix", &kinds)?;
    let mut results = Results::new(settings, machine, world.kinds().to_vec());
    for (index, left) in kinds.iter().enumerate() {
        for right in &kinds[index..] {
            let tries = (0..settings.tries).map(|_| world.meet(*left, *right)).collect::<Result<_>>()?;
            results.cells.push(tell(Cell::new(left.name(), right.name(), expected(*left, *right), tries)));
        }
    }
    drop(world);
    for scene in Scene::ALL.into_iter().filter(|_| settings.only.is_empty()) {
        results.scenes.push(tell(scene.run(settings.tries)?));
    }
    Ok(results)
}

/// Writes the results as `matrix.json`, `matrix.svg` and `matrix.md`; the table is also the answer.
pub fn write(results: &Results, directory: &Path) -> Result<String> {
    let table = report::table(results);
    let mut json = serde_json::to_string_pretty(results).context("encode the results")?;
    json.push('\n');
    fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
    for (name, text) in [("matrix.json", &json), ("matrix.svg", &report::heat(results)), ("matrix.md", &table)] {
        let file = directory.join(name);
        fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
    }
    Ok(table)
}

fn tell(cell: Cell) -> Cell {
    eprintln!("{}", cell.describe());
    for complaint in cell.complaints() {
        eprintln!("  not as expected: {complaint}");
    }
    cell
}

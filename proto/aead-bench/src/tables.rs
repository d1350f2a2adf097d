//! Prints timings as Markdown. Nanoseconds a packet: best, and the median behind it.

use crate::backends::Algorithm;
use crate::{SIZES, Timing};

pub(crate) fn print_in_place(algorithm: Algorithm, by_size: &[Vec<Timing>; 3]) {
    let heads = ["seal", "open"].map(|what| SIZES.map(|len| format!("{what} {len}")).join(" | ")).join(" | ");
    println!("\n| {algorithm:?} | {heads} |\n|---|---|---|---|---|---|---|");
    for backend in 0..by_size[0].len() / 2 {
        let name = by_size[0][2 * backend].name.split(' ').next().unwrap_or_default();
        let cells = [0, 1].map(|what| by_size.each_ref().map(|timings| cell(&timings[2 * backend + what])).join(" | "));
        println!("| {name} | {} |", cells.join(" | "));
    }
}

pub(crate) fn print_cutting(algorithm: Algorithm, timings: &[Timing]) {
    println!("\n| {algorithm:?}, into the next buffer | ns |\n|---|---|");
    for timing in timings {
        println!("| {} | {} |", timing.name, cell(timing));
    }
}

fn cell(timing: &Timing) -> String {
    format!("{} ({})", timing.best.as_nanos(), timing.median.as_nanos())
}

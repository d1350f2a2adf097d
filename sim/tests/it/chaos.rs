//! Whatever happens, in whatever order: nobody panics, the oracle finds nothing, and once the trouble is over every pair
//! talks. A failing seed is printed; `cargo run -p warren-sim -- chaos --seed N` gives the same run again.

use std::ops::Range;

use warren_sim::chaos;

#[test]
fn after_any_trouble_every_pair_talks_again() {
    assert_none_fails(0..1_000);
}

#[test]
#[ignore = "nightly: nine thousand worlds take minutes"]
fn after_any_trouble_of_ten_thousand_kinds_every_pair_talks_again() {
    assert_none_fails(1_000..10_000);
}

fn assert_none_fails(seeds: Range<u64>) {
    let failures = chaos::failures(seeds);

    assert!(failures.is_empty(), "{} seeds failed: {failures:#?}", failures.len());
}

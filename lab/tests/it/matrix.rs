//! A few cells of the matrix, one of each sort; all of them are `cargo xtask matrix`.

use anyhow::{Result, bail};
use warren_lab::matrix::{Cell, Scene, World, expected};
use warren_lab::nat::NatKind;

#[test]
fn every_sort_of_cell_comes_to_what_is_expected_of_it() -> Result<()> {
    let pairs = [
        (NatKind::None, NatKind::Symmetric),
        (NatKind::AddressRestricted, NatKind::Symmetric),
        (NatKind::PortRestricted, NatKind::PortRestrictedOpen),
        (NatKind::PortRestrictedOpen, NatKind::PortRestrictedOpen),
        (NatKind::PortBlock, NatKind::CarrierGrade),
        (NatKind::CarrierGrade, NatKind::CarrierGrade),
        (NatKind::PortRestricted, NatKind::SymmetricSequential),
        (NatKind::PortRestricted, NatKind::Symmetric),
        (NatKind::Symmetric, NatKind::Symmetric),
        (NatKind::PortRestricted, NatKind::Rejected),
        (NatKind::DualStack, NatKind::DualStack),
        (NatKind::DualStack, NatKind::Ipv6Only),
    ];
    let mut kinds: Vec<_> = pairs.into_iter().flat_map(|(left, right)| [left, right]).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let mut world = World::build("matrix-cells", &kinds)?;

    let meet = |(left, right): (NatKind, NatKind)| -> Result<Cell> {
        Ok(Cell::new(left.name(), right.name(), expected(left, right), vec![world.meet(left, right)?]))
    };
    judge(pairs.into_iter().map(meet).collect::<Result<Vec<_>>>()?)
}

#[test]
fn hosts_that_share_something_meet_there() -> Result<()> {
    let scenes = [Scene::OneNat, Scene::OneNatHairpin, Scene::OneCarrierHairpin, Scene::SamePort];

    judge(scenes.into_iter().map(|scene| scene.run(1)).collect::<Result<Vec<_>>>()?)
}

/// Prints every cell; fails with all that is not as expected.
fn judge(cells: Vec<Cell>) -> Result<()> {
    let mut wrong = Vec::new();
    for cell in cells {
        println!("{}", cell.describe());
        wrong.extend(cell.complaints().map(|complaint| format!("{}: {complaint}", cell.title())));
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    Ok(())
}

//! Where devices stand on the map: on a ring, in the order of their ids, so that everybody sees the same picture and a new
//! device moves the others a little and none past another. In a small mesh every device has a path to every other, and a
//! ring is where no line runs through a device.

use warren_proto::keys::NodeId;

/// The map's own units across and down.
pub(super) const WIDTH: i32 = 960;
/// Down.
pub(super) const HEIGHT: i32 = 640;

/// A place on the map.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Place {
    pub(super) x: i32,
    pub(super) y: i32,
    /// Where its name goes.
    pub(super) label: Label,
}

/// Where a name stands beside its device.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Label {
    pub(super) dx: i32,
    pub(super) dy: i32,
    pub(super) anchor: &'static str,
    /// Degrees by which it is turned, in a crowd.
    pub(super) turn: i32,
}

/// The places of devices, in the order given; each stands where its id puts it.
pub(super) fn ring(ids: &[NodeId]) -> Vec<Place> {
    let mut order: Vec<usize> = (0..ids.len()).collect();
    order.sort_by_key(|index| ids[*index]);
    let mut places = vec![centre(); ids.len()];
    if ids.len() > 1 {
        for (rank, index) in order.into_iter().enumerate() {
            places[index] = at(rank, ids.len());
        }
    }
    places
}

/// A point of the line between two places, nearer to the first: in the middle the labels of all diameters would meet.
pub(super) fn between(from: &Place, to: &Place) -> (i32, i32) {
    (from.x + (to.x - from.x) * 38 / 100, from.y + (to.y - from.y) * 38 / 100)
}

fn centre() -> Place {
    Place { x: WIDTH / 2, y: HEIGHT / 2, label: Label { dx: 0, dy: 34, anchor: "middle", turn: 0 } }
}

fn at(rank: usize, count: usize) -> Place {
    // two devices stand beside each other, more begin at the top
    let quarter = if count == 2 { std::f64::consts::PI } else { -std::f64::consts::FRAC_PI_2 };
    let angle = quarter + std::f64::consts::TAU * rank as f64 / count as f64;
    let (sin, cos) = angle.sin_cos();
    let crowded = count > CROWD;
    let (across, down) = if crowded { RADII_CROWDED } else { RADII };
    let round = |value: f64| value.round() as i32;
    let (x, y) = (WIDTH / 2 + round(across * cos), HEIGHT / 2 + round(down * sin));
    Place { x, y, label: label(sin, cos, crowded) }
}

fn label(sin: f64, cos: f64, crowded: bool) -> Label {
    let right = cos >= -1e-9;
    if crowded {
        // along the radius, readable from the left on either side
        let degrees = sin.atan2(cos).to_degrees();
        let turn = if right { degrees } else { degrees + 180.0 };
        let (dx, anchor) = if right { (16, "start") } else { (-16, "end") };
        return Label { dx, dy: 5, anchor, turn: turn.round() as i32 % 360 };
    }
    if cos.abs() < 0.3 {
        return Label { dx: 0, dy: if sin < 0.0 { -22 } else { 36 }, anchor: "middle", turn: 0 };
    }
    let (dx, anchor) = if right { (20, "start") } else { (-20, "end") };
    Label { dx, dy: 5, anchor, turn: 0 }
}

/// Beyond these many, names beside each other would overlap, and are turned outward.
const CROWD: usize = 16;
const RADII: (f64, f64) = (290.0, 230.0);
/// Round, so that names turned along the radius have the same room everywhere.
const RADII_CROWDED: (f64, f64) = (200.0, 200.0);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn ids(count: u8) -> Vec<NodeId> {
        (1..=count).map(|number| NodeId::new([number.wrapping_mul(37); 16])).collect()
    }

    #[test]
    fn places_come_from_ids_and_not_from_the_order_of_the_list() {
        let (there, mut back) = (ids(9), ids(9));
        back.reverse();

        let (one, mut two) = (ring(&there), ring(&back));

        two.reverse();
        assert_eq!(one, two);
        assert_eq!(one, ring(&there));
    }

    #[test]
    fn nobody_stands_on_anybody_or_outside() {
        for count in [1, 2, 3, 7, 16, 17, 60] {
            let places = ring(&ids(count));

            let apart: BTreeSet<_> = places.iter().map(|place| (place.x, place.y)).collect();
            assert_eq!(apart.len(), usize::from(count));
            assert!(places.iter().all(|place| (40..WIDTH - 40).contains(&place.x)), "{count}");
            assert!(places.iter().all(|place| (40..HEIGHT - 40).contains(&place.y)), "{count}");
            let nearest = |one: &Place| {
                let others = places.iter().filter(|other| *other != one);
                others.map(|other| (other.x - one.x).pow(2) + (other.y - one.y).pow(2)).min().unwrap_or(i32::MAX)
            };
            assert!(places.iter().all(|place| nearest(place) >= 18 * 18), "{count} are too near each other");
        }
    }

    #[test]
    fn a_label_is_nearer_to_the_first_end() {
        let places = ring(&ids(4));
        let (x, y) = between(&places[0], &places[2]);
        let far = |place: &Place| (place.x - x).pow(2) + (place.y - y).pow(2);

        assert!(far(&places[0]) < far(&places[2]));
    }
}

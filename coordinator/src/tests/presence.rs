//! Who hears of whom in a mesh too large for everybody to hear of everybody.

use warren_proto::control::{MAX_PEERS_PER_MAP, Presence, ToAgent};

use super::super::{Ended, Output, RosterChange};
use super::{World, id, online};

const COUNT: u16 = MAX_PEERS_PER_MAP as u16 + 50;

#[test]
fn in_a_large_mesh_those_that_share_a_pair_hear_at_once_who_goes_and_nobody_else_does() {
    let mut world = World::with_members(COUNT);
    world.arrive(1).arrive(2).arrive(3).settle();
    world.locate(1).locate(2).connect(1, 2);
    world.rest();

    world.coordinator.handle_departure(id(2), world.now);
    world.settle();

    assert_eq!(world.maps_to(1).iter().flat_map(online).collect::<Vec<_>>(), [(2, false)]);
    assert_eq!(world.broadcasts(), []);
    assert_eq!(world.outputs.len(), 1);
}

#[test]
fn in_a_large_mesh_everybody_is_told_in_time_by_one_message_who_is_there() {
    let mut world = World::with_members(COUNT);
    world.arrive(1).arrive(2).arrive(3).rest();

    world.coordinator.handle_departure(id(2), world.now);
    world.rest();

    let told: Vec<_> = world.outputs.iter().filter_map(census).collect();
    assert_eq!(told.len(), 1);
    assert_eq!(there(told[0]), [1, 3]);
}

#[test]
fn a_newcomer_of_a_large_mesh_does_not_wait_for_the_others_to_be_told() {
    let mut world = World::with_members(COUNT);
    world.arrive(1).rest();

    world.arrive(2).settle();

    let told = world.sent(2, |message| if let ToAgent::Presence(told) = message { Some(told.clone()) } else { None });
    assert_eq!(told.iter().map(there).collect::<Vec<_>>(), [[1, 2]]);
    assert!(world.sent(1, |message| matches!(message, ToAgent::Presence(_)).then_some(())).is_empty());
}

#[test]
fn a_census_is_of_the_map_that_everybody_has_by_then() {
    let mut world = World::with_members(COUNT);
    world.arrive(1).rest();
    let revision = world.coordinator.revision() + 1;

    world.outputs.clear();
    world.coordinator.handle_roster_change(id(9), RosterChange::Ended(Ended::Revoked), revision, world.now);
    world.arrive(2).rest();

    let told = world.outputs.iter().filter_map(census).next_back().unwrap();
    assert_eq!((told.revision, told.members), (revision, u32::from(COUNT) - 1));
}

#[test]
fn the_two_of_a_pair_hear_of_each_other_before_they_hear_of_their_channel() {
    let mut world = World::with_members(COUNT);
    world.arrive(1).arrive(2).rest();

    world.outputs.clear();
    world.connect(1, 2);

    for (device, peer) in [(1, 2), (2, 1)] {
        let place = |pick: fn(&ToAgent) -> bool| {
            let is_it =
                |output: &Output| matches!(output, Output::Send { to, message } if *to == id(device) && pick(message));
            world.outputs.iter().position(is_it).unwrap()
        };
        assert!(
            place(|message| matches!(message, ToAgent::Map(_)))
                < place(|message| matches!(message, ToAgent::PairOpened(_)))
        );
        assert_eq!(world.maps_to(device).iter().flat_map(online).collect::<Vec<_>>(), [(peer, true)]);
    }
}

#[test]
fn whoever_asks_for_a_peer_that_is_away_is_told_so() {
    let mut world = World::with_members(COUNT);
    world.arrive(1).rest();

    world.outputs.clear();
    world.connect(1, 2);

    assert_eq!(world.maps_to(1).iter().flat_map(online).collect::<Vec<_>>(), [(2, false)]);
}

fn census(output: &Output) -> Option<&Presence> {
    if let Output::Broadcast(ToAgent::Presence(presence)) = output { Some(presence) } else { None }
}

/// The numbers of those who are there.
fn there(census: &Presence) -> Vec<u16> {
    let members: Vec<_> = (1..=COUNT).map(id).collect();
    let told = census.read(&members).unwrap();
    (1..=COUNT).zip(told).filter(|(_, (_, online))| *online).map(|(number, _)| number).collect()
}

//! What must cost nothing: pairs that only listen, pairs that rest, a rendezvous that is not there.

use std::time::Duration;

use warren_proto::config::Config;
use warren_sim::{Link, NatKind, World};

use crate::connect::{pair, pair_with};
use crate::packets::{numbered, numbers};

const SYMMETRIC: Option<NatKind> = Some(NatKind::SYMMETRIC);

#[test]
fn an_idle_pair_rests() {
    let mut world = pair(3, None, None, Link::default());
    world.run_until(Duration::from_secs(60));
    let before = world.wakeups;

    world.run_until(Duration::from_secs(660));

    // per end: a keepalive and its tail of five looks each 22 s, a BIND as often, five rekeys
    let wakeups = world.wakeups - before;
    assert!(wakeups < 2 * 28 * 9, "{wakeups} wakeups in ten minutes");
}

fn drip(world: &mut World, every: Duration, until: Duration) {
    let mut number = 0;
    while world.elapsed() < until {
        let packet = numbered(world, 0, 1, number);
        world.send(0, &packet);
        number += 1;
        let next = world.elapsed() + every;
        world.run_until(next);
    }
}

fn rekeys(world: &World) -> u32 {
    world.hosts[0].node.peers().next().and_then(|status| status.session).expect("a session").rekeys
}

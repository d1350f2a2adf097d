//! What this host and the routers on the way say of datagrams that they will not carry.
//!
//! A hint and no proof: anybody on the way can forge it, and a firewall in front of the peer turns away what comes before
//! the peer has sent something itself. So one word stops nothing, a second one a little later stops the probes of this
//! round to that address, and a search once it was said of several of its datagrams. A probe of the peer that gets
//! through all the same begins anew: it is better news.

use std::time::{Duration, Instant};

use super::agent::Agent;
use super::pair::Stage;
use crate::io::{Obstacle, Remote};

impl Agent {
    /// A datagram to `remote` met an obstacle.
    pub fn handle_obstacle(&mut self, remote: Remote, obstacle: Obstacle, now: Instant) {
        self.hinder_search(remote, obstacle, now);
        let Some(pair) = self.pairs.get_mut(&remote).filter(|pair| pair.is_direct()) else { return };
        if !matches!(pair.stage, Stage::Unproven) {
            return;
        }
        let said = pair.obstructed_at.filter(|at| now.saturating_duration_since(*at) < FORGET_AFTER);
        match said {
            None => pair.obstructed_at = Some(now),
            Some(at) if now.saturating_duration_since(at) >= SURE_AFTER => {
                (pair.plan, pair.obstructed_at) = (None, None);
                self.log.obstructed(remote, obstacle);
                self.advance(now);
            }
            Some(_) => {}
        }
    }

    /// Whether it matters to this pair what is said of `remote`.
    pub fn probes(&self, remote: Remote) -> bool {
        self.is_searched(remote) || self.pairs.get(&remote).is_some_and(|pair| !pair.is_proved())
    }
}

/// By then the opener of the other end, which left when ours did, has passed its NAT and its firewall.
const SURE_AFTER: Duration = Duration::from_millis(100);
/// What was said longer ago was said of an earlier round.
const FORGET_AFTER: Duration = Duration::from_secs(10);

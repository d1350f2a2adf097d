//! All of discovery together: waits for what is heard, for what is due, for what changes.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::announcement::{Announcement, Names};
use super::links::{LONGEST, Links};
use super::schedule::Schedule;
use super::{Scene, Settings, Sighting};

/// Announces and listens until nobody wants to know any more.
pub(super) async fn run(settings: Settings, mut scene: watch::Receiver<Scene>, sightings: mpsc::Sender<Sighting>) {
    if scene.changed().await.is_err() {
        return;
    }
    let now = settings.clock.now();
    let (links, names, schedule) = (Links::open(), Names::default(), Schedule::new(now));
    let mut task = Task { settings, scene: Scene::default(), links, names, schedule, listened: (now, 0) };
    task.look(scene.borrow_and_update().clone());
    let mut buffer = [0; LONGEST];
    loop {
        let wait = task.settings.clock.until(task.schedule.due());
        tokio::select! {
            changed = scene.changed() => {
                if changed.is_err() {
                    return;
                }
                let scene = scene.borrow_and_update().clone();
                task.look(scene);
            }
            (length, from) = task.links.receive(&mut buffer) => {
                if let Some(sighting) = task.hear(&buffer[..length], from) {
                    // one that finds no room comes again
                    let _ = sightings.try_send(sighting);
                }
            }
            () = sleep(wait) => task.announce(),
        }
    }
}

struct Task {
    settings: Settings,
    scene: Scene,
    links: Links,
    names: Names,
    schedule: Schedule,
    /// How many datagrams were read since when.
    listened: (Instant, u32),
}

impl Task {
    fn look(&mut self, scene: Scene) {
        let Settings { key, clock, .. } = &self.settings;
        if scene.peers != self.scene.peers {
            self.names = Names::of(&scene.peers, key, clock.wall());
        }
        if scene.links != self.scene.links || scene.generation != self.scene.generation {
            self.links.set(&scene.links);
            self.schedule.restart(clock.now());
        }
        self.scene = scene;
    }

    fn announce(&mut self) {
        let Some(asks) = self.schedule.take(random(), self.settings.clock.now()) else { return };
        if self.scene.silent {
            return;
        }
        let Settings { key, node, port, clock } = &self.settings;
        let announcement = Announcement { node: *node, port: *port, asks };
        for link in self.links.joined() {
            self.links.send(*link, &announcement.encode(key, link.address, clock.wall()));
        }
    }

    fn hear(&mut self, bytes: &[u8], from: IpAddr) -> Option<Sighting> {
        let Settings { key, clock, .. } = &self.settings;
        let now = clock.now();
        if now.saturating_duration_since(self.listened.0) >= Duration::from_secs(1) {
            self.listened = (now, 0);
        }
        self.listened.1 += 1;
        if self.listened.1 > MAX_A_SECOND {
            return None;
        }
        if self.names.are_stale(clock.wall()) {
            self.names = Names::of(&self.scene.peers, key, clock.wall());
        }
        let heard = Announcement::decode(bytes, key, &self.names, from)?;
        if heard.asks {
            self.schedule.asked(random(), now);
        }
        Some(Sighting { peer: heard.node, addr: SocketAddr::new(from, heard.port) })
    }
}

/// Announcements of a large mesh that starts all at once; what a flood holds beyond is not looked at.
const MAX_A_SECOND: u32 = 200;

fn random() -> u16 {
    let mut bytes = [0; 2];
    // without chance devices are in step, and no worse
    let _ = getrandom::fill(&mut bytes);
    u16::from_be_bytes(bytes)
}

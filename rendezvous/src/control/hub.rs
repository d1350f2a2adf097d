//! Where connections, actions and pages meet: the coordinator behind a lock, the agents' queues, the relay's table, and
//! a channel that tells pages to look again. Carries out what the coordinator decides; decides nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, broadcast};
use tokio_util::bytes::Bytes;
use tracing::{debug, info, warn};
use warren_coordinator::{
    Arrival, Coordinator, Ended, Explained, HeldReport, Member, Output, PingRun, Presence, ReportedPath, RosterChange,
    Ungranted,
};
use warren_proto::candidate::NatMapping;
use warren_proto::control::{
    AttemptReport, CandidateSet, PathReport, Pinged, Preferences, Refused, RefusedCode, ToAgent, ToServer, Vouched,
};
use warren_proto::keys::{NodeId, UnixTime};

use super::queue::{Outgoing, Receiver, Sender, queue};
use super::replicas::{Link, Other, is_tunnelled};
use crate::cluster::{Body, Greeting, Places, ReplicaId};
use crate::domain::history::{Recorder, Way};
use crate::domain::{Device, DeviceState};
use crate::relay::Table;
use crate::store::{ChangeKind, Store};

/// Something a page may show has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LiveEvent {
    /// Devices were enrolled, renamed or ended: everything up to this revision.
    Devices {
        /// Of the change log.
        revision: u64,
    },
    /// A device asks to be let in, or somebody has decided about one.
    Enrolments,
    /// A device reported a path to a peer.
    Path {
        /// Who reports.
        from: NodeId,
        /// The peer.
        to: NodeId,
    },
    /// A device came or went.
    Presence {
        /// Which.
        device: NodeId,
    },
}

/// The mesh in numbers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Census {
    /// Devices online.
    pub connected: usize,
    /// Pairs that reported a path, by the word for how it goes; words that we do not know are one, `other`.
    pub pairs: BTreeMap<&'static str, usize>,
}

/// Who is connected, and what they report.
#[derive(Debug)]
pub struct Hub {
    state: Mutex<State>,
    relay: Arc<Mutex<Table>>,
    recorder: Mutex<Recorder>,
    events: broadcast::Sender<LiveEvent>,
    waiting: Arc<Semaphore>,
    /// Wakes `run` when the next deadline is another.
    deadline: Notify,
    /// One reader of the change log at a time: each starts where the one before ended.
    refreshing: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) coordinator: Coordinator,
    pub(super) connections: BTreeMap<NodeId, Connection>,
    pub(super) places: Places,
    /// What other replicas hear of this one.
    pub(super) greeting: Greeting,
    /// The replicas that we speak to.
    pub(super) links: BTreeMap<ReplicaId, Link>,
    pub(super) last_link: u64,
    /// The replicas that speak to us.
    pub(super) others: BTreeMap<ReplicaId, Other>,
    pub(super) last_session: u64,
    last_connection: u64,
    seen: BTreeMap<NodeId, UnixTime>,
    /// What `run` was last told to wait for.
    deadline: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Connection {
    number: u64,
    queue: Sender,
    pub(super) token: [u8; 16],
    /// Of its attachment, see `Places`.
    pub(super) stamp: u64,
}

impl Hub {
    /// A hub with nobody connected.
    pub fn new(replica: ReplicaId, seed: [u8; 32], relay: Table) -> Self {
        Self {
            state: Mutex::new(State {
                coordinator: Coordinator::new(seed),
                connections: BTreeMap::new(),
                places: Places::new(replica),
                greeting: Greeting::default(),
                links: BTreeMap::new(),
                last_link: 0,
                others: BTreeMap::new(),
                last_session: 0,
                last_connection: 0,
                seen: BTreeMap::new(),
                deadline: None,
            }),
            relay: Arc::new(Mutex::new(relay)),
            recorder: Mutex::default(),
            events: broadcast::Sender::new(EVENTS),
            waiting: Arc::new(Semaphore::new(MAX_WAITING)),
            deadline: Notify::new(),
            refreshing: tokio::sync::Mutex::new(()),
        }
    }

    /// Follows what changes; a receiver that lags has missed something and looks at everything again.
    pub fn subscribe(&self) -> broadcast::Receiver<LiveEvent> {
        self.events.subscribe()
    }

    /// The relay's channels.
    pub fn relay(&self) -> &Arc<Mutex<Table>> {
        &self.relay
    }

    /// Joins devices with what is known of them at this moment.
    pub fn describe<T>(
        &self,
        devices: Vec<Device>,
        view: impl Fn(Device, Option<Presence>, Vec<ReportedPath>) -> T,
    ) -> Vec<T> {
        let state = self.lock();
        devices
            .into_iter()
            .map(|device| {
                let id = device.id;
                let paths = state.coordinator.paths(id).cloned().collect();
                view(device, state.coordinator.presence(id).cloned(), paths)
            })
            .collect()
    }

    /// How many there are, and how they reach each other. A pair counts once, by what its first device says.
    pub fn census(&self) -> Census {
        let state = self.lock();
        let mut pairs = BTreeMap::new();
        for id in state.connections.keys() {
            for path in state.coordinator.paths(*id) {
                let peer = path.report.peer;
                if *id < peer || state.coordinator.path(peer, *id).is_none() {
                    *pairs.entry(known_via(&path.report.via)).or_insert(0) += 1;
                }
            }
        }
        Census { connected: state.connections.len(), pairs }
    }

    /// How many devices are online.
    pub fn connected(&self) -> usize {
        self.lock().connections.len()
    }

    /// How many pages and streams follow what changes.
    pub fn followers(&self) -> usize {
        self.events.receiver_count()
    }

    /// Makes something of each of these devices and what is known of it at this moment, without copying its paths.
    pub(crate) fn survey<'a, T>(
        &self,
        devices: impl Iterator<Item = &'a Arc<Device>>,
        mut view: impl FnMut(
            &'a Arc<Device>,
            Option<&Presence>,
            Option<NatMapping>,
            &mut dyn Iterator<Item = &ReportedPath>,
        ) -> T,
    ) -> Vec<T> {
        let state = self.lock();
        let coordinator = &state.coordinator;
        devices
            .map(|device| {
                let nat = coordinator.candidates(device.id).map(|set| set.nat.mapping);
                let nat = nat.filter(|mapping| *mapping != NatMapping::Unknown);
                view(device, coordinator.presence(device.id), nat, &mut coordinator.paths(device.id))
            })
            .collect()
    }

    /// Shows every path that a device has reported.
    pub(crate) fn for_each_path(&self, mut show: impl FnMut(NodeId, &ReportedPath)) {
        let state = self.lock();
        for device in state.connections.keys() {
            state.coordinator.paths(*device).for_each(|path| show(*device, path));
        }
    }

    /// Whether a device is connected to this server.
    pub fn is_online(&self, device: NodeId) -> bool {
        self.lock().coordinator.presence(device).is_some()
    }

    /// Devices ask to be let in, or somebody has decided about one: pages and those who wait look again.
    pub(crate) fn tell_enrolments(&self) {
        self.tell(LiveEvent::Enrolments);
    }

    /// A place for a connection whose device waits for a person; `None` when all are taken.
    pub(super) fn place_to_wait(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.waiting).try_acquire_owned().ok()
    }

    /// Why a pair uses the path it uses, and how long ago each end said what it tried.
    pub fn explain(&self, device: NodeId, peer: NodeId) -> Option<(Explained, [Duration; 2])> {
        let explained = self.lock().coordinator.explain(device, peer)?;
        let now = Instant::now();
        let age = |held: &Option<HeldReport>| held.as_ref().map_or(Duration::ZERO, |held| now.duration_since(held.at));
        let ages = explained.reports.each_ref().map(age);
        Some((explained, ages))
    }

    /// Where an online device says that it may be reached, and what it says of its NAT.
    pub fn candidates(&self, device: NodeId) -> Option<CandidateSet> {
        self.lock().coordinator.candidates(device).cloned()
    }

    /// Has two devices ping each other.
    pub fn ping_pair(&self, device: NodeId, peer: NodeId) -> Result<(), Ungranted> {
        let mut state = self.lock();
        let granted = state.coordinator.ping_pair(device, peer, Instant::now());
        self.carry_out(state);
        if granted.is_ok() {
            self.tell(LiveEvent::Path { from: device, to: peer });
        }
        granted
    }

    /// Has two devices look for a direct path.
    pub fn retry_pair(&self, device: NodeId, peer: NodeId) -> Result<(), Ungranted> {
        let mut state = self.lock();
        let granted = state.coordinator.retry_pair(device, peer, Instant::now());
        self.carry_out(state);
        granted
    }

    /// Somebody looks at a pair: its ends measure for a while.
    pub fn watch_pair(&self, device: NodeId, peer: NodeId) {
        let mut state = self.lock();
        state.coordinator.watch_pair(device, peer, Instant::now());
        self.carry_out(state);
    }

    /// The last pings that were asked of a pair.
    pub fn ping_run(&self, device: NodeId, peer: NodeId) -> Option<PingRun> {
        self.lock().coordinator.ping_run(device, peer, Instant::now())
    }

    /// How long it is until a pair may be asked for another try.
    pub fn retry_again_in(&self, device: NodeId, peer: NodeId) -> Option<Duration> {
        self.lock().coordinator.retry_again_in(device, peer, Instant::now())
    }

    /// What agents reported and what is not written down yet.
    pub fn recorder(&self) -> MutexGuard<'_, Recorder> {
        self.recorder.lock().expect("nothing panics while it holds the recorder")
    }

    /// An active device, as far as the control plane needs it; answers also while the database does not.
    pub fn member(&self, device: NodeId) -> Option<Member> {
        self.lock().coordinator.member(device).cloned()
    }

    /// Takes the whole mesh from the database, at start.
    pub async fn load(&self, store: &Store) -> Result<(), sqlx::Error> {
        let _one = self.refreshing.lock().await;
        let revisions = store.latest_changes(ChangeKind::Device).await?;
        let oldest = store.oldest_revision().await?.unwrap_or(0);
        let mut active: BTreeMap<NodeId, Device> =
            store.active_devices().await?.into_iter().map(|device| (device.id, device)).collect();
        let now = Instant::now();
        let mut state = self.lock();
        for change in revisions {
            let found = active.remove(&change.subject);
            let found =
                found.map_or(RosterChange::Ended(Ended::Revoked), |device| RosterChange::Active(member(&device)));
            state.coordinator.handle_roster_change(change.subject, found, change.revision, now);
        }
        // devices whose lines the change log has forgotten
        for (id, device) in active {
            state.coordinator.handle_roster_change(id, RosterChange::Active(member(&device)), oldest, now);
        }
        state.coordinator.set_oldest_revision(oldest);
        self.carry_out(state);
        Ok(())
    }

    /// The change log was cut: who holds less than this revision gets the whole map.
    pub fn set_oldest_revision(&self, oldest: u64) {
        self.lock().coordinator.set_oldest_revision(oldest);
    }

    /// Takes what the database has and we have not, after somebody committed a change. When the database does not
    /// answer, `run` asks again.
    pub async fn refresh(&self, store: &Store) {
        let _one = self.refreshing.lock().await;
        while let Ok(true) = self.refresh_part(store).await {}
    }

    async fn refresh_part(&self, store: &Store) -> Result<bool, sqlx::Error> {
        let held = self.lock().coordinator.revision();
        let changes = store.changes_since(held, ChangeKind::Device, CHANGES_AT_ONCE).await?;
        let Some(last) = changes.last() else { return Ok(false) };
        let latest: BTreeMap<NodeId, u64> = changes.iter().map(|change| (change.subject, change.revision)).collect();
        let mut found = Vec::new();
        for (id, revision) in latest {
            if let Some(device) = store.device(id).await? {
                let change = match device.state {
                    DeviceState::Active => RosterChange::Active(member(&device)),
                    DeviceState::LoggedOut => RosterChange::Ended(Ended::LoggedOut),
                    DeviceState::Revoked => RosterChange::Ended(Ended::Revoked),
                };
                found.push((revision, id, change));
            }
        }
        found.sort_by_key(|(revision, ..)| *revision);
        let now = Instant::now();
        let mut state = self.lock();
        for (revision, id, change) in found {
            state.coordinator.handle_roster_change(id, change, revision, now);
        }
        self.carry_out(state);
        self.tell(LiveEvent::Devices { revision: last.revision });
        Ok(changes.len() == CHANGES_AT_ONCE as usize)
    }

    /// Numbers connections in the order in which they began.
    pub(super) fn number_connection(&self) -> u64 {
        let mut state = self.lock();
        state.last_connection += 1;
        state.last_connection
    }

    /// A device proved itself: `first` goes out before anything else. An older connection of it is told and ended; when
    /// there is a younger one (this one was held up, and the agent has given it up), `None`.
    pub(super) fn attach(&self, number: u64, arrival: Arrival, token: [u8; 16], first: Vec<Bytes>) -> Option<Receiver> {
        let device = arrival.device;
        let (sender, receiver) = queue();
        for message in first {
            sender.try_send(Outgoing::Message(message)).expect("an empty queue has room for a welcome");
        }
        let mut state = self.lock();
        if state.connections.get(&device).is_some_and(|connection| connection.number > number) {
            return None;
        }
        self.lock_relay().admit(device, token, arrival.presence.observed.ip());
        state.seen.insert(device, arrival.presence.since);
        let (observed, since) = (arrival.presence.observed, arrival.presence.since.since_epoch());
        let since = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let stamp = state.places.attach(device, is_tunnelled(observed), since);
        if let Some(older) = state.connections.insert(device, Connection { number, queue: sender, token, stamp }) {
            let refused = ToAgent::Refused(replaced());
            // if its queue is full, its end says as much
            let _ = older.queue.try_send(Outgoing::Last(refused.encode().into()));
        }
        state.release_pairs(device);
        state.coordinator.handle_arrival(arrival, Instant::now());
        if state.has_others()
            && let Some(servers) = state.servers_for(device)
        {
            // before anything that may be about another server's relay
            state.post(device, Outgoing::Message(ToAgent::Servers(servers).encode().into()));
        }
        if let Some(arrived) = state.arrived(device) {
            state.tell_replicas(&arrived);
        }
        state.hand_on_wishes(device);
        self.carry_out(state);
        self.tell(LiveEvent::Presence { device });
        Some(receiver)
    }

    /// A connection ended; if it was the device's current one, the device is offline.
    pub(super) fn detach(&self, device: NodeId, number: u64, at: UnixTime) {
        let mut state = self.lock();
        if state.connections.get(&device).is_some_and(|connection| connection.number != number) {
            return;
        }
        let stamp = state.connections.remove(&device).map_or(u64::MAX, |connection| connection.stamp);
        state.seen.insert(device, at);
        let own = state.places.own();
        if !state.places.leave(device, own, stamp) {
            // it is attached to another replica
            return;
        }
        state.coordinator.handle_departure(device, Instant::now());
        self.lock_relay().dismiss(device);
        state.tell_replicas(&Body::left(device, stamp));
        state.release_pairs(device);
        state.hand_on_wishes(device);
        self.carry_out(state);
        self.tell(LiveEvent::Presence { device });
    }

    /// A socket that devices may have bound is gone.
    pub(super) fn unbind_relay(&self, address: SocketAddr) {
        self.lock_relay().unbind(address);
    }

    pub(super) fn handle_candidates(&self, device: NodeId, set: CandidateSet) {
        let mut state = self.lock();
        state.repeat(device, || ToServer::Candidates(set.clone()));
        state.coordinator.handle_candidates(device, set, Instant::now());
        self.carry_out(state);
    }

    pub(super) fn handle_connect(&self, device: NodeId, peer: NodeId) {
        let mut state = self.lock();
        state.wish(device, peer);
        self.carry_out(state);
    }

    pub(super) fn handle_preferences(&self, device: NodeId, preferences: Preferences) {
        let mut state = self.lock();
        state.repeat(device, || ToServer::Preferences(preferences));
        state.coordinator.handle_preferences(device, preferences, Instant::now());
        self.carry_out(state);
    }

    pub(super) fn handle_attempt_report(&self, device: NodeId, report: AttemptReport) {
        let to = report.peer;
        let mut state = self.lock();
        state.repeat(device, || ToServer::AttemptReport(report.clone()));
        let kept = state.coordinator.handle_attempt_report(device, report, Instant::now());
        self.carry_out(state);
        if kept {
            self.tell(LiveEvent::Path { from: device, to });
        }
    }

    pub(super) fn handle_search(&self, device: NodeId, peer: NodeId) {
        let mut state = self.lock();
        state.hand_on(device, &ToServer::Search(peer), peer);
        self.carry_out(state);
    }

    pub(super) fn handle_vouched(&self, device: NodeId, vouched: Vouched) {
        let mut state = self.lock();
        let addr = vouched.addr;
        state.repeat(device, || ToServer::Vouched(vouched));
        state.coordinator.handle_vouched(device, addr);
    }

    pub(super) fn handle_path_report(&self, device: NodeId, report: PathReport, at: UnixTime) {
        let to = report.peer;
        let mut state = self.lock();
        state.repeat(device, || ToServer::PathReport(report.clone()));
        if state.coordinator.handle_path_report(device, report, at) {
            // as the coordinator holds it: within reason
            let held = state.coordinator.paths(device).find(|path| path.report.peer == to).cloned();
            drop(state);
            if let Some(path) = held {
                self.recorder().note(Way { from: device, to }, &path.report, at);
            }
            self.tell(LiveEvent::Path { from: device, to });
        }
    }

    pub(super) fn handle_pinged(&self, device: NodeId, pinged: Pinged) {
        let to = pinged.peer;
        let mut state = self.lock();
        // somebody asked it, at this replica or another
        state.repeat(device, || ToServer::Pinged(pinged.clone()));
        if state.coordinator.handle_pinged(device, pinged) {
            self.tell(LiveEvent::Path { from: device, to });
        }
    }

    pub(super) fn handle_measurement(&self, device: NodeId, number: u64, observed: SocketAddr, rtt: Duration) {
        let mut state = self.lock();
        if state.connections.get(&device).is_none_or(|connection| connection.number != number) {
            return;
        }
        if !state.links.is_empty() {
            state.tell_replicas(&Body::measured(device, observed, rtt));
        }
        state.coordinator.handle_measurement(device, observed, rtt);
        self.lock_relay().set_validated(device, observed.ip());
        self.carry_out(state);
    }

    /// Does what falls due, follows changes that other processes commit, and writes down who was seen. Until dropped.
    pub async fn run(&self, store: &Store) {
        tokio::join!(self.run_deadlines(), self.run_store(store), self.run_listener(store), store.run_notices());
    }

    /// Takes what other servers commit as soon as they say so. While it cannot listen, `run_store` looks.
    async fn run_listener(&self, store: &Store) {
        loop {
            match store.listen().await {
                Ok(Some(mut listener)) => {
                    debug!("listening for what other servers commit");
                    // what was committed before we listened
                    self.refresh(store).await;
                    while let Ok(revision) = listener.next().await {
                        if revision.is_none_or(|revision| revision > self.lock().coordinator.revision()) {
                            self.refresh(store).await;
                        }
                    }
                }
                Ok(None) => return,
                Err(error) => debug!(%error, "cannot listen for what other servers commit"),
            }
            tokio::time::sleep(LISTEN_AGAIN).await;
        }
    }

    async fn run_deadlines(&self) {
        loop {
            let next = self.lock().coordinator.poll_timeout();
            let woken = self.deadline.notified();
            let Some(at) = next else {
                woken.await;
                continue;
            };
            if tokio::time::timeout_at(at.into(), woken).await.is_err() {
                let mut state = self.lock();
                state.coordinator.handle_timeout(Instant::now());
                self.carry_out(state);
            }
        }
    }

    async fn run_store(&self, store: &Store) {
        let mut answered = true;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            self.refresh(store).await;
            match self.flush_seen(store).await {
                Ok(()) if answered => {}
                Ok(()) => info!("the database answers again"),
                Err(error) if answered => warn!(%error, "the database does not answer; tunnels are not affected"),
                Err(_) => {}
            }
            answered = store.ping().await.is_ok();
        }
    }

    /// Writes down who was seen since the last time; kept for the next time when that fails.
    pub async fn flush_seen(&self, store: &Store) -> Result<(), sqlx::Error> {
        let seen = std::mem::take(&mut self.lock().seen);
        if seen.is_empty() {
            return store.ping().await;
        }
        let all: Vec<_> = seen.iter().map(|(device, at)| (*device, *at)).collect();
        let written = async {
            for part in all.chunks(SEEN_AT_ONCE) {
                let mut tx = store.begin().await?;
                for (device, at) in part {
                    tx.note_seen(*device, *at).await?;
                }
                tx.commit().await?;
            }
            Ok(())
        };
        let written = written.await;
        if written.is_err() {
            let mut state = self.lock();
            for (device, at) in seen {
                state.seen.entry(device).or_insert(at);
            }
        }
        written
    }

    /// Does what the coordinator decided while it was locked.
    pub(super) fn carry_out(&self, mut state: MutexGuard<'_, State>) {
        while let Some(output) = state.coordinator.poll_output() {
            match output {
                Output::Broadcast(message) => {
                    let message = Bytes::from(message.encode());
                    let devices: Vec<NodeId> = state.connections.keys().copied().collect();
                    devices.into_iter().for_each(|id| state.post(id, Outgoing::Message(message.clone())));
                }
                Output::CloseChannel(numbers) => self.lock_relay().close(numbers),
                Output::End { device, farewell } => {
                    state.post(device, Outgoing::Last(farewell.encode().into()));
                    state.connections.remove(&device);
                    self.lock_relay().dismiss(device);
                }
                Output::OpenChannel(ends) => self.lock_relay().open(ends),
                Output::Send { to, message } => match state.places.elsewhere(to) {
                    Some(replica) => state.tell_replica(replica, Body::tell(to, message.encode())),
                    None => state.post(to, Outgoing::Message(message.encode().into())),
                },
            }
        }
        let deadline = state.coordinator.poll_timeout();
        if std::mem::replace(&mut state.deadline, deadline) != deadline {
            self.deadline.notify_one();
        }
    }

    pub(super) fn tell(&self, event: LiveEvent) {
        // that no page is open is no error
        let _ = self.events.send(event);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the state")
    }

    pub(super) fn lock_relay(&self) -> MutexGuard<'_, Table> {
        self.relay.lock().expect("nothing panics while it holds the table")
    }
}

impl State {
    /// Queues a message. An agent that does not read fast enough loses its queue, which ends its connection.
    pub(super) fn post(&mut self, to: NodeId, message: Outgoing) {
        let Some(connection) = self.connections.get(&to) else { return };
        if connection.queue.try_send(message).is_err() {
            self.connections.remove(&to);
            self.coordinator.handle_departure(to, Instant::now());
        }
    }
}

/// What the loser of two connections of one device is told.
pub(super) fn replaced() -> Refused {
    let text = "the same device has connected again; is this a copy of its state directory?".to_owned();
    Refused { code: RefusedCode::Replaced, text }
}

fn member(device: &Device) -> Member {
    Member {
        name: device.name.to_string(),
        certificate: device.certificate.clone(),
        identity_key: device.identity_key,
        not_after: device.not_after,
        relay_only: device.relay_only,
    }
}

/// Our own word for an agent's, so that no agent makes up time series.
fn known_via(said: &str) -> &'static str {
    let known = ["ipv4", "ipv6", "lan", "udp-relay", "websocket-relay"];
    let none = if said.is_empty() { "none" } else { "other" };
    known.into_iter().find(|word| *word == said).unwrap_or(none)
}

/// How far a page may lag before it looks at everything again.
const EVENTS: usize = 1024;
/// Twice as many as may ask: a device that lost its connection comes by another before we notice.
const MAX_WAITING: usize = 128;
/// Changes read from the database at once.
const CHANGES_AT_ONCE: u32 = 500;
/// Devices written down in one transaction: after an outage all were seen at once, and whoever wants to write is not to wait
/// for ten thousand of them.
const SEEN_AT_ONCE: usize = 250;
/// A database that is away is not asked more often.
const LISTEN_AGAIN: Duration = Duration::from_secs(2);
/// Catches what other processes commit and nobody told of; our own changes are told at once. Also how often "last seen" is written down.
const LOOK_EVERY: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use warren_proto::keys::IdentityPublic;

    use super::*;

    #[test]
    fn an_agent_that_does_not_read_loses_its_connection_and_nobody_else_does() {
        let hub = Hub::new(uuid::Uuid::from_u128(1), [1; 32], Table::new([2; 32]));
        let [fast, slow] = [NodeId::new([1; 16]), NodeId::new([2; 16])];
        let mut queues = [fast, slow].map(|device| {
            let member = Member {
                name: "device".to_owned(),
                relay_only: false,
                certificate: vec![0; 300],
                identity_key: IdentityPublic::new([3; 32]),
                not_after: UnixTime::from_secs(9),
            };
            let mut state = hub.lock();
            state.coordinator.handle_roster_change(device, RosterChange::Active(member), 1, Instant::now());
            hub.carry_out(state);
            let observed = "203.0.113.9:40000".parse().unwrap();
            let presence = Presence { since: UnixTime::from_secs(1), observed, rtt: Duration::ZERO };
            let arrival = Arrival { device, presence, relay: None, revision: 0 };
            hub.attach(hub.number_connection(), arrival, [0; 16], Vec::new()).unwrap()
        });
        hub.handle_connect(fast, slow);

        for epoch in 0..2000 {
            hub.handle_candidates(fast, CandidateSet { epoch, ..CandidateSet::default() });
            while queues[0].try_recv().is_ok() {}
        }

        let mut waiting = 0;
        while queues[1].try_recv().is_ok() {
            waiting += 1;
        }
        assert!(waiting < 2000 && queues[1].is_closed(), "{waiting}");
        assert!(!queues[0].is_closed());
        let state = hub.lock();
        assert!(state.coordinator.presence(fast).is_some() && state.coordinator.presence(slow).is_none());
    }
}

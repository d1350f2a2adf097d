//! Callers who are still to be answered, and until when.

use std::collections::BTreeMap;
use std::time::Instant;

use tokio::sync::oneshot;
use warren_proto::keys::NodeId;

use crate::ipc::Reply;

/// Where an answer goes.
pub(super) type Caller = oneshot::Sender<Reply>;

/// Everybody who waits. Each is bounded by the number of callers that `ipc` lets in, the server's pings by
/// `MAX_SERVER_PINGS`.
#[derive(Default)]
pub(super) struct Waiting {
    /// For the device to be connected.
    pub(super) ups: Vec<Up>,
    /// For a peer's answer, by the token of the ping.
    pub(super) pings: BTreeMap<u64, Ping>,
    /// For the network to be measured.
    pub(super) netchecks: Vec<Caller>,
    /// For the server to know of our leaving.
    pub(super) logout: Option<(Caller, Instant)>,
    last_token: u64,
}

/// Somebody who waits for the connection.
pub(super) struct Up {
    pub(super) caller: Caller,
    /// Goes on waiting only when a person need not decide first.
    pub(super) wants_code: bool,
    pub(super) until: Instant,
}

/// A ping under way.
pub(super) struct Ping {
    pub(super) asker: Asker,
    pub(super) until: Instant,
}

/// Who wants to know.
pub(super) enum Asker {
    /// A command, of which it is the ping with this number.
    Command { caller: Caller, seq: u32 },
    /// The rendezvous, for somebody at its dashboard.
    Server { peer: NodeId, token: u64 },
}

impl Waiting {
    /// Notes a ping; returns its token.
    pub(super) fn add_ping(&mut self, ping: Ping) -> u64 {
        self.last_token += 1;
        self.pings.insert(self.last_token, ping);
        self.last_token
    }

    /// Whether the server waits for as many pings as it may.
    pub(super) fn is_full_for_server(&self) -> bool {
        let of_server = self.pings.values().filter(|ping| matches!(ping.asker, Asker::Server { .. }));
        of_server.count() >= MAX_SERVER_PINGS
    }

    /// The next deadline.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let ups = self.ups.iter().map(|up| up.until);
        let pings = self.pings.values().map(|ping| ping.until);
        let logout = self.logout.iter().map(|(_, until)| *until);
        ups.chain(pings).chain(logout).min()
    }

    /// Those whose wait for the connection is over.
    pub(super) fn expired_ups(&mut self, now: Instant) -> Vec<Caller> {
        self.ups.extract_if(.., |up| up.until <= now).map(|up| up.caller).collect()
    }

    /// Those who want to know by which code a person lets the device in.
    pub(super) fn take_wanting_code(&mut self) -> Vec<Caller> {
        self.ups.extract_if(.., |up| up.wants_code).map(|up| up.caller).collect()
    }

    /// Everybody who waits for the connection.
    pub(super) fn take_ups(&mut self) -> Vec<Caller> {
        std::mem::take(&mut self.ups).into_iter().map(|up| up.caller).collect()
    }

    /// Pings that were not answered in time.
    pub(super) fn expired_pings(&mut self, now: Instant) -> Vec<Ping> {
        self.pings.extract_if(.., |_, ping| ping.until <= now).map(|(_, ping)| ping).collect()
    }
}

/// Somebody looks at a few pairs at a time, each pinged once a second and given up after five.
const MAX_SERVER_PINGS: usize = 64;

//! The one task that decides: waits for whatever comes next, feeds the core, and carries out what the core asks for.
//!
//! ```text
//!   upcalls of the packet path --+
//!   control connection ----------+--> handle --> Node --> drain --> datagrams, control messages, forwarding table
//!   commands, network, timers ---+
//! ```
//!
//! It is the only holder of `&mut Node`, and decides nothing of the protocol. `attachment` is being part of the mesh,
//! `recorder` writes down what the next run is to know, `calls` answers commands, `status` puts reports together, `waiting`
//! remembers who is still to be answered, `surroundings` knows this device's addresses, `vicinity` the network next to
//! it, `settings` the addresses of the TUN device, `refusal` finds words.

mod attachment;
mod calls;
mod drain;
mod recorder;
mod refusal;
mod settings;
mod status;
mod surroundings;
mod vicinity;
mod waiting;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use quinn::Endpoint;
use tokio::sync::mpsc;
use warren_proto::path::Allowance;

use self::attachment::{Attachment, Input};
use self::recorder::Recorder;
use self::waiting::Waiting;
use crate::alarm::Alarm;
use crate::clock::Clock;
use crate::config::Config;
use crate::data_plane::{DataPlane, Fib, Upcall};
use crate::exit::{Exit, Failure};
use crate::ipc::Call;
use crate::keylog::KeyLog;
use crate::logging::RecentLog;
use crate::report::Problem;
use crate::service;
use crate::state::{State, StateDir};
use crate::udp::{QuicSocket, Sockets};

pub use self::settings::Settings;

/// What the slow path works with; made once by `daemon`.
pub struct Tools {
    /// Tells the time.
    pub clock: Clock,
    /// Wakes up when something is due.
    pub alarm: Alarm,
    /// What the daemon was told at start.
    pub config: Config,
    /// Remembers.
    pub state_dir: Arc<StateDir>,
    /// Sends.
    pub sockets: Arc<Sockets>,
    /// Lets the server's datagrams through to QUIC.
    pub quic: Arc<QuicSocket>,
    /// QUIC over the same socket.
    pub endpoint: Endpoint,
    /// Carries packets; ends with the slow path.
    pub plane: DataPlane,
    /// What the packet path cannot deal with.
    pub upcalls: mpsc::Receiver<Upcall>,
    /// What the packet path decides by.
    pub fib: Arc<ArcSwap<Fib>>,
    /// Keeps the TUN device's settings.
    pub settings: Settings,
    /// Index of the TUN device.
    pub tun_index: u32,
    /// Commands.
    pub calls: mpsc::Receiver<Call>,
    /// For Wireshark.
    pub keylog: Option<KeyLog>,
    /// Whether systemd waits to hear that this task is alive.
    pub is_watched: bool,
    /// What was logged last.
    pub log: RecentLog,
}

/// The slow path; `run` is its life.
pub struct SlowPath {
    tools: Tools,
    state: State,
    attachment: Option<Attachment>,
    waiting: Waiting,
    recorder: Recorder,
    problem: Option<Problem>,
    /// What the core had done to NATs and strangers when it was last taken down.
    spent: Allowance,
    tidy_at: Instant,
}

impl SlowPath {
    /// Takes up what is remembered.
    pub fn new(tools: Tools, state: State) -> Self {
        let tidy_at = tools.clock.now() + TIDY_EVERY;
        Self {
            tools,
            state,
            attachment: None,
            waiting: Waiting::default(),
            recorder: Recorder::default(),
            problem: None,
            spent: Allowance::default(),
            tidy_at,
        }
    }

    /// Runs until `shutdown` or until the TUN device is gone, then takes leave of peers and server.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) -> Result<(), Failure> {
        tokio::pin!(shutdown);
        self.resume().await;
        let ended = loop {
            self.drain();
            let input = tokio::select! {
                input = self.next() => input,
                () = &mut shutdown => break Ok(()),
            };
            if matches!(input, Input::Upcall(Upcall::DeviceLost)) {
                break Err(device_lost());
            }
            self.handle(input).await;
        };
        self.detach().await;
        ended
    }

    async fn next(&mut self) -> Input {
        let due = self.due();
        let Self { tools, attachment, .. } = self;
        tokio::select! {
            Some(upcall) = tools.upcalls.recv() => Input::Upcall(upcall),
            Some(call) = tools.calls.recv() => Input::Call(call),
            input = attachment::next(attachment) => input,
            () = tools.alarm.wait(due, tools.clock) => Input::Timer,
        }
    }

    async fn handle(&mut self, input: Input) {
        match input {
            Input::Call(call) => self.handle_call(call).await,
            Input::Control(event) => self.handle_control(event).await,
            Input::Mapping(outlook) => self.handle_mapping(&outlook),
            Input::Network(network) => self.handle_network(&network),
            Input::Sighting(sighting) => self.handle_sighting(sighting),
            Input::Timer => {}
            Input::Upcall(upcall) => self.handle_upcall(upcall),
        }
        self.handle_timers().await;
    }

    /// When something is next due by itself.
    fn due(&self) -> Instant {
        let attachment = self.attachment.as_ref().and_then(Attachment::poll_timeout);
        let others = [attachment, self.waiting.poll_timeout(), self.recorder.poll_timeout()];
        others.into_iter().flatten().fold(self.tidy_at, Instant::min)
    }

    async fn handle_timers(&mut self) {
        let now = self.tools.clock.now();
        if let Some(Attachment { client, mesh: Some(mesh), .. }) = &mut self.attachment {
            if mesh.node.poll_timeout().is_some_and(|at| at <= now) {
                mesh.node.handle_timeout(now);
            }
            if now >= self.tidy_at {
                mesh.node.handle_wall_clock(self.tools.clock.wall(), now);
                client.set_relays_silent(mesh.node.are_relays_silent());
            }
            if mesh.surroundings.send_due(&self.tools.sockets, now) {
                mesh.node.handle_candidates(mesh.surroundings.candidates(), now);
                self.close_unused_sockets();
            }
        }
        if now >= self.tidy_at {
            self.tidy_at = now + TIDY_EVERY;
            if self.tools.is_watched {
                service::alive();
            }
        }
        self.record_if_due(now).await;
        self.answer_netchecks();
        self.end_waits(now).await;
    }
}

fn device_lost() -> Failure {
    Failure::new(Exit::Failure, "the TUN device is gone: somebody removed it").remedy("Start the daemon again.")
}

/// Random bytes for transaction ids and seeds.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system had random bytes when the identity was made");
    bytes
}

/// How often the wall clock is read, and a look is taken whether the relays answer.
const TIDY_EVERY: Duration = Duration::from_secs(5);

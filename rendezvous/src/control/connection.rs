//! One agent's connection: one stream of frames (4-byte big-endian length, then one message) each way.
//!
//! The first frame proves who it is; then news goes out as it comes and messages come in at a bounded rate. What they
//! mean is the hub's and the coordinator's business.

use std::io;
use std::time::{Duration, Instant};

use quinn::{Connection, RecvStream, SendStream, VarInt};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, broadcast};
use tokio::time::timeout;
use tokio_util::bytes::Bytes;
use tracing::{Instrument, debug, info, info_span};
use warren_proto::control::{CandidateSet, DecodeError, MAX_MESSAGE, Pending, Refused, RefusedCode, ToAgent, ToServer};
use warren_proto::keys::NodeId;

use super::Services;
use super::admission::{self, Admitted, Answer};
use super::hub::{self, LiveEvent};
use super::queue::{Outgoing, Receiver};
use super::tunnel::observed;
use crate::actions::{self, Asked};
use crate::app::App;
use crate::error::Error;
use crate::frame;
use crate::origin;
use crate::store::AskedEnrolment;

/// Serves a connection, which has a number by the order of beginning, from its first frame to its end.
pub(super) async fn serve(
    app: &App,
    services: &Services,
    connection: Connection,
    number: u64,
    trial: OwnedSemaphorePermit,
) {
    // on the heap while it lasts: what an introduction takes, up to a transaction, is not to be kept for each connection
    let introduction = Box::pin(receive(app, services, &connection, number, trial));
    let Some((session, streams)) = introduction.await else { return };
    let span = info_span!("conn", device = %session.device);
    converse(app, &connection, session, streams).instrument(span).await;
}

struct Session {
    device: NodeId,
    number: u64,
    queue: Receiver,
}

/// Hears who it is and takes the device in, at once or when a person has decided; or tells it why not.
async fn receive(
    app: &App,
    services: &Services,
    connection: &Connection,
    number: u64,
    trial: OwnedSemaphorePermit,
) -> Option<(Session, (RecvStream, SendStream))> {
    let (answer, (reader, mut writer)) = match timeout(PROVE_WITHIN, introduce(app, services, connection)).await {
        Ok(Ok(introduced)) => introduced,
        Ok(Err(error)) => {
            debug!(%error, "a control connection ended before it proved itself");
            connection.close(VarInt::from_u32(CLOSE_PROTOCOL), b"");
            return None;
        }
        Err(_) => {
            connection.close(VarInt::from_u32(CLOSE_PROTOCOL), b"too slow");
            return None;
        }
    };
    let (admitted, trial) = match answer {
        Ok(Answer::Admitted(admitted)) => (Ok(admitted), Some(trial)),
        Ok(Answer::Asked(asked)) => {
            // a person may take a quarter of an hour: others are on trial meanwhile
            drop(trial);
            match wait(app, services, connection, *asked, &mut writer).await {
                Ok(decided) => (decided, None),
                Err(error) => {
                    debug!(%error, "a device that waited to be let in went away");
                    return None;
                }
            }
        }
        Err(refused) => (Err(refused), Some(trial)),
    };
    if connection.close_reason().is_some() {
        // the agent did not wait; what was committed for it stands
        return None;
    }
    match admitted.and_then(|admitted| attach(app, connection, number, admitted)) {
        Ok(session) => Some((session, (reader, writer))),
        Err(refused) => {
            app.meters().count_refusal(refused.code);
            debug!(code = ?refused.code, "refused a device");
            part(connection, &mut writer, ToAgent::Refused(refused).encode().into()).await;
            drop(trial);
            None
        }
    }
}

/// Reads the first frame and finds out what it leads to.
async fn introduce(
    app: &App,
    services: &Services,
    connection: &Connection,
) -> io::Result<(Result<Answer, Refused>, (RecvStream, SendStream))> {
    let (writer, mut reader) = connection.accept_bi().await?;
    let first = frame::read(&mut reader, MAX_FIRST).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let first = ToServer::decode(&first).map_err(io::Error::other)?;
    let from = observed(app, connection.remote_address()).ip();
    let answer = origin::within(from, admission::admit(app, services, connection, first)).await;
    Ok((answer, (reader, writer)))
}

/// Takes a device that proved itself among the connected ones, unless it has come by another connection since.
fn attach(app: &App, connection: &Connection, number: u64, admitted: Admitted) -> Result<Session, Refused> {
    let Admitted { arrival, token, first } = admitted;
    let device = arrival.device;
    let queue = app.hub().attach(number, arrival, token, first).ok_or_else(hub::replaced)?;
    app.tunnels().prove(connection.remote_address());
    info!(device = %device, "device {device} is online");
    Ok(Session { device, number, queue })
}

/// Tells a device its code, and waits with it until a person has decided, its time is over, or it goes away.
async fn wait(
    app: &App,
    services: &Services,
    connection: &Connection,
    asked: AskedEnrolment,
    writer: &mut SendStream,
) -> io::Result<Result<Admitted, Refused>> {
    let Some(_place) = app.hub().place_to_wait() else { return Ok(Err(admission::explain(&Error::TooManyAsk))) };
    let mut events = app.hub().subscribe();
    let left = asked.expires_at.since_epoch().saturating_sub(app.now().since_epoch());
    let dashboard = services.dashboard.lock().expect("nothing panics while it holds the address").clone();
    let pending = ToAgent::Pending(Pending {
        code: asked.code.to_string(),
        url: format!("{dashboard}/activate"),
        expires_in_s: u32::try_from(left.as_secs()).unwrap_or(u32::MAX),
    });
    frame::write(writer, Bytes::from(pending.encode())).await?;
    loop {
        match actions::follow_asked(app, asked.id).await {
            Ok(Asked::Admitted(device)) => return Ok(Ok(admission::take_in(app, services, connection, *device))),
            // it is asked again; the row waits too
            Ok(Asked::Waiting(_)) | Err(Error::Store(_)) => {}
            Err(error) => return Ok(Err(admission::explain(&error))),
        }
        tokio::select! {
            () = decided(&mut events) => {}
            // another process may have decided, and time passes
            () = tokio::time::sleep(LOOK_EVERY) => {}
            closed = connection.closed() => return Err(io::Error::other(closed)),
        }
    }
}

async fn decided(events: &mut broadcast::Receiver<LiveEvent>) {
    loop {
        match events.recv().await {
            Ok(LiveEvent::Enrolments) | Err(RecvError::Lagged(_)) => return,
            Ok(LiveEvent::Devices { .. } | LiveEvent::Path { .. } | LiveEvent::Presence { .. }) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// Carries messages both ways until either side ends it.
async fn converse(app: &App, connection: &Connection, mut session: Session, streams: (RecvStream, SendStream)) {
    let (mut reader, mut writer) = streams;
    let incoming = read(app, session.device, &mut reader);
    let outgoing = write(app, connection, &mut session.queue, &mut writer);
    let measuring = measure(app, connection, session.device, session.number);
    tokio::select! {
        result = incoming => {
            if let Err(error) = result {
                debug!(%error, "the agent's stream ended");
            }
            connection.close(VarInt::from_u32(CLOSE_PROTOCOL), b"");
        }
        () = outgoing => {}
        () = measuring => {}
    }
    app.hub().detach(session.device, session.number, app.now());
    info!("device {} is offline", session.device);
}

/// Handles what the agent says, no faster than the rate.
async fn read(app: &App, device: NodeId, reader: &mut RecvStream) -> io::Result<()> {
    let mut allowance = f64::from(MESSAGES_BURST);
    let mut at = Instant::now();
    while let Some(message) = frame::read(reader, MAX_MESSAGE).await? {
        app.meters().count_received();
        match ToServer::decode(&message) {
            Ok(message) => handle(app, device, message).await?,
            // a newer agent's message: ours to ignore
            Err(DecodeError::UnknownBody) => {}
            Err(error) => return Err(io::Error::other(error)),
        }
        let earned = at.elapsed().as_secs_f64() * f64::from(MESSAGES_PER_SECOND);
        at = Instant::now();
        allowance = (allowance + earned).min(f64::from(MESSAGES_BURST)) - 1.0;
        if allowance < 0.0 {
            // not reading is what slows a sender down
            tokio::time::sleep(Duration::from_secs_f64(-allowance / f64::from(MESSAGES_PER_SECOND))).await;
        }
    }
    Ok(())
}

async fn handle(app: &App, device: NodeId, message: ToServer) -> io::Result<()> {
    match message {
        ToServer::Candidates(set) => app.hub().handle_candidates(device, outside_overlay(app, set)),
        ToServer::Connect(peer) => app.hub().handle_connect(device, peer),
        ToServer::Search(peer) => app.hub().handle_search(device, peer),
        ToServer::PathReport(report) => app.hub().handle_path_report(device, report, app.now()),
        ToServer::Logout => {
            // the hub says goodbye; when the database does not answer, the agent asks again
            actions::logout_device(app, device).await.map_err(io::Error::other)?;
        }
        ToServer::AttemptReport(report) => app.hub().handle_attempt_report(device, report),
        ToServer::Pinged(pinged) => app.hub().handle_pinged(device, pinged),
        ToServer::Preferences(preferences) => app.hub().handle_preferences(device, preferences),
        ToServer::Vouched(vouched) => {
            if app.vouchers().is_ours(&vouched, app.now()) {
                app.hub().handle_vouched(device, vouched);
            }
        }
        // it was heard, and QUIC has acknowledged it
        ToServer::Alive => {}
        ToServer::Enroll(_) | ToServer::Hello(_) => return Err(io::Error::other("a second introduction")),
    }
    Ok(())
}

/// A candidate inside the overlay would be a tunnel within the tunnel.
fn outside_overlay(app: &App, mut set: CandidateSet) -> CandidateSet {
    let network = app.network();
    let prefixes = [network.v4.parse::<ipnet::IpNet>(), network.v6.parse()];
    let inside = |candidate: &warren_proto::candidate::Candidate| {
        prefixes.iter().flatten().any(|prefix| prefix.contains(&candidate.addr.ip()))
    };
    set.candidates.retain(|candidate| !inside(candidate));
    set
}

/// Writes what is queued. An agent that does not take it in time is gone or hopeless: it will return with a fresh map.
async fn write(app: &App, connection: &Connection, queue: &mut Receiver, writer: &mut SendStream) {
    while let Some(outgoing) = queue.recv().await {
        app.meters().count_sent();
        match outgoing {
            Outgoing::Message(message) => match timeout(TAKE_WITHIN, frame::write(writer, message)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return connection.close(VarInt::from_u32(CLOSE_SLOW), b"too slow"),
            },
            Outgoing::Last(message) => return part(connection, writer, message).await,
        }
    }
    connection.close(VarInt::from_u32(CLOSE_SLOW), b"too slow");
}

/// Says a last message and gives the agent a moment to read it.
async fn part(connection: &Connection, writer: &mut SendStream, message: Bytes) {
    let said = async {
        frame::write(writer, message).await?;
        writer.finish().map_err(io::Error::other)?;
        // answered when the agent has everything, or closes by itself
        let _ = writer.stopped().await;
        Ok::<_, io::Error>(())
    };
    // an agent that does not listen to the end is closed all the same
    let _ = timeout(PART_WITHIN, said).await;
    connection.close(VarInt::from_u32(CLOSE_REFUSED), b"");
}

/// Follows the agent's address and round-trip time for as long as the connection lives.
async fn measure(app: &App, connection: &Connection, device: NodeId, number: u64) {
    let closed = connection.closed();
    tokio::pin!(closed);
    let (mut remote, mut rtt) = (connection.remote_address(), connection.rtt());
    while timeout(MEASURE_EVERY, &mut closed).await.is_err() {
        let now = (connection.remote_address(), connection.rtt());
        // at rest nothing has changed, and ten thousand connections at rest are to cost nothing
        if now.0 == remote && now.1.abs_diff(rtt) * 8 <= rtt {
            continue;
        }
        (remote, rtt) = now;
        app.hub().handle_measurement(device, number, observed(app, remote), rtt);
    }
}

/// A refusal in words.
pub(super) fn refused(code: RefusedCode, text: impl ToString) -> Refused {
    Refused { code, text: text.to_string() }
}

/// From the first packet of the handshake to the proof; and again from there to the answer.
pub(super) const PROVE_WITHIN: Duration = Duration::from_secs(10);
/// QUIC application error codes: the agent returns after each of them but the refusals.
pub(super) const CLOSE_STOPPING: u32 = 1;
const CLOSE_PROTOCOL: u32 = 2;
const CLOSE_REFUSED: u32 = 3;
const CLOSE_SLOW: u32 = 4;
/// An introduction has a few keys and four short texts; strangers get no more of our memory.
const MAX_FIRST: usize = 4096;
/// A device with a thousand busy peers reports two hundred paths a second.
const MESSAGES_PER_SECOND: u16 = 300;
const MESSAGES_BURST: u16 = 2000;
/// Soon enough for who has just decided on another server.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// For the largest message over the worst link.
const TAKE_WITHIN: Duration = Duration::from_secs(10);
const PART_WITHIN: Duration = Duration::from_secs(3);
/// The address matters within seconds of its change: peers aim at it.
const MEASURE_EVERY: Duration = Duration::from_secs(1);

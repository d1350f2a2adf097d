//! One link, one way: the replica that dialled speaks, the other listens, and answers once, with who it is.

use std::io;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use prost::Message as _;
use quinn::{Connection, Endpoint, RecvStream, VarInt};
use tokio::net::lookup_host;
use tokio::time::timeout;
use tracing::{debug, info};
use uuid::Uuid;

use super::{Body, Frame, ReplicaId};
use crate::app::App;
use crate::frame;

/// Dials a replica and tells it everything about the devices attached here, until the link ends.
pub(super) async fn tell(app: &App, endpoint: &Endpoint, other: ReplicaId, address: &str) -> Result<()> {
    let socket = lookup_host(address).await.context("look up its name")?.next().context("its name has no address")?;
    let connecting = endpoint.connect(socket, SERVER_NAME).context("dial")?;
    let connection = timeout(GREET_WITHIN, connecting).await.context("it does not answer")??;
    let (mut send, mut receive) = connection.open_bi().await?;
    let (link, mut queue) = app.hub().open_link(other);
    let greeting = queue.recv().await.context("a link begins with a greeting")?;
    frame::write(&mut send, greeting).await?;
    let mut answer = [0; 16];
    timeout(GREET_WITHIN, receive.read_exact(&mut answer)).await.context("it does not say who it is")??;
    ensure!(Uuid::from_bytes(answer) == other, "another replica answers there");
    debug!(replica = %other, "linked to the replica at {address}");
    loop {
        tokio::select! {
            message = queue.recv() => {
                let Some(message) = message else { bail!("it does not take what we tell it") };
                frame::write(&mut send, message).await?;
            }
            ended = connection.closed() => {
                drop(link);
                return Err(ended.into());
            }
        }
    }
}

/// Hears a replica that dialled, until the link ends.
pub(super) async fn hear(app: &App, connection: &Connection) {
    let Ok(Ok((mut send, mut receive))) = timeout(GREET_WITHIN, connection.accept_bi()).await else { return };
    let Ok(Ok(Some(Body::Greeting(greeting)))) = timeout(GREET_WITHIN, next(&mut receive)).await else {
        return connection.close(VarInt::from_u32(CLOSE_PROTOCOL), b"");
    };
    let Some(replica) = greeting.replica().filter(|replica| *replica != app.hub().replica()) else {
        return connection.close(VarInt::from_u32(CLOSE_PROTOCOL), b"");
    };
    if send.write_all(app.hub().replica().as_bytes()).await.is_err() {
        return;
    }
    let session = app.hub().greet(replica, greeting);
    info!(replica = %replica, "replica {replica} is linked");
    loop {
        match next(&mut receive).await {
            Ok(Some(body)) => {
                if app.hub().names_stranger(&body) {
                    // enrolled there a moment ago, and heard of here before the database's notice
                    app.hub().refresh(app.store()).await;
                }
                app.hub().handle_replica(replica, session, body, app.now());
            }
            Ok(None) => {}
            Err(error) => {
                debug!(%error, "a replica's link ended");
                break;
            }
        }
    }
    if app.hub().part(replica, session) {
        info!(replica = %replica, "replica {replica} is gone");
    }
}

/// The next message; `None` for one of a kind that is not known here.
async fn next(receive: &mut RecvStream) -> io::Result<Option<Body>> {
    let bytes = frame::read(receive, MAX_MESSAGE).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok(Frame::decode(bytes).map_err(io::Error::other)?.body)
}

/// SNI; the key decides.
const SERVER_NAME: &str = "replica.warren";
/// On a link between servers.
pub(super) const GREET_WITHIN: Duration = Duration::from_secs(5);
const CLOSE_PROTOCOL: u32 = 2;
/// An agent's largest, and what names its device.
const MAX_MESSAGE: usize = warren_proto::control::MAX_MESSAGE + 64;

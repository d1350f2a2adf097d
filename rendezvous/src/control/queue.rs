//! What waits to be written to one agent: bounded, so that a slow agent is disconnected and not buffered for.

use tokio::sync::mpsc;
use tokio_util::bytes::Bytes;

/// One entry of the queue.
#[derive(Clone, Debug)]
pub(super) enum Outgoing {
    /// An encoded message.
    Message(Bytes),
    /// An encoded message after which the connection ends.
    Last(Bytes),
}

/// The sending half; when it is dropped, the connection ends.
pub(super) type Sender = mpsc::Sender<Outgoing>;
/// The receiving half.
pub(super) type Receiver = mpsc::Receiver<Outgoing>;

/// A queue for one connection.
pub(super) fn queue() -> (Sender, Receiver) {
    mpsc::channel(LONGEST)
}

/// The map of 50,000 devices in parts, or minutes of ordinary news.
const LONGEST: usize = 512;

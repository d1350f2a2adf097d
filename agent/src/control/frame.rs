//! Messages on a stream: four bytes of length, big-endian, then one protobuf message.

use quinn::{RecvStream, SendStream};
use warren_proto::control::MAX_MESSAGE;

/// Why no frame could be read or written; either way the connection is over.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    /// The stream or its connection broke.
    #[error(transparent)]
    Connection(#[from] quinn::ConnectionError),
    /// The server finished or reset the stream.
    #[error("the server closed the stream")]
    Closed,
    /// A length beyond the limit.
    #[error("the server sent a message longer than allowed")]
    Length,
}

pub(super) async fn write(stream: &mut SendStream, message: &[u8]) -> Result<(), FrameError> {
    let length = u32::try_from(message.len()).map_err(|_| FrameError::Length)?;
    let framed = [&length.to_be_bytes(), message].concat();
    stream.write_all(&framed).await.map_err(|error| match error {
        quinn::WriteError::ConnectionLost(lost) => FrameError::Connection(lost),
        quinn::WriteError::Stopped(_) | quinn::WriteError::ClosedStream | quinn::WriteError::ZeroRttRejected => {
            FrameError::Closed
        }
    })
}

/// Not cancel-safe: a frame half read is lost.
pub(super) async fn read(stream: &mut RecvStream) -> Result<Vec<u8>, FrameError> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await.map_err(read_error)?;
    let length = usize::try_from(u32::from_be_bytes(length)).map_err(|_| FrameError::Length)?;
    if length > MAX_MESSAGE {
        return Err(FrameError::Length);
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await.map_err(read_error)?;
    Ok(message)
}

fn read_error(error: quinn::ReadExactError) -> FrameError {
    match error {
        quinn::ReadExactError::ReadError(quinn::ReadError::ConnectionLost(lost)) => FrameError::Connection(lost),
        quinn::ReadExactError::FinishedEarly(_) | quinn::ReadExactError::ReadError(_) => FrameError::Closed,
    }
}

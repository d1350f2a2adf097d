//! Messages on a stream: four bytes of length, big-endian, then one protobuf message. Nothing is buffered here: QUIC does
//! that, and ten thousand connections at rest are to hold no buffers of their own.

use std::io;

use quinn::{RecvStream, SendStream};
use tokio_util::bytes::{Bytes, BytesMut};

/// The next message; `None` at the end of the stream. Not cancel-safe: a message half read is lost.
pub(crate) async fn read(stream: &mut RecvStream, longest: usize) -> io::Result<Option<BytesMut>> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length).await {
        Ok(()) => {}
        Err(quinn::ReadExactError::FinishedEarly(0)) => return Ok(None),
        Err(error) => return Err(io::Error::other(error)),
    }
    let length = usize::try_from(u32::from_be_bytes(length)).map_err(io::Error::other)?;
    if length > longest {
        return Err(io::Error::other("a message longer than allowed"));
    }
    let mut message = BytesMut::zeroed(length);
    stream.read_exact(&mut message).await.map_err(io::Error::other)?;
    Ok(Some(message))
}

/// Writes a message. What several agents are told alike is not copied for each.
pub(crate) async fn write(stream: &mut SendStream, message: Bytes) -> io::Result<()> {
    let length = u32::try_from(message.len()).map_err(io::Error::other)?;
    let mut parts = [Bytes::copy_from_slice(&length.to_be_bytes()), message];
    stream.write_all_chunks(&mut parts).await.map_err(io::Error::other)
}

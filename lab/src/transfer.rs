//! A TCP transfer between two hosts, and whether every byte of it arrived.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use sha2::{Digest, Sha256};

use crate::namespace::Namespace;

/// Sends that many bytes from one host to the other's address; fails unless the SHA-256 of both ends agree. Returns how
/// long it took.
pub fn tcp(from: &Namespace, to: &Namespace, target: SocketAddr, bytes: usize) -> Result<Duration> {
    let listener = to.inside(|| TcpListener::bind(target))?.context("listen on the overlay address")?;
    let receiver = thread::spawn(move || receive(&listener));
    let start = Instant::now();
    let sent = {
        let stream = from.inside(|| TcpStream::connect_timeout(&target, CONNECT_LIMIT))?.context("connect")?;
        stream.set_write_timeout(Some(STALL_LIMIT))?;
        send(stream, bytes)?
    };
    let (received, count) = receiver.join().map_err(|_| anyhow!("the receiver panicked"))??;
    let took = start.elapsed();
    ensure!(count == bytes, "{count} of {bytes} bytes arrived");
    ensure!(sent == received, "the bytes that arrived are not those that were sent");
    Ok(took)
}

fn send(mut stream: TcpStream, bytes: usize) -> Result<Vec<u8>> {
    let mut digest = Sha256::new();
    let mut state = 1;
    let mut block = vec![0; BLOCK];
    let mut left = bytes;
    while left > 0 {
        block.chunks_exact_mut(8).for_each(|word| word.copy_from_slice(&next(&mut state).to_le_bytes()));
        let part = &block[..left.min(BLOCK)];
        digest.update(part);
        stream.write_all(part).context("send")?;
        left -= part.len();
    }
    Ok(digest.finalize().to_vec())
}

fn receive(listener: &TcpListener) -> Result<(Vec<u8>, usize)> {
    let (mut stream, _) = listener.accept().context("accept the connection")?;
    stream.set_read_timeout(Some(STALL_LIMIT))?;
    let mut digest = Sha256::new();
    let mut count = 0;
    let mut block = vec![0; BLOCK];
    loop {
        let length = stream.read(&mut block).context("receive")?;
        if length == 0 {
            return Ok((digest.finalize().to_vec(), count));
        }
        digest.update(&block[..length]);
        count += length;
    }
}

/// xorshift64: bytes that neither compress nor repeat.
pub(crate) fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

const BLOCK: usize = 64 * 1024;
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// No healthy transfer of the lab stands still for so long.
const STALL_LIMIT: Duration = Duration::from_secs(20);

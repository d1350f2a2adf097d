//! The relay's thread. Decisions are the table's, the kernel's ways the socket's.

use std::io::{self, PipeReader, PipeWriter};
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use quinn_udp::EcnCodepoint;

use super::batch::Batch;
use super::socket::Socket;
use super::{End, Table, Verdict};
use crate::config::Offload;

/// A relay that runs until it is dropped.
#[derive(Debug)]
pub struct Relay {
    addr: SocketAddr,
    /// Closed to stop the thread.
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

/// What is to be sent once the table is free again.
#[derive(Debug)]
enum Step {
    Forward { frames: Range<usize>, stride: usize, to: End, ecn: Option<EcnCodepoint> },
    Reply { reply: Vec<u8>, to: End },
}

impl Relay {
    /// Opens the socket and starts forwarding by the table.
    pub fn start(listen: SocketAddr, offload: Offload, table: Arc<Mutex<Table>>) -> io::Result<Self> {
        let socket = Socket::bind(listen, offload)?;
        let addr = socket.addr()?;
        let (stopped, stop) = io::pipe()?;
        let thread =
            std::thread::Builder::new().name("relay".to_owned()).spawn(move || forward(socket, &table, &stopped))?;
        Ok(Self { addr, stop: Some(stop), thread: Some(thread) })
    }

    /// The socket's address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // it does not panic; were it to, there is nobody left to tell
            let _ = thread.join();
        }
    }
}

fn forward(mut socket: Socket, table: &Mutex<Table>, stopped: &PipeReader) {
    let mut batch = Batch::new();
    let mut steps = Vec::new();
    while wait(&socket, stopped) {
        for _ in 0..ROUNDS {
            // nothing there, or an ICMP answer to an earlier frame, which does not concern the next one
            if socket.receive(&mut batch).is_err() {
                break;
            }
            decide(table, &mut batch, &mut steps);
            for step in steps.drain(..) {
                match step {
                    Step::Forward { frames, stride, to, ecn } => socket.send(to, ecn, batch.frames(frames), stride),
                    Step::Reply { reply, to } => socket.send(to, None, &reply, reply.len()),
                }
            }
        }
    }
}

/// Asks the table about everything that one receive brought, under one lock.
fn decide(table: &Mutex<Table>, batch: &mut Batch, steps: &mut Vec<Step>) {
    let mut table = lock(table);
    for run in batch.runs() {
        let (from, ecn, stride, start) = (run.from, run.ecn, run.stride, run.start);
        table.handle(from, run.bytes, stride, |range, verdict| match verdict {
            Verdict::Drop(_) => {}
            Verdict::Forward(to) => {
                steps.push(Step::Forward { frames: start + range.start..start + range.end, stride, to, ecn });
            }
            Verdict::Reply(reply) => steps.push(Step::Reply { reply, to: from }),
        });
    }
}

/// Waits for frames; false when it is time to stop.
fn wait(socket: &Socket, stopped: &PipeReader) -> bool {
    let mut events =
        [PollFd::new(socket.descriptor(), PollFlags::POLLIN), PollFd::new(stopped.as_fd(), PollFlags::POLLIN)];
    // an error is a signal; what there is to do is seen by trying
    let _ = poll(&mut events, PollTimeout::NONE);
    !events[1].any().unwrap_or(false)
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().expect("nothing panics while it holds the table")
}

/// How many receives go by without a look at the order to stop.
const ROUNDS: usize = 16;

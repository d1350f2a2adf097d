//! The relay's socket: whole runs of frames in and out, one by one where the kernel will not have them whole.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};
use quinn_udp::{EcnCodepoint, Transmit, UdpSocketState};
use tracing::debug;

use super::End;
use super::batch::Batch;
use crate::config::Offload;

/// A bound socket that never waits.
#[derive(Debug)]
pub(super) struct Socket {
    io: UdpSocket,
    /// Knows how to say offloads and congestion bits to this kernel, and what it refused.
    state: UdpSocketState,
    offload: Offload,
    refused: Option<Instant>,
}

impl Socket {
    pub(super) fn bind(listen: SocketAddr, offload: Offload) -> io::Result<Self> {
        let io = UdpSocket::bind(listen)?;
        set_buffers(&io);
        let state = open(&io, offload)?;
        Ok(Self { io, state, offload, refused: None })
    }

    pub(super) fn addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }

    /// Receives what is there. An error says that nothing is.
    pub(super) fn receive(&mut self, batch: &mut Batch) -> io::Result<()> {
        self.forgive();
        batch.fill(|slots, metas| self.state.recv((&self.io).into(), slots, metas))
    }

    /// Sends frames of `stride` bytes, the last perhaps shorter, in as few pieces as the kernel takes.
    ///
    /// What it does not take is lost, as on any network. That goes for a full send buffer too: then the way out is
    /// slower than the way in, and to wait would hold up every other pair for the sake of a longer queue.
    pub(super) fn send(&mut self, to: End, ecn: Option<EcnCodepoint>, frames: &[u8], stride: usize) {
        for piece in pieces(frames.len(), stride, self.segments()) {
            let piece = &frames[piece];
            let refusal = match self.try_send(to, ecn, piece, stride) {
                Ok(()) => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => error,
            };
            // whatever the reason, `state` may now believe that this kernel lacks something
            self.refused.get_or_insert_with(Instant::now);
            if piece.len() <= stride {
                continue;
            }
            debug!(error = %refusal, "a run of frames is refused; they go one by one");
            for frame in piece.chunks(stride) {
                // as above: whoever sent it will notice
                let _ = self.try_send(to, ecn, frame, stride);
            }
        }
    }

    fn try_send(&self, to: End, ecn: Option<EcnCodepoint>, frames: &[u8], stride: usize) -> io::Result<()> {
        let segment_size = (frames.len() > stride).then_some(stride);
        let transmit = Transmit { destination: to.device, ecn, contents: frames, segment_size, src_ip: to.own };
        self.state.try_send((&self.io).into(), &transmit)
    }

    fn segments(&self) -> usize {
        match self.offload {
            Offload::Off => 1,
            Offload::On => self.state.max_gso_segments(),
        }
    }

    /// After a while the kernel is asked again: a refusal may concern one way out, or frames too long for it, while
    /// `state` believes it of all.
    fn forgive(&mut self) {
        if self.refused.is_some_and(|at| at.elapsed() >= ASK_AGAIN) {
            self.refused = None;
            if let Ok(state) = open(&self.io, self.offload) {
                self.state = state;
            }
        }
    }
}

/// Sets what frames need: congestion bits in and out, no fragmentation (the ends find out what fits, RFC 8899), and runs
/// joined by the kernel unless that is switched off.
fn open(io: &UdpSocket, offload: Offload) -> io::Result<UdpSocketState> {
    let state = UdpSocketState::new(io.into())?;
    if offload == Offload::Off {
        // a kernel that does not know the option does not join either
        let _ = setsockopt(io, sockopt::UdpGroSegment, &false);
    }
    Ok(state)
}

/// Beyond the system's limit with CAP_NET_ADMIN, else up to it; smaller buffers only drop earlier.
fn set_buffers(io: &UdpSocket) {
    if setsockopt(io, sockopt::RcvBufForce, &SOCKET_BUFFER).is_err() {
        let _ = setsockopt(io, sockopt::RcvBuf, &SOCKET_BUFFER);
    }
    if setsockopt(io, sockopt::SndBufForce, &SOCKET_BUFFER).is_err() {
        let _ = setsockopt(io, sockopt::SndBuf, &SOCKET_BUFFER);
    }
}

/// Divides `len` bytes of frames into pieces that one send may hold, each of whole frames.
fn pieces(len: usize, stride: usize, segments: usize) -> impl Iterator<Item = Range<usize>> {
    let piece = stride * segments.min(LARGEST / stride).max(1);
    (0..len).step_by(piece).map(move |start| start..len.min(start + piece))
}

/// What fits an IPv4 packet behind its header and UDP's; the kernel builds one before it cuts it.
const LARGEST: usize = 65_507;
/// Both ways, so that what one receive took up can leave at once. 2 MiB are what 5 Gb/s bring in the 3 ms that another
/// program has the CPU to itself, and no more: whatever waits here delays every pair, 17 ms of it at 1 Gb/s.
const SOCKET_BUFFER: usize = 2 << 20;
/// Asking costs one refused send.
const ASK_AGAIN: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use nix::{libc, setsockopt_impl, sockopt_impl};

    use super::*;

    sockopt_impl!(NoChecksum, SetOnly, libc::SOL_SOCKET, libc::SO_NO_CHECK, bool);

    #[test]
    fn a_run_that_the_kernel_refuses_goes_frame_by_frame_and_later_ones_whole_again() {
        let mut socket = Socket::bind((Ipv4Addr::LOCALHOST, 0).into(), Offload::On).unwrap();
        let device = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        device.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let to = End { device: device.local_addr().unwrap(), own: None };
        let run: Vec<u8> = (0..95).collect();
        let whole = socket.segments();
        // the kernel cuts no run whose checksums it is not to make
        setsockopt(&socket.io, NoChecksum, &true).unwrap();

        socket.send(to, None, &run, 10);
        let refused = socket.segments();
        socket.send(to, None, &run, 10);
        setsockopt(&socket.io, NoChecksum, &false).unwrap();
        socket.refused = socket.refused.and_then(|at| at.checked_sub(ASK_AGAIN));
        socket.forgive();
        socket.send(to, None, &run, 10);

        let mut buffer = [0; 100];
        for frame in [run.chunks(10), run.chunks(10), run.chunks(10)].into_iter().flatten() {
            let len = device.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..len], frame);
        }
        assert!(whole > 1, "this kernel cuts runs");
        assert_eq!((refused, socket.segments()), (1, whole));
    }

    /// The lengths of the pieces.
    fn cut(len: usize, stride: usize, segments: usize) -> Vec<usize> {
        let mut end = 0;
        pieces(len, stride, segments)
            .map(|piece| {
                assert_eq!(piece.start, end, "nothing is left out");
                end = piece.end;
                piece.len()
            })
            .collect()
    }

    #[test]
    fn pieces_hold_whole_frames_and_never_more_than_the_kernel_takes() {
        assert_eq!(cut(31, 10, 64), [31]);
        assert_eq!(cut(31, 10, 2), [20, 11]);
        assert_eq!(cut(31, 10, 1), [10, 10, 10, 1]);
        assert_eq!(cut(65_535, 1_000, 64), [64_000, 1_535]);
        assert_eq!(cut(65_535, 1_472, 64), [64_768, 767]);
        assert_eq!(cut(65_535, 65_535, 64), [65_535]);
        assert_eq!(cut(65_000, 40_000, 64), [40_000, 25_000]);
        assert_eq!(cut(9, 20, 64), [9]);
    }
}

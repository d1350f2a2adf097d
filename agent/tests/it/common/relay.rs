//! A relay in a thread, played by the test: it sees frames and channels, and no more.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};

/// A relay of two parties: takes a frame from a bound address and rewrites its channel.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    pair: Arc<std::sync::Mutex<Vec<(SocketAddr, u32)>>>,
    ended: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Relay {
    pub(crate) fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        setsockopt(&socket, sockopt::RcvBuf, &RELAY_BUFFER).unwrap();
        let address = socket.local_addr().unwrap();
        let pair: Arc<std::sync::Mutex<Vec<(SocketAddr, u32)>>> = Arc::default();
        let ended: Arc<AtomicBool> = Arc::default();
        let (parties, end) = (Arc::clone(&pair), Arc::clone(&ended));
        let thread = thread::spawn(move || {
            let mut buffer = [0; 2000];
            while !end.load(Ordering::Relaxed) {
                let Ok((len, from)) = socket.recv_from(&mut buffer) else { continue };
                let parties = parties.lock().unwrap().clone();
                let Some(position) = parties.iter().position(|(address, _)| *address == from) else { continue };
                assert_eq!(buffer[..4], [0x0c, 1, 0, 0]);
                assert_eq!(buffer[4..8], parties[position].1.to_be_bytes());
                let (to, channel) = parties[1 - position];
                buffer[4..8].copy_from_slice(&channel.to_be_bytes());
                socket.send_to(&buffer[..len], to).unwrap();
            }
        });
        Self { address, pair, ended, thread: Some(thread) }
    }

    pub(crate) fn pair(&self, one: (SocketAddr, u32), other: (SocketAddr, u32)) {
        *self.pair.lock().unwrap() = vec![one, other];
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(thread::JoinHandle::join);
        assert!(thread::panicking() || matches!(ended, Some(Ok(()))), "the relay saw a frame that no relay may see");
    }
}

/// What an unprivileged process gets of it holds a few hundred packets.
const RELAY_BUFFER: usize = 1 << 20;

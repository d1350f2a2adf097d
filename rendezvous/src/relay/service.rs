//! The relay's socket and thread. Decisions are the table's.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::SockRef;

use super::{Table, Verdict};

/// A relay that runs until it is dropped.
#[derive(Debug)]
pub struct Relay {
    addr: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Opens the socket and starts forwarding by the table.
    pub fn start(listen: SocketAddr, table: Arc<Mutex<Table>>) -> io::Result<Self> {
        let socket = UdpSocket::bind(listen)?;
        let buffers = SockRef::from(&socket);
        // as much as the host allows; a smaller buffer only drops earlier
        let _ = buffers.set_recv_buffer_size(SOCKET_BUFFER).and_then(|()| buffers.set_send_buffer_size(SOCKET_BUFFER));
        socket.set_read_timeout(Some(STOP_WITHIN))?;
        let addr = socket.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let thread =
            std::thread::Builder::new().name("relay".to_owned()).spawn(move || forward(&socket, &table, &stopping))?;
        Ok(Self { addr, stop, thread: Some(thread) })
    }

    /// The socket's address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // it does not panic; were it to, there is nobody left to tell
            let _ = thread.join();
        }
    }
}

fn forward(socket: &UdpSocket, table: &Mutex<Table>, stop: &AtomicBool) {
    let mut buffer = vec![0; LARGEST];
    while !stop.load(Ordering::Relaxed) {
        // an error is a timeout, or an ICMP answer to an earlier datagram: neither concerns the next frame
        let Ok((len, from)) = socket.recv_from(&mut buffer) else { continue };
        let verdict = lock(table).handle(from, &mut buffer[..len]);
        // a frame that cannot be sent is lost, as on any network
        let _ = match verdict {
            Verdict::Drop(_) => Ok(0),
            Verdict::Forward(to) => socket.send_to(&buffer[..len], to),
            Verdict::Reply(reply) => socket.send_to(&reply, from),
        };
    }
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().expect("nothing panics while it holds the table")
}

/// Longer than any UDP payload.
const LARGEST: usize = 65536;
/// 3,000 full frames: a burst of one device while the thread waits for its turn on a busy host.
const SOCKET_BUFFER: usize = 4 << 20;
/// How soon the thread notices that it is to stop.
const STOP_WITHIN: Duration = Duration::from_millis(200);

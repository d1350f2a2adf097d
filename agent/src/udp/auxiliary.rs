//! Sockets beside the port that everything uses: each serves one peer, or one look at how the NAT numbers its mappings.
//!
//! A NAT that maps each destination anew gives every socket another external port, so a peer that cannot be told the port
//! of the one socket can be met on one of many. They are opened when they are first sent from, all are read through one
//! descriptor, and only those that the core still names stay open. Which those are is decided in `warren_proto::path`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, PoisonError, RwLock};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use warren_proto::io::SocketId;

use super::Batch;
use super::socket::Socket;

/// The open ones, IPv4 all of them: no NAT is in the way of IPv6.
#[derive(Debug)]
pub(super) struct Auxiliaries {
    ready: Epoll,
    /// Locked for reading once for each run that leaves by one of them; written when one is opened or closed.
    open: RwLock<BTreeMap<SocketId, Arc<Socket>>>,
    offload: bool,
}

impl Auxiliaries {
    pub(super) fn new(offload: bool) -> io::Result<Self> {
        let ready = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        Ok(Self { ready, open: RwLock::default(), offload })
    }

    /// A socket that is open.
    pub(super) fn get(&self, id: SocketId) -> Option<Arc<Socket>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// A socket, opened if it is not.
    pub(super) fn get_or_open(&self, id: SocketId) -> io::Result<Arc<Socket>> {
        if let Some(socket) = self.get(id) {
            return Ok(socket);
        }
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= MAX_OPEN {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let socket = Arc::new(Socket::bind((Ipv4Addr::UNSPECIFIED, 0).into(), self.offload)?);
        self.ready.add(&*socket, EpollEvent::new(EpollFlags::EPOLLIN, id.0))?;
        open.insert(id, Arc::clone(&socket));
        Ok(socket)
    }

    /// Closes all that are not named.
    pub(super) fn retain(&self, named: impl Fn(SocketId) -> bool) {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        open.retain(|id, socket| {
            let stays = named(*id);
            if !stays {
                // a thread may hold it for the rest of a send, and until then it would still be watched
                let _ = self.ready.delete(&**socket);
            }
            stays
        });
    }

    /// Readable when one of them is.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.ready.0.as_fd()
    }

    /// Those that have something to receive, or some of them.
    pub(super) fn ready(&self) -> BTreeSet<SocketId> {
        let mut events = [EpollEvent::empty(); MAX_READY];
        let count = self.ready.wait(&mut events, EpollTimeout::ZERO).unwrap_or(0);
        events[..count].iter().map(|event| SocketId(event.data())).collect()
    }

    /// Receives what is there by one of them.
    pub(super) fn receive(&self, id: SocketId, batch: &mut Batch) -> io::Result<()> {
        self.get(id).map_or_else(|| Err(io::ErrorKind::NotConnected.into()), |socket| socket.receive(batch))
    }
}

/// A search's 256, those that are kept, and a look at the NAT; far below the 1,024 descriptors that a process may have.
const MAX_OPEN: usize = 320;
/// Read in one go; the rest is reported again.
const MAX_READY: usize = 16;

//! Waiting for the first of several descriptors: one short call, however many there are.
//!
//! What is registered once is not looked at again while nothing happens there; a descriptor that still has something
//! left is named again by the next wait (level-triggered), so no turn has to drain what it serves.

use std::io;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::tun::MAX_QUEUES;

/// A source that has something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ready {
    /// Its index.
    pub(super) source: usize,
    /// Whether it has something to say of what was sent.
    pub(super) has_errors: bool,
}

/// The descriptors that one thread waits for: the order to stop, and sources that it knows by their index.
pub(super) struct Readiness {
    epoll: Epoll,
    events: [EpollEvent; MAX_QUEUES + 1],
}

impl Readiness {
    /// Waits for `stop` so far.
    pub(super) fn new(stop: BorrowedFd<'_>) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(stop, EpollEvent::new(EpollFlags::EPOLLIN, STOP))?;
        Ok(Self { epoll, events: [EpollEvent::empty(); MAX_QUEUES + 1] })
    }

    /// Waits for one source more. Its descriptor must stay open as long as this lives.
    pub(super) fn add(&self, source: usize, descriptor: BorrowedFd<'_>) -> io::Result<()> {
        self.epoll.add(descriptor, EpollEvent::new(EpollFlags::EPOLLIN, source as u64))?;
        Ok(())
    }

    /// The sources that have something, waiting until there is one; `None` when told to stop.
    pub(super) fn wait(&mut self) -> Option<impl Iterator<Item = Ready> + use<'_>> {
        let count = loop {
            match self.epoll.wait(&mut self.events, EpollTimeout::NONE) {
                Ok(count) => break count,
                Err(Errno::EINTR) => {}
                Err(_) => return None,
            }
        };
        let ready = &self.events[..count];
        let stopped = ready.iter().any(|event| event.data() == STOP);
        let told = |event: &EpollEvent| Ready {
            source: event.data() as usize,
            has_errors: event.events().contains(EpollFlags::EPOLLERR),
        };
        (!stopped).then(|| ready.iter().map(told))
    }
}

/// No source has this index.
const STOP: u64 = u64::MAX;

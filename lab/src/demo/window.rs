//! A window into the lab: the dashboard's port on this machine's loopback, and nothing else, leads inside.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use anyhow::{Context, Result};

use crate::namespace::Namespace;
use crate::topology::{Internet, RENDEZVOUS};

/// Opens it; the port is `PREFERRED_PORT` unless that is taken.
pub(super) fn open(internet: &Internet) -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", PREFERRED_PORT)).or_else(|_| TcpListener::bind(("127.0.0.1", 0)));
    let listener = listener.context("open the dashboard's port on the loopback")?;
    let port = listener.local_addr()?.port();
    let server = internet.rendezvous.clone();
    thread::spawn(move || {
        for visitor in listener.incoming().flatten() {
            let server = server.clone();
            // A connection that fails is the browser's to repeat.
            thread::spawn(move || pass_through(&visitor, &server));
        }
    });
    Ok(port)
}

fn pass_through(visitor: &TcpStream, server: &Namespace) -> Result<()> {
    let dashboard = server.inside(|| TcpStream::connect((RENDEZVOUS, 443)))??;
    thread::scope(|scope| {
        scope.spawn(|| pump(visitor, &dashboard));
        pump(&dashboard, visitor);
    });
    Ok(())
}

/// Carries one direction until its source ends.
fn pump(mut from: &TcpStream, mut to: &TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

/// What people expect of a local HTTPS port.
const PREFERRED_PORT: u16 = 8443;

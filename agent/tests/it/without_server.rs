//! Starts without a rendezvous: what the daemon wrote down of its mesh, and what becomes of that.

use std::fs;

use crate::host::{mode, on_a_host};
use crate::rendezvous::{PEER, Rendezvous};

#[test]
fn a_daemon_that_starts_without_its_server_has_its_peers_from_memory() {
    on_a_host(async |host| {
        let server = Rendezvous::start();
        let daemon = host.daemon(&[]);
        assert_eq!(host.warren(&["up", &server.invite()]).code, 0);
        host.wait_for("the map", |status| status["peers"][0]["name"] == PEER);
        host.wait_for("the memory", |_| host.path(MEMORY).exists());
        daemon.kill();
        server.die();

        let _daemon = host.daemon(&[]);

        let status = host.wait_for("the mesh", |status| status["peers"][0]["name"] == PEER);
        assert_eq!(status["peers"][0]["from_memory"], true);
        assert_eq!(status["self"]["addresses"][0], "100.64.0.1");
        assert_eq!(status["state"], "connecting");
        assert_eq!(mode(&host.path(MEMORY)), 0o600);
    });
}

#[test]
fn a_memory_that_is_damaged_is_made_anew() {
    on_a_host(async |host| {
        let server = Rendezvous::start();
        let daemon = host.daemon(&[]);
        assert_eq!(host.warren(&["up", &server.invite()]).code, 0);
        assert_eq!(daemon.terminate(), Some(0));
        fs::write(host.path(MEMORY), "{\"version\": 1, \"peers\": [").unwrap();

        let _daemon = host.daemon(&[]);

        host.wait_for("the connection", |status| status["state"] == "connected");
        host.wait_for("a whole file", |_| fs::read_to_string(host.path(MEMORY)).unwrap().contains("certificate"));
    });
}

#[test]
fn a_disk_that_takes_nothing_more_costs_the_memory_and_nothing_else() {
    on_a_host(async |host| {
        let server = Rendezvous::start();
        let daemon = host.daemon(&[]);
        fs::create_dir_all(host.path("state/mesh.json.new/taken")).unwrap();

        assert_eq!(host.warren(&["up", &server.invite()]).code, 0);

        host.wait_for("the map", |status| status["peers"][0]["name"] == PEER);
        assert!(!host.path(MEMORY).exists());
        assert_eq!(daemon.terminate(), Some(0));
    });
}

#[test]
fn a_device_that_leaves_its_mesh_remembers_nothing_of_it() {
    on_a_host(async |host| {
        let server = Rendezvous::start();
        let _daemon = host.daemon(&[]);
        assert_eq!(host.warren(&["up", &server.invite()]).code, 0);
        host.wait_for("the memory", |_| host.path(MEMORY).exists());

        server.revoke().await;

        host.wait_for("the end", |status| status["state"] == "needs-enrolment");
        assert!(!host.path(MEMORY).exists());
    });
}

const MEMORY: &str = "state/mesh.json";

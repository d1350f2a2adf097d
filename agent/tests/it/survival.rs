//! What the daemon outlives: the server's death and its own, a restart, a revocation.

use warren_proto::control::RefusedCode;

use crate::host::{on_a_host, run};
use crate::rendezvous::{Mood, PEER, Rendezvous};

#[test]
fn a_killed_daemon_comes_back_connected_without_enrolling_again() {
    on_a_host(async |host| {
        let server = Rendezvous::start();
        let daemon = host.daemon(&[]);
        assert_eq!(host.warren(&["up", &server.invite()]).code, 0);
        daemon.kill();

        let _daemon = host.daemon(&[]);

        host.wait_for("the connection", |status| status["state"] == "connected");
        assert_eq!(server.first_messages(), ["enroll", "hello"]);
    });
}

#[test]
fn a_device_taken_down_stays_down_over_a_restart() {
    on_a_host(async |host| {
        let server = Rendezvous::start();
        let daemon = host.daemon(&[]);
        assert_eq!(host.warren(&["up", &server.invite()]).code, 0);
        assert_eq!(host.warren(&["down"]).code, 0);
        daemon.kill();

        let _daemon = host.daemon(&[]);

        assert_eq!(host.status()["state"], "stopped");
        assert_eq!(server.first_messages(), ["enroll"]);
    });
}

#[test]
fn a_restarted_server_is_found_again_and_the_peers_are_kept_meanwhile() {
    on_a_host(async |host| {
        let server = Rendezvous::start();
        let _daemon = host.daemon(&[]);
        assert_eq!(host.warren(&["up", &server.invite()]).code, 0);
        host.wait_for("the map", |status| status["peers"][0]["name"] == PEER);

        let server = server.restart();
        // Makes the agent say something, and so notice that nobody answers.
        run("ip", &["link", "add", "eth0", "type", "veth", "peer", "name", "eth1"]);
        run("ip", &["link", "set", "eth0", "up"]);
        run("ip", &["address", "add", "10.9.9.8/24", "dev", "eth0"]);

        let status = host.wait_for("the loss", |_| server.first_messages() == ["hello"]);
        assert_eq!(status["peers"][0]["name"], PEER);
        host.wait_for("the connection", |status| status["state"] == "connected");
    });
}

#[test]
fn a_revoked_device_stops_and_says_so() {
    on_a_host(async |host| {
        let server = Rendezvous::start();
        let _daemon = host.daemon(&[]);
        assert_eq!(host.warren(&["up", &server.invite()]).code, 0);

        server.revoke().await;

        let status = host.wait_for("the end", |status| status["state"] == "needs-enrolment");
        assert_eq!(status["problem"]["code"], "device-revoked");
        assert!(!host.path("state/identity.key").exists());
        host.warren(&["up"]).expect(3, "revoked");
        host.warren(&["ping", PEER]).expect(3, "revoked");
    });
}

#[test]
fn a_revoked_device_comes_back_as_another_with_a_new_invite() {
    on_a_host(async |host| {
        let server = Rendezvous::start();
        let _daemon = host.daemon(&[]);
        assert_eq!(host.warren(&["up", &server.invite()]).code, 0);
        server.revoke().await;
        host.wait_for("the end", |status| status["state"] == "needs-enrolment");
        server.set_mood(Mood::Friendly);

        assert_eq!(host.warren(&["up", &server.invite()]).code, 0);

        assert_eq!(server.first_messages(), ["enroll", "enroll"]);
        assert!(host.status()["problem"].is_null());
    });
}

#[test]
fn a_server_that_forgot_the_device_is_told_to_the_owner_but_the_enrolment_is_kept() {
    on_a_host(async |host| {
        let server = Rendezvous::start();
        let daemon = host.daemon(&[]);
        assert_eq!(host.warren(&["up", &server.invite()]).code, 0);
        daemon.kill();
        server.set_mood(Mood::Refusing(RefusedCode::DeviceUnknown));
        let _daemon = host.daemon(&[]);

        host.warren(&["up"]).expect(9, "does not know this device");

        assert_eq!(host.status()["state"], "connecting");
        server.set_mood(Mood::Friendly);
        assert_eq!(host.warren(&["up", &server.invite()]).code, 0);
    });
}

#[test]
fn a_server_that_is_busy_is_asked_again() {
    on_a_host(async |host| {
        let server = Rendezvous::start();
        let daemon = host.daemon(&[]);
        assert_eq!(host.warren(&["up", &server.invite()]).code, 0);
        daemon.kill();
        server.set_mood(Mood::Refusing(RefusedCode::Unavailable));
        let _daemon = host.daemon(&[]);
        host.wait_for("the refusal", |status| status["problem"]["code"] == "refused");

        server.set_mood(Mood::Friendly);

        host.wait_for("the connection", |status| status["state"] == "connected");
    });
}

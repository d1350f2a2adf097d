//! From an invite to a connected device, and all the ways that can end.

use warren_proto::control::RefusedCode;

use crate::host::{interface_exists, on_a_host};
use crate::rendezvous::{DASHBOARD, Mood, PEER, Rendezvous};

#[test]
fn one_command_makes_a_device_part_of_the_mesh() {
    on_a_host(async |host| {
        let server = Rendezvous::start();
        let _daemon = host.daemon(&[]);

        let outcome = host.warren(&["up", &server.invite(), "--hostname", "laptop"]);

        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        assert_eq!(outcome.stdout, "laptop is up: 100.64.0.1, fd00::1\n");
        let status = host.wait_for("the map", |status| status["peers"][0]["name"] == PEER);
        assert_eq!(status["state"], "connected");
        assert_eq!(status["rendezvous"]["url"], DASHBOARD);
        assert_eq!(status["rendezvous"]["transport"], "quic");
    });
}

#[test]
fn up_again_returns_at_once_and_needs_no_invite() {
    on_a_host(async |host| {
        let server = Rendezvous::start();
        let _daemon = host.daemon(&[]);
        let invite = server.invite();
        assert_eq!(host.warren(&["up", &invite]).code, 0);

        assert_eq!(host.warren(&["up"]).code, 0);
        assert_eq!(host.warren(&["up", &invite]).code, 0);

        assert_eq!(server.first_messages(), ["enroll"]);
    });
}

#[test]
fn an_invite_that_is_refused_is_code_9_and_says_what_to_do() {
    for (code, words) in [
        (RefusedCode::InviteUnknown, "does not know this invite"),
        (RefusedCode::InviteExpired, "expired"),
        (RefusedCode::InviteUsed, "used already"),
        (RefusedCode::NameTaken, "--hostname"),
        (RefusedCode::PoolExhausted, "no address left"),
    ] {
        on_a_host(async move |host| {
            let server = Rendezvous::start();
            server.set_mood(Mood::Refusing(code));
            let _daemon = host.daemon(&[]);

            let outcome = host.warren(&["up", &server.invite()]);

            outcome.expect(9, words);
            assert_eq!(host.status()["state"], "needs-enrolment");
        });
    }
}

#[test]
fn a_server_that_does_not_answer_is_code_6() {
    on_a_host(async |host| {
        let server = Rendezvous::start();
        let invite = server.invite();
        server.die();
        let _daemon = host.daemon(&[]);

        let outcome = host.warren(&["up", &invite, "--timeout", "1s"]);

        outcome.expect(6, "no connection to 127.0.0.1");
        outcome.expect(6, "UDP port");
        assert_eq!(host.status()["state"], "needs-enrolment");
    });
}

#[test]
fn a_server_with_another_key_than_the_invites_is_told_apart() {
    on_a_host(async |host| {
        let (server, other) = (Rendezvous::start(), Rendezvous::with_another_key());
        let _daemon = host.daemon(&[]);

        let outcome = host.warren(&["up", &server.invite_with_pin_of(&other)]);

        outcome.expect(1, "does not have the key");
        assert!(server.first_messages().is_empty(), "nothing was said to a server that is not the one");
    });
}

#[test]
fn an_invite_of_another_mesh_does_not_silently_change_the_mesh() {
    on_a_host(async |host| {
        let (server, other) = (Rendezvous::start(), Rendezvous::with_another_key());
        let _daemon = host.daemon(&[]);
        assert_eq!(host.warren(&["up", &server.invite()]).code, 0);

        host.warren(&["up", &other.invite()]).expect(1, "warren logout");
    });
}

#[test]
fn logging_out_tells_the_server_and_forgets_the_keys() {
    on_a_host(async |host| {
        let server = Rendezvous::start();
        let _daemon = host.daemon(&[]);
        assert_eq!(host.warren(&["up", &server.invite()]).code, 0);

        assert_eq!(host.warren(&["logout"]).code, 0);

        assert!(server.was_logged_out());
        assert!(!host.path("state/identity.key").exists());
        assert_eq!(host.status()["state"], "needs-enrolment");
        host.warren(&["up"]).expect(3, "not enrolled");
    });
}

#[test]
fn commands_that_need_a_mesh_are_code_3_without_one() {
    on_a_host(async |host| {
        let _daemon = host.daemon(&[]);

        for line in [&["up"][..], &["netcheck"], &["ping", "desktop"], &["path", "desktop"]] {
            host.warren(line).expect(3, "not enrolled");
        }
        assert_eq!(host.warren(&["status"]).code, 0);
    });
}

#[test]
fn down_takes_the_device_down_and_up_brings_it_back() {
    on_a_host(async |host| {
        let server = Rendezvous::start();
        let _daemon = host.daemon(&[]);
        assert_eq!(host.warren(&["up", &server.invite()]).code, 0);

        assert_eq!(host.warren(&["down"]).code, 0);

        assert_eq!(host.status()["state"], "stopped");
        assert!(interface_exists("warren0"));
        host.warren(&["ping", PEER]).expect(1, "warren up");
        assert_eq!(host.warren(&["up"]).code, 0);
        assert_eq!(host.status()["state"], "connected");
    });
}

#[test]
fn pings_say_why_there_is_no_answer() {
    on_a_host(async |host| {
        let server = Rendezvous::start();
        let _daemon = host.daemon(&[]);
        assert_eq!(host.warren(&["up", &server.invite(), "--hostname", "laptop"]).code, 0);
        host.wait_for("the map", |status| status["peers"][0]["name"] == PEER);

        host.warren(&["ping", "nobody"]).expect(1, "no peer");
        host.warren(&["ping", "laptop"]).expect(1, "this device");
        host.warren(&["ping", PEER, "-c", "1", "--timeout", "300ms"]).expect(6, "does not answer");
        host.warren(&["ping", "100.64.0.2", "--until-direct", "--timeout", "300ms"]).expect(6, "warren path");
    });
}

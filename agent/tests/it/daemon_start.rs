//! A daemon that cannot start says what is wrong and what to do.

use std::net::UdpSocket;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::host::{BINARY, interface_exists, mode, on_a_host, run};

#[test]
fn a_daemon_starts_and_ends_without_a_trace() {
    on_a_host(async |host| {
        let daemon = host.daemon(&[]);
        assert!(interface_exists("warren0"));
        assert_eq!(mode(&host.path("state")), 0o700);
        assert_eq!(mode(&host.path("state/identity.key")), 0o600);

        assert_eq!(daemon.terminate(), Some(0));

        assert!(!interface_exists("warren0"));
        assert!(!host.path("warren.sock").exists());
    });
}

#[test]
fn a_daemon_killed_leaves_nothing_that_hinders_the_next() {
    on_a_host(async |host| {
        host.daemon(&[]).kill();

        host.daemon(&[]);
    });
}

#[test]
fn a_daemon_whose_device_is_removed_ends_and_says_so() {
    on_a_host(async |host| {
        let daemon = host.daemon(&[]);

        run("ip", &["link", "delete", "warren0"]);

        daemon.ended().expect(1, "the TUN device is gone");
    });
}

#[test]
fn a_port_that_is_taken_is_named() {
    on_a_host(async |host| {
        let taken = UdpSocket::bind("0.0.0.0:0").unwrap();
        let port = taken.local_addr().unwrap().port().to_string();

        let outcome = host.failing_daemon("state", &["--port", &port]);

        outcome.expect(1, &port);
        outcome.expect(1, "--port");
    });
}

#[test]
fn a_remembered_port_that_is_taken_is_replaced() {
    on_a_host(async |host| {
        let daemon = host.daemon(&[]);
        let state = std::fs::read_to_string(host.path("state/state.json")).unwrap();
        let port = serde_json::from_str::<serde_json::Value>(&state).unwrap()["port"].as_u64().unwrap();
        daemon.terminate();
        let _taken = UdpSocket::bind(("0.0.0.0", u16::try_from(port).unwrap())).unwrap();

        host.daemon(&[]);

        assert_ne!(state, std::fs::read_to_string(host.path("state/state.json")).unwrap());
    });
}

#[test]
fn a_tun_name_that_is_taken_is_named() {
    on_a_host(async |host| {
        run("ip", &["link", "add", "warren0", "type", "veth", "peer", "name", "other0"]);

        let outcome = host.failing_daemon("state", &[]);

        outcome.expect(1, "warren0");
        outcome.expect(1, "--tun");
    });
}

#[test]
fn a_missing_tun_device_is_told() {
    on_a_host(async |host| {
        run("mount", &["-t", "tmpfs", "none", "/dev/net"]);

        host.failing_daemon("state", &[]).expect(1, "/dev/net/tun is missing");
    });
}

#[test]
fn two_daemons_do_not_share_a_state_directory() {
    on_a_host(async |host| {
        let _daemon = host.daemon(&[]);

        host.failing_daemon("state", &["--tun", "warren1"]).expect(1, "another warren daemon uses");
    });
}

#[test]
fn two_daemons_do_not_share_a_socket() {
    on_a_host(async |host| {
        let _daemon = host.daemon(&[]);

        host.failing_daemon("state2", &["--tun", "warren1"]).expect(1, "another daemon listens");
    });
}

#[test]
fn a_corrupt_state_file_says_what_to_do() {
    on_a_host(async |host| {
        host.daemon(&[]).terminate();
        std::fs::write(host.path("state/state.json"), "{\"version\": 1, \"port").unwrap();

        let outcome = host.failing_daemon("state", &[]);

        outcome.expect(1, "state.json cannot be read");
        outcome.expect(1, "warren up INVITE");
    });
}

#[test]
fn without_permission_is_code_5() {
    on_a_host(async |host| {
        let dir = host.path("open");
        std::fs::create_dir(&dir).unwrap();
        nix::unistd::chown(&dir, Some(NOBODY.into()), Some(NOBODY.into())).unwrap();
        let parent = dir.parent().unwrap();
        std::fs::set_permissions(parent, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        // The build directory may be closed to others.
        let binary = dir.join("warren");
        std::fs::copy(BINARY, &binary).unwrap();

        let output = Command::new(&binary)
            .args(["daemon", "--state-dir", dir.to_str().unwrap()])
            .args(["--socket", dir.join("sock").to_str().unwrap()])
            .uid(NOBODY)
            .gid(NOBODY)
            .output()
            .unwrap();

        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(5), "{text}");
        assert!(text.contains("root"), "{text}");
    });
}

#[test]
fn a_stranger_may_not_command_the_daemon() {
    on_a_host(async |host| {
        let _daemon = host.daemon(&[]);
        let parent = host.path("");
        std::fs::set_permissions(&parent, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let binary = host.path("warren");
        std::fs::copy(BINARY, &binary).unwrap();

        let output = Command::new(&binary)
            .args(["status", "--socket", host.path("warren.sock").to_str().unwrap()])
            .uid(NOBODY)
            .gid(NOBODY)
            .output()
            .unwrap();

        assert_eq!(output.status.code(), Some(5));
    });
}

const NOBODY: u32 = 65_534;

//! What an operator does with a daemon: read its metrics, ask what is wrong, send somebody a report, wait for it.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;

use crate::host::{BINARY, Host, mode, on_a_host, warren};
use crate::rendezvous::{PEER, Rendezvous};

#[test]
fn prometheus_reads_a_daemon_that_was_told_where() {
    on_a_host(async |host| {
        let server = Rendezvous::start();
        let _daemon = host.daemon(&["--metrics-listen", "127.0.0.1:9123"]);
        assert_eq!(host.warren(&["up", &server.invite()]).code, 0);
        host.wait_for("the map", |status| status["peers"][0]["name"] == PEER);

        let page = get("/metrics");

        assert!(page.starts_with("HTTP/1.1 200 OK\r\nContent-Type: application/openmetrics-text"), "{page}");
        for line in
            ["warren_agent_connected 1.0", "warren_agent_peers{kind=\"none\"} 1.0", "warren_agent_probes_total 0.0"]
        {
            assert!(page.lines().any(|shown| shown == line), "{line}\n{page}");
        }
        assert!(page.ends_with("# EOF\n"), "{page}");
        assert!(get("/").starts_with("HTTP/1.1 404 "));
        let there: BTreeSet<&str> = page.lines().filter_map(|line| line.split(['{', ' ']).next()).collect();
        for name in asked_by_the_dashboard() {
            // a peer that was never reached has no round trip yet, and nothing was thrown away
            let is_seen_later =
                ["warren_agent_peer_rtt_seconds", "warren_agent_dropped_packets_total"].contains(&name.as_str());
            let declared = format!("# TYPE {} ", name.trim_end_matches("_total"));
            assert!(there.contains(name.as_str()) || is_seen_later && page.contains(&declared), "{name}\n{page}");
        }
    });
}

#[test]
fn the_doctor_finds_a_daemon_that_does_not_run_and_a_server_that_is_not_there() {
    on_a_host(async |host| {
        let outcome = host.warren(&["doctor", "127.0.0.1:1", "--json"]);

        let report = outcome.json();
        assert_eq!((outcome.code, report["verdict"].as_str()), (1, Some("fail")), "{report:#}");
        let verdict = |check: &str| {
            let findings = report["findings"].as_array().unwrap();
            findings.iter().find(|finding| finding["check"] == check).unwrap()["verdict"].clone()
        };
        assert_eq!((verdict("daemon"), verdict("web"), verdict("udp")), ("fail".into(), "warn".into(), "warn".into()));
        assert_eq!((verdict("dns"), verdict("tun"), verdict("privileges")), ("ok".into(), "ok".into(), "ok".into()));
    });
}

#[test]
fn the_doctor_finds_nothing_that_keeps_a_connected_device_from_working() {
    on_a_host(async |host| {
        let server = Rendezvous::start();
        let _daemon = host.daemon(&[]);
        let alone = host.warren(&["doctor"]);
        assert_eq!(host.warren(&["up", &server.invite()]).code, 0);

        let outcome = host.warren(&["doctor"]);

        assert!(alone.stdout.contains("this device is in no mesh"), "{}", alone.stdout);
        assert_eq!(outcome.code, 0, "{}{}", outcome.stdout, outcome.stderr);
        assert!(outcome.stdout.contains("connected to the rendezvous"), "{}", outcome.stdout);
        assert!(!outcome.stdout.contains("fail"), "{}", outcome.stdout);
    });
}

#[test]
fn a_report_for_strangers_says_much_and_holds_no_secret() {
    on_a_host(async |host| {
        let server = Rendezvous::start();
        let _daemon = host.daemon(&[]);
        let invite = server.invite();
        assert_eq!(host.warren(&["up", &invite]).code, 0);
        host.wait_for("the map", |status| status["peers"][0]["name"] == PEER);
        let path = host.path("report.tar.gz");

        let outcome = host.warren(&["bugreport", path.to_str().unwrap()]);
        let twice = host.warren(&["bugreport", path.to_str().unwrap()]);

        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        twice.expect(1, "write");
        assert_eq!(mode(&path), 0o600);
        let files = files(&path);
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        for name in ["host.txt", "status.json", "netcheck.json", "doctor.json", "log.txt", &format!("path/{PEER}.json")]
        {
            assert!(names.contains(&format!("warren-bugreport/{name}").as_str()), "{name} in {names:?}");
        }
        let all: String = files.iter().map(|(_, text)| text.as_str()).collect();
        assert!(all.contains("listening for commands"), "{all}");
        let identity = std::fs::read_to_string(host.path("state/identity.key")).unwrap();
        let secrets = identity.lines().skip(1).filter_map(|line| line.split(' ').nth(1)).chain([invite.as_str()]);
        for secret in secrets {
            assert!(!all.contains(secret), "{secret}");
        }
    });
}

#[test]
fn scripts_learn_addresses_and_wait_for_the_mesh() {
    on_a_host(async |host| {
        host.warren(&["wait", "--timeout", "100ms"]).expect(4, "daemon");
        let server = Rendezvous::start();
        let _daemon = host.daemon(&[]);
        host.warren(&["wait", "--timeout", "100ms"]).expect(3, "not enrolled");
        assert_eq!(host.warren(&["up", &server.invite()]).code, 0);
        host.wait_for("the map", |status| status["peers"][0]["name"] == PEER);

        assert_eq!(host.warren(&["wait"]).code, 0);
        assert_eq!(host.warren(&["ip"]).stdout, "100.64.0.1\nfd00::1\n");
        assert_eq!(host.warren(&["ip", "-4", PEER]).stdout, "100.64.0.2\n");
        host.warren(&["ip", "nobody"]).expect(1, "no peer");
    });
}

#[test]
fn systemd_is_told_of_the_beginning_the_middle_and_the_end() {
    on_a_host(async |host: Host| {
        let path = host.path("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let state = host.path("state");
        let mut child = std::process::Command::new(BINARY)
            .args(["daemon", "--state-dir", state.to_str().unwrap()])
            .args(["--socket", host.path("warren.sock").to_str().unwrap()])
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "60000000")
            .spawn()
            .unwrap();
        let heard = || {
            let mut buffer = [0; 64];
            let length = socket.recv(&mut buffer).unwrap();
            String::from_utf8(buffer[..length].to_vec()).unwrap()
        };

        assert_eq!(heard(), "READY=1");
        assert_eq!(heard(), "WATCHDOG=1");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id().try_into().unwrap()), nix::sys::signal::SIGTERM)
            .unwrap();
        let since = Instant::now();
        while heard() != "STOPPING=1" {
            assert!(since.elapsed() < Duration::from_secs(20));
        }
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn the_daemon_lives_with_what_its_unit_leaves_it() {
    on_a_host(async |host: Host| {
        for program in ["setpriv", "strace", "systemd-analyze"] {
            if std::process::Command::new(program).arg("--version").output().is_err() {
                println!("skipped: needs {program}");
                return;
            }
        }
        let server = Rendezvous::start();
        let (state, calls) = (host.path("state"), host.path("calls"));
        std::fs::create_dir(&state).unwrap();
        let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
        for path in [host.path(""), state.clone()] {
            nix::unistd::chown(&path, Some(nobody.uid), Some(nobody.gid)).unwrap();
        }
        // as systemd starts it: a user, one capability, no new ones; what it asks of the kernel is written down
        let child = std::process::Command::new("setpriv")
            .args(["--reuid", "nobody", "--regid", &nobody.gid.to_string(), "--clear-groups", "--no-new-privs"])
            .args(["--bounding-set=-all,+net_admin", "--inh-caps=-all,+net_admin", "--ambient-caps=-all,+net_admin"])
            .args(["strace", "-f", "-qq", "-o", calls.to_str().unwrap(), BINARY, "daemon"])
            .args(["--state-dir", state.to_str().unwrap(), "--socket", host.path("warren.sock").to_str().unwrap()])
            .args(["--metrics-listen", "127.0.0.1:9123"])
            .spawn();
        let mut child = Ended(child.unwrap());
        let since = Instant::now();
        while host.warren(&["status"]).code != 0 {
            assert!(child.0.try_wait().unwrap().is_none() && since.elapsed() < Duration::from_secs(30));
            std::thread::sleep(Duration::from_millis(50));
        }

        assert_eq!(host.warren(&["up", &server.invite()]).code, 0);
        assert_eq!(host.warren(&["netcheck"]).code, 0);
        assert!(get("/metrics").contains("warren_agent_connected 1.0"));
        let daemon = nix::unistd::Pid::from_raw(child.0.id().try_into().unwrap());
        // strace ends when what it follows does
        let followed = std::fs::read_to_string(format!("/proc/{daemon}/task/{daemon}/children")).unwrap();
        let followed = nix::unistd::Pid::from_raw(followed.trim().parse().unwrap());
        nix::sys::signal::kill(followed, nix::sys::signal::SIGTERM).unwrap();
        child.0.wait().unwrap();

        let unit = include_str!("../../../packaging/systemd/warren.service");
        let allowed = allowed_calls(unit);
        let text = std::fs::read_to_string(&calls).unwrap();
        let lines = text.lines().filter_map(|line| line.split_once(' ')).map(|(_, call)| call.trim_start());
        let made: BTreeSet<&str> = lines
            .filter(|call| call.starts_with(|c: char| c.is_ascii_lowercase()))
            .filter_map(|call| call.split_once('(').map(|(name, _)| name))
            .collect();
        assert!(made.contains("recvmmsg") || made.contains("recvmsg"), "{made:?}");
        let refused: Vec<_> = made.iter().filter(|call| !allowed.contains(**call)).collect();
        assert_eq!(refused, Vec::<&&str>::new());
        // the only families of sockets, and no memory that is both written and run
        let families = text
            .lines()
            .filter_map(|line| line.split_once("socket(AF_"))
            .map(|(_, rest)| rest.split(',').next().unwrap());
        for family in families.collect::<BTreeSet<_>>() {
            assert!(["INET", "INET6", "NETLINK", "UNIX"].contains(&family), "{family}");
        }
        assert!(!text.contains("PROT_WRITE|PROT_EXEC"));
    });
}

/// Killed when dropped.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the unit's filter lets through, by systemd's own lists.
fn allowed_calls(unit: &str) -> BTreeSet<String> {
    let mut allowed = BTreeSet::new();
    for filter in unit.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")) {
        let takes_away = filter.starts_with('~');
        for word in filter.trim_start_matches('~').split(' ') {
            for call in calls_of(word) {
                if takes_away {
                    allowed.remove(&call)
                } else {
                    allowed.insert(call)
                };
            }
        }
    }
    allowed
}

fn calls_of(word: &str) -> Vec<String> {
    if !word.starts_with('@') {
        return vec![word.to_owned()];
    }
    let output = std::process::Command::new("systemd-analyze").args(["syscall-filter", word]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().skip(1).map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.flat_map(calls_of).collect()
}

#[test]
fn the_manual_and_completions_come_from_the_program_itself() {
    let dir = tempfile::tempdir().unwrap();

    let bash = warren(&["completions", "bash"]);
    let written = warren(&["man", dir.path().to_str().unwrap()]);

    assert!(bash.stdout.contains("bugreport"), "{}", bash.stderr);
    assert_eq!(written.code, 0, "{}", written.stderr);
    let page = std::fs::read_to_string(dir.path().join("warren-ping.1")).unwrap();
    assert!(page.contains("until\\-direct"), "{page}");
}

fn get(path: &str) -> String {
    let mut stream = TcpStream::connect("127.0.0.1:9123").unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The metrics that the dashboard's queries name.
fn asked_by_the_dashboard() -> BTreeSet<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib/grafana/warren-agent.json");
    let dashboard: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let queries =
        panels.flat_map(|panel| panel["targets"].as_array().unwrap()).map(|target| target["expr"].as_str().unwrap());
    let words = queries.flat_map(|query| query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    words.filter(|word| word.starts_with("warren_") || word.starts_with("process_")).map(str::to_owned).collect()
}

fn files(archive: &Path) -> Vec<(String, String)> {
    let mut archive = tar::Archive::new(GzDecoder::new(std::fs::File::open(archive).unwrap()));
    let entries = archive.entries().unwrap();
    entries
        .map(|entry| {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (name, text)
        })
        .collect()
}

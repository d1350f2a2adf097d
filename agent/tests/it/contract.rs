//! The JSON that scripts rely on, field by field. Fields are only ever added here.

use serde_json::Value;

use crate::host::{on_a_host, warren};
use crate::rendezvous::{PEER, Rendezvous};

#[test]
fn status_has_the_promised_fields() {
    on_a_host(async |host| {
        let server = Rendezvous::start();
        let _daemon = host.daemon(&[]);
        assert_eq!(host.warren(&["up", &server.invite()]).code, 0);

        let status = host.wait_for("the map", |status| status["peers"][0]["name"] == PEER);

        assert_eq!(status["schema"], 1);
        has(&status, &["state", "self", "rendezvous", "nat", "peers"]);
        has(&status["self"], &["id", "name", "addresses"]);
        assert_eq!(status["self"]["addresses"], serde_json::json!(["100.64.0.1", "fd00::1"]));
        has(&status["rendezvous"], &["url", "connected", "transport", "rtt_ms"]);
        has(&status["nat"], &["mapping", "preserves_port", "observed"]);
        let peer = &status["peers"][0];
        has(peer, &["id", "name", "addresses", "online", "path", "session"]);
        has(peer, &["rx_bytes", "tx_bytes", "rx_packets", "tx_packets", "dropped"]);
        has(&peer["path"], &PATH);
        assert_eq!(peer["path"]["kind"], "none");
    });
}

#[test]
fn path_has_the_promised_fields() {
    on_a_host(async |host| {
        let server = Rendezvous::start();
        let _daemon = host.daemon(&[]);
        assert_eq!(host.warren(&["up", &server.invite()]).code, 0);
        host.wait_for("the map", |status| status["peers"][0]["name"] == PEER);

        let report = host.warren(&["path", PEER, "--json"]).json();

        assert_eq!((&report["schema"], &report["peer"]), (&1.into(), &PEER.into()));
        has(&report, &["path", "reason", "attempts"]);
        has(&report["path"], &PATH);
        has(&report["reason"], &["code", "text", "remedy", "joined"]);
        has(&report, &["relay_only", "candidates", "peer_attempts"]);
        has(&report["candidates"], &["local", "peer"]);
        assert_eq!(report["reason"]["code"], "peer-offline");
    });
}

#[test]
fn netcheck_has_the_promised_fields() {
    on_a_host(async |host| {
        let server = Rendezvous::start();
        let _daemon = host.daemon(&[]);
        assert_eq!(host.warren(&["up", &server.invite()]).code, 0);

        let report = host.warren(&["netcheck", "--json"]).json();

        assert_eq!(report["schema"], 1);
        has(&report, &["udp", "ipv4", "ipv6", "mapping", "preserves_port", "sequential_delta", "port_mapping"]);
        has(&report["rendezvous"][0], &["addr", "rtt_ms"]);
        has(&report["judgement"], &["direct", "text", "remedy"]);
        assert_eq!((&report["udp"], &report["ipv4"], &report["ipv6"]), (&true.into(), &true.into(), &false.into()));
    });
}

#[test]
fn people_get_words_and_no_escape_codes_in_a_pipe() {
    on_a_host(async |host| {
        let server = Rendezvous::start();
        let _daemon = host.daemon(&[]);
        assert_eq!(host.warren(&["up", &server.invite(), "--hostname", "laptop"]).code, 0);
        host.wait_for("the map", |status| status["peers"][0]["name"] == PEER);

        let status = host.warren(&["status"]).stdout;
        let netcheck = host.warren(&["netcheck"]).stdout;

        assert!(status.starts_with("laptop  100.64.0.1  fd00::1  connected to"), "{status}");
        assert!(status.contains("desktop  100.64.0.2  no"), "{status}");
        assert!(netcheck.starts_with("Direct paths  "), "{netcheck}");
        assert!(!status.contains('\x1b'));
    });
}

#[test]
fn the_version_is_told() {
    assert!(warren(&["--version"]).stdout.starts_with("warren 0."));
}

fn has(object: &Value, fields: &[&str]) {
    for field in fields {
        assert!(object.get(field).is_some(), "{field} is missing in {object:#}");
    }
}

const PATH: [&str; 6] = ["kind", "via", "remote", "rtt_ms", "mtu", "since"];

//! What happens around the browser, on the journey's orders: devices enrol, come online, report paths, leave.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};
use warren_proto::control::PathReport;
use warren_proto::keys::{NodeId, StaticPublic, UnixTime};
use warren_rendezvous::actions::{self, Asked, Enrolment};
use warren_rendezvous::domain::history::Way;
use warren_rendezvous::domain::{Actor, Device};

use crate::common::{Agent, TestApp, identity};

/// The world.
pub(super) struct Stage {
    server: TestApp,
    control: SocketAddr,
    /// Each device's own key, by what `TestApp::enrol` was given.
    keys: BTreeMap<NodeId, u8>,
    online: BTreeMap<NodeId, Agent>,
}

impl Stage {
    pub(super) fn new(server: TestApp, control: SocketAddr) -> Self {
        Self { server, control, keys: BTreeMap::new(), online: BTreeMap::new() }
    }

    /// Does what the journey asks for and answers with what it needs to know.
    pub(super) async fn play(&mut self, order: &Value) -> Value {
        let word = |name: &str| order[name].as_str().unwrap_or_default();
        let node = |name: &str| NodeId::parse(word(name)).unwrap();
        let key = u8::try_from(self.keys.len() + 1).unwrap();
        let device = match word("action") {
            "ask" => return self.ask(word("hostname"), key).await,
            "device" => self.server.device(word("hostname"), key).await,
            "enrol" => self.server.enrol(&word("invite").parse().unwrap(), word("hostname"), key).await,
            "history" => return self.remember(node("from"), node("to")).await,
            "offline" => return self.leave(node("device")),
            "online" => return self.arrive(node("device")).await,
            "path" => return self.report(node("from"), node("to"), order).await,
            "rename" => {
                let id = node("device");
                actions::rename_device(&self.server.app, &Actor::Cli, id, word("name")).await.unwrap()
            }
            other => panic!("the journey asks for {other}"),
        };
        self.keys.entry(device.id).or_insert(key);
        described(&device)
    }

    /// A device asks to be let in, and does not wait for it.
    async fn ask(&mut self, hostname: &str, key: u8) -> Value {
        let enrolment = Enrolment {
            secret: Vec::new(),
            identity_key: identity(key + 100).public(),
            static_key: StaticPublic::new([key + 100; 32]),
            hostname: hostname.to_owned(),
            os: "linux aarch64".to_owned(),
            agent_version: "0.1.0".to_owned(),
        };
        let from = "192.0.2.77".parse().unwrap();
        match actions::ask_to_join(&self.server.app, &enrolment, from).await.unwrap() {
            Asked::Waiting(asked) => json!({ "code": asked.code.to_string() }),
            Asked::Admitted(_) => panic!("admitted without a person"),
        }
    }

    async fn arrive(&mut self, device: NodeId) -> Value {
        let agent = Agent::connect(self.control, device, &identity(self.keys[&device])).await;
        self.online.insert(device, agent);
        Value::Null
    }

    fn leave(&mut self, device: NodeId) -> Value {
        self.online.remove(&device).unwrap().leave();
        Value::Null
    }

    /// An hour of a path that was relayed for a while and is busy now.
    async fn remember(&self, from: NodeId, to: NodeId) -> Value {
        let now = self.server.app.now().since_epoch();
        let mut tx_bytes = 0;
        for slot in 0..240_u64 {
            let at = UnixTime::new(now - std::time::Duration::from_secs(15 * (240 - slot)));
            let is_direct = !(70..120).contains(&slot);
            tx_bytes += if from < to && (150..215).contains(&slot) {
                9_000_000 + slot * 40_000
            } else {
                20_000 + slot * slot * 7
            };
            let report = PathReport {
                rtt_us: if is_direct { 11_000 } else { 39_000 } + slot * 7919 % 3100 + 1500 * u64::from(from > to),
                tx_bytes,
                probes: slot * 3,
                probes_lost: if (70..76).contains(&slot) { slot - 69 } else { slot / 40 + 6 * u64::from(slot > 75) },
                ..path(to, is_direct, 0)
            };
            self.server.app.hub().recorder().note(Way { from, to }, &report, at);
        }
        actions::record_paths(&self.server.app).await.unwrap();
        Value::Null
    }

    async fn report(&mut self, from: NodeId, to: NodeId, order: &Value) -> Value {
        let is_direct = order["kind"] == "direct";
        let now = u64::try_from(self.server.app.now().since_epoch().as_millis()).unwrap();
        let rtt_us = order["rtt_us"].as_u64().unwrap();
        let report = PathReport { rtt_us, ..path(to, is_direct, now - 95_000) };
        self.online.get_mut(&from).unwrap().report(report).await;
        Value::Null
    }
}

fn path(peer: NodeId, is_direct: bool, since_unix_ms: u64) -> PathReport {
    PathReport {
        peer,
        kind: if is_direct { "direct" } else { "relay" }.to_owned(),
        via: if is_direct { "ipv4" } else { "udp-relay" }.to_owned(),
        remote: Some(if is_direct { "198.51.100.7:41641" } else { "203.0.113.1:3480" }.parse().unwrap()),
        rtt_us: 0,
        mtu: 1466,
        since_unix_ms,
        rx_bytes: 1_234_567,
        tx_bytes: 89_012,
        reason_code: if is_direct { "direct" } else { "symmetric-vs-port-restricted" }.to_owned(),
        rx_packets: 1_020,
        tx_packets: 77,
        probes: 40,
        probes_lost: 1,
    }
}

fn described(device: &Device) -> Value {
    json!({ "id": device.id.to_string(), "name": device.name.as_str() })
}

//! What happens around the browser, on the journey's orders.

use serde_json::{Value, json};
use warren_proto::keys::NodeId;
use warren_rendezvous::actions;
use warren_rendezvous::domain::{Actor, Device};

use crate::common::TestApp;

/// The world.
pub(super) struct Stage {
    server: TestApp,
    /// Makes each device's keys its own.
    devices: u8,
}

impl Stage {
    pub(super) fn new(server: TestApp) -> Self {
        Self { server, devices: 0 }
    }

    /// Does what the journey asks for and answers with what it needs to know.
    pub(super) async fn play(&mut self, order: &Value) -> Value {
        let word = |name: &str| order[name].as_str().unwrap_or_default();
        match word("action") {
            "enrol" => {
                self.devices += 1;
                let invite = word("invite").parse().unwrap();
                described(&self.server.enrol(&invite, word("hostname"), self.devices).await)
            }
            "device" => {
                self.devices += 1;
                described(&self.server.device(word("hostname"), self.devices).await)
            }
            "rename" => {
                let id = NodeId::parse(word("device")).unwrap();
                described(&actions::rename_device(&self.server.app, &Actor::Cli, id, word("name")).await.unwrap())
            }
            other => panic!("the journey asks for {other}"),
        }
    }
}

fn described(device: &Device) -> Value {
    json!({ "id": device.id.to_string(), "name": device.name.as_str() })
}

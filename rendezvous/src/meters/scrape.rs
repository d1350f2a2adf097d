//! One reading: the counters, and what hub, relay, database and kernel say at this moment.

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::Meters;
use super::process::Process;
use crate::actions::{BackupState, backup_state};
use crate::app::App;
use crate::control::Census;
use crate::relay::{Counters, Dropped, Load};
use crate::store::PoolLoad;
use crate::web_tls::TlsState;

impl Meters {
    /// Everything, in the OpenMetrics text format.
    pub fn scrape(&self, app: &App) -> Result<String, fmt::Error> {
        let mut moment = Registry::default();
        moment.register_collector(Box::new(Moment::of(app)));
        let mut text = String::new();
        encode_registry(&mut text, &self.registry)?;
        encode_registry(&mut text, &moment)?;
        encode_eof(&mut text)?;
        Ok(text)
    }
}

/// What is there at this moment.
#[derive(Debug)]
struct Moment {
    census: Census,
    relay: Counters,
    relay_load: Load,
    pools: Vec<(&'static str, PoolLoad)>,
    writes: Histogram,
    live_pages: usize,
    certificate: Option<TlsState>,
    backup: BackupState,
    process: Process,
}

impl Moment {
    fn of(app: &App) -> Self {
        let (relay, relay_load) = {
            let table = app.hub().relay().lock().expect("nothing panics while it holds the table");
            (table.counters(), table.load())
        };
        Self {
            census: app.hub().census(),
            relay,
            relay_load,
            pools: app.store().pools(),
            writes: app.store().write_times().clone(),
            live_pages: app.hub().followers(),
            certificate: app.dashboard_tls().state(),
            backup: backup_state(app),
            process: Process::read(),
        }
    }
}

impl Collector for Moment {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        page.one("warren_rendezvous_build_info", "The version that runs", Kind::Info(env!("CARGO_PKG_VERSION")))?;
        page.one("warren_rendezvous_agents_connected", "Devices online", Kind::Gauge(self.census.connected as f64))?;
        let pairs: BTreeMap<_, _> = PATHS.iter().map(|kind| (*kind, 0)).chain(self.census.pairs.clone()).collect();
        let pairs = pairs.into_iter().map(|(kind, count)| (kind, count as f64)).collect::<Vec<_>>();
        page.family("warren_rendezvous_pairs", "Pairs of devices by the path they last reported", "via", &pairs)?;

        let relay = &self.relay;
        page.one("warren_relay_forwarded_packets", "Frames relayed", Kind::Counter(relay.forwarded as f64))?;
        page.one(
            "warren_relay_forwarded_bytes",
            "Bytes relayed, without frame headers",
            Kind::Counter(relay.forwarded_bytes as f64),
        )?;
        let drops: Vec<_> =
            Dropped::ALL.iter().map(|reason| (reason.name(), relay.dropped[*reason as usize] as f64)).collect();
        page.counters("warren_relay_dropped_packets", "Frames the relay threw away", "reason", &drops)?;
        page.one("warren_relay_channels", "Channels of pairs", Kind::Gauge(self.relay_load.channels as f64))?;
        page.one("warren_relay_bound_devices", "Devices with an address", Kind::Gauge(self.relay_load.bound as f64))?;

        let sizes: Vec<_> = self.pools.iter().map(|(pool, load)| (*pool, f64::from(load.size))).collect();
        page.family("warren_database_connections", "Open connections to the database", "pool", &sizes)?;
        let idle: Vec<_> = self.pools.iter().map(|(pool, load)| (*pool, load.idle as f64)).collect();
        page.family("warren_database_idle_connections", "Of these, unused ones", "pool", &idle)?;
        page.0
            .encode_descriptor(
                "warren_database_write_duration_seconds",
                "From the beginning of a write transaction to its commit",
                None,
                MetricType::Histogram,
            )
            .and_then(|metric| self.writes.encode(metric))?;
        page.one("warren_live_streams", "Pages that follow along", Kind::Gauge(self.live_pages as f64))?;
        self.upkeep(&mut page)?;
        self.process(&mut page)
    }
}

impl Moment {
    fn upkeep(&self, page: &mut Page<'_>) -> fmt::Result {
        if let Some(newest) = &self.backup.newest {
            page.one(
                "warren_rendezvous_backup_time_seconds",
                "When the newest nightly backup was made, since the Unix epoch",
                Kind::Gauge(newest.at.as_secs() as f64),
            )?;
        }
        page.one(
            "warren_rendezvous_backup_trouble",
            "Whether something is wrong with the nightly backups; the System page says what",
            Kind::Gauge(f64::from(u8::from(self.backup.trouble.is_some()))),
        )?;
        let Some(certificate) = &self.certificate else { return Ok(()) };
        page.one(
            "warren_rendezvous_certificate_end_time_seconds",
            "When the dashboard's certificate ends, since the Unix epoch",
            Kind::Gauge(certificate.validity.not_after.as_secs() as f64),
        )?;
        page.one(
            "warren_rendezvous_certificate_trouble",
            "Whether something is wrong with it or its renewal; the System page says what",
            Kind::Gauge(f64::from(u8::from(certificate.trouble.is_some()))),
        )
    }

    fn process(&self, page: &mut Page<'_>) -> fmt::Result {
        let process = &self.process;
        if let Some(seconds) = process.cpu_seconds {
            page.one("process_cpu_seconds", "Processor time used", Kind::Counter(seconds))?;
        }
        if let Some(bytes) = process.resident_bytes {
            page.one("process_resident_memory_bytes", "Memory held", Kind::Gauge(bytes as f64))?;
        }
        if let Some(count) = process.open_fds {
            page.one("process_open_fds", "Open files and sockets", Kind::Gauge(count as f64))?;
        }
        if let Some(at) = process.start_time_seconds {
            page.one("process_start_time_seconds", "Start, since the Unix epoch", Kind::Gauge(at))?;
        }
        Ok(())
    }
}

/// The text being written.
struct Page<'a>(DescriptorEncoder<'a>);

/// A value without labels of its own.
enum Kind {
    Counter(f64),
    Gauge(f64),
    Info(&'static str),
}

impl Page<'_> {
    fn one(&mut self, name: &str, help: &str, kind: Kind) -> fmt::Result {
        match kind {
            Kind::Counter(value) => {
                let metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
                ConstCounter::new(value).encode(metric)
            }
            Kind::Gauge(value) => {
                let metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
                ConstGauge::new(value).encode(metric)
            }
            Kind::Info(version) => self.family(name, help, "version", &[(version, 1.0)]),
        }
    }

    fn family(&mut self, name: &str, help: &str, label: &str, values: &[(&str, f64)]) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (value, count) in values {
            ConstGauge::new(*count).encode(metric.encode_family(&[(label, *value)])?)?;
        }
        Ok(())
    }

    fn counters(&mut self, name: &str, help: &str, label: &str, values: &[(&str, f64)]) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (value, count) in values {
            ConstCounter::new(*count).encode(metric.encode_family(&[(label, *value)])?)?;
        }
        Ok(())
    }
}

/// What agents call their ways to each other: the words of `status`'s `via`, and `none`.
const PATHS: &[&str] = &["ipv4", "ipv6", "lan", "none", "other", "udp-relay", "websocket-relay"];

//! One reading as text in the OpenMetrics format.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::totals::Totals;
use crate::report::{Counters, PathKind, Peer, State, Status};

/// What has been added up since the daemon started.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    traffic: Totals,
    dropped: Totals,
}

impl Ledger {
    /// Adds one reading, and tells all of it.
    pub(super) fn page(&mut self, counters: &Counters) -> Result<String, fmt::Error> {
        self.read(counters);
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Page::new(self, counters)));
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }

    fn read(&mut self, counters: &Counters) {
        let peers = &counters.status.peers;
        let count = |peer: &Peer, label: &str, count| (peer.id.clone(), label.to_owned(), count);
        self.traffic.read(peers.iter().flat_map(|peer| {
            let (rekeys, agreed) = peer.session.as_ref().map_or((0, 0), |session| (session.rekeys, session.rekeys + 1));
            [
                count(peer, RX_BYTES, peer.rx_bytes),
                count(peer, TX_BYTES, peer.tx_bytes),
                count(peer, RX_PACKETS, peer.rx_packets),
                count(peer, TX_PACKETS, peer.tx_packets),
                count(peer, REKEYS, rekeys),
                count(peer, HANDSHAKES, agreed),
                count(peer, PROBES, counters.probes.get(&peer.id).copied().unwrap_or(0)),
            ]
        }));
        let of_peers = peers
            .iter()
            .flat_map(|peer| peer.dropped.iter().map(|(reason, count)| (peer.id.clone(), reason.clone(), *count)));
        let of_nobody = counters.status.dropped.iter().map(|(reason, count)| (String::new(), reason.clone(), *count));
        self.dropped.read(of_peers.chain(of_nobody));
    }
}

/// What is told.
#[derive(Debug)]
struct Page {
    totals: BTreeMap<String, u64>,
    dropped: Vec<(String, f64)>,
    refused: Vec<(String, f64)>,
    kinds: Vec<(String, f64)>,
    round_trips: Vec<(String, f64)>,
    sessions: usize,
    connected: bool,
    server_rtt_ms: Option<f64>,
}

impl Page {
    fn new(ledger: &Ledger, counters: &Counters) -> Self {
        let Status { peers, rendezvous, state, .. } = &counters.status;
        let of_kind = |kind| peers.iter().filter(|peer| peer.path.kind == kind).count() as f64;
        let kinds = [("direct", PathKind::Direct), ("relay", PathKind::Relay), ("none", PathKind::None)];
        let round_trip = |peer: &Peer| Some((peer.name.clone(), peer.path.rtt_ms? / 1000.0));
        Self {
            totals: ledger.traffic.sums().clone(),
            dropped: ledger.dropped.sums().iter().map(|(reason, count)| (reason.clone(), *count as f64)).collect(),
            refused: vec![
                ("tun".to_owned(), counters.tun_refused as f64),
                ("udp".to_owned(), counters.udp_refused as f64),
            ],
            kinds: kinds.map(|(name, kind)| (name.to_owned(), of_kind(kind))).into(),
            round_trips: peers.iter().filter_map(round_trip).take(MAX_ROUND_TRIPS).collect(),
            sessions: peers.iter().filter(|peer| peer.session.is_some()).count(),
            connected: *state == State::Connected,
            server_rtt_ms: rendezvous.rtt_ms,
        }
    }

    fn total(&self, label: &str) -> f64 {
        self.totals.get(label).copied().unwrap_or(0) as f64
    }
}

impl Collector for Page {
    fn encode(&self, mut out: DescriptorEncoder<'_>) -> fmt::Result {
        let out = &mut out;
        gauge(out, "build_info", "The version that runs", "version", &[(env!("CARGO_PKG_VERSION").to_owned(), 1.0)])?;
        one_gauge(out, "connected", "1 while the rendezvous is reached", f64::from(u8::from(self.connected)))?;
        if let Some(rtt) = self.server_rtt_ms {
            one_gauge(out, "rendezvous_rtt_seconds", "Round trip to the rendezvous", rtt / 1000.0)?;
        }
        gauge(out, "peers", "Peers by the kind of the path to them", "kind", &self.kinds)?;
        one_gauge(out, "sessions", "Peers with keys agreed", self.sessions as f64)?;
        gauge(out, "peer_rtt_seconds", "Round trip to a peer, of the first 256", "peer", &self.round_trips)?;
        one_counter(out, RX_BYTES, "Inner bytes from peers", self.total(RX_BYTES))?;
        one_counter(out, TX_BYTES, "Inner bytes to peers", self.total(TX_BYTES))?;
        one_counter(out, RX_PACKETS, "Inner packets from peers", self.total(RX_PACKETS))?;
        one_counter(out, TX_PACKETS, "Inner packets to peers", self.total(TX_PACKETS))?;
        one_counter(out, HANDSHAKES, "Sessions agreed with peers", self.total(HANDSHAKES))?;
        one_counter(out, REKEYS, "Of these, sessions that replaced one in use", self.total(REKEYS))?;
        one_counter(out, PROBES, "Probes sent to find, measure and keep paths", self.total(PROBES))?;
        counter(out, "dropped_packets", "What was thrown away, and why", "reason", &self.dropped)?;
        counter(out, "refused_packets", "What the kernel did not take", "by", &self.refused)?;
        process(out)
    }
}

fn process(out: &mut DescriptorEncoder<'_>) -> fmt::Result {
    if let Some(bytes) = resident_bytes() {
        let metric = out.encode_descriptor("process_resident_memory_bytes", "Memory held", None, MetricType::Gauge)?;
        ConstGauge::new(bytes as f64).encode(metric)?;
    }
    if let Some([user, system]) = stat([14, 15]) {
        let metric = out.encode_descriptor("process_cpu_seconds", "Processor time used", None, MetricType::Counter)?;
        ConstCounter::new(user + system).encode(metric)?;
    }
    if let Some(at) = started_at() {
        let metric = out.encode_descriptor(
            "process_start_time_seconds",
            "Start, since the Unix epoch",
            None,
            MetricType::Gauge,
        )?;
        ConstGauge::new(at).encode(metric)?;
    }
    Ok(())
}

fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_ascii_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

fn started_at() -> Option<f64> {
    let [since_boot] = stat([22])?;
    let kernel = fs::read_to_string("/proc/stat").ok()?;
    let boot: f64 = kernel.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(boot + since_boot)
}

/// Fields of `/proc/self/stat` that are times, by their number in proc(5), in seconds. The kernel counts hundredths there
/// on every architecture we run on.
fn stat<const N: usize>(fields: [usize; N]) -> Option<[f64; N]> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // the name of the program, in parentheses, may hold anything; field 3 follows it
    let values: Vec<&str> = stat.rsplit_once(") ")?.1.split_ascii_whitespace().collect();
    let seconds = fields.map(|field| values.get(field - 3)?.parse::<f64>().ok().map(|ticks| ticks / 100.0));
    seconds.iter().all(Option::is_some).then(|| seconds.map(Option::unwrap_or_default))
}

fn one_gauge(out: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> fmt::Result {
    let name = format!("{PREFIX}{name}");
    ConstGauge::new(value).encode(out.encode_descriptor(&name, help, None, MetricType::Gauge)?)
}

fn one_counter(out: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> fmt::Result {
    let name = format!("{PREFIX}{name}");
    ConstCounter::new(value).encode(out.encode_descriptor(&name, help, None, MetricType::Counter)?)
}

fn gauge(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &str,
    values: &[(String, f64)],
) -> fmt::Result {
    let name = format!("{PREFIX}{name}");
    let mut metric = out.encode_descriptor(&name, help, None, MetricType::Gauge)?;
    values.iter().try_for_each(|(value, count)| {
        ConstGauge::new(*count).encode(metric.encode_family(&[(label, value.as_str())])?)
    })
}

fn counter(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &str,
    values: &[(String, f64)],
) -> fmt::Result {
    let name = format!("{PREFIX}{name}");
    let mut metric = out.encode_descriptor(&name, help, None, MetricType::Counter)?;
    values.iter().try_for_each(|(value, count)| {
        ConstCounter::new(*count).encode(metric.encode_family(&[(label, value.as_str())])?)
    })
}

const PREFIX: &str = "warren_agent_";
const RX_BYTES: &str = "received_bytes";
const TX_BYTES: &str = "sent_bytes";
const RX_PACKETS: &str = "received_packets";
const TX_PACKETS: &str = "sent_packets";
const HANDSHAKES: &str = "handshakes";
const REKEYS: &str = "rekeys";
const PROBES: &str = "probes";
/// Time series of one agent must not grow with the mesh for ever; a dashboard of more lines shows none of them.
const MAX_ROUND_TRIPS: usize = 256;

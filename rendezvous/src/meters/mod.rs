//! What Prometheus may read: counters of what happened, and a look at what is there at the moment of reading.
//!
//! Whatever counts already (relay, hub, pools) is read when somebody asks (`scrape`), so that no packet pays for it; only
//! what nobody else counts is counted here. Labels come from fixed lists: no address, name or id ever becomes one.

mod http;
mod process;
mod scrape;

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use warren_proto::control::RefusedCode;

pub use http::{MetricsServer, measure};
pub(crate) use process::resident_bytes;

/// The counters. Cheap to count with from everywhere.
#[derive(Debug)]
pub struct Meters {
    registry: Registry,
    enrolments: Counter,
    refusals: Family<Code, Counter>,
    control_messages: Family<Direction, Counter>,
    stun_answers: Counter,
    stun_refusals: Counter,
    requests: Family<Request, Counter>,
    request_seconds: Family<Route, Histogram, Buckets>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Code {
    code: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Direction {
    direction: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Request {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Route {
    route: String,
}

/// Makes a histogram of times.
#[derive(Clone, Debug)]
pub(crate) struct Buckets;

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(SECONDS)
    }
}

impl Default for Meters {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("warren_rendezvous");
        let enrolments = Counter::default();
        registry.register("enrolments", "Devices admitted by an invite", enrolments.clone());
        let refusals = Family::<Code, Counter>::default();
        registry.register("refusals", "Control connections refused, by the reason they were told", refusals.clone());
        let control_messages = Family::<Direction, Counter>::default();
        registry.register("control_messages", "Messages of the control plane", control_messages.clone());
        let stun_answers = Counter::default();
        registry.register("stun_answers", "STUN requests answered", stun_answers.clone());
        let stun_refusals = Counter::default();
        registry.register(
            "stun_rate_limited",
            "STUN requests that their source's rate left unanswered",
            stun_refusals.clone(),
        );
        let requests = Family::<Request, Counter>::default();
        registry.register("http_requests", "HTTP requests answered", requests.clone());
        let request_seconds = Family::<Route, Histogram, Buckets>::new_with_constructor(Buckets);
        registry.register(
            "http_request_duration_seconds",
            "From an HTTP request's head to the head of its answer",
            request_seconds.clone(),
        );
        // what has not happened yet is 0, not missing: a rate needs a beginning
        for code in CODES {
            drop(refusals.get_or_create_owned(&Code { code: refused_name(*code) }));
        }
        for direction in [RECEIVED, SENT] {
            drop(control_messages.get_or_create_owned(&Direction { direction }));
        }
        Self {
            registry,
            enrolments,
            refusals,
            control_messages,
            stun_answers,
            stun_refusals,
            requests,
            request_seconds,
        }
    }
}

impl Meters {
    /// A device was admitted.
    pub fn count_enrolment(&self) {
        self.enrolments.inc();
    }

    /// A control connection was refused.
    pub fn count_refusal(&self, code: RefusedCode) {
        self.refusals.get_or_create(&Code { code: refused_name(code) }).inc();
    }

    /// An agent said something.
    pub fn count_received(&self) {
        self.control_messages.get_or_create(&Direction { direction: RECEIVED }).inc();
    }

    /// An agent was told something.
    pub fn count_sent(&self) {
        self.control_messages.get_or_create(&Direction { direction: SENT }).inc();
    }

    /// A STUN request was answered, or not because its source asks too often.
    pub fn count_stun(&self, answered: bool) {
        if answered { &self.stun_answers } else { &self.stun_refusals }.inc();
    }

    fn count_request(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        let route = route.to_owned();
        self.requests.get_or_create(&Request { method, route: route.clone(), status }).inc();
        self.request_seconds.get_or_create(&Route { route }).observe(took.as_secs_f64());
    }
}

fn refused_name(code: RefusedCode) -> &'static str {
    match code {
        RefusedCode::DeviceRevoked => "device_revoked",
        RefusedCode::DeviceUnknown => "device_unknown",
        RefusedCode::EnrolmentDenied => "enrolment_denied",
        RefusedCode::EnrolmentExpired => "enrolment_expired",
        RefusedCode::InviteExpired => "invite_expired",
        RefusedCode::InviteUnknown => "invite_unknown",
        RefusedCode::InviteUsed => "invite_used",
        RefusedCode::NameTaken => "name_taken",
        RefusedCode::PoolExhausted => "pool_exhausted",
        RefusedCode::Proof => "proof",
        RefusedCode::Protocol => "protocol",
        RefusedCode::RateLimited => "rate_limited",
        RefusedCode::Replaced => "replaced",
        RefusedCode::Unavailable => "unavailable",
        RefusedCode::Unspecified => "unspecified",
    }
}

const CODES: &[RefusedCode] = &[
    RefusedCode::DeviceRevoked,
    RefusedCode::DeviceUnknown,
    RefusedCode::EnrolmentDenied,
    RefusedCode::EnrolmentExpired,
    RefusedCode::InviteExpired,
    RefusedCode::InviteUnknown,
    RefusedCode::InviteUsed,
    RefusedCode::NameTaken,
    RefusedCode::PoolExhausted,
    RefusedCode::Proof,
    RefusedCode::Protocol,
    RefusedCode::RateLimited,
    RefusedCode::Replaced,
    RefusedCode::Unavailable,
    RefusedCode::Unspecified,
];
const RECEIVED: &str = "received";
const SENT: &str = "sent";
/// From a page out of memory to a password that is checked on a busy machine.
const SECONDS: [f64; 9] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0];

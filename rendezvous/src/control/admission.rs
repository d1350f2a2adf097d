//! Who is this? Checks an introduction against the TLS session it came over and makes the answer.

use quinn::Connection;
use tokio_util::bytes::Bytes;
use tracing::error;
use warren_coordinator::{Arrival, Member, Presence};
use warren_proto::certificate::verify_identity;
use warren_proto::control::{
    EXPORTER_LABEL, Enroll, Enrolled, Hello, Network, PROTOCOL, Refused, RefusedCode, Relay, ToAgent, ToServer,
    Welcome, proof_input,
};
use warren_proto::keys::{IdentityPublic, NodeId};

use super::Services;
use super::connection::refused;
use super::tunnel::observed;
use crate::actions::{self, Asked, Enrolment};
use crate::app::App;
use crate::domain::{Device, DeviceState};
use crate::error::Error;
use crate::store::AskedEnrolment;

/// What the first message of a connection leads to.
pub(super) enum Answer {
    /// The device is a member.
    Admitted(Admitted),
    /// The device waits until a person has decided.
    Asked(Box<AskedEnrolment>),
}

/// A device that may come in, and what it hears first.
pub(super) struct Admitted {
    pub(super) arrival: Arrival,
    pub(super) token: [u8; 16],
    pub(super) first: Vec<Bytes>,
}

/// Checks the first message of a connection.
pub(super) async fn admit(
    app: &App,
    services: &Services,
    connection: &Connection,
    first: ToServer,
) -> Result<Answer, Refused> {
    match first {
        ToServer::Enroll(enroll) => admit_new(app, services, connection, enroll).await,
        ToServer::Hello(hello) => admit_known(app, services, connection, hello).await.map(Answer::Admitted),
        ToServer::AttemptReport(_)
        | ToServer::Candidates(_)
        | ToServer::Connect(_)
        | ToServer::Logout
        | ToServer::PathReport(_)
        | ToServer::Pinged(_)
        | ToServer::Preferences(_)
        | ToServer::Alive
        | ToServer::Search(_)
        | ToServer::Vouched(_) => Err(refused(RefusedCode::Protocol, "the first message is Hello or Enroll")),
    }
}

async fn admit_new(app: &App, services: &Services, connection: &Connection, enroll: Enroll) -> Result<Answer, Refused> {
    check_protocol(enroll.protocol)?;
    check_proof(connection, &enroll.identity_key, &enroll.proof)?;
    let observed = observed(app, connection.remote_address());
    app.allow_enrolment(observed.ip()).then_some(()).ok_or_else(|| {
        refused(RefusedCode::RateLimited, "too many attempts to enrol from this address; wait a minute")
    })?;
    let enrolment = Enrolment {
        secret: enroll.secret,
        identity_key: enroll.identity_key,
        static_key: enroll.static_key,
        hostname: enroll.hostname,
        os: enroll.os,
        agent_version: enroll.agent_version,
    };
    if enrolment.secret.is_empty() {
        let asked = actions::ask_to_join(app, &enrolment, observed.ip()).await.map_err(|error| explain(&error))?;
        return Ok(match asked {
            Asked::Admitted(device) => Answer::Admitted(take_in(app, services, connection, *device)),
            Asked::Waiting(asked) => Answer::Asked(asked),
        });
    }
    let device = actions::enrol_device(app, &enrolment).await.map_err(|error| explain(&error))?;
    Ok(Answer::Admitted(take_in(app, services, connection, device)))
}

/// A new member: it hears of its certificate before it is greeted.
pub(super) fn take_in(app: &App, services: &Services, connection: &Connection, device: Device) -> Admitted {
    let enrolled = Enrolled { certificate: device.certificate.clone(), network: network(app) };
    let token = app.random();
    let welcome = welcome(app, services, connection, device.certificate, token);
    let arrival = arrival(app, connection, &welcome, device.id, 0);
    let first = [ToAgent::Enrolled(enrolled), ToAgent::Welcome(welcome)];
    Admitted { arrival, token, first: first.iter().map(|message| message.encode().into()).collect() }
}

async fn admit_known(
    app: &App,
    services: &Services,
    connection: &Connection,
    hello: Hello,
) -> Result<Admitted, Refused> {
    check_protocol(hello.protocol)?;
    let member = match app.hub().member(hello.node) {
        Some(member) => member,
        None => find(app, hello.node).await?,
    };
    check_proof(connection, &member.identity_key, &hello.proof)?;
    // renewed while the old one has months left: when the database does not answer, the next time will do
    if let Err(error) =
        actions::welcome_device(app, hello.node, member.not_after, &hello.os, &hello.agent_version).await
        && !matches!(error, Error::Store(_))
    {
        error!(%error, "cannot renew a device's certificate");
    }
    let certificate = app.hub().member(hello.node).unwrap_or(member).certificate;
    let token = app.random();
    let welcome = welcome(app, services, connection, certificate, token);
    let arrival = arrival(app, connection, &welcome, hello.node, hello.revision);
    Ok(Admitted { arrival, token, first: vec![ToAgent::Welcome(welcome).encode().into()] })
}

/// A device we do not know: another process may have enrolled it a moment ago, or it was removed.
async fn find(app: &App, device: NodeId) -> Result<Member, Refused> {
    app.hub().refresh(app.store()).await;
    if let Some(member) = app.hub().member(device) {
        return Ok(member);
    }
    match app.store().device(device).await {
        Ok(Some(device)) if device.state != DeviceState::Active => Err(explain(&Error::DeviceRevoked)),
        Ok(_) => Err(explain(&Error::DeviceUnknown)),
        Err(error) => Err(explain(&Error::Store(error))),
    }
}

fn check_protocol(protocol: u32) -> Result<(), Refused> {
    if protocol == PROTOCOL {
        return Ok(());
    }
    let text = format!("this server speaks version {PROTOCOL} of the protocol, the agent version {protocol}");
    Err(refused(RefusedCode::Protocol, text))
}

fn check_proof(connection: &Connection, key: &IdentityPublic, proof: &[u8; 64]) -> Result<(), Refused> {
    let mut exported = [0; 32];
    let exporting = connection.export_keying_material(&mut exported, EXPORTER_LABEL, b"");
    if exporting.is_ok() && verify_identity(key, &proof_input(&exported), proof) {
        return Ok(());
    }
    Err(refused(RefusedCode::Proof, "the device did not prove that it holds its identity key"))
}

/// An action's answer in the words of the protocol.
pub(super) fn explain(error: &Error) -> Refused {
    let code = match error {
        Error::AddressPoolExhausted => RefusedCode::PoolExhausted,
        Error::DeviceRevoked => RefusedCode::DeviceRevoked,
        Error::DeviceUnknown => RefusedCode::DeviceUnknown,
        Error::EnrolmentDenied => RefusedCode::EnrolmentDenied,
        Error::EnrolmentExpired => RefusedCode::EnrolmentExpired,
        Error::InviteExpired => RefusedCode::InviteExpired,
        Error::InviteUnknown => RefusedCode::InviteUnknown,
        Error::InviteUsed => RefusedCode::InviteUsed,
        Error::KeyTaken => RefusedCode::Proof,
        Error::NameInvalid | Error::NameTaken => RefusedCode::NameTaken,
        Error::TooManyAsk => RefusedCode::RateLimited,
        Error::AccountDisabled
        | Error::AccountLinkInvalid
        | Error::AccountUnknown
        | Error::AccountsFull
        | Error::AddressUnknown
        | Error::AdminNameInvalid
        | Error::AdminNameTaken
        | Error::ChangedMeanwhile
        | Error::EnrolmentUnknown
        | Error::EventInvalid
        | Error::CeremonyOver
        | Error::CodeWrong
        | Error::CredentialsWrong
        | Error::Internal(_)
        | Error::LabelInvalid
        | Error::LifetimeInvalid
        | Error::LimitReached(_)
        | Error::PairUnready(_)
        | Error::LastOwner
        | Error::NotAllowed
        | Error::OidcBeforeSetup
        | Error::OidcNoRole
        | Error::OidcRefused
        | Error::OidcTaken
        | Error::OidcUnavailable
        | Error::OnlyWayIn
        | Error::PasskeyNameInvalid
        | Error::PasskeyRefused
        | Error::PasskeyUnknown
        | Error::PasswordRefused(_)
        | Error::SetupTokenInvalid
        | Error::Store(_)
        | Error::TagsInvalid
        | Error::Unknown
        | Error::WebhookUrlInvalid(_)
        | Error::TooManyAttempts(_) => RefusedCode::Unavailable,
    };
    if let Error::Internal(cause) = error {
        error!(%cause, "an enrolment failed");
    }
    refused(code, error)
}

fn arrival(app: &App, connection: &Connection, welcome: &Welcome, device: NodeId, revision: u64) -> Arrival {
    let presence = Presence { since: app.now(), observed: welcome.observed, rtt: connection.rtt() };
    Arrival { device, presence, relay: welcome.relays.first().map(|relay| relay.addr), revision }
}

fn welcome(app: &App, services: &Services, connection: &Connection, certificate: Vec<u8>, token: [u8; 16]) -> Welcome {
    let observed = observed(app, connection.remote_address());
    let tunnelled = app.tunnels().client(connection.remote_address()).is_some();
    // our own end of a tunnel says nothing of where we are
    let local = connection.local_ip().filter(|_| !tunnelled);
    let reach = |socket| services.reachable(socket, observed, local);
    // a tunnel leads to the relay, wherever that is
    let relay = services.relay.and_then(|relay| reach(relay).or_else(|| tunnelled.then_some(relay)));
    Welcome {
        protocol: PROTOCOL,
        certificate,
        network: network(app),
        observed,
        relays: relay.map(|addr| Relay { addr, token }).into_iter().collect(),
        stun: services.stun.iter().flat_map(|socket| services.vantage_points(*socket, observed, local)).collect(),
        server_version: env!("CARGO_PKG_VERSION").to_owned(),
        dashboard: services.dashboard.lock().expect("nothing panics while it holds the address").clone(),
    }
}

fn network(app: &App) -> Network {
    let network = app.network();
    Network {
        id: network.id,
        signing_key: network.signing_public,
        v4: network.v4.clone(),
        v6: network.v6.clone(),
        name: app.network_name(),
    }
}

//! Devices that ask to be let in without an invite: a person decides, and both sides read the same words.

use std::time::Duration;

use warren_proto::control::{Enroll, Invite, Pending, Refused, RefusedCode, ToAgent, ToServer};
use warren_rendezvous::actions::{self, Approval};
use warren_rendezvous::domain::{Actor, EnrolmentCode};
use warren_rendezvous::error::Error;

use super::Running;
use super::agent::Agent;

#[tokio::test]
async fn a_device_that_asks_is_let_in_under_the_name_and_tags_that_a_person_gives_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path()).await;
    let (mut agent, pending) = ask(&server.invite().await, 1, "laptop").await.unwrap();
    let code = EnrolmentCode::parse(&pending.code).unwrap();

    let approval = Approval { name: Some("kitchen".to_owned()), tags: vec!["home".to_owned()] };
    let device = actions::approve_enrolment(&server.app, &Actor::Cli, &code, approval).await.unwrap();

    assert!(pending.url.ends_with("/activate") && (800..=900).contains(&pending.expires_in_s), "{pending:?}");
    assert_eq!((device.name.as_str(), device.tags.as_slice()), ("kitchen", ["home".to_owned()].as_slice()));
    let Some(ToAgent::Enrolled(enrolled)) = agent.next().await else { panic!("not enrolled") };
    assert_eq!(enrolled.certificate, device.certificate);
    assert!(matches!(agent.next().await, Some(ToAgent::Welcome(_))));
    assert!(server.app.hub().is_online(device.id));
    server.stop().await;
}

#[tokio::test]
async fn one_that_lost_its_connection_gets_the_same_code_and_then_the_answer_it_missed() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path()).await;
    let invite = server.invite().await;
    let (first, pending) = ask(&invite, 1, "laptop").await.unwrap();
    drop(first);

    let (second, again) = ask(&invite, 1, "laptop").await.unwrap();
    drop(second);
    let code = EnrolmentCode::parse(&pending.code).unwrap();
    let device = actions::approve_enrolment(&server.app, &Actor::Cli, &code, Approval::default()).await.unwrap();
    let mut third = connect(&invite, 1, "laptop").await;

    assert_eq!(pending.code, again.code);
    let Some(ToAgent::Enrolled(enrolled)) = third.next().await else { panic!("not enrolled") };
    assert_eq!(enrolled.certificate, device.certificate);
    assert_eq!(server.app.store().active_devices().await.unwrap().len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn one_that_is_kept_out_hears_so_and_cannot_ask_again_for_a_while() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path()).await;
    let invite = server.invite().await;
    let (mut agent, pending) = ask(&invite, 1, "laptop").await.unwrap();
    let code = EnrolmentCode::parse(&pending.code).unwrap();

    actions::deny_enrolment(&server.app, &Actor::Cli, &code).await.unwrap();

    let words = Error::EnrolmentDenied.to_string();
    let denied = Refused { code: RefusedCode::EnrolmentDenied, text: words };
    assert_eq!(agent.next().await, Some(ToAgent::Refused(denied.clone())));
    assert_eq!(ask(&invite, 1, "laptop").await.err(), Some(denied));
    let late = actions::approve_enrolment(&server.app, &Actor::Cli, &code, Approval::default()).await;
    assert!(matches!(late, Err(Error::EnrolmentUnknown)));
    assert!(server.app.store().active_devices().await.unwrap().is_empty());
    server.stop().await;
}

#[tokio::test]
async fn few_may_ask_from_one_address() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path()).await;
    let invite = server.invite().await;
    let mut waiting = Vec::new();
    for key in 1..=8 {
        waiting.push(ask(&invite, key, "laptop").await.unwrap());
    }

    let refused = ask(&invite, 9, "laptop").await.err().unwrap();

    assert_eq!((refused.code, refused.text), (RefusedCode::RateLimited, Error::TooManyAsk.to_string()));
    let codes: std::collections::BTreeSet<_> = waiting.iter().map(|(_, pending)| pending.code.clone()).collect();
    assert_eq!(codes.len(), 8);
    server.stop().await;
}

#[tokio::test]
async fn nobody_is_let_in_under_a_name_or_with_a_key_that_another_holds() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path()).await;
    let invite = server.invite().await;
    Agent::enrol(&invite, 1, "laptop").await.unwrap();
    let mut thief = Agent::connect(invite.servers[0].parse().unwrap(), invite.pin).await.unwrap();
    let own = thief.enrolment(&invite, 2, "desktop");
    let stolen = Enroll { secret: Vec::new(), static_key: warren_proto::keys::StaticPublic::new([1; 32]), ..own };
    thief.send(&ToServer::Enroll(stolen)).await;
    let Some(ToAgent::Pending(pending)) = thief.next().await else { panic!("not asked") };
    let code = EnrolmentCode::parse(&pending.code).unwrap();
    let (_other, named) = ask(&invite, 3, "phone").await.unwrap();
    let taken = Approval { name: Some("laptop".to_owned()), ..Approval::default() };

    let by_key = actions::approve_enrolment(&server.app, &Actor::Cli, &code, Approval::default()).await;
    let code = EnrolmentCode::parse(&named.code).unwrap();
    let by_name = actions::approve_enrolment(&server.app, &Actor::Cli, &code, taken).await;

    assert!(matches!(by_key, Err(Error::KeyTaken)), "{by_key:?}");
    assert!(matches!(by_name, Err(Error::NameTaken)), "{by_name:?}");
    server.stop().await;
}

/// Asks, and gives the code; or what was said instead.
async fn ask(server: &Invite, key: u8, hostname: &str) -> Result<(Agent, Pending), Refused> {
    let mut agent = connect(server, key, hostname).await;
    let answer = tokio::time::timeout(Duration::from_secs(10), agent.next()).await.unwrap();
    match answer {
        Some(ToAgent::Pending(pending)) => Ok((agent, pending)),
        Some(ToAgent::Refused(refused)) => Err(refused),
        other => panic!("neither asked nor refused: {other:?}"),
    }
}

async fn connect(server: &Invite, key: u8, hostname: &str) -> Agent {
    let mut agent = Agent::connect(server.servers[0].parse().unwrap(), server.pin).await.unwrap();
    let enroll = Enroll { secret: Vec::new(), ..agent.enrolment(server, key, hostname) };
    agent.send(&ToServer::Enroll(enroll)).await;
    agent
}

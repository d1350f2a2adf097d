//! Who gets in, and what those who do not are told.

use std::time::Duration;

use warren_proto::certificate::VerifiedCertificate;
use warren_proto::control::{Enroll, Hello, PROTOCOL, RefusedCode, ToAgent, ToServer};
use warren_proto::keys::{NodeId, StaticPublic, UnixTime};
use warren_rendezvous::actions::{self, InviteRequest};
use warren_rendezvous::domain::Actor;

use super::Running;
use super::agent::{Agent, identity};

#[tokio::test]
async fn an_enrolled_device_holds_a_certificate_that_says_what_it_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path()).await;

    let joined = Agent::enrol(&server.invite().await, 1, "Laptop.local").await.unwrap();

    let (welcome, network) = (&joined.welcome, &joined.welcome.network);
    let now = UnixTime::from_secs(server.app.now().as_secs());
    let own = VerifiedCertificate::verify(&welcome.certificate, &network.id, &network.signing_key, now).unwrap();
    assert_eq!(own.name, "laptop");
    assert_eq!(own.identity_key, identity(1).public());
    assert_eq!(own.epoch, 1);
    assert!(network.v4.parse::<ipnet::Ipv4Net>().unwrap().contains(&own.v4));
    assert!(network.v6.parse::<ipnet::Ipv6Net>().unwrap().contains(&own.v6));
    assert_eq!(welcome.observed.ip().to_string(), "127.0.0.1");
    assert_eq!((welcome.relays.len(), welcome.stun.len()), (1, 2));
    assert!(joined.map.full);
    server.stop().await;
}

#[tokio::test]
async fn asking_again_with_the_same_keys_and_secret_gets_the_same_answer() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path()).await;
    let invite = server.invite().await;

    let first = Agent::enrol(&invite, 1, "laptop").await.unwrap();
    let second = Agent::enrol(&invite, 1, "laptop").await.unwrap();

    assert_eq!(first.welcome.certificate, second.welcome.certificate);
    assert_eq!(server.app.store().active_devices().await.unwrap().len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn an_invite_that_is_used_expired_or_unknown_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path()).await;
    let used = server.invite().await;
    Agent::enrol(&used, 1, "laptop").await.unwrap();
    let brief = InviteRequest { expires_after: Some(Duration::ZERO), ..InviteRequest::default() };
    let expired = server.invite_with(brief).await;
    let mut unknown = server.invite().await;
    unknown.secret[0] ^= 1;

    for (invite, code) in
        [(used, RefusedCode::InviteUsed), (expired, RefusedCode::InviteExpired), (unknown, RefusedCode::InviteUnknown)]
    {
        let refused = Agent::enrol(&invite, 2, "desktop").await.err().unwrap();

        assert_eq!(refused.code, code, "{}", refused.text);
    }
    assert_eq!(server.app.store().active_devices().await.unwrap().len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_reusable_invite_enrols_many_and_gives_each_a_name_and_address_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path()).await;
    let request = InviteRequest { reusable: true, tags: vec!["lab".to_owned()], ..InviteRequest::default() };
    let invite = server.invite_with(request).await;

    for key in 1..=3 {
        Agent::enrol(&invite, key, "node").await.unwrap();
    }

    let devices = server.app.store().active_devices().await.unwrap();
    assert_eq!(devices.iter().map(|device| device.name.as_str()).collect::<Vec<_>>(), ["node", "node-2", "node-3"]);
    assert!(devices.iter().all(|device| device.tags == ["lab"]));
    let mut addresses: Vec<_> = devices.iter().map(|device| device.v4).collect();
    addresses.dedup();
    assert_eq!(addresses.len(), 3);
    server.stop().await;
}

#[tokio::test]
async fn a_proof_by_another_key_or_from_another_connection_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path()).await;
    let invite = server.invite().await;
    let addr = invite.servers[0].parse().unwrap();
    let mut agent = Agent::connect(addr, invite.pin).await.unwrap();
    let elsewhere = Agent::connect(addr, invite.pin).await.unwrap();
    let replayed = elsewhere.enrolment(&invite, 1, "laptop");
    let stolen = Enroll { identity_key: identity(2).public(), ..agent.enrolment(&invite, 1, "laptop") };

    agent.send(&ToServer::Enroll(replayed)).await;
    let first = agent.next().await;
    let mut agent = Agent::connect(addr, invite.pin).await.unwrap();
    agent.send(&ToServer::Enroll(stolen)).await;
    let second = agent.next().await;

    for answer in [first, second] {
        assert!(matches!(&answer, Some(ToAgent::Refused(refused)) if refused.code == RefusedCode::Proof), "{answer:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn nobody_is_certified_for_another_devices_static_key() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path()).await;
    Agent::enrol(&server.invite().await, 1, "laptop").await.unwrap();
    let invite = server.invite().await;
    let mut thief = Agent::connect(invite.servers[0].parse().unwrap(), invite.pin).await.unwrap();
    let stolen = Enroll { static_key: StaticPublic::new([1; 32]), ..thief.enrolment(&invite, 2, "thief") };

    thief.send(&ToServer::Enroll(stolen)).await;

    let answer = thief.next().await;
    assert!(matches!(&answer, Some(ToAgent::Refused(refused)) if refused.code == RefusedCode::Proof), "{answer:?}");
    server.stop().await;
}

#[tokio::test]
async fn an_unknown_device_another_version_and_rubbish_are_turned_away() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path()).await;
    let invite = server.invite().await;
    let addr = invite.servers[0].parse().unwrap();

    let stranger = Agent::hello(&invite, 1, NodeId::new([9; 16]), 0).await.err().unwrap();
    assert_eq!(stranger.code, RefusedCode::DeviceUnknown);

    let mut agent = Agent::connect(addr, invite.pin).await.unwrap();
    let newer = Hello { protocol: PROTOCOL + 1, ..agent.introduction(1, NodeId::new([9; 16]), 0) };
    agent.send(&ToServer::Hello(newer)).await;
    assert!(matches!(agent.next().await, Some(ToAgent::Refused(refused)) if refused.code == RefusedCode::Protocol));

    for rubbish in [vec![], vec![0xff; 100], vec![0; 5000]] {
        let mut agent = Agent::connect(addr, invite.pin).await.unwrap();
        agent.send_bytes(rubbish).await;
        assert_eq!(agent.next().await, None);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_server_with_another_key_is_not_talked_to() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path()).await;
    let invite = server.invite().await;

    let refused = Agent::connect(invite.servers[0].parse().unwrap(), [0; 32]).await;

    assert!(refused.is_err());
    server.stop().await;
}

#[tokio::test]
async fn a_known_device_gets_in_while_the_database_is_away_and_a_new_one_is_told_to_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path()).await;
    let (first, second) = (server.invite().await, server.invite().await);
    let joined = Agent::enrol(&first, 1, "laptop").await.unwrap();
    let node = server.app.store().active_devices().await.unwrap()[0].id;
    server.app.store().close().await;

    let known = Agent::hello(&first, 1, node, 0).await.unwrap();
    let new = Agent::enrol(&second, 2, "desktop").await.err().unwrap();

    assert_eq!(known.welcome.certificate, joined.welcome.certificate);
    assert_eq!(new.code, RefusedCode::Unavailable, "{}", new.text);
}

#[tokio::test]
async fn a_revoked_device_is_told_so_and_may_return_with_a_new_invite() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path()).await;
    let invite = server.invite().await;
    Agent::enrol(&invite, 1, "laptop").await.unwrap();
    let node = server.app.store().active_devices().await.unwrap()[0].id;
    actions::revoke_device(&server.app, &Actor::Cli, node).await.unwrap();

    let refused = Agent::hello(&invite, 1, node, 0).await.err().unwrap();
    let again = Agent::enrol(&server.invite().await, 1, "laptop").await;

    assert_eq!(refused.code, RefusedCode::DeviceRevoked);
    assert!(again.is_ok());
    server.stop().await;
}

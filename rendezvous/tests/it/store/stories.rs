//! What every engine must do alike.

use std::net::Ipv4Addr;

use uuid::Uuid;
use warren_proto::keys::{IdentityPublic, NetworkId, NetworkPublic, NodeId, StaticPublic, UnixTime};
use warren_rendezvous::domain::history::{Kind, Kinds, PathChange, PathName, Point, Rtts, Sample, Span, Way};
use warren_rendezvous::domain::{Attempts, Device, DeviceName, DeviceState, Role};
use warren_rendezvous::store::{
    AccountLink, AdminUser, AuditEntry, Ceremony, ChangeKind, FieldChange, LinkPurpose, NetworkRow, NewSession,
    Passkey, Store, StoredInvite,
};

use super::stores;

fn at(secs: u64) -> UnixTime {
    UnixTime::from_secs(secs)
}

fn network() -> NetworkRow {
    NetworkRow {
        id: NetworkId::new([1; 16]),
        name: "home".to_owned(),
        signing_public: NetworkPublic::new([2; 32]),
        v4: "100.64.0.0/10".to_owned(),
        v6: "fd00::/48".to_owned(),
        public_host: None,
        control_addr: None,
        web_url: None,
        revision: 0,
    }
}

fn invite() -> StoredInvite {
    StoredInvite {
        name: "rack".to_owned(),
        id: Uuid::from_bytes([3; 16]),
        hash: [4; 32],
        reusable: false,
        tags: vec!["a".to_owned(), "\"b\"".to_owned()],
        created_by: "cli".to_owned(),
        owner_id: None,
        created_at: at(10),
        expires_at: Some(at(20)),
        used_count: 0,
        last_used_at: None,
        revoked_at: None,
    }
}

fn device(number: u8, name: &str) -> Device {
    Device {
        id: NodeId::new([number; 16]),
        name: DeviceName::parse(name).unwrap(),
        hostname: "Täst".to_owned(),
        identity_key: IdentityPublic::new([number; 32]),
        static_key: StaticPublic::new([number; 32]),
        v4: Ipv4Addr::new(100, 64, 0, number),
        v6: "fd00::1".parse().unwrap(),
        certificate: vec![number; 300],
        epoch: 1,
        not_after: at(1000),
        tags: vec!["lab".to_owned()],
        os: "Debian".to_owned(),
        agent_version: "0.1.0".to_owned(),
        relay_only: false,
        state: DeviceState::Active,
        invite_id: None,
        owner_id: None,
        created_at: at(10),
        last_seen_at: None,
        ended_at: None,
    }
}

async fn with_network(store: &Store) {
    let mut tx = store.begin().await.unwrap();
    tx.insert_network(&network(), at(1)).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn there_is_one_network_and_it_reads_back() {
    for (_dir, store) in stores().await {
        assert_eq!(store.network().await.unwrap(), None);
        with_network(&store).await;

        let mut tx = store.begin().await.unwrap();
        tx.set_public("vpn.example.org", "vpn.example.org:443", "https://vpn.example.org").await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = store.begin().await.unwrap();
        let second = tx.insert_network(&NetworkRow { id: NetworkId::new([9; 16]), ..network() }, at(1)).await;

        assert!(second.is_err());
        drop(tx);
        let read = store.network().await.unwrap().unwrap();
        assert_eq!(read.public_host.as_deref(), Some("vpn.example.org"));
        assert_eq!(read.id, network().id);
    }
}

#[tokio::test]
async fn an_uncommitted_transaction_leaves_no_trace() {
    for (_dir, store) in stores().await {
        with_network(&store).await;

        let mut tx = store.begin().await.unwrap();
        tx.log_change(ChangeKind::Device, NodeId::new([1; 16]), at(2)).await.unwrap();
        tx.insert_invite(&invite()).await.unwrap();
        drop(tx);

        assert_eq!(store.revision().await.unwrap(), 0);
        assert_eq!(store.invite_by_hash(&[4; 32]).await.unwrap(), None);
    }
}

#[tokio::test]
async fn an_invite_reads_back_counts_its_uses_and_can_be_withdrawn_once() {
    for (_dir, store) in stores().await {
        let mut tx = store.begin().await.unwrap();
        tx.insert_invite(&invite()).await.unwrap();
        assert_eq!(tx.invite_by_hash(&[4; 32]).await.unwrap(), Some(invite()));
        tx.count_invite_use(invite().id, at(15)).await.unwrap();
        assert!(tx.revoke_invite(invite().id, at(16)).await.unwrap());
        assert!(!tx.revoke_invite(invite().id, at(17)).await.unwrap());
        tx.commit().await.unwrap();

        let read = store.invites(10).await.unwrap();

        let used = StoredInvite { used_count: 1, last_used_at: Some(at(15)), revoked_at: Some(at(16)), ..invite() };
        assert_eq!(read, [used]);
    }
}

#[tokio::test]
async fn devices_read_back_by_id_and_identity_and_free_their_names_when_they_end() {
    for (_dir, store) in stores().await {
        let nas = device(1, "nas");
        let mut tx = store.begin().await.unwrap();
        tx.insert_device(&nas).await.unwrap();
        tx.insert_device(&device(2, "nas-2")).await.unwrap();
        tx.insert_device(&device(3, "nasty")).await.unwrap();
        tx.insert_address(nas.v4, nas.id, at(10)).await.unwrap();
        assert!(tx.address_taken(nas.v4).await.unwrap());
        assert_eq!(tx.device_by_identity(&nas.identity_key).await.unwrap().as_ref(), Some(&nas));
        let mut names = tx.names_like(&nas.name).await.unwrap();
        names.sort();
        assert_eq!(names, ["nas", "nas-2"]);
        tx.commit().await.unwrap();

        let mut tx = store.begin().await.unwrap();
        assert!(tx.end_device(nas.id, DeviceState::Revoked, at(30)).await.unwrap());
        assert!(!tx.end_device(nas.id, DeviceState::LoggedOut, at(31)).await.unwrap());
        tx.release_addresses(nas.id).await.unwrap();
        assert!(!tx.address_taken(nas.v4).await.unwrap());
        let successor = Device { identity_key: nas.identity_key, ..device(4, "nas") };
        tx.insert_device(&successor).await.unwrap();
        tx.commit().await.unwrap();

        let ended = store.device(nas.id).await.unwrap().unwrap();
        assert_eq!((ended.state, ended.ended_at), (DeviceState::Revoked, Some(at(30))));
        let active = store.active_devices().await.unwrap();
        assert_eq!(active.iter().map(|device| device.name.as_str()).collect::<Vec<_>>(), ["nas", "nas-2", "nasty"]);
    }
}

#[tokio::test]
async fn a_new_certificate_a_sighting_and_a_setting_change_only_what_they_say() {
    for (_dir, store) in stores().await {
        let before = device(1, "nas");
        let after = Device {
            name: DeviceName::parse("vault").unwrap(),
            certificate: vec![9; 10],
            epoch: 2,
            not_after: at(5000),
            ..before.clone()
        };
        let mut tx = store.begin().await.unwrap();
        tx.insert_device(&before).await.unwrap();
        tx.certify_device(&after).await.unwrap();
        tx.note_seen(after.id, at(77)).await.unwrap();
        tx.hold_to_relay(after.id, true).await.unwrap();
        tx.commit().await.unwrap();

        let read = store.device(after.id).await.unwrap().unwrap();

        assert_eq!(read, Device { last_seen_at: Some(at(77)), relay_only: true, ..after });
    }
}

#[tokio::test]
async fn the_change_log_counts_up_and_tells_what_one_has_missed() {
    for (_dir, store) in stores().await {
        with_network(&store).await;
        let ids = [1, 2, 1].map(|number| NodeId::new([number; 16]));
        for id in ids {
            let mut tx = store.begin().await.unwrap();
            tx.log_change(ChangeKind::Device, id, at(2)).await.unwrap();
            tx.commit().await.unwrap();
        }

        let missed = store.changes_since(1, ChangeKind::Device, 10).await.unwrap();
        let latest = store.latest_changes(ChangeKind::Device).await.unwrap();

        assert_eq!(store.revision().await.unwrap(), 3);
        let pairs = |changes: Vec<warren_rendezvous::store::Change>| -> Vec<(u64, NodeId)> {
            changes.into_iter().map(|change| (change.revision, change.subject)).collect()
        };
        assert_eq!(pairs(missed), [(2, ids[1]), (3, ids[0])]);
        assert_eq!(pairs(latest), [(2, ids[1]), (3, ids[0])]);

        let mut tx = store.begin().await.unwrap();
        tx.trim_changes(2).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.oldest_revision().await.unwrap(), Some(3));
    }
}

#[tokio::test]
async fn people_sessions_and_setup_tokens_read_back() {
    for (_dir, store) in stores().await {
        let user = AdminUser {
            id: Uuid::from_bytes([5; 16]),
            name: "ada".to_owned(),
            password_hash: "$argon2id$".to_owned(),
            role: Role::Owner,
            created_at: at(1),
            signed_in_at: None,
            disabled_at: None,
            totp_secret: None,
            totp_step: 0,
        };
        let session = NewSession {
            token_hash: [6; 32],
            user_id: user.id,
            csrf: [7; 32],
            address: "127.0.0.1".to_owned(),
            user_agent: "test".to_owned(),
        };
        let mut tx = store.begin().await.unwrap();
        tx.insert_setup_token(&[8; 32], at(9), at(1)).await.unwrap();
        tx.insert_admin(&user).await.unwrap();
        tx.insert_session(&session, at(2)).await.unwrap();
        tx.touch_session(&session.token_hash, at(3)).await.unwrap();
        tx.use_setup_tokens(at(4)).await.unwrap();
        assert_eq!(tx.setup_token(&[8; 32]).await.unwrap().unwrap().used_at, Some(at(4)));
        tx.commit().await.unwrap();

        let found = store.session(&[6; 32]).await.unwrap().unwrap();
        assert_eq!((found.user_name.as_str(), found.last_seen_at, found.csrf), ("ada", at(3), [7; 32]));
        assert_eq!(store.admin_by_name("ada").await.unwrap(), Some(user));

        let mut tx = store.begin().await.unwrap();
        tx.delete_old_sessions(at(4), at(0)).await.unwrap();
        tx.delete_expired_setup_tokens(at(10)).await.unwrap();
        assert_eq!(tx.setup_token(&[8; 32]).await.unwrap(), None);
        tx.commit().await.unwrap();
        assert!(store.session(&[6; 32]).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn the_audit_log_is_read_newest_first() {
    for (_dir, store) in stores().await {
        let entry = |secs: u64| AuditEntry {
            at: at(secs),
            actor: "cli".to_owned(),
            action: "device.revoke".to_owned(),
            subject: "x".to_owned(),
            detail: String::new(),
            address: "192.0.2.7".to_owned(),
            changes: vec![FieldChange("name".to_owned(), "laptop".to_owned(), String::new())],
        };
        let mut tx = store.begin().await.unwrap();
        for secs in 1..=3 {
            tx.insert_audit(Uuid::from_bytes([secs as u8; 16]), &entry(secs)).await.unwrap();
        }
        tx.commit().await.unwrap();

        assert_eq!(store.recent_audit(2).await.unwrap(), [entry(3), entry(2)]);
    }
}

#[tokio::test]
async fn concurrent_writers_are_put_in_one_order() {
    for (_dir, store) in stores().await {
        with_network(&store).await;

        let writers = (0..8u8).map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut tx = store.begin().await.unwrap();
                let revision = tx.log_change(ChangeKind::Device, NodeId::new([number; 16]), at(2)).await.unwrap();
                tx.commit().await.unwrap();
                revision
            })
        });
        let mut revisions = Vec::new();
        for writer in writers.collect::<Vec<_>>() {
            revisions.push(writer.await.unwrap());
        }

        revisions.sort_unstable();
        assert_eq!(revisions, (1..=8).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_point_takes_in_what_else_falls_into_its_slot() {
    for (_dir, store) in stores().await {
        let way = Way { from: NodeId::new([1; 16]), to: NodeId::new([2; 16]) };
        let sample = |kind, rtts, bytes| Sample {
            kinds: Kinds::of(kind),
            rtts,
            probes: 2,
            lost: 1,
            rx_bytes: bytes,
            tx_bytes: 1,
        };
        let samples = [
            sample(Kind::None, None, 1),
            sample(Kind::Direct, Some(Rtts::of(500)), 1 << 40),
            sample(Kind::Direct, Some(Rtts::of(200)), 3),
            sample(Kind::Relay, None, 4),
            sample(Kind::Direct, Some(Rtts::of(300)), 5),
        ];
        let mut whole = Sample::default();
        let mut tx = store.begin().await.unwrap();
        for sample in samples {
            whole.merge(&sample);
            tx.merge_path_point(way, Span::Hour, &Point { at: at(3600), sample }).await.unwrap();
        }
        tx.commit().await.unwrap();

        let points = store.path_points(way, Span::Hour, at(0)).await.unwrap();

        assert_eq!(points, [Point { at: at(3600), sample: whole }]);
        assert_eq!(whole.rtts.map(|rtts| (rtts.min, rtts.max, rtts.count)), Some((200, 500, 3)));
        assert_eq!(store.path_points(way, Span::Fine, at(0)).await.unwrap(), []);
    }
}

#[tokio::test]
async fn the_newest_changes_of_a_path_are_kept() {
    for (_dir, store) in stores().await {
        let way = Way { from: NodeId::new([1; 16]), to: NodeId::new([2; 16]) };
        let name = |kind| PathName { kind, via: "ipv4".to_owned() };
        let change = |secs| PathChange {
            at: at(secs),
            from: name(Kind::Direct),
            to: name(Kind::Relay),
            remote: "192.0.2.1:1".to_owned(),
            reason: "no-answer".to_owned(),
        };
        let mut tx = store.begin().await.unwrap();
        for secs in 1..=250 {
            tx.insert_path_change(way, &change(secs)).await.unwrap();
        }
        tx.trim_path_changes(way).await.unwrap();
        tx.commit().await.unwrap();

        let kept = store.path_changes(way, at(0)).await.unwrap();

        assert_eq!((kept.len(), &kept[0], &kept[199]), (200, &change(250), &change(51)));
        assert_eq!(store.path_changes(Way { from: way.to, to: way.from }, at(0)).await.unwrap(), []);
    }
}

#[tokio::test]
async fn what_signs_people_in_goes_with_them_and_what_they_own_stays() {
    for (_dir, store) in stores().await {
        let id = Uuid::from_bytes([5; 16]);
        let user = AdminUser {
            id,
            name: "ada".to_owned(),
            password_hash: String::new(),
            role: Role::Member,
            created_at: at(1),
            signed_in_at: None,
            disabled_at: None,
            totp_secret: None,
            totp_step: 0,
        };
        let passkey = Passkey {
            id: vec![1, 2, 3],
            user_id: id,
            name: "phone".to_owned(),
            public_key: vec![4; 91],
            algorithm: -7,
            sign_count: 9,
            created_at: at(2),
            last_used_at: None,
        };
        let owned = Device { owner_id: Some(id), ..device(1, "nas") };
        let mut tx = store.begin().await.unwrap();
        tx.insert_admin(&user).await.unwrap();
        tx.insert_passkey(&passkey).await.unwrap();
        tx.set_recovery_codes(id, &[[1; 32], [2; 32]]).await.unwrap();
        tx.insert_oidc_identity("https://id.example", "7", id, at(2)).await.unwrap();
        tx.insert_device(&owned).await.unwrap();
        assert!(tx.use_recovery_code(id, &[1; 32], at(3)).await.unwrap());
        assert!(!tx.use_recovery_code(id, &[1; 32], at(3)).await.unwrap());
        assert!(tx.take_totp_step(id, 5).await.unwrap() && !tx.take_totp_step(id, 5).await.unwrap());
        tx.note_passkey_use(&[1, 2, 3], 10, at(4)).await.unwrap();
        tx.commit().await.unwrap();
        let used = Passkey { sign_count: 10, last_used_at: Some(at(4)), ..passkey };
        assert_eq!(store.passkeys_of(id).await.unwrap(), [used]);
        assert_eq!(store.recovery_codes_left(id).await.unwrap(), 1);

        let mut tx = store.begin().await.unwrap();
        tx.delete_admin(id).await.unwrap();
        assert_eq!(tx.oidc_user("https://id.example", "7").await.unwrap(), None);
        tx.commit().await.unwrap();

        assert!(store.passkeys_of(id).await.unwrap().is_empty());
        assert_eq!(store.recovery_codes_left(id).await.unwrap(), 0);
        assert_eq!(store.device(owned.id).await.unwrap().unwrap().owner_id, None);
    }
}

#[tokio::test]
async fn attempts_and_ceremonies_stay_few_and_a_ceremony_is_taken_once() {
    for (_dir, store) in stores().await {
        let mut tx = store.begin().await.unwrap();
        for number in 1..=9 {
            let ends = at(10 * u64::from(number));
            let attempts = Attempts { failures: 1, wait_until: ends, forget_at: ends };
            tx.put_attempts(&[number; 32], &attempts).await.unwrap();
            tx.put_attempts(&[number; 32], &attempts).await.unwrap();
            let ceremony = Ceremony { user_id: None, state: "s".to_owned(), expires_at: ends };
            tx.insert_ceremony(&[number; 32], "k", &ceremony).await.unwrap();
        }

        tx.trim_attempts(4, at(30)).await.unwrap();
        tx.trim_ceremonies(4, at(30)).await.unwrap();

        for number in 1..=9 {
            let kept = number > 5;
            assert_eq!(tx.attempts(&[number; 32]).await.unwrap().is_some(), kept, "{number}");
            assert!(tx.take_ceremony(&[number; 32], "other", at(31)).await.unwrap().is_none());
            assert_eq!(tx.take_ceremony(&[number; 32], "k", at(31)).await.unwrap().is_some(), kept, "{number}");
            assert!(tx.take_ceremony(&[number; 32], "k", at(31)).await.unwrap().is_none());
        }
    }
}

#[tokio::test]
async fn a_link_for_a_person_works_until_its_time_and_is_withdrawn_once() {
    for (_dir, store) in stores().await {
        let link = AccountLink {
            id: Uuid::from_bytes([6; 16]),
            purpose: LinkPurpose::Invite(Role::Viewer),
            note: "Bob".to_owned(),
            created_by: "cli".to_owned(),
            created_at: at(1),
            expires_at: at(10),
        };
        let mut tx = store.begin().await.unwrap();
        tx.insert_account_link(&link, &[7; 32]).await.unwrap();
        assert_eq!(tx.account_link(&[7; 32], at(9)).await.unwrap().as_ref(), Some(&link));
        assert_eq!(tx.account_link(&[7; 32], at(10)).await.unwrap(), None);
        tx.commit().await.unwrap();

        assert_eq!(store.account_invites(5, at(9)).await.unwrap(), std::slice::from_ref(&link));
        let mut tx = store.begin().await.unwrap();
        assert!(tx.delete_account_link(link.id).await.unwrap() && !tx.delete_account_link(link.id).await.unwrap());
    }
}

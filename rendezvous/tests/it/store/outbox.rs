//! Webhooks, tokens, requests that are done once, devices that ask: rows of the API, on both engines.

use std::time::Duration;

use sqlx::types::Uuid;
use warren_proto::keys::{StaticPublic, UnixTime};
use warren_rendezvous::domain::{EnrolmentCode, Role};
use warren_rendezvous::store::{
    AdminUser, ApiToken, AskedEnrolment, AskedState, Attempted, Delivery, StoredInvite, Webhook, WebhookAttempt,
};

use super::stores;
use crate::common::identity;

const fn id(number: u8) -> Uuid {
    Uuid::from_bytes([number; 16])
}

fn at(seconds: u64) -> UnixTime {
    UnixTime::from_secs(seconds)
}

fn webhook() -> Webhook {
    Webhook {
        id: id(1),
        name: "chat".to_owned(),
        url: "https://hooks.example.org".to_owned(),
        events: vec!["device.*".to_owned()],
        enabled: true,
        generation: 1,
        created_by: "user:ada".to_owned(),
        created_at: at(1),
        dropped: 0,
        last: None,
    }
}

fn delivery(number: u8) -> Delivery {
    Delivery {
        id: id(number),
        webhook_id: id(1),
        event: "device.enrol".to_owned(),
        body: "{}".to_owned(),
        created_at: at(u64::from(number)),
        attempts: 0,
        due_at: at(u64::from(number)),
    }
}

#[tokio::test]
async fn a_webhook_is_told_by_one_server_at_a_time_and_its_messages_come_in_order() {
    for (_dir, store) in stores().await {
        let mut tx = store.begin().await.unwrap();
        tx.insert_webhook(&webhook()).await.unwrap();
        for number in [12, 11] {
            tx.enqueue_delivery(&delivery(number)).await.unwrap();
        }
        tx.commit().await.unwrap();

        let first = store.due_delivery(id(1), at(20)).await.unwrap().unwrap();
        assert_eq!((&first, store.due_delivery(id(1), at(10)).await.unwrap()), (&delivery(11), None));
        assert_eq!(store.queued_deliveries(id(1), 9).await.unwrap(), [delivery(11), delivery(12)]);
        let mut tx = store.begin().await.unwrap();
        assert!(tx.take_webhook(id(1), at(20), at(80)).await.unwrap());
        assert!(!tx.take_webhook(id(1), at(79), at(140)).await.unwrap(), "somebody is telling it something");
        assert!(tx.claim_delivery(&first, at(80)).await.unwrap() && !tx.claim_delivery(&first, at(80)).await.unwrap());
        tx.postpone_delivery(first.id, at(30)).await.unwrap();
        tx.release_webhook(id(1)).await.unwrap();
        assert!(tx.take_webhook(id(1), at(20), at(80)).await.unwrap());
        assert!(tx.take_webhook(id(1), at(80), at(140)).await.unwrap(), "whoever took it has died");
        tx.commit().await.unwrap();

        let later = Delivery { attempts: 1, due_at: at(30), ..delivery(11) };
        assert_eq!(store.queued_deliveries(id(1), 9).await.unwrap(), [delivery(12), later]);
        let mut tx = store.begin().await.unwrap();
        assert_eq!(tx.waiting_deliveries(id(1)).await.unwrap(), 2);
        tx.drop_oldest_deliveries(id(1), 1).await.unwrap();
        tx.count_dropped(id(1), 1).await.unwrap();
        let failed = Attempted { at: at(21), status: Some(500), error: Some("it answered 500".to_owned()) };
        tx.note_attempt(id(1), &failed).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.queued_deliveries(id(1), 9).await.unwrap(), [delivery(12)]);
        assert_eq!(
            store.webhook(id(1)).await.unwrap().unwrap(),
            Webhook { dropped: 1, last: Some(failed), ..webhook() }
        );

        let mut tx = store.begin().await.unwrap();
        tx.update_webhook(&Webhook { enabled: false, generation: 2, events: Vec::new(), ..webhook() }).await.unwrap();
        tx.release_webhook(id(1)).await.unwrap();
        assert!(!tx.take_webhook(id(1), at(90), at(95)).await.unwrap(), "it is switched off");
        tx.clear_deliveries(id(1)).await.unwrap();
        tx.delete_delivery(id(12)).await.unwrap();
        tx.delete_webhook(id(1)).await.unwrap();
        tx.commit().await.unwrap();
        assert!(store.webhooks().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn the_newest_attempts_are_kept_and_go_with_their_webhook() {
    for (_dir, store) in stores().await {
        let attempt = |number: u8, error: Option<&str>| WebhookAttempt {
            id: id(number),
            webhook_id: id(1),
            delivery_id: id(77),
            event: "ping".to_owned(),
            at: at(u64::from(number)),
            status: error.is_none().then_some(204),
            error: error.map(str::to_owned),
            took: Duration::from_millis(12),
        };
        let mut tx = store.begin().await.unwrap();
        tx.insert_webhook(&webhook()).await.unwrap();
        for number in 1..=4 {
            tx.insert_webhook_attempt(&attempt(number, (number == 3).then_some("no answer")), 2).await.unwrap();
        }
        tx.commit().await.unwrap();

        let kept = store.webhook_attempts(id(1), 9).await.unwrap();
        assert_eq!(kept, [attempt(4, None), attempt(3, Some("no answer"))]);
        let mut tx = store.begin().await.unwrap();
        tx.delete_webhook(id(1)).await.unwrap();
        tx.commit().await.unwrap();
        assert!(store.webhook_attempts(id(1), 9).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn tokens_go_with_their_time_and_their_owner() {
    for (_dir, store) in stores().await {
        let owner = AdminUser {
            id: id(9),
            name: "ada".to_owned(),
            password_hash: String::new(),
            role: Role::Owner,
            created_at: at(1),
            signed_in_at: None,
            disabled_at: None,
            totp_secret: None,
            totp_step: 0,
        };
        let token = |number: u8, ends: u64| ApiToken {
            id: id(number),
            hash: [number; 32],
            user_id: id(9),
            name: format!("t{number}"),
            scopes: vec!["read-mesh".to_owned()],
            created_at: at(u64::from(number)),
            expires_at: at(ends),
            last_used_at: None,
            last_used_from: None,
        };
        let mut tx = store.begin().await.unwrap();
        tx.insert_admin(&owner).await.unwrap();
        for (number, ends) in [(1, 10), (2, 20), (3, 30)] {
            tx.insert_api_token(&token(number, ends)).await.unwrap();
        }
        tx.note_api_token_use(id(2), "192.0.2.7", at(5)).await.unwrap();
        tx.delete_api_token(id(3)).await.unwrap();
        tx.delete_expired_api_tokens(at(11)).await.unwrap();
        tx.commit().await.unwrap();

        let used = ApiToken { last_used_at: Some(at(5)), last_used_from: Some("192.0.2.7".to_owned()), ..token(2, 20) };
        assert_eq!(store.api_tokens_of(id(9)).await.unwrap(), std::slice::from_ref(&used));
        assert_eq!(store.api_token_by_hash(&[2; 32]).await.unwrap(), Some(used));
        let mut tx = store.begin().await.unwrap();
        tx.delete_admin(id(9)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.api_token_by_hash(&[2; 32]).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_request_is_remembered_with_its_answer_until_it_is_forgotten() {
    for (_dir, store) in stores().await {
        let mut tx = store.begin().await.unwrap();
        for number in 1..=3 {
            tx.begin_request(&[number; 32], &[9; 32], &[8; 32], at(u64::from(number))).await.unwrap();
        }
        tx.answer_request(&[1; 32], b"sealed").await.unwrap();
        tx.answer_request(&[2; 32], b"done").await.unwrap();

        let earlier = tx.earlier_request(&[2; 32]).await.unwrap().unwrap();
        assert_eq!(
            (earlier.request_hash, earlier.response, earlier.created_at),
            ([8; 32], Some(b"done".to_vec()), at(2))
        );
        assert_eq!(tx.remembered_requests(&[9; 32]).await.unwrap(), 3);
        tx.forget_oldest_requests(&[9; 32], 1).await.unwrap();
        assert!(tx.earlier_request(&[1; 32]).await.unwrap().is_none());
        tx.forget_request(&[3; 32]).await.unwrap();
        tx.forget_old_requests(at(3)).await.unwrap();
        assert_eq!(tx.remembered_requests(&[9; 32]).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_device_that_asks_is_found_by_code_and_key_until_it_is_decided_or_too_late() {
    for (_dir, store) in stores().await {
        let asked = |number: u8| AskedEnrolment {
            id: id(number),
            code: EnrolmentCode::new([number; 8]),
            identity_key: identity(number).public(),
            static_key: StaticPublic::new([number; 32]),
            hostname: "laptop".to_owned(),
            os: "linux".to_owned(),
            agent_version: "0.1.0".to_owned(),
            address: "192.0.2.7".to_owned(),
            created_at: at(1),
            expires_at: at(10 * u64::from(number)),
            state: AskedState::Waiting,
        };
        let mut tx = store.begin().await.unwrap();
        for number in 1..=3 {
            tx.insert_asked(&asked(number)).await.unwrap();
        }
        tx.deny_asked(id(3)).await.unwrap();
        assert_eq!(tx.count_asked("192.0.2.7").await.unwrap(), (3, 3));
        assert_eq!(tx.asked_by_key(&identity(2).public()).await.unwrap(), Some(asked(2)));
        tx.commit().await.unwrap();

        assert_eq!(store.asking(at(10)).await.unwrap(), [asked(2)]);
        assert_eq!(store.asked_by_code(&asked(1).code).await.unwrap(), Some(asked(1)));
        let denied = AskedEnrolment { state: AskedState::Denied, ..asked(3) };
        assert_eq!(store.asked_by_code(&asked(3).code).await.unwrap(), Some(denied));
        let mut tx = store.begin().await.unwrap();
        tx.delete_expired_asked(at(10)).await.unwrap();
        tx.delete_asked(id(2)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.asked_by_code(&asked(1).code).await.unwrap(), None);
        assert!(store.asking(at(1)).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_key_is_changed_and_withdrawn_with_all_of_its_owners() {
    for (_dir, store) in stores().await {
        let key = |number: u8| StoredInvite {
            id: id(number),
            hash: [number; 32],
            name: String::new(),
            reusable: true,
            tags: Vec::new(),
            created_by: "cli".to_owned(),
            owner_id: None,
            created_at: at(1),
            expires_at: None,
            used_count: 0,
            last_used_at: None,
            revoked_at: None,
        };
        let changed =
            StoredInvite { name: "rack".to_owned(), tags: vec!["a".to_owned()], expires_at: Some(at(9)), ..key(1) };
        let mut tx = store.begin().await.unwrap();
        tx.insert_invite(&key(1)).await.unwrap();
        tx.insert_invite(&key(2)).await.unwrap();
        tx.change_invite(&changed).await.unwrap();
        assert_eq!(tx.invite(id(1)).await.unwrap().as_ref(), Some(&changed));
        tx.commit().await.unwrap();

        assert_eq!(store.invites_page(9, 1).await.unwrap(), [changed]);
        assert_eq!(store.working_invites(at(9), 9, 0).await.unwrap(), [key(2)]);
    }
}

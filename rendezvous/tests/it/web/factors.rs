//! Signing in with more than a password: the authenticator app, recovery codes, and passkeys made and used by a software
//! authenticator of the test's own.

use std::time::Duration;

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use sha2::{Digest as _, Sha256};

use crate::common::{PASSWORD, Page, TestApp, Visitor, attribute, text};

/// The app's code at the server's time, some steps of 30 s away.
fn code(server: &TestApp, secret: &str, steps: i64) -> String {
    let key = BASE32_NOPAD.decode(secret.replace(' ', "").as_bytes()).unwrap();
    let step = i64::try_from(server.app.now().as_secs() / 30).unwrap() + steps;
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key), &step.to_be_bytes());
    let offset = usize::from(tag.as_ref()[19] & 0xf);
    let word = u32::from_be_bytes(tag.as_ref()[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", word % 1_000_000)
}

/// Sets an app up for who is signed in; its secret and the recovery codes.
async fn set_up_app(server: &TestApp, browser: &mut Visitor) -> (String, Vec<String>) {
    let page = browser.get("/account/authenticator").await;
    let secret = page.body.split_once("id=\"secret\">").unwrap().1.split('<').next().unwrap().to_owned();
    let sealed = attribute(&page.body, "name=\"sealed\"", "value").unwrap();
    let fields = [("sealed", sealed.as_str()), ("code", &code(server, &secret, 0))];
    let done = browser.submit(&page, "/account/authenticator", &fields).await;
    assert_eq!(done.status, 200, "{}", text(&done.body));
    let (_, codes) = done.body.split_once("<pre class=\"codes\" id=\"codes\">").unwrap();
    (secret, codes.split('<').next().unwrap().split_whitespace().map(str::to_owned).collect())
}

async fn answer(browser: &mut Visitor, asked: &Page, code: &str) -> Page {
    let page = browser.get(asked.location()).await;
    browser.submit(&page, "/sign-in/code", &[("code", code), ("next", "/activity")]).await
}

#[tokio::test]
async fn with_an_app_the_password_alone_lets_nobody_in() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let mut other = server.visitor();
    other.sign_in("ada", PASSWORD).await;
    let (secret, codes) = set_up_app(&server, &mut browser).await;
    assert_eq!(codes.len(), 10);
    assert_eq!(other.get("/devices").await.status, 303, "a session from before lives on");
    assert_eq!(browser.get("/devices").await.status, 200);
    server.clock.advance(Duration::from_secs(30));

    let mut fresh = server.visitor();
    let asked = fresh.sign_in("ada", PASSWORD).await;
    assert_eq!((asked.status, asked.location()), (303, "/sign-in/code"));
    assert_eq!(fresh.get("/devices").await.status, 303);
    let wrong = answer(&mut fresh, &asked, "000000").await;
    let right = code(&server, &secret, 0);
    let done = answer(&mut fresh, &asked, &right).await;

    assert_eq!((wrong.status, done.status, done.location()), (422, 303, "/activity"));
    assert_eq!(fresh.get("/activity").await.status, 200);
    let mut replay = server.visitor();
    let asked = replay.sign_in("ada", PASSWORD).await;
    assert_eq!(answer(&mut replay, &asked, &right).await.status, 422, "a code works twice");
}

#[tokio::test]
async fn a_recovery_code_works_once_and_new_ones_replace_all() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let (secret, codes) = set_up_app(&server, &mut browser).await;
    let mut fresh = server.visitor();

    let asked = fresh.sign_in("ada", PASSWORD).await;
    assert_eq!(answer(&mut fresh, &asked, &codes[0].to_uppercase().replace('-', " ")).await.status, 303);
    let mut again = server.visitor();
    let asked = again.sign_in("ada", PASSWORD).await;
    assert_eq!(answer(&mut again, &asked, &codes[0]).await.status, 422);

    assert!(text(&fresh.get("/account").await.body).contains("9 recovery codes left"));
    server.clock.advance(Duration::from_secs(30));
    let page = fresh.get("/account").await;
    let renewed = fresh.submit(&page, "/account/authenticator/codes", &[("code", &code(&server, &secret, 0))]).await;
    assert_eq!(renewed.status, 200);
    assert_eq!(answer(&mut again, &asked, &codes[1]).await.status, 422, "an old code works");
}

#[tokio::test]
async fn guesses_at_the_code_are_slowed_down() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    set_up_app(&server, &mut browser).await;
    let mut guesser = server.visitor();
    let asked = guesser.sign_in("ada", PASSWORD).await;
    for _ in 0..6 {
        server.clock.advance(Duration::from_secs(6));
        assert_eq!(answer(&mut guesser, &asked, "123456").await.status, 422);
    }

    let refused = answer(&mut guesser, &asked, "123456").await;

    assert_eq!(refused.status, 429);
    assert!(refused.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn the_database_does_not_tell_the_secret_and_switching_off_needs_a_code() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let (secret, codes) = set_up_app(&server, &mut browser).await;
    let stored = server.app.store().admin_by_name("ada").await.unwrap().unwrap().totp_secret.unwrap();
    let plain = BASE32_NOPAD.decode(secret.replace(' ', "").as_bytes()).unwrap();
    assert!(!stored.windows(plain.len()).any(|window| window == plain));
    let page = browser.get("/account").await;

    let wrong = browser.submit(&page, "/account/authenticator/remove", &[("code", "000000")]).await;
    let right = browser.submit(&page, "/account/authenticator/remove", &[("code", &codes[3])]).await;

    assert_eq!((wrong.status, right.location()), (422, "/account?done=authenticator-removed"));
    assert_eq!(server.visitor().sign_in("ada", PASSWORD).await.location(), "/");
}

#[tokio::test]
async fn a_secret_that_was_begun_by_somebody_else_is_not_confirmed() {
    let server = TestApp::new().await;
    let mut ada = server.admin().await;
    let mut eve = server.person("eve", warren_rendezvous::domain::Role::Member).await;
    let page = eve.get("/account/authenticator").await;
    let sealed = attribute(&page.body, "name=\"sealed\"", "value").unwrap();
    let secret = page.body.split_once("id=\"secret\">").unwrap().1.split('<').next().unwrap().to_owned();
    let own = ada.get("/account").await;

    let fields = [("sealed", sealed.as_str()), ("code", &code(&server, &secret, 0))];
    let answer = ada.submit(&own, "/account/authenticator", &fields).await;

    assert_eq!(answer.status, 422);
    assert!(server.app.store().admin_by_name("ada").await.unwrap().unwrap().totp_secret.is_none());
}

/// An authenticator with one passkey.
struct Authenticator {
    pair: EcdsaKeyPair,
    id: Vec<u8>,
    user: Vec<u8>,
    counter: u32,
}

const ORIGIN: &str = "https://vpn.example.org";

impl Authenticator {
    fn new(id: &[u8]) -> Self {
        let rng = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &rng).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &rng).unwrap();
        Self { pair, id: id.to_vec(), user: Vec::new(), counter: 0 }
    }

    fn client_data(kind: &str, origin: &str, challenge: &str) -> Vec<u8> {
        format!(r#"{{"type":"{kind}","challenge":"{challenge}","origin":"{origin}","crossOrigin":false}}"#).into_bytes()
    }

    fn data(&self, flags: u8, rest: &[u8]) -> Vec<u8> {
        [Sha256::digest("vpn.example.org").as_slice(), &[flags], &self.counter.to_be_bytes(), rest].concat()
    }

    /// Adds itself to the account of who is signed in.
    async fn register(&mut self, browser: &mut Visitor, password: &str) -> Page {
        let page = browser.get("/account").await;
        self.user = BASE64URL_NOPAD
            .decode(attribute(&page.body, "id=\"passkey-add\"", "data-user").unwrap().as_bytes())
            .unwrap();
        let challenge = browser.submit(&page, "/account/passkeys/challenge", &[]).await.body;
        let attested = [&[0; 16][..], &[0, u8::try_from(self.id.len()).unwrap()], &self.id, b"cose"].concat();
        // SubjectPublicKeyInfo of a P-256 point
        let prefix = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
        let spki = [&data_encoding::HEXLOWER.decode(prefix.as_bytes()).unwrap()[..], self.pair.public_key().as_ref()];
        let fields = [
            ("name", "My phone".to_owned()),
            ("password", password.to_owned()),
            ("id", BASE64URL_NOPAD.encode(&self.id)),
            ("client_data", BASE64URL_NOPAD.encode(&Self::client_data("webauthn.create", ORIGIN, &challenge))),
            ("authenticator_data", BASE64URL_NOPAD.encode(&self.data(0x45, &attested))),
            ("public_key", BASE64URL_NOPAD.encode(&spki.concat())),
            ("algorithm", "-7".to_owned()),
        ];
        let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
        browser.submit(&page, "/account/passkeys", &fields).await
    }

    /// Signs a challenge, as the page's script posts it.
    fn sign(&mut self, challenge: &str, origin: &str) -> Vec<(&'static str, String)> {
        self.counter += 1;
        let (data, client_data) = (self.data(5, &[]), Self::client_data("webauthn.get", origin, challenge));
        let signed = [&data[..], &Sha256::digest(&client_data)].concat();
        let signature = self.pair.sign(&SystemRandom::new(), &signed).unwrap();
        vec![
            ("id", BASE64URL_NOPAD.encode(&self.id)),
            ("user_handle", BASE64URL_NOPAD.encode(&self.user)),
            ("client_data", BASE64URL_NOPAD.encode(&client_data)),
            ("authenticator_data", BASE64URL_NOPAD.encode(&data)),
            ("signature", BASE64URL_NOPAD.encode(signature.as_ref())),
        ]
    }

    async fn sign_in(&mut self, browser: &mut Visitor) -> Page {
        let page = browser.get("/sign-in").await;
        let challenge = browser.submit(&page, "/sign-in/passkey/challenge", &[]).await.body;
        let fields = self.sign(&challenge, ORIGIN);
        post(browser, &page, &fields).await
    }
}

async fn post(browser: &mut Visitor, page: &Page, fields: &[(&str, String)]) -> Page {
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    browser.submit(page, "/sign-in/passkey", &fields).await
}

#[tokio::test]
async fn a_passkey_signs_in_without_password_or_code_until_it_is_removed() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let mut phone = Authenticator::new(b"phone");
    let added = phone.register(&mut browser, PASSWORD).await;
    assert_eq!(added.location(), "/account?done=passkey-added", "{}", text(&added.body));
    set_up_app(&server, &mut browser).await;
    server.clock.advance(Duration::from_secs(60));

    let mut fresh = server.visitor();
    let done = phone.sign_in(&mut fresh).await;

    assert_eq!((done.status, fresh.get("/devices").await.status), (303, 200), "{}", text(&done.body));
    let page = fresh.get("/account").await;
    assert!(text(&page.body).contains("added 1 min ago, used just now"), "{}", text(&page.body));
    let path = format!("/account/passkeys/{}/remove", BASE64URL_NOPAD.encode(b"phone"));
    assert_eq!(fresh.submit(&page, &path, &[]).await.location(), "/account?done=passkey-removed");
    let refused = phone.sign_in(&mut server.visitor()).await;
    assert!(refused.status == 422 && text(&refused.body).contains("belongs to no account"), "{}", text(&refused.body));
}

#[tokio::test]
async fn adding_a_passkey_needs_the_password_and_a_challenge_of_ones_own() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;

    let guessed = Authenticator::new(b"phone").register(&mut browser, "no such password").await;

    assert_eq!(guessed.status, 422);
    let id = server.app.store().admin_by_name("ada").await.unwrap().unwrap().id;
    assert!(server.app.store().passkeys_of(id).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_challenge_is_good_once_in_the_browser_that_asked_for_it_and_for_this_site() {
    let server = TestApp::new().await;
    let mut browser = server.admin().await;
    let mut phone = Authenticator::new(b"phone");
    phone.register(&mut browser, PASSWORD).await;
    let mut fresh = server.visitor();
    let page = fresh.get("/sign-in").await;
    let challenge = fresh.submit(&page, "/sign-in/passkey/challenge", &[]).await.body;
    let signed = phone.sign(&challenge, ORIGIN);

    let mut thief = server.visitor();
    let stolen_page = thief.get("/sign-in").await;
    assert_eq!(post(&mut thief, &stolen_page, &signed).await.status, 422, "in another browser");
    assert_eq!(post(&mut fresh, &page, &signed).await.status, 303, "which costs the owner nothing");
    assert_eq!(post(&mut fresh, &page, &signed).await.status, 422, "twice");

    let challenge = fresh.submit(&page, "/sign-in/passkey/challenge", &[]).await.body;
    let elsewhere = phone.sign(&challenge, "https://vpn.example.org.evil.example");
    assert_eq!(post(&mut fresh, &page, &elsewhere).await.status, 422, "for another site");
    let made_up = phone.sign(&BASE64URL_NOPAD.encode(&[1; 32]), ORIGIN);
    assert_eq!(post(&mut fresh, &page, &made_up).await.status, 422, "a challenge of its own");
    assert_eq!(phone.sign_in(&mut server.visitor()).await.status, 303);
}

#[tokio::test]
async fn where_the_server_has_no_domain_the_pages_say_so_instead_of_offering_passkeys() {
    let server = TestApp::with_settings("public-url = \"https://192.0.2.1\"").await;
    let mut browser = server.admin().await;
    let mut stranger = server.visitor();

    for page in [browser.get("/account").await, stranger.get("/sign-in").await] {
        assert!(text(&page.body).contains("Passkeys need a domain name"), "{}", text(&page.body));
        assert!(!page.body.contains("data-challenge"));
    }
}

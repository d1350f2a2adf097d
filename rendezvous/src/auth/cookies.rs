//! The cookies, by name and attribute.
//!
//! Over TLS the names carry the `__Host-` or `__Secure-` prefix, with which a browser itself refuses a cookie that
//! another host or an unprotected connection has set.

use axum::http::HeaderMap;
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use time::Duration;

use super::person::SESSION_ABSOLUTE;
use super::token::Token;

/// The signed-in session.
pub(super) const SESSION: &str = "warren";
/// A browser that has not signed in, so that its forms are guarded too.
pub(super) const VISITOR: &str = "warren-visitor";
/// Somebody between password and code.
const FACTOR: &str = "warren-factor";
/// An invite, kept in the browser that made it so that its page can show the command again.
const INVITE: &str = "warren-invite";
/// A link for a person, kept likewise.
const LINK: &str = "warren-link";

/// What a webhook's messages are signed with, kept likewise.
const SECRET: &str = "warren-secret";

/// The token in the cookie of this name.
pub(super) fn token(headers: &HeaderMap, name: &str, is_secure: bool) -> Option<Token> {
    Token::parse(CookieJar::from_headers(headers).get(&host_name(name, is_secure))?.value())
}

/// The cookie that holds a session for as long as a session may last.
pub(crate) fn session_cookie(token: &Token, is_secure: bool) -> Cookie<'static> {
    let age = Duration::try_from(SESSION_ABSOLUTE).unwrap_or(Duration::DAY);
    host_cookie(SESSION, token.to_text(), Some(age), is_secure)
}

/// The cookie that ends the session in this browser.
pub(crate) fn clear_cookie(is_secure: bool) -> Cookie<'static> {
    host_cookie(SESSION, String::new(), Some(Duration::ZERO), is_secure)
}

/// The cookie of a visitor; gone when the browser closes.
pub(super) fn visitor_cookie(token: &Token, is_secure: bool) -> Cookie<'static> {
    host_cookie(VISITOR, token.to_text(), None, is_secure)
}

/// The cookie that lets the page at `path`, and only it, show an invite again.
pub(crate) fn invite_cookie(word: String, path: String, age: std::time::Duration, is_secure: bool) -> Cookie<'static> {
    path_cookie(INVITE, word, path, age, is_secure)
}

/// The invite that this browser holds for the requested path.
pub(crate) fn read_invite_cookie(headers: &HeaderMap, is_secure: bool) -> Option<String> {
    read_path_cookie(INVITE, headers, is_secure)
}

/// The cookie that lets the page at `path`, and only it, show a link for a person again.
pub(crate) fn link_cookie(url: String, path: String, age: std::time::Duration, is_secure: bool) -> Cookie<'static> {
    path_cookie(LINK, url, path, age, is_secure)
}

/// The link that this browser holds for the requested path.
pub(crate) fn read_link_cookie(headers: &HeaderMap, is_secure: bool) -> Option<String> {
    read_path_cookie(LINK, headers, is_secure)
}

/// The cookie that lets the page at `path`, and only it, show a webhook's secret again.
pub(crate) fn secret_cookie(
    secret: String,
    path: String,
    age: std::time::Duration,
    is_secure: bool,
) -> Cookie<'static> {
    path_cookie(SECRET, secret, path, age, is_secure)
}

/// The secret that this browser holds for the requested path.
pub(crate) fn read_secret_cookie(headers: &HeaderMap, is_secure: bool) -> Option<String> {
    read_path_cookie(SECRET, headers, is_secure)
}

fn path_cookie(name: &str, value: String, path: String, age: std::time::Duration, is_secure: bool) -> Cookie<'static> {
    let age = Duration::try_from(age).unwrap_or(Duration::ZERO);
    Cookie::build((path_name(name, is_secure), value))
        .path(path)
        .http_only(true)
        .secure(is_secure)
        .same_site(SameSite::Lax)
        .max_age(age)
        .build()
}

fn read_path_cookie(name: &str, headers: &HeaderMap, is_secure: bool) -> Option<String> {
    Some(CookieJar::from_headers(headers).get(&path_name(name, is_secure))?.value().to_owned())
}

fn path_name(name: &str, is_secure: bool) -> String {
    if is_secure { format!("__Secure-{name}") } else { name.to_owned() }
}

/// The cookie of somebody whose password was right and whose code is asked for.
pub(crate) fn factor_cookie(token: &Token, is_secure: bool) -> Cookie<'static> {
    host_cookie(FACTOR, token.to_text(), Some(Duration::minutes(10)), is_secure)
}

/// The cookie that ends that.
pub(crate) fn clear_factor_cookie(is_secure: bool) -> Cookie<'static> {
    host_cookie(FACTOR, String::new(), Some(Duration::ZERO), is_secure)
}

/// The token of that cookie.
pub(crate) fn factor_token(headers: &HeaderMap, is_secure: bool) -> Option<Token> {
    token(headers, FACTOR, is_secure)
}

fn host_cookie(name: &str, value: String, age: Option<Duration>, is_secure: bool) -> Cookie<'static> {
    let mut cookie = Cookie::build((host_name(name, is_secure), value))
        .path("/")
        .http_only(true)
        .secure(is_secure)
        .same_site(SameSite::Lax)
        .build();
    cookie.set_max_age(age);
    cookie
}

fn host_name(name: &str, is_secure: bool) -> String {
    if is_secure { format!("__Host-{name}") } else { name.to_owned() }
}

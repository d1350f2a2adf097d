//! Takes the host that an administrator's browser asked for as the one that devices reach this server by, where the server
//! cannot know better: in a container, with nothing said.

use std::net::IpAddr;

use axum::http::uri::Authority;

use crate::app::App;
use crate::config::public_host;
use crate::error::Error;
use crate::public;

/// Remembers the host and port of a request, unless the address is known otherwise, or they mean this host alone.
pub async fn learn_address(app: &App, asked_for: &str) -> Result<(), Error> {
    let config = app.config();
    if config.public_addr.is_some() || config.bridge.is_none() {
        return Ok(());
    }
    let Some((host, url)) = read(asked_for) else { return Ok(()) };
    let control = public::with_port(&host, config.quic_listen().port());
    let url = config.public_url.clone().unwrap_or(url);
    let mut tx = app.store().begin().await?;
    let known = tx.network().await?;
    if known.is_some_and(|known| known.public_host.as_ref() == Some(&host) && known.web_url.as_ref() == Some(&url)) {
        return Ok(());
    }
    tx.set_public(&host, &control, &url).await?;
    tx.commit().await?;
    tracing::info!("devices reach this server as {host} from here on; WARREN_PUBLIC_ADDR names another host");
    app.address_learned().notify_one();
    Ok(())
}

/// The host and the dashboard's base of what a browser asked for; `None` for one that means the browser's own machine.
fn read(asked_for: &str) -> Option<(String, String)> {
    let authority: Authority = asked_for.parse().ok()?;
    let host = public_host(authority.host().to_owned()).ok()?;
    let is_loopback = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if is_loopback || host == "localhost" || host.ends_with(".localhost") {
        return None;
    }
    let port = authority.port_u16().unwrap_or(443);
    let whole = public::with_port(&host, port);
    Some((host, format!("https://{}", whole.strip_suffix(":443").unwrap_or(&whole))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_browser_asks_for_is_an_address_unless_it_means_itself() {
        let read = |text: &str| read(text).map(|(host, url)| format!("{host} {url}"));

        assert_eq!(read("192.0.2.10").as_deref(), Some("192.0.2.10 https://192.0.2.10"));
        assert_eq!(read("vpn.home.arpa:8443").as_deref(), Some("vpn.home.arpa https://vpn.home.arpa:8443"));
        assert_eq!(read("[2001:db8::1]").as_deref(), Some("2001:db8::1 https://[2001:db8::1]"));
        for nowhere in ["localhost", "localhost:8443", "127.0.0.1", "[::1]:443", "me.localhost", "", "a b"] {
            assert_eq!(read(nowhere), None, "{nowhere}");
        }
    }
}

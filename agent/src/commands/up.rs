//! `warren up`: hands the daemon an invite, if there is one, and waits until the device is connected.

use std::io::Read;
use std::path::Path;

use anyhow::Context;
use warren_proto::control::{InvalidInvite, Invite};
use zeroize::Zeroizing;

use crate::cli::UpArgs;
use crate::config;
use crate::exit::{Exit, Failure};
use crate::ipc::{Client, Reply, Request};
use crate::output;

pub(super) async fn run(socket: &Path, args: UpArgs) -> Result<(), Failure> {
    let invite = match (&args.invite, &args.key) {
        (Some(word), _) => Some(check(word)?),
        (None, Some(key)) => Some(check(&read_key(key)?)?),
        (None, None) => None,
    };
    let timeout_ms = u64::try_from(args.timeout.as_millis()).unwrap_or(u64::MAX);
    let request = Request::Up { invite, hostname: args.hostname, timeout_ms };
    let reply = Client::connect(socket).await?.ask(&request).await?;
    let Reply::Status(status) = reply else { return Err(super::odd()) };

    super::print(&output::up(&status))
}

/// Refuses here what the daemon could not use, before it is asked.
fn check(word: &str) -> Result<String, Failure> {
    let word = word.trim();
    if word.starts_with("https://") || word.starts_with("http://") {
        return Err(Failure::new(Exit::Usage, "a link cannot enrol a device")
            .remedy("Paste an invite instead: in the dashboard, \"Add device\" shows the whole command."));
    }
    word.parse::<Invite>().map_err(|error: InvalidInvite| Failure::new(Exit::Usage, error.to_string()))?;
    Ok(word.to_owned())
}

fn read_key(key: &str) -> Result<Zeroizing<String>, Failure> {
    if let Some(path) = key.strip_prefix("file:") {
        return Ok(std::fs::read_to_string(path).with_context(|| format!("read the invite from {path}"))?.into());
    }
    if let Some(name) = key.strip_prefix("env:") {
        return config::variable(name)
            .map(Zeroizing::new)
            .ok_or_else(|| Failure::new(Exit::Usage, format!("the variable {name} holds no invite")));
    }
    if key == "-" {
        let mut word = Zeroizing::new(String::new());
        std::io::stdin().take(MAX_INVITE).read_to_string(&mut word).context("read the invite from standard input")?;
        return Ok(word);
    }
    Ok(Zeroizing::new(key.to_owned()))
}

/// More than the longest invite: a file piped in by mistake is not read whole.
const MAX_INVITE: u64 = 16 * 1024;

#[cfg(test)]
mod tests {
    use warren_proto::control::usual_web;

    use super::*;

    #[test]
    fn a_link_is_told_apart_from_a_damaged_invite() {
        let link = check("https://vpn.example.org/join").unwrap_err();
        let damaged = check("warren_inv_zzz").unwrap_err();

        assert_eq!((link.exit, damaged.exit), (Exit::Usage, Exit::Usage));
        assert!(link.text.contains("link"));
        assert!(damaged.text.contains("not an invite"));
    }

    #[test]
    fn an_invite_may_come_from_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("invite");
        let servers = vec!["vpn.example.org:443".to_owned()];
        let invite = Invite { web: usual_web(&servers[0]), servers, pin: [7; 32], secret: [9; 16] };
        std::fs::write(&file, format!("{invite}\n")).unwrap();

        let word = check(&read_key(&format!("file:{}", file.display())).unwrap()).unwrap();

        assert_eq!(word, invite.to_string());
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        assert!(read_key("env:WARREN_NO_SUCH_VARIABLE").unwrap_err().text.contains("WARREN_NO_SUCH_VARIABLE"));
    }
}

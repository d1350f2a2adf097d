//! `warren up`: hands the daemon an invite, or has a person let this device in, or just connects; and waits until the
//! device is connected.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use warren_proto::control::{InvalidInvite, Invite};
use zeroize::Zeroizing;

use super::discover::{self, Met};
use crate::cli::UpArgs;
use crate::config;
use crate::exit::{Exit, Failure};
use crate::ipc::{Client, Rendezvous, Reply, Request};
use crate::output;

/// What the person gave us.
enum Given {
    /// Nothing: the device is enrolled.
    Nothing,
    /// An invite.
    Invite(Zeroizing<String>),
    /// The address of a server.
    Address(String),
}

pub(super) async fn run(socket: &Path, args: UpArgs) -> Result<(), Failure> {
    let given = match (&args.invite, &args.key) {
        (Some(word), _) => given(word)?,
        (None, Some(key)) => Given::Invite(check(&read_key(key)?)?),
        (None, None) => Given::Nothing,
    };
    let mut daemon = Client::connect(socket).await?;
    let mut ask = Ask { hostname: args.hostname, invite: None, server: None };
    let mut patience = args.timeout.unwrap_or(USUAL_PATIENCE);
    match given {
        Given::Nothing => {}
        Given::Invite(word) => ask.invite = Some(word.to_string()),
        Given::Address(address) => {
            let met = discover::meet(&address, &config::proxies_of_environment()?).await?;
            ask.server = Some(believed(met, args.server_key.as_deref())?);
            patience = args.timeout.unwrap_or(LET_IN_PATIENCE);
        }
    }
    let mut reply = daemon.ask(&ask.request(patience, ask.server.is_some())).await?;
    if let Reply::Asked { code, url, expires_in_s } = reply {
        let colour = output::Colour::of_stdout();
        super::print(&output::asked(&code, &url, Duration::from_secs(expires_in_s.into()), colour))?;
        reply = daemon.ask(&ask.request(patience, false)).await?;
    }
    let Reply::Status(status) = reply else { return Err(super::odd()) };

    super::print(&output::up(&status))
}

/// What the daemon is asked, as often as need be.
struct Ask {
    hostname: Option<String>,
    invite: Option<String>,
    server: Option<Rendezvous>,
}

impl Ask {
    fn request(&self, patience: Duration, wants_code: bool) -> Request {
        Request::Up {
            invite: self.invite.clone(),
            server: self.server.clone(),
            hostname: self.hostname.clone(),
            wants_code,
            timeout_ms: u64::try_from(patience.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// The server, if TLS vouches for it or a person does.
fn believed(met: Met, named: Option<&str>) -> Result<Rendezvous, Failure> {
    let Met { server, network, doubt } = met;
    if let Some(text) = named {
        let key = discover::parse_key(text).ok_or_else(|| {
            Failure::new(Exit::Usage, "--server-key is 64 hexadecimal digits, as the dashboard shows them")
        })?;
        if key != server.pin {
            return Err(Failure::new(Exit::Refused, "another server answers: its key is not the one you named")
                .remedy("Somebody may be in between. Compare the key with the dashboard, or use an invite."));
        }
        return Ok(server);
    }
    let Some(doubt) = doubt else { return Ok(server) };
    let shown = discover::in_groups(&server.pin);
    let question = format!(
        "TLS does not vouch for this server: {doubt}. It calls its network \"{}\", and its key is\n\n{}\n\n\
         The dashboard shows the key under \"Let a device in\" (/activate), the server's log at its start.\n\
         Is it the same? [y/N] ",
        network.chars().filter(|letter| !letter.is_control()).collect::<String>(),
        shown.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n"),
    );
    if ask_person(&question)? {
        return Ok(server);
    }
    Err(Failure::new(Exit::Refused, "the server's key was not confirmed, so this device did not join"))
}

/// Asks at the terminal, for standard input may be a script.
fn ask_person(question: &str) -> Result<bool, Failure> {
    let terminal = File::options().read(true).write(true).open("/dev/tty").ok().filter(File::is_terminal);
    let Some(mut terminal) = terminal else {
        return Err(Failure::new(Exit::Usage, "TLS does not vouch for this server, and there is nobody to ask")
            .remedy("Name its key with --server-key (the dashboard shows it under /activate), or use an invite."));
    };
    terminal.write_all(question.as_bytes()).context("ask at the terminal")?;
    let mut answer = String::new();
    BufReader::new(terminal.take(MAX_ANSWER)).read_line(&mut answer).context("read the answer")?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Tells an invite from an address.
fn given(word: &str) -> Result<Given, Failure> {
    let word = word.trim();
    let is_place = !word.starts_with("warren_") && (word.contains(['.', ':', '/']) || word == "localhost");
    if is_place { Ok(Given::Address(word.to_owned())) } else { check(word).map(Given::Invite) }
}

/// Refuses here what the daemon could not use, before it is asked.
fn check(word: &str) -> Result<Zeroizing<String>, Failure> {
    let word = word.trim();
    word.parse::<Invite>().map_err(|error: InvalidInvite| Failure::new(Exit::Usage, error.to_string()))?;
    Ok(Zeroizing::new(word.to_owned()))
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
/// "yes", and a few slips.
const MAX_ANSWER: u64 = 64;
/// For a server that is there.
const USUAL_PATIENCE: Duration = Duration::from_secs(30);
/// For a person to decide: a little longer than the server waits, so that it is the server that says so.
const LET_IN_PATIENCE: Duration = Duration::from_secs(16 * 60);

#[cfg(test)]
mod tests {
    use warren_proto::control::usual_web;

    use super::*;

    #[test]
    fn an_address_is_told_from_an_invite_and_from_a_damaged_one() {
        for place in ["https://vpn.example.org", "vpn.example.org", "192.0.2.1:8443", "[2001:db8::1]", "localhost"] {
            assert!(matches!(given(place), Ok(Given::Address(_))), "{place}");
        }
        for damaged in ["warren_inv_zzz", "warren_inv_a.b", "invite"] {
            let failure = given(damaged).err().unwrap();
            assert!(failure.exit == Exit::Usage && failure.text.contains("not an invite"), "{damaged}");
        }
    }

    #[test]
    fn a_server_that_tls_does_not_vouch_for_is_believed_by_the_key_that_was_named() {
        let server = Rendezvous { servers: vec!["a:443".to_owned()], web: "https://a".to_owned(), pin: [7; 32] };
        let met = Met {
            server: server.clone(),
            network: "home".to_owned(),
            doubt: Some("its certificate is its own".to_owned()),
        };

        assert_eq!(believed(met.clone(), Some(&"07".repeat(32))).unwrap(), server);
        assert_eq!(believed(met.clone(), Some(&"08".repeat(32))).unwrap_err().exit, Exit::Refused);
        assert_eq!(believed(met, Some("07")).unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn an_invite_may_come_from_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("invite");
        let servers = vec!["vpn.example.org:443".to_owned()];
        let invite = Invite { web: usual_web(&servers[0]), servers, pin: [7; 32], secret: [9; 16] };
        std::fs::write(&file, format!("{invite}\n")).unwrap();

        let word = check(&read_key(&format!("file:{}", file.display())).unwrap()).unwrap();

        assert_eq!(*word, invite.to_string());
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        assert!(read_key("env:WARREN_NO_SUCH_VARIABLE").unwrap_err().text.contains("WARREN_NO_SUCH_VARIABLE"));
    }
}

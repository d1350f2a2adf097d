//! What goes wrong is said in words, with what to do, and with the exit code that scripts rely on.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use warren_lab::agent::{Agent, Options, TUN};
use warren_lab::binaries;
use warren_lab::host::Finished;
use warren_lab::nat::NatKind;
use warren_lab::server::Server;
use warren_lab::topology::Internet;

#[test]
fn invites_that_are_no_good_are_refused_with_a_reason() -> Result<()> {
    let internet = internet("bad-invites")?;
    let server = Server::start(&internet)?;
    let laptop = Agent::start(&internet, "laptop", Options::default())?;

    expect(&laptop.run(&["up", "warren_inv_nonsense", "--timeout", "5s"])?, &[2], "invite")?;
    expect(&laptop.run(&["up", "--timeout", "5s"])?, &[3], "enrol")?;
    expect(&laptop.run(&["status"])?, &[0, 3], "")?;
    expect(&laptop.run(&["ping", "desktop"])?, &[3], "enrol")?;

    let expired = server.invite(&["--expires", "1s"])?;
    std::thread::sleep(Duration::from_millis(1100));
    expect(&laptop.run(&["up", &expired, "--timeout", "5s"])?, &[9], "expired")?;

    let used = server.invite(&[])?;
    let desktop = Agent::start(&internet, "desktop", Options::default())?;
    desktop.up(&used)?;
    expect(&laptop.run(&["up", &used, "--timeout", "5s"])?, &[9], "used")?;

    let other = Server::start(&self::internet("bad-invites-elsewhere")?)?.invite(&[])?;
    expect(&laptop.run(&["up", &other, "--timeout", "3s"])?, &[1, 6, 9], "")
}

#[test]
fn a_server_that_cannot_be_reached_is_reported_in_time() -> Result<()> {
    let internet = internet("unreachable")?;
    let mut server = Server::start(&internet)?;
    let invite = server.invite(&[])?;
    server.terminate()?;
    let laptop = Agent::start(&internet, "laptop", Options::default())?;

    expect(&laptop.run(&["up", &invite, "--timeout", "2s"])?, &[6], "192.0.2.10")
}

#[test]
fn a_missing_daemon_is_named() -> Result<()> {
    let internet = internet("no-daemon")?;
    let mut laptop = Agent::start(&internet, "laptop", Options::default())?;
    laptop.daemon().terminate(Duration::from_secs(10))?;

    for words in [["status"].as_slice(), &["up"], &["down"], &["ping", "desktop"], &["path", "desktop"], &["netcheck"]]
    {
        expect(&laptop.run(words)?, &[4], "daemon")?;
    }
    Ok(())
}

#[test]
fn without_permission_it_says_which_it_needs() -> Result<()> {
    let internet = internet("no-permission")?;
    let directory = internet.directory().join("nobody");
    fs::create_dir_all(&directory)?;
    let mut command = internet.host("laptop")?.namespace.command("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]);
    command.arg(reachable(&internet, &binaries::agent()?)?).arg("daemon").arg("--state-dir").arg(&directory);
    command.arg("--socket").arg(directory.join("warren.sock"));
    shell(internet.host("laptop")?, &format!("chown 65534:65534 {}", directory.display()))?;

    expect(&Finished::run(&mut command)?, &[5], "CAP_NET_ADMIN")
}

#[test]
fn what_is_missing_or_taken_is_named() -> Result<()> {
    let internet = internet("taken")?;
    let host = internet.host("laptop")?;

    host.namespace.ip(&["link", "add", TUN, "type", "bridge"])?;
    expect(&start(&internet, &["--tun", TUN])?, &[1], TUN)?;
    host.namespace.ip(&["link", "delete", TUN])?;

    let _taken = host.namespace.inside(|| std::net::UdpSocket::bind(("0.0.0.0", 41_641)))??;
    expect(&start(&internet, &["--tun", "warren1", "--port", "41641"])?, &[1], "41641")?;

    let program = binaries::agent()?;
    let words = format!(
        "mount -t tmpfs none /dev/net && exec {} daemon --state-dir {d}/s --socket {d}/w",
        program.display(),
        d = internet.directory().display()
    );
    let finished = Finished::run(host.namespace.command("unshare").args(["--mount", "sh", "-c", &words]))?;
    expect(&finished, &[1, 5], "/dev/net/tun")
}

#[test]
fn a_corrupt_state_file_is_named_and_left_alone() -> Result<()> {
    let internet = internet("corrupt")?;
    let mut laptop = Agent::start(&internet, "laptop", Options::default())?;
    laptop.daemon().terminate(Duration::from_secs(10))?;
    let files: Vec<_> =
        fs::read_dir(laptop.state_directory())?.flatten().filter(|entry| entry.path().is_file()).collect();
    let file = files.iter().map(std::fs::DirEntry::path).find(|path| path.metadata().is_ok_and(|data| data.len() > 0));
    let file = file.context("the daemon keeps a state file")?;
    fs::write(&file, "not what was written here")?;

    let finished = start(&internet, &["--state-dir", &laptop.state_directory().display().to_string()])?;

    expect(&finished, &[1], &file.file_name().context("a name")?.to_string_lossy())?;
    ensure!(fs::read_to_string(&file)? == "not what was written here", "it overwrote what it could not read");
    Ok(())
}

fn internet(title: &str) -> Result<Internet> {
    Internet::figure_one(&format!("errors-{title}"), NatKind::PortRestricted, NatKind::PortRestricted)
}

/// A daemon on the laptop that is expected not to stay.
fn start(internet: &Internet, flags: &[&str]) -> Result<Finished> {
    let directory = internet.directory();
    let mut command = internet.host("laptop")?.namespace.command("timeout");
    command.arg("10").arg(binaries::agent()?).arg("daemon").arg("--socket").arg(directory.join("other.sock"));
    if !flags.contains(&"--state-dir") {
        command.arg("--state-dir").arg(directory.join("other"));
    }
    Finished::run(command.args(flags))
}

/// One of the codes, and a message that names the thing; never a panic.
fn expect(finished: &Finished, codes: &[i32], mention: &str) -> Result<()> {
    println!("{finished:?}");
    ensure!(codes.contains(&finished.code), "expected one of {codes:?}: {finished:?}");
    ensure!(!finished.stderr.contains("panicked"), "{finished:?}");
    let said = format!("{}{}", finished.stdout, finished.stderr);
    ensure!(said.contains(mention), "{mention:?} is not mentioned: {finished:?}");
    ensure!(finished.code == 0 || !finished.stderr.trim().is_empty(), "it failed without a word");
    Ok(())
}

/// A copy of the program that any user may execute: a target directory may lie below somebody's private home.
fn reachable(internet: &Internet, program: &std::path::Path) -> Result<std::path::PathBuf> {
    let copy = internet.directory().join("warren");
    fs::copy(program, &copy)?;
    Ok(copy)
}

fn shell(host: &warren_lab::topology::Host, script: &str) -> Result<()> {
    Finished::run(host.namespace.command("sh").args(["-c", script]))?.success()?;
    Ok(())
}

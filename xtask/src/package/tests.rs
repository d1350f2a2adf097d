//! The packages on a Debian: installed, tried, removed and purged, in a copy of this system that vanishes afterwards; and
//! the units by systemd's own judgement.

use super::*;
use crate::setup;

#[test]
fn the_packages_install_work_and_leave_nothing_after_a_purge() {
    if !setup::is_root().unwrap() || setup::find("dpkg").is_none() {
        println!("skipped: needs root on a Debian");
        return;
    }
    let workspace = Workspace::load().unwrap();
    let output = workspace.target.join("package-test");
    let packages = assemble(&workspace, &programs(&workspace), &output).unwrap();

    let script = INSTALL
        .replace("PACKAGES", &packages.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" "));
    let done = Command::new("unshare").args(["--mount", "--pid", "--fork", "sh", "-euxc", &script]).output().unwrap();

    let (stdout, stderr) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{stdout}\n{stderr}");
    assert!(stdout.contains("warren 0.") && stdout.contains("warren-rendezvous 0."), "{stdout}");
}

#[test]
fn systemd_finds_the_units_sound_and_hardened() {
    let Some(analyze) = setup::find("systemd-analyze") else {
        println!("skipped: needs systemd-analyze");
        return;
    };
    let workspace = Workspace::load().unwrap();
    for unit in ["warren", "warren-rendezvous"] {
        let path = workspace.root.join(format!("packaging/systemd/{unit}.service"));
        let output =
            Command::new(&analyze).args(["security", "--offline=yes", "--no-pager"]).arg(&path).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let exposure = text.rsplit_once("exposure level for").and_then(|(_, rest)| rest.split_whitespace().nth(1));

        let exposure: f64 = exposure.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{output:?}"));
        assert!(exposure <= 2.5, "{unit}: {exposure}\n{text}");

        let verified = Command::new(&analyze).args(["verify", "--man=no"]).arg(&path).output().unwrap();
        let complaints = String::from_utf8_lossy(&verified.stderr);
        // the program is in the package, not on this machine
        let ours = complaints.lines().filter(|line| line.contains("warren") && !line.contains("is not executable"));
        assert_eq!(ours.collect::<Vec<_>>(), Vec::<&str>::new(), "{complaints}");
    }
}

/// The programs that the other tests of the workspace have built.
fn programs(workspace: &Workspace) -> PathBuf {
    let directory = workspace.target.join("debug");
    if !["warren", "warren-rendezvous"].iter().all(|program| directory.join(program).is_file()) {
        let built = cargo(&["build", "--locked", "--bins", "-p", "warren-agent", "-p", "warren-rendezvous"]).status();
        assert!(built.unwrap().success());
    }
    directory
}

/// An overlay over this very system: what dpkg writes is gone with the mount. Nothing there runs under systemd, so nothing
/// may be started.
const INSTALL: &str = r#"
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
mount -t proc proc /mnt/root/proc
mount --rbind /dev /mnt/root/dev
mkdir /mnt/root/packages
cp PACKAGES /mnt/root/packages
chroot /mnt/root sh -euxc '
    dpkg --install /packages/*.deb
    dpkg --verify warren warren-rendezvous
    cd /
    warren --version
    warren-rendezvous --version
    getent passwd warren-rendezvous
    getent group warren
    test "$(stat -c %U:%a /var/lib/warren-rendezvous)" = warren-rendezvous:700
    test "$(stat -c %G:%a /etc/warren/rendezvous.toml)" = warren-rendezvous:640
    warren-rendezvous check-config
    cmp /usr/bin/warren /usr/share/warren/agents/warren-linux-"$(uname -m)"
    gunzip -c /usr/share/man/man1/warren-path.1.gz | grep -q "Explain the path"
    grep -q doctor /usr/share/bash-completion/completions/warren
    grep -q check-config /usr/share/zsh/vendor-completions/_warren-rendezvous
    ! pidof warren warren-rendezvous

    # an administrator s change is kept over an upgrade and a removal, and gone after a purge
    echo "network-name = \"kept\"" >> /etc/warren/rendezvous.toml
    su -s /bin/sh warren-rendezvous -c "warren-rendezvous key create --public-addr vpn.example.org" > /tmp/invite
    dpkg --install /packages/warren-rendezvous_*.deb
    grep -q kept /etc/warren/rendezvous.toml
    test -s /var/lib/warren-rendezvous/warren.db
    dpkg --remove warren warren-rendezvous
    test -s /var/lib/warren-rendezvous/warren.db
    grep -q kept /etc/warren/rendezvous.toml
    dpkg --purge warren warren-rendezvous
    ! test -e /var/lib/warren-rendezvous
    ! test -e /var/lib/warren
    ! test -e /etc/warren
    ! test -e /usr/bin/warren
'
"#;

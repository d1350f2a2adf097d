//! A server's data move: to PostgreSQL, to another machine by a backup, onto a disk that is full and has room again. Connected
//! devices enrol once in their life, and their tunnels notice nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use warren_lab::agent::{Agent, Options};
use warren_lab::mesh::Mesh;
use warren_lab::nat::NatKind;
use warren_lab::postgres::Postgres;
use warren_lab::shell;
use warren_lab::stream::Stream;
use warren_lab::topology::{Internet, Place};
use warren_lab::wait;

use crate::rekey::{finish_both, start_both};

#[test]
fn a_mesh_moves_to_postgresql_and_nobody_enrols_again_or_loses_a_packet() -> Result<()> {
    let mut living = Living::start("to-postgresql")?;
    let postgres = Postgres::start(&living.mesh.internet.directory())?;
    let streams = start_both(&living.mesh)?;

    living.mesh.server.terminate()?;
    let copied = living.mesh.server.run(&["db", "copy", "--to", &postgres.url()])?.success()?;
    living.mesh.server.restart_with(&["--database-url", &postgres.url()])?;
    living.is_the_same(streams)?;

    let status = living.mesh.server.run(&["db", "status"])?.success()?;
    println!("{}\n{}", copied.trim(), status.trim());
    ensure!(status.contains("postgres"), "it still runs on SQLite: {status}");
    Ok(())
}

#[test]
fn a_backup_on_a_machine_that_has_nothing_is_the_same_server_to_its_devices() -> Result<()> {
    let mut living = Living::start("restored")?;
    let backup = living.mesh.internet.directory().join("backup.tar.gz");
    let backup = backup.to_str().context("a strange path")?;
    living.mesh.server.run(&["backup", "create", backup])?.success()?;
    let streams = start_both(&living.mesh)?;

    living.mesh.server.kill()?;
    fs::remove_dir_all(living.mesh.server.data()).context("lose the machine")?;
    living.mesh.server.run(&["backup", "restore", backup])?.success()?;
    living.mesh.server.restart()?;

    living.is_the_same(streams)
}

#[test]
fn a_full_disk_is_said_clearly_damages_nothing_and_is_forgotten_when_there_is_room() -> Result<()> {
    let internet = Internet::build("disk-full", &THREE_PLACES)?;
    let disk = Disk::mount(&internet.directory().join("rendezvous"))?;
    let mut living = Living::enrol(internet)?;
    let streams = start_both(&living.mesh)?;

    disk.fill()?;
    // what has been reserved already may still be written to
    let refused = wait::until("a refusal", Duration::from_secs(60), || {
        living.mesh.server.run(&["key", "create"]).ok().filter(|create| create.code != 0)
    })?;
    println!("{}", refused.stderr.trim());
    ensure!(refused.stderr.contains("full"), "it does not say that the disk is full: {refused:?}");
    ensure!(living.mesh.server.daemon().ended().is_none(), "the server has ended");
    for agent in [&living.mesh.laptop, &living.mesh.desktop] {
        let status = agent.status()?;
        ensure!(status.rendezvous.is_some_and(|server| server.connected), "it lost its server with the disk");
    }

    disk.free()?;
    wait::until("an invite", Duration::from_secs(15), || living.mesh.server.invite(&[]).ok())?;
    // every page is read for it, every checksum compared
    let backup = living.mesh.internet.directory().join("backup.tar.gz");
    living.mesh.server.run(&["backup", "create", backup.to_str().context("a strange path")?])?.success()?;
    living.mesh.server.kill()?;
    living.mesh.server.restart()?;
    living.is_the_same(streams)
}

/// A mesh at work, and what its devices are.
struct Living {
    mesh: Mesh,
    ids: [String; 2],
    /// Given before whatever happens, used after it.
    promised: String,
}

impl Living {
    fn start(title: &str) -> Result<Self> {
        Self::enrol(Internet::build(title, &THREE_PLACES)?)
    }

    fn enrol(internet: Internet) -> Result<Self> {
        let mesh = Mesh::enrol(internet, &Options::default())?;
        mesh.wait_direct(Duration::from_secs(20))?;
        let promised = mesh.server.invite(&[])?;
        Ok(Self { ids: ids(&mesh)?, mesh, promised })
    }

    /// The devices are back as who they were, lost nothing meanwhile, and a promise holds.
    fn is_the_same(&mut self, streams: [Stream; 2]) -> Result<()> {
        for agent in [&self.mesh.laptop, &self.mesh.desktop] {
            agent.wait_status("the rendezvous again", Duration::from_secs(60), |status| {
                status.state == "connected" && status.rendezvous.as_ref().is_some_and(|server| server.connected)
            })?;
        }
        for report in finish_both(streams)? {
            println!("{report:?}");
            ensure!(report.lost == 0, "traffic was disturbed: {report:?}");
        }
        ensure!(ids(&self.mesh)? == self.ids, "a device is another one");
        let tablet = Agent::start(&self.mesh.internet, "tablet", Options::default())?;
        tablet.up(&self.promised).context("an invite given before is worth nothing after it")?;
        tablet.wait_direct("laptop", Duration::from_secs(20))?;
        Ok(())
    }
}

fn ids(mesh: &Mesh) -> Result<[String; 2]> {
    let id = |agent: &Agent| Ok::<_, anyhow::Error>(agent.status()?.device.context("an identity")?.id);
    Ok([id(&mesh.laptop)?, id(&mesh.desktop)?])
}

/// A small disk for a server's data; gone when dropped.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path) -> Result<Self> {
        fs::create_dir_all(at)?;
        shell::run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=32m,mode=0700", "warren-lab"]).arg(at))?;
        Ok(Self(at.to_owned()))
    }

    /// Leaves no byte.
    fn fill(&self) -> Result<()> {
        let full = fs::write(self.ballast(), vec![0; 64 << 20]);
        ensure!(full.is_err(), "the disk is larger than it should be");
        Ok(())
    }

    fn free(&self) -> Result<()> {
        fs::remove_file(self.ballast()).context("make room")
    }

    fn ballast(&self) -> PathBuf {
        self.0.join(".ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // the server may be in it still: it goes with the last who looks
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

const THREE_PLACES: [Place<'static>; 3] = [place(&["laptop"]), place(&["desktop"]), place(&["tablet"])];

const fn place(hosts: &'static [&'static str]) -> Place<'static> {
    Place { nat: NatKind::PortRestricted, hosts }
}

//! What befalls a world: power, networks, servers and people.

use warren_proto::keys::UnixTime;

use crate::host::{HostId, Interface};
use crate::link::Link;
use crate::net::{NatId, Realm};
use crate::world::{Attachment, BEGIN, Place, World};

impl World {
    /// Power goes: a device says nothing more. The rendezvous notices at once.
    pub fn crash(&mut self, host: HostId) {
        self.hosts[host].up = false;
        self.set_deadline(host);
        self.disconnect(host);
    }

    /// A device comes up with what it has on disk, its clock off by `clock` seconds, and connects.
    pub fn restart(&mut self, host: HostId, clock: i64) {
        let wall = BEGIN.as_secs().saturating_add(self.elapsed().as_secs()).saturating_add_signed(clock);
        let node = self.boot(host, UnixTime::from_secs(wall));
        self.hosts[host].start(node);
        self.oracle.moved(self.hosts[host].id());
        self.forget_made(host);
        self.join(host);
    }

    /// Its owner takes a device down and up again: the program goes on, the core is another.
    pub fn take_down_and_up(&mut self, host: HostId) {
        self.disconnect(host);
        let node = self.boot(host, BEGIN.plus(self.elapsed()));
        let before = self.hosts[host].start(node);
        self.hosts[host].node.resume(before.into_allowance());
        self.oracle.moved(self.hosts[host].id());
        self.join(host);
    }

    /// A device goes down and comes up while the rendezvous is away, with what it had written down of its peers, and on
    /// another port if one is given.
    pub fn restart_from_memory(&mut self, host: HostId, port: Option<u16>) {
        let memory = self.hosts[host].node.memory(self.now);
        let node = self.boot(host, BEGIN.plus(self.elapsed()));
        let device = &mut self.hosts[host];
        device.port = port.unwrap_or(device.port);
        device.start(node);
        self.oracle.moved(self.hosts[host].id());
        self.forget_made(host);
        self.offer(host);
        self.hosts[host].node.restore(&memory, self.now);
        self.drain(host);
    }

    /// Moves a device behind another NAT, or none: another address, and a rendezvous that sees it there.
    pub fn move_to(&mut self, host: HostId, nat: Option<NatId>) {
        let v4 = nat.map_or(Attachment::Public, Attachment::Behind);
        self.move_to_place(host, &Place { v4, v6: Attachment::Absent, link: self.hosts[host].link });
    }

    /// Moves a device to another place.
    pub fn move_to_place(&mut self, host: HostId, place: &Place) {
        let interfaces = self.interfaces(host, place, self.hosts[host].surroundings.epoch());
        let old: Vec<_> = self.hosts[host].interfaces.iter().map(|old| (old.realm, old.ip)).collect();
        self.net.detach(host, &old);
        for interface in &interfaces {
            self.net.attach(host, interface.realm, interface.ip);
        }
        let device = &mut self.hosts[host];
        (device.interfaces, device.link) = (interfaces, place.link);
        device.surroundings.start_epoch(device.port, device.ips());
        self.oracle.moved(device.id);
        if self.hosts[host].up {
            self.hosts[host].node.handle_network_change(self.now);
            self.offer(host);
            self.measure(host);
        }
    }

    /// A NAT loses its memory.
    pub fn reboot_nat(&mut self, nat: NatId) {
        self.net.nats[nat].reboot(self.now);
    }

    /// A NAT on the Internet gets another address, and its mappings end.
    pub fn renumber_nat(&mut self, nat: NatId) {
        if self.net.is_outside(nat, Realm::Public) {
            let fresh = self.public_address(250 + self.renumbered);
            self.renumbered += 1;
            self.net.renumber(nat, fresh);
        }
    }

    /// Gives a device another name, which is told to everybody.
    pub fn rename(&mut self, host: HostId, name: &str) {
        let certificate = &mut self.devices[host].certificate;
        certificate.name = name.to_owned();
        certificate.epoch += 1;
        let encoded = certificate.sign(&self.signer).expect("the certificate is well-formed");
        let out = self.rendezvous.enrol(&self.devices[host].certificate, encoded, self.now);
        self.post(out);
    }

    /// Changes every wire from now on.
    pub fn set_link(&mut self, link: Link) {
        self.link = link;
        self.hosts.iter_mut().for_each(|host| host.link = Link { one_way: host.link.one_way, ..link });
    }

    /// The rendezvous and its relay stop, or come back with nothing but their database; devices reconnect at once.
    pub fn set_rendezvous(&mut self, up: bool) {
        let running: Vec<HostId> = (0..self.hosts.len()).filter(|host| self.hosts[*host].up).collect();
        if up {
            self.rendezvous.start(&mut self.rng, self.now);
            running.into_iter().for_each(|host| self.join(host));
        } else {
            self.rendezvous.stop();
            running.into_iter().for_each(|host| self.notice_loss(host));
        }
    }

    /// No `Start` reaches `host`, so the other end begins alone.
    pub fn lose_starts(&mut self, host: HostId) {
        self.rendezvous.starless = Some(self.hosts[host].id);
    }

    /// One device loses its control connection.
    pub fn lose_control(&mut self, host: HostId) {
        self.notice_loss(host);
        self.disconnect(host);
    }

    /// Takes a device out of the network.
    pub fn revoke(&mut self, host: HostId) {
        let out = self.rendezvous.revoke(self.hosts[host].id, self.now);
        self.post(out);
    }

    /// A program that was killed does not know what it has done to the NAT before it; the rendezvous does, of searches.
    fn forget_made(&mut self, host: HostId) {
        for Interface { realm, ip } in self.hosts[host].interfaces.clone() {
            if let Realm::Inside(nat) = realm {
                self.net.nats[nat].forget_made(ip);
            }
        }
    }

    pub(crate) fn notice_loss(&mut self, host: HostId) {
        self.hosts[host].node.handle_control_lost();
        (self.hosts[host].is_connected, self.hosts[host].connection) = (false, self.hosts[host].connection + 1);
        self.drain(host);
    }

    fn disconnect(&mut self, host: HostId) {
        (self.hosts[host].is_connected, self.hosts[host].connection) = (false, self.hosts[host].connection + 1);
        let out = self.rendezvous.leave(self.hosts[host].id, self.now);
        self.post(out);
    }
}

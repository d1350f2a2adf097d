//! Answers commands: at once where that is possible, through `waiting` where something has to happen first.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use warren_proto::certificate::is_valid_name;
use warren_proto::control::{Invite, Pending, Pinged, ToServer};
use warren_proto::keys::NodeId;

use super::SlowPath;
use super::waiting::{Asker, Caller, Ping, Up};
use crate::control::ServerPlace;
use crate::exit::{Exit, Failure};
use crate::ipc::{Call, Rendezvous, Reply, Request};
use crate::state::Wanted;

impl SlowPath {
    pub(super) async fn handle_call(&mut self, call: Call) {
        let Call { request, reply } = call;
        match request {
            Request::Up { invite, server, hostname, wants_code, timeout_ms } => {
                let until = self.deadline(timeout_ms);
                match self.up(invite, server, hostname).await {
                    Ok(()) if self.is_connected() => answer(reply, Reply::Status(Box::new(self.status()))),
                    Ok(()) => {
                        self.waiting.ups.push(Up { caller: reply, wants_code, until });
                        self.tell_code();
                    }
                    Err(failure) => answer(reply, Reply::Failed(failure)),
                }
            }
            Request::Down => {
                self.down().await;
                answer(reply, Reply::Status(Box::new(self.status())));
            }
            Request::Logout => self.logout(reply),
            Request::Status => answer(reply, Reply::Status(Box::new(self.status()))),
            Request::Counters => answer(reply, Reply::Counters(Box::new(self.counters()))),
            Request::Log => answer(reply, Reply::Log(self.tools.log.lines())),
            Request::Netcheck => self.start_netcheck(reply),
            Request::Ping { peer, seq, timeout_ms } => self.start_ping(reply, &peer, seq, timeout_ms),
            Request::Path { peer } => {
                let report = self.find_peer(&peer).and_then(|id| self.path_report(id).ok_or_else(|| unknown(&peer)));
                answer(reply, report.map_or_else(Reply::Failed, Reply::Path));
            }
        }
    }

    /// Ends waits whose time has come.
    pub(super) async fn end_waits(&mut self, now: Instant) {
        let expired = self.waiting.expired_ups(now);
        if !expired.is_empty() {
            let failure = self.not_connected();
            for caller in expired {
                answer(caller, Reply::Failed(failure.clone()));
            }
            self.end_enrolment().await;
        }
        for ping in self.waiting.expired_pings(now) {
            self.fail_ping(ping, Failure::new(Exit::Unreachable, "no answer"));
        }
        if self.waiting.logout.as_ref().is_some_and(|(_, until)| *until <= now) {
            self.finish_logout(Some("The server was not told: revoke the device in the dashboard.")).await;
        }
    }

    /// The device is connected: tells everybody who waited for it.
    pub(super) fn answer_ups(&mut self) {
        let callers = self.waiting.take_ups();
        for caller in callers {
            answer(caller, Reply::Status(Box::new(self.status())));
        }
    }

    /// A person is to let this device in: tells those who wait for the code, as soon as there is one.
    pub(super) fn tell_code(&mut self) {
        let Some(pending) = self.attachment.as_ref().and_then(|attachment| attachment.pending.clone()) else { return };
        for caller in self.waiting.take_wanting_code() {
            let Pending { code, url, expires_in_s } = pending.clone();
            answer(caller, Reply::Asked { code, url, expires_in_s });
        }
    }

    /// Tells everybody who waits for the connection that there will be none.
    pub(super) fn fail_ups(&mut self, failure: &Failure) {
        for caller in self.waiting.take_ups() {
            answer(caller, Reply::Failed(failure.clone()));
        }
    }

    /// Answers measurements once every question is answered or given up.
    pub(super) fn answer_netchecks(&mut self) {
        if self.waiting.netchecks.is_empty() || self.mesh().is_some_and(|mesh| !mesh.is_settled()) {
            return;
        }
        let report = self.netcheck().map_or_else(|| Reply::Failed(is_down()), Reply::Netcheck);
        for caller in std::mem::take(&mut self.waiting.netchecks) {
            answer(caller, report.clone());
        }
    }

    pub(super) fn fail_pings(&mut self) {
        for (_, ping) in std::mem::take(&mut self.waiting.pings) {
            self.fail_ping(ping, is_down());
        }
    }

    fn fail_ping(&self, ping: Ping, failure: Failure) {
        match ping.asker {
            Asker::Command { caller, .. } => answer(caller, Reply::Failed(failure)),
            Asker::Server { peer, token } => self.tell_server(Pinged { peer, token, answer: None }),
        }
    }

    /// One ping for somebody at the dashboard; nothing at the limit, for whoever asks so often does not wait for it.
    pub(super) fn ping_for_server(&mut self, peer: NodeId, token: u64) {
        if self.waiting.is_full_for_server() {
            return;
        }
        let now = self.tools.clock.now();
        let asker = Asker::Server { peer, token };
        let token = self.waiting.add_ping(Ping { asker, until: now + SERVER_PATIENCE });
        if let Some(mesh) = self.mesh() {
            mesh.node.ping(peer, token, now);
        }
    }

    /// What came of a ping that the server asked for. If it cannot be told, it knows by the silence.
    pub(super) fn tell_server(&self, pinged: Pinged) {
        if let Some(attachment) = &self.attachment {
            attachment.client.send(ToServer::Pinged(pinged));
        }
    }

    /// Forgets the mesh, and tells the caller if there is one.
    pub(super) async fn finish_logout(&mut self, remark: Option<&str>) {
        let Some((caller, _)) = self.waiting.logout.take() else { return };
        self.leave(None).await;
        self.problem = None;
        answer(caller, self.logged_out(remark));
    }

    async fn up(
        &mut self,
        invite: Option<String>,
        server: Option<Rendezvous>,
        hostname: Option<String>,
    ) -> Result<(), Failure> {
        let hostname = hostname.map(|name| checked_name(&name)).transpose()?;
        let invite = invite.map(|word| word.parse::<Invite>()).transpose();
        let invite = invite.map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
        let wanted = match (invite, server) {
            (Some(Invite { servers, web, pin, secret }), _) => Some((place(servers, web, pin), Some(secret))),
            (None, Some(Rendezvous { servers, web, pin })) => Some((place(servers, web, pin), None)),
            (None, None) => None,
        };
        match (&self.state.enrolment, wanted) {
            (None, None) => Err(self.not_enrolled()),
            // asked already, and still waiting for a person
            (None, Some((place, None))) if self.is_asking(&place) => Ok(()),
            (None, Some((place, secret))) => self.start_enrolment(place, secret, hostname).await,
            (Some(enrolment), Some((place, _))) if enrolment.pin != place.pin => Err(Failure::new(
                Exit::Failure,
                format!("this device is enrolled already, in the mesh of {}", enrolment.servers.join(", ")),
            )
            .remedy("Run `warren logout` first, then `warren up` again.")),
            (Some(_), Some((place, secret))) if self.is_unknown_to_server() => {
                self.start_enrolment(place, secret, hostname).await
            }
            (Some(_), _) => self.connect_enrolled().await,
        }
    }

    async fn connect_enrolled(&mut self) -> Result<(), Failure> {
        if self.state.wanted != Wanted::Up {
            self.state.wanted = Wanted::Up;
            self.save();
        }
        match &self.attachment {
            Some(attachment) => {
                attachment.client.hurry();
                Ok(())
            }
            None => self.attach().await,
        }
    }

    async fn start_enrolment(
        &mut self,
        place: ServerPlace,
        secret: Option<[u8; 16]>,
        hostname: Option<String>,
    ) -> Result<(), Failure> {
        self.detach().await;
        self.enrol(place, secret, hostname.unwrap_or_else(host_name))
    }

    fn is_asking(&self, place: &ServerPlace) -> bool {
        self.attachment.as_ref().is_some_and(|attachment| attachment.asks && attachment.place.pin == place.pin)
    }

    async fn down(&mut self) {
        if self.state.wanted != Wanted::Down {
            self.state.wanted = Wanted::Down;
            self.save();
        }
        self.detach().await;
        self.fail_ups(&Failure::new(Exit::Failure, "the device was taken down meanwhile"));
    }

    fn logout(&mut self, caller: Caller) {
        if self.state.enrolment.is_none() {
            return answer(caller, Reply::Status(Box::new(self.status())));
        }
        let told = self.is_connected()
            && self.attachment.as_ref().is_some_and(|attachment| attachment.client.send(ToServer::Logout));
        let until = self.tools.clock.now() + if told { LOGOUT_WITHIN } else { Duration::ZERO };
        self.waiting.logout = Some((caller, until));
    }

    fn logged_out(&self, remark: Option<&str>) -> Reply {
        let mut status = self.status();
        status.problem =
            remark.map(|text| crate::report::Problem { code: "server-not-told".to_owned(), text: text.to_owned() });
        Reply::Status(Box::new(status))
    }

    fn start_netcheck(&mut self, caller: Caller) {
        let now = self.tools.clock.now();
        if self.state.enrolment.is_none() {
            return answer(caller, Reply::Failed(self.not_enrolled()));
        }
        let Some(mesh) = self.mesh() else { return answer(caller, Reply::Failed(is_down())) };
        if mesh.surroundings.is_settled() {
            mesh.surroundings.ask(now);
        }
        self.waiting.netchecks.push(caller);
    }

    fn start_ping(&mut self, caller: Caller, peer: &str, seq: u32, timeout_ms: u64) {
        let until = self.deadline(timeout_ms);
        let id = match self.find_peer(peer) {
            Ok(id) => id,
            Err(failure) => return answer(caller, Reply::Failed(failure)),
        };
        let token = self.waiting.add_ping(Ping { asker: Asker::Command { caller, seq }, until });
        let now = self.tools.clock.now();
        if let Some(mesh) = self.mesh() {
            mesh.node.ping(id, token, now);
        }
    }

    /// A peer by name, overlay address or id.
    fn find_peer(&self, text: &str) -> Result<NodeId, Failure> {
        if self.state.enrolment.is_none() {
            return Err(self.not_enrolled());
        }
        let mesh = self.attachment.as_ref().and_then(|attachment| attachment.mesh.as_ref()).ok_or_else(is_down)?;
        let by_address = text.parse::<IpAddr>().ok().and_then(|address| mesh.node.peer_at(address));
        let by_id = NodeId::parse(text).filter(|id| mesh.node.peer(*id).is_some());
        let by_name = || mesh.node.peers().find(|peer| peer.name.eq_ignore_ascii_case(text)).map(|peer| peer.node);
        if let Some(id) = by_address.or(by_id).or_else(by_name) {
            return Ok(id);
        }
        let own = mesh.node.certificate();
        let is_self = own.name.eq_ignore_ascii_case(text) || text.parse() == Ok(own.v4) || text.parse() == Ok(own.v6);
        if is_self { Err(Failure::new(Exit::Failure, format!("{text} is this device"))) } else { Err(unknown(text)) }
    }

    fn is_connected(&self) -> bool {
        self.attachment.as_ref().is_some_and(|attachment| attachment.welcome.is_some())
    }

    fn is_unknown_to_server(&self) -> bool {
        self.problem.as_ref().is_some_and(|problem| problem.code == "device-unknown")
    }

    fn not_enrolled(&self) -> Failure {
        match &self.state.ended {
            Some(text) => Failure { text: text.clone(), ..Failure::not_enrolled() },
            None => Failure::not_enrolled(),
        }
    }

    /// What `warren up` says when its time is over.
    fn not_connected(&self) -> Failure {
        let servers = self.attachment.as_ref().map(|attachment| attachment.place.names.join(", ")).unwrap_or_default();
        match &self.problem {
            Some(problem) if problem.code == "refused" => Failure::new(Exit::Refused, problem.text.clone()),
            Some(problem) => Failure::new(Exit::Unreachable, format!("no connection to {servers}: {}", problem.text))
                .remedy("Check that the server runs and that its UDP port or its web port can be reached from here."),
            None => Failure::new(Exit::Unreachable, format!("no connection to {servers} yet"))
                .remedy("Check that the server runs and that its UDP port or its web port can be reached from here."),
        }
    }

    fn deadline(&self, timeout_ms: u64) -> Instant {
        self.tools.clock.now() + Duration::from_millis(timeout_ms).min(LONGEST_WAIT)
    }
}

fn answer(caller: Caller, reply: Reply) {
    // A caller that went away needs no answer.
    let _ = caller.send(reply);
}

fn place(names: Vec<String>, web: String, pin: [u8; 32]) -> ServerPlace {
    ServerPlace { names, remembered: Vec::new(), web, pin }
}

fn unknown(peer: &str) -> Failure {
    Failure::new(Exit::Failure, format!("no peer has the name, address or id {peer}"))
        .remedy("`warren status` lists the peers.")
}

fn is_down() -> Failure {
    Failure::new(Exit::Failure, "this device is not connected").remedy("Run `warren up` first.")
}

fn checked_name(name: &str) -> Result<String, Failure> {
    let name = name.to_ascii_lowercase();
    if is_valid_name(&name) {
        return Ok(name);
    }
    Err(Failure::new(Exit::Usage, format!("\"{name}\" cannot name a device"))
        .remedy("Use 1 to 63 letters, digits and hyphens, with no hyphen at the ends."))
}

/// The host name as far as it can name a device: its first label, odd characters as hyphens.
fn host_name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    name_from(&name)
}

fn name_from(host_name: &str) -> String {
    let label = host_name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let letters = label.bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte) } else { '-' });
    let name: String = letters.take(MAX_NAME).collect();
    let name = name.trim_matches('-');
    if is_valid_name(name) { name.to_owned() } else { "device".to_owned() }
}

/// The longest DNS label (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 63;
/// A day: `--timeout` may say more, but `Instant` must not overflow.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);
/// What `control.proto` promises: as long as a pong counts.
const SERVER_PATIENCE: Duration = Duration::from_secs(5);
/// A server that does not answer by then is told nothing.
const LOGOUT_WITHIN: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_host_name_becomes_a_name_of_the_mesh() {
        for (host, name) in [
            ("laptop", "laptop"),
            ("Laptop.example.org", "laptop"),
            ("my_box", "my-box"),
            ("-", "device"),
            ("", "device"),
            ("été", "t"),
        ] {
            assert_eq!(name_from(host), name, "{host}");
        }
        assert!(is_valid_name(&name_from(&"x".repeat(200))));
    }

    #[test]
    fn a_name_asked_for_is_checked_not_bent() {
        assert_eq!(checked_name("Desk").unwrap(), "desk");
        assert_eq!(checked_name("my desk").unwrap_err().exit, Exit::Usage);
    }
}

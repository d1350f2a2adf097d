//! The composition root: the parts that every action needs, opened in the order they depend on each other.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::{Context, Result};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use tokio::sync::Notify;
use uuid::{Builder, Uuid};
use warren_proto::certificate::NetworkSigner;
use warren_proto::keys::{NetworkId, UnixTime};

use crate::actions;
use crate::auth::Seal;
use crate::backup;
use crate::clock::Clock;
use crate::config::Config;
use crate::control::{Hub, Tunnels};
use crate::keys::{DataDir, ServerKey, create_private, open_network_secret};
use crate::limits::SourceLimit;
use crate::meters::Meters;
use crate::oidc::Provider;
use crate::relay::Table;
use crate::roster::{Devices, Roster};
use crate::store::{DatabaseUrl, NetworkRow, Store};
use crate::voucher::Vouchers;
use crate::web_tls::DashboardTls;

/// The server's state. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    config: Config,
    store: Store,
    clock: Box<dyn Clock>,
    rng: Mutex<ChaCha20Rng>,
    data_dir: DataDir,
    server_key: ServerKey,
    signer: NetworkSigner,
    seal: Seal,
    oidc: Option<Provider>,
    network: NetworkRow,
    network_name: Mutex<String>,
    hub: Hub,
    enrolments: Mutex<SourceLimit>,
    tunnels: Tunnels,
    address_learned: Notify,
    vouchers: Vouchers,
    meters: Meters,
    started_at: UnixTime,
    outbox: Notify,
    roster: Roster,
    dashboard_tls: DashboardTls,
    backup_trouble: Mutex<Option<String>>,
}

impl App {
    /// Opens data directory, keys, database and network, making whatever is not there yet.
    pub async fn open(config: Config, clock: impl Clock + 'static, seed: [u8; 32]) -> Result<Self> {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let data_dir = DataDir::open(&config.data_dir)?;
        let server_key = ServerKey::open(&data_dir)?;
        let secret = open_network_secret(&data_dir, random(&mut rng))?;
        if let DatabaseUrl::Sqlite(path) = &config.database_url {
            create_private(path).with_context(|| format!("create the database {}", path.display()))?;
        }
        let oidc = config.oidc.clone().map(Provider::new).transpose().context("prepare the OpenID provider")?;
        backup::before_migration(&config, clock.now()).await?;
        let store = Store::open(&config.database_url).await?;
        let signer = NetworkSigner::new(&secret);
        let id = NetworkId::new(random(&mut rng));
        let network = actions::open_network(&store, &config, &signer, id, clock.now()).await?;
        // a run, not a machine: whatever was told of the run before is void
        let replica = Builder::from_random_bytes(random(&mut rng)).into_uuid();
        let hub = Hub::new(replica, random(&mut rng), Table::new(random(&mut rng)));
        let enrolments = Mutex::new(SourceLimit::new(ENROLMENTS_PER_SECOND, ENROLMENTS_BURST, Instant::now()));
        let rng = Mutex::new(rng);
        let started_at = clock.now();
        let clock = Box::new(clock);
        let tunnels = Tunnels::new(Instant::now());
        let vouchers = Vouchers::new(server_key.voucher_secret());
        Ok(Self(Arc::new(Inner {
            config,
            store,
            clock,
            rng,
            data_dir,
            server_key,
            signer,
            seal: Seal::new(&secret),
            oidc,
            network_name: Mutex::new(network.name.clone()),
            network,
            hub,
            enrolments,
            tunnels,
            address_learned: Notify::new(),
            vouchers,
            meters: Meters::default(),
            started_at,
            outbox: Notify::new(),
            roster: Roster::default(),
            dashboard_tls: DashboardTls::default(),
            backup_trouble: Mutex::default(),
        })))
    }

    /// The settings in force.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The data directory.
    pub fn data_dir(&self) -> &DataDir {
        &self.0.data_dir
    }

    /// The control plane's key.
    pub fn server_key(&self) -> &ServerKey {
        &self.0.server_key
    }

    /// Signs certificates.
    pub fn signer(&self) -> &NetworkSigner {
        &self.0.signer
    }

    /// The OpenID provider at which people may sign in, if there is one.
    pub(crate) fn oidc(&self) -> Option<&Provider> {
        self.0.oidc.as_ref()
    }

    /// Seals what the database holds and must not tell.
    pub(crate) fn seal(&self) -> &Seal {
        &self.0.seal
    }

    /// The mesh, as it was when the program started.
    pub fn network(&self) -> &NetworkRow {
        &self.0.network
    }

    /// What people call the mesh.
    pub fn network_name(&self) -> String {
        self.0.network_name.lock().expect("nothing panics while it holds the name").clone()
    }

    /// People call it otherwise from now on.
    pub(crate) fn set_network_name(&self, name: &str) {
        name.clone_into(&mut self.0.network_name.lock().expect("nothing panics while it holds the name"));
    }

    /// Who is connected, and what they report.
    pub fn hub(&self) -> &Hub {
        &self.0.hub
    }

    /// The WebSockets of those that UDP does not reach.
    pub fn tunnels(&self) -> &Tunnels {
        &self.0.tunnels
    }

    /// Told when a browser has shown how the world reaches us.
    pub fn address_learned(&self) -> &Notify {
        &self.0.address_learned
    }

    /// What STUN vouches for.
    pub fn vouchers(&self) -> &Vouchers {
        &self.0.vouchers
    }

    /// Counts what Prometheus may know.
    pub fn meters(&self) -> &Meters {
        &self.0.meters
    }

    /// When this process opened it.
    pub fn started_at(&self) -> UnixTime {
        self.0.started_at
    }

    /// The dashboard's certificate.
    pub(crate) fn dashboard_tls(&self) -> &DashboardTls {
        &self.0.dashboard_tls
    }

    /// Why the last nightly backup was not made.
    pub(crate) fn backup_trouble(&self) -> Option<String> {
        self.0.backup_trouble.lock().expect("nothing panics while it holds the reason").clone()
    }

    /// A nightly backup was made, or was not and why.
    pub(crate) fn set_backup_trouble(&self, trouble: Option<String>) {
        *self.0.backup_trouble.lock().expect("nothing panics while it holds the reason") = trouble;
    }

    /// Wakes who tells the webhooks.
    pub fn outbox(&self) -> &Notify {
        &self.0.outbox
    }

    /// Every active device, by name, for those who only read.
    pub(crate) async fn devices(&self) -> crate::store::Result<Devices> {
        self.0.roster.devices(&self.0.store).await
    }

    /// Wall-clock time.
    pub fn now(&self) -> UnixTime {
        self.0.clock.now()
    }

    /// Random bytes, good for keys and tokens.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        random(&mut self.0.rng.lock().expect("nothing panics while it holds the generator"))
    }

    /// Whether this source may try an invite now.
    pub fn allow_enrolment(&self, source: IpAddr) -> bool {
        self.0.enrolments.lock().expect("nothing panics while it holds the limit").allow(source, Instant::now())
    }

    /// A fresh UUIDv7.
    pub fn new_id(&self) -> Uuid {
        // what does not fit in 48 bits of milliseconds is cut off by the format
        let millis = u64::try_from(self.now().since_epoch().as_millis()).unwrap_or(u64::MAX);
        Builder::from_unix_timestamp_millis(millis, &self.random()).into_uuid()
    }
}

fn random<const N: usize>(rng: &mut ChaCha20Rng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    bytes
}

/// Secrets have 128 bits, so this only keeps a flood from the database; a lab of a hundred devices enrols in a minute.
const ENROLMENTS_PER_SECOND: f32 = 2.0;
const ENROLMENTS_BURST: f32 = 60.0;

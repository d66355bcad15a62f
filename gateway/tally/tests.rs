//! The scripts against a real server, and against what `limit` does in process.

use std::net::TcpListener;
use std::num::{NonZeroU16, NonZeroU32};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hub::{Access, Identity, Login, Place, Plaintext, Server};
use limit::{
    Asker, Demand, Ended, Exceeded, Failures, KeyPart, Limit, Limits, Mode, Numbers, OnLoss, Scope, Seed, Settling,
    Spent,
};
use proptest::prelude::*;
use terms::{Clock as _, Period, RouteId, SystemClock, TenantId};
use tokio::runtime::Runtime;

use crate::script::{self, Script};
use crate::{Asked, Settings, Tally};

mod against_the_process;
mod elsewhere;
mod together;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

const ONE: NonZeroU32 = NonZeroU32::MIN;

static ROUTE: LazyLock<RouteId> = LazyLock::new(|| "invoices".parse().unwrap());
static TENANTS: LazyLock<[TenantId; 2]> = LazyLock::new(|| ["acme", "globex"].map(|id| id.parse().unwrap()));

/// A Redis on a free port, which keeps nothing on disk.
struct Redis {
    port: u16,
    _folder: tempfile::TempDir,
    child: Child,
}

impl Redis {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port", &port.to_string(), "--dir"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("`redis-server`, which `tests/run` installs");
        let this = Self { port, _folder: folder, child };
        let deadline = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "Redis does not come up");
            std::thread::sleep(Duration::from_millis(10));
        }
        this
    }

    fn server(&self) -> Server {
        let url = format!("redis://127.0.0.1:{}", self.port);
        let access = Access {
            at: Place::One(&url),
            user: None,
            password: None,
            ca: None,
            identity: None,
            plaintext: Plaintext::Refused,
        };
        Server::new(Login::new(access).unwrap(), "test")
    }

    fn tally(&self, timeout: Duration) -> Tally {
        Tally::new(Settings { server: self.server(), timeout }, Arc::new(SystemClock))
    }

    fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        let mut command = redis::cmd(words[0]);
        words[1..].iter().for_each(|word| {
            command.arg(word);
        });
        command.query(&mut client.get_connection().unwrap()).unwrap()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn limit(id: &str, numbers: Numbers, key: &[KeyPart], on_loss: OnLoss, gateways: u16) -> Limit {
    Limit {
        id: id.parse().unwrap(),
        key: key.to_vec(),
        mode: Mode::Enforce,
        scope: Scope::Store { on_loss, gateways: NonZeroU16::new(gateways).unwrap() },
        numbers,
        plans: Vec::new(),
        tenants: Vec::new(),
    }
}

fn limits(all: Vec<Limit>) -> Arc<Limits> {
    Arc::new(Limits::new(all, Vec::new(), Seed::random(), 1_000, Instant::now()).unwrap())
}

fn asker(tenant: usize, at: SystemTime) -> Asker<'static> {
    Asker { tenant: Some(&TENANTS[tenant]), ..Asker::stranger([192, 0, 2, 1].into(), Some(&ROUTE), at) }
}

/// When the tests run: quotas of today last until tonight.
fn today() -> SystemTime {
    SystemClock.now()
}

/// As a gateway does it.
async fn spend(limits: &Arc<Limits>, tally: &Tally, which: &[usize], asker: &Asker<'_>) -> Result<Spent, Exceeded> {
    let asking = limits.ask(which, asker, ONE, Instant::now())?;
    match tally.ask(&asking).await {
        Asked::Answered(reply, settling) => asking.answered(asker, &reply, settling),
        Asked::Lost(settling) => asking.unanswered(asker, settling),
    }
}

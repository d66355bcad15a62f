//! The gateway under test, and the requests that are made to it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use token::forge::Issuer;

use super::process::{PATIENCE, Process};
use super::setup::config;
use super::world::{POLICIES, claims};
use super::{Answer, Backend, Records, Setup};

pub struct Gateway {
    pub backend: Backend,
    pub issuer: Issuer,
    pub folder: TempDir,
    pub address: SocketAddr,
    pub tls_address: Option<SocketAddr>,
    pub admin: SocketAddr,
    client: reqwest::Client,
    process: Process,
    environment: Vec<(&'static str, String)>,
    log: PathBuf,
    checked: bool,
    restarted: bool,
}

impl Gateway {
    /// The small world; see [`Setup`] for what may differ.
    pub fn test() -> Setup {
        Setup::default()
    }

    pub(super) async fn start(setup: Setup) -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let folder = tempfile::Builder::new().prefix("cloister-test-").tempdir().unwrap();
        let backend = Backend::start().await;
        let issuer = Issuer::es256("key-1");
        let log = setup.audit.clone().unwrap_or_else(|| folder.path().join("audit"));
        std::fs::write(folder.path().join("jwks.json"), issuer.jwks()).unwrap();
        std::fs::create_dir(folder.path().join("policies")).unwrap();
        std::fs::write(folder.path().join("policies/policy.yaml"), setup.policies.as_deref().unwrap_or(POLICIES))
            .unwrap();
        std::fs::write(folder.path().join("cloister.yaml"), config(&setup, folder.path(), backend.address, &log))
            .unwrap();
        let process = Self::spawn(folder.path(), &setup.environment, &[]);
        let address = process.address("plain");
        let tls_address = setup.tls.then(|| process.address("tls"));
        let admin = process.address("admin");
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .danger_accept_invalid_certs(true)
            .build()
            .unwrap();
        let gateway = Self {
            backend,
            issuer,
            folder,
            address,
            tls_address,
            admin,
            client,
            process,
            environment: setup.environment,
            log,
            checked: false,
            restarted: false,
        };
        if !setup.unready {
            gateway.await_ready();
        }
        gateway
    }

    fn spawn(folder: &Path, environment: &[(&'static str, String)], more: &[&str]) -> Process {
        let arguments = Self::arguments(folder);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).chain(more.iter().copied()).collect();
        let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Process::start(&arguments, &environment)
    }

    fn arguments(folder: &Path) -> Vec<String> {
        let (config, policies) = (folder.join("cloister.yaml"), folder.join("policies"));
        ["run".into(), "--config".into(), config.display().to_string(), "--policies".into()]
            .into_iter()
            .chain([policies.display().to_string()])
            .collect()
    }

    /// Starts a process that takes over from the one that runs, as soon as that one hands over.
    pub fn successor(&self) -> Process {
        Self::spawn(self.folder.path(), &self.environment, &["--upgrade"])
    }

    /// Another process serves from now on. Gives the one before.
    pub fn succeed(&mut self, process: Process) -> Process {
        self.restarted = true;
        std::mem::replace(&mut self.process, process)
    }

    /// Lets another process take over, and gives the one before, which comes to its end.
    pub fn upgrade(&mut self) -> Process {
        let next = self.successor();
        self.process.signal("QUIT");
        self.process.await_line(|line| line["message"] == "another process has taken over");
        self.succeed(next)
    }

    /// Starts another process on the same folder: after a kill, as an operator would. Ports may differ.
    pub fn start_again(&mut self) {
        self.started_again(Self::spawn(self.folder.path(), &self.environment, &[]));
    }

    fn started_again(&mut self, process: Process) {
        self.restarted = true;
        self.process = process;
        self.address = self.process.address("plain");
        self.admin = self.process.address("admin");
        self.await_ready();
    }

    fn await_ready(&self) {
        self.eventually("the gateway is ready", || self.admin("/readyz").0 == 200);
    }

    /// Starts it again where it was, so that clients find it.
    pub fn start_again_in_place(&mut self) {
        self.keep_address();
        self.start_again();
    }

    /// Starts it again where it was, by a command that runs the words that it is given. It may wait for somebody to come.
    pub fn start_again_by(&mut self, mut command: Command) {
        self.keep_address();
        command.arg(env!("CARGO_BIN_EXE_cloister")).args(Self::arguments(self.folder.path()));
        self.restarted = true;
        self.process = Process::of(command);
    }

    /// Waits until it serves that was started in this way.
    pub fn has_started_again(&mut self) {
        self.admin = self.process.address("admin");
        self.await_ready();
    }

    fn keep_address(&self) {
        let config = self.folder.path().join("cloister.yaml");
        let (text, address) = (std::fs::read_to_string(&config).unwrap(), self.address.to_string());
        if !text.contains(&address) {
            std::fs::write(&config, text.replacen("127.0.0.1:0", &address, 1)).unwrap();
        }
    }

    /// Waits until something is so.
    pub fn eventually(&self, what: &str, so: impl Fn() -> bool) {
        self.eventually_within(PATIENCE, what, so);
    }

    /// Waits until something is so that takes its time. What the test serves goes on meanwhile: in a runtime with a single
    /// thread its backends would stand still, so this panics there.
    pub fn eventually_within(&self, patience: Duration, what: &str, so: impl Fn() -> bool) {
        tokio::task::block_in_place(|| {
            let deadline = Instant::now() + patience;
            while !so() {
                assert!(
                    Instant::now() < deadline,
                    "waited in vain until {what}; cloister said:\n{}",
                    self.process.said()
                );
                std::thread::sleep(Duration::from_millis(20));
            }
        });
    }

    /// A token that is good for an hour.
    pub fn token(&self, tenant: &str, user: &str, roles: &[&str]) -> String {
        self.issuer.sign(&claims(tenant, user, roles))
    }

    /// A request to `<tenant>.example.test`.
    pub fn request(&self, method: &str, tenant: &str, path: &str) -> reqwest::RequestBuilder {
        let url = format!("http://{}{path}", self.address);
        let method = method.parse::<reqwest::Method>().unwrap();
        self.client.request(method, url).header("host", format!("{tenant}.example.test"))
    }

    /// The same over TLS.
    pub fn secure(&self, method: &str, tenant: &str, path: &str) -> reqwest::RequestBuilder {
        let address = self.tls_address.expect("a listener with TLS");
        let host = format!("{tenant}.example.test");
        let client =
            reqwest::Client::builder().danger_accept_invalid_certs(true).resolve(&host, address).build().unwrap();
        client.request(method.parse().unwrap(), format!("https://{host}:{}{path}", address.port()))
    }

    /// A GET by somebody of this tenant, who is a viewer.
    pub async fn get(&self, tenant: &str, path: &str) -> Answer {
        let token = self.token(tenant, "ada", &["viewer"]);
        Answer::read(self.request("GET", tenant, path).bearer_auth(token).send().await.unwrap()).await
    }

    /// Sends a request and reads the answer to its end.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        Answer::read(request.send().await.unwrap()).await
    }

    /// What the admin listener answers: status and body.
    pub fn admin(&self, path: &str) -> (u16, String) {
        get_plain(self.admin, path)
    }

    /// The value of a metric, summed over all of its labels.
    pub fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.admin("/metrics");
        let values = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
        values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// What the log holds, once all that was answered so far is in it.
    pub fn records(&self, conditions: &[&str]) -> Records {
        self.eventually("all records are committed", || {
            self.metric("cloister_journal_open") == 0.0 && self.metric("cloister_journal_pending_bytes") == 0.0
        });
        Records::query(&self.log, conditions)
    }

    /// The dotted reason that the log gives for an answer.
    pub fn reason(&self, answer: &Answer) -> String {
        let id = answer.request_id();
        self.records(&["--id", &id]).of(&id)["reason"].as_str().unwrap().to_string()
    }

    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Everything it said so far.
    pub fn said(&self) -> String {
        self.process.said()
    }

    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Writes a policy file anew, tells the gateway, and waits until it took it or refused it.
    pub fn reload(&self, policies: &str) {
        let count = || self.metric("cloister_reload_total");
        let before = count();
        std::fs::write(self.folder.path().join("policies/policy.yaml"), policies).unwrap();
        self.process.signal("HUP");
        self.eventually("the reload is done", || count() > before);
    }

    /// Ends a story in which requests went unrecorded on purpose: they were refused for it.
    pub fn leave_with_gaps(mut self) {
        self.restarted = true;
        self.check();
    }

    fn check(&mut self) {
        self.checked = true;
        if self.process.has_ended() {
            return;
        }
        let (requests, records) = ("cloister_requests_total", "cloister_journal_records_total");
        if !self.restarted {
            let open = "cloister_journal_open";
            self.eventually("there are as many records as requests, and none is open", || {
                self.metric(open) == 0.0 && self.metric(requests) == self.metric(records)
            });
        }
        let requests = self.metric(requests);
        self.process.signal("TERM");
        let status = self.process.wait();
        let said = self.process.said();
        assert!(status.success(), "cloister ended with {status}; it said:\n{said}");
        assert!(!said.contains("panicked"), "something panicked:\n{said}");
        let (code, report) = super::audit::verify(&self.log);
        assert_eq!(code, 0, "the log does not verify: {report}");
        // One log, or one for each retention class.
        let logs = report["logs"].as_array().cloned().unwrap_or_else(|| vec![report]);
        for report in logs {
            let signed = report["checkpoint"]["size"].as_u64();
            let last = report["last"]["index"].as_u64(); // the first may be gone
            assert_eq!(signed, last.map(|last| last + 1), "the last checkpoint is not of all records: {report}");
        }
        if !self.restarted {
            #[expect(clippy::cast_precision_loss, reason = "no test makes 2^52 requests")]
            let finals = Records::query(&self.log, &[]).finals().len() as f64;
            assert!(finals == requests, "{requests} requests, {finals} final records");
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if !self.checked && !std::thread::panicking() {
            self.check();
        }
    }
}

/// A GET without any client library, which also works where no runtime runs.
fn get_plain(address: SocketAddr, path: &str) -> (u16, String) {
    let Ok(mut stream) = TcpStream::connect(address) else { return (0, String::new()) };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: admin\r\nAccept: application/json\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    if stream.read_to_string(&mut answer).is_err() {
        return (0, String::new());
    }
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, answer.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_string()))
}

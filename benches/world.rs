//! A gate with everything behind it that is there in production: issuers with keys, tokens, a policy, limits, a journal.

use std::fmt::Write as _;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use audit::{Digest, Journal, Protocol, Settings};
use canonical::{Bounds, CanonicalRequest, Head};
use futures::FutureExt as _;
use gate::{Admission, Arrival, Channel, Gate, Permit, Rules};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use limit::{KeyPart, Limit, Limits, Mode, Numbers, Scope, Seed};
use policy::{Known, Policy, Source};
use serde_json::{Value, json};
use subjects::{Fields, GivenRoots, Keeping, Making, SubjectVault, Subjects};
use tempfile::TempDir;
use tenancy::MembershipSource;
use terms::{Clock, IssuerId, Live, RequestId, SystemClock};
use token::forge::Issuer;
use token::{Algorithm, IssuerSettings, JwksSource, Verifier};

pub(crate) const AUDIENCE: &str = "saas-api";
pub(crate) const TARGET: &[u8] = b"/api/orders/7f3a?expand=lines";
pub(crate) const BOUNDS: Bounds =
    Bounds { path_bytes: 4 << 10, query_bytes: 8 << 10, fields: 100, head_bytes: 64 << 10 };

/// How many live tokens the budgets speak of.
const TOKENS: usize = 1_000;

/// Requests between two looks at what the journal still has to write: its ring takes more.
const BATCH: u64 = 4_000;

pub(crate) struct World {
    gate: Gate,
    heads: Vec<HeaderMap>,
    committer: Option<JoinHandle<Result<(), audit::NotClosed>>>,
    /// For who is not remembered any more: a bench may run longer than the subject vault lets anybody be.
    runtime: tokio::runtime::Runtime,
    _folder: TempDir,
}

impl World {
    /// So many tenants, so many issuers whose tokens one route accepts, and the tokens of as many users, all of which
    /// have been seen before.
    pub(crate) fn new(tenants: usize, issuers: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let key = Issuer::es256("k1");
        let jwks = folder.path().join("jwks.json");
        std::fs::write(&jwks, key.jwks()).expect("a key set");
        let ids: Vec<IssuerId> =
            (0..issuers).map(|number| format!("idp-{number}").parse().expect("an issuer")).collect();
        let settings = ids.iter().map(|id| {
            let keys = JwksSource::File(jwks.clone());
            IssuerSettings::new(id.clone(), &issuer_name(id), AUDIENCE, Algorithm::ES256, keys)
        });
        let verifier = Verifier::new(settings.collect(), Arc::new(SystemClock), 100_000).expect("a verifier");

        let policy = policy(tenants, &ids);
        let limit = Limit {
            id: "per_tenant".parse().expect("a limit"),
            key: vec![KeyPart::Tenant],
            mode: Mode::Enforce,
            scope: Scope::Gateway,
            numbers: Numbers::Rate { rate: "1000000/s".parse().expect("a rate"), burst: 1_000_000 },
            plans: Vec::new(),
            tenants: Vec::new(),
        };
        let limits = Limits::new(vec![limit], Vec::new(), Seed::random(), 1 << 20, Instant::now()).expect("limits");
        let rules = Rules::new(policy, limits, Digest::from([7; 32]));

        let (journal, committer) = journal(&folder);
        let heads = (0..TOKENS).map(|number| {
            let issuer = ids.get(number % issuers).expect("an issuer");
            let tenant = format!("tenant-{}", number * 7 % tenants);
            head(&tenant, &key.sign(&claims(number, &tenant, &issuer_name(issuer))))
        });
        let heads = heads.collect();
        let gate = Gate::new(
            terms::Clients::default(),
            Arc::new(gate::Rooms::new(usize::MAX, terms::Share::HALF)),
            Arc::new(Live::new(rules)),
            Arc::new(verifier),
            Arc::new(token::Dpop::new(token::DpopSettings::default(), Arc::new(SystemClock))),
            Arc::new(audit::Logs::alone(journal)),
        );
        let vault = || {
            let state = folder.path().join("state");
            SubjectVault::open(&state, &Keeping::File, GivenRoots::default(), Fields::ALL, Making::Yes)
                .expect("a subject vault")
        };
        let (subjects, keeper) = Subjects::new(vault(), std::time::Duration::from_secs(3600));
        subjects.is_destroyed(0, std::time::Instant::now());
        std::thread::spawn(move || keeper.run(&SystemClock));
        let gate = gate.veiling(Some(subjects));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let world = Self { gate, heads, committer: Some(committer), runtime, _folder: folder };
        for request in &world.requests() {
            drop(world.admit(request)); // from here on each token is a hit
        }
        world
    }

    /// Every user's request, read.
    pub(crate) fn requests(&self) -> Vec<CanonicalRequest<'_>> {
        self.heads.iter().map(read).collect()
    }

    /// What the proxy does once it has read a head.
    pub(crate) fn admit(&self, request: &CanonicalRequest<'_>) -> Permit {
        let arrival = arrival();
        let _timers = self.runtime.enter(); // whoever is not remembered is waited for, for so long at most
        let admitted = self.gate.admit(&arrival, request).now_or_never();
        let admitted = admitted.unwrap_or_else(|| self.runtime.block_on(self.gate.admit(&arrival, request)));
        match admitted.expect("an admission") {
            Admission::Forward(permit) => permit,
            Admission::Preflight(_) => unreachable!("no request here asks what a page may ask"),
        }
    }

    /// How long so many rounds of `work` take, which writes one record each. Time in which the journal catches up does
    /// not count.
    pub(crate) fn time(&self, rounds: u64, work: impl FnMut()) -> Duration {
        time(self.gate.logs().first(), rounds, work)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        close(self.gate.logs().first(), self.committer.take());
    }
}

/// See [`World::time`].
pub(crate) fn time(journal: &Journal, rounds: u64, mut work: impl FnMut()) -> Duration {
    let mut spent = Duration::ZERO;
    let mut left = rounds;
    while left > 0 {
        let batch = left.min(BATCH);
        let started = Instant::now();
        for _ in 0..batch {
            work();
        }
        spent += started.elapsed();
        left -= batch;
        while journal.stats().pending_bytes > 0 {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
    spent
}

/// A journal in this folder, with its committer at work.
pub(crate) fn journal(folder: &TempDir) -> (Arc<Journal>, JoinHandle<Result<(), audit::NotClosed>>) {
    let settings = Settings {
        commit_interval: Duration::from_millis(1),
        ..Settings::new(folder.path().join("audit"), "edge-1".into())
    };
    let (journal, committer) = Journal::open(settings, Arc::new(SystemClock)).expect("a journal");
    (journal, std::thread::spawn(|| committer.run()))
}

pub(crate) fn close(journal: &Journal, committer: Option<JoinHandle<Result<(), audit::NotClosed>>>) {
    journal.flush_and_close(Duration::from_secs(10)).expect("a log that is whole");
    committer.map(JoinHandle::join).transpose().expect("a committer").transpose().expect("a log that is whole");
}

/// What is known of a request before it is judged.
pub(crate) fn arrival() -> Arrival {
    Arrival {
        id: RequestId::new(1, fastrand::u128(..)),
        client: [203, 0, 113, 7].into(),
        protocol: Some(Protocol::Http11),
        trace: 1 << 100,
        at: SystemClock.now(),
        started: Instant::now(),
        scheme: canonical::Scheme::Http,
        channel: Channel::Plain,
    }
}

pub(crate) fn read(fields: &HeaderMap) -> CanonicalRequest<'_> {
    let head = Head { method: &Method::GET, target: TARGET, authority: None, version: Version::HTTP_11, fields };
    CanonicalRequest::parse(&head, &BOUNDS).expect("a canonical request")
}

/// The fields that a browser's request to an API has: fourteen.
pub(crate) fn head(tenant: &str, token: &str) -> HeaderMap {
    let fields = [
        ("host", format!("{tenant}.app.example.com")),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0".into()),
        ("accept", "application/json, text/plain, */*".into()),
        ("accept-language", "en-GB,en;q=0.7,de;q=0.3".into()),
        ("accept-encoding", "gzip, deflate, br, zstd".into()),
        ("authorization", format!("Bearer {token}")),
        ("referer", format!("https://{tenant}.app.example.com/orders")),
        ("cookie", "theme=dark; consent=1; locale=en-GB".into()),
        ("sec-fetch-dest", "empty".into()),
        ("sec-fetch-mode", "cors".into()),
        ("sec-fetch-site", "same-origin".into()),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
        ("cache-control", "no-cache".into()),
        ("connection", "keep-alive".into()),
    ];
    let field = |(name, value): (&'static str, String)| {
        (HeaderName::from_static(name), HeaderValue::try_from(value).expect("a value"))
    };
    fields.into_iter().map(field).collect()
}

/// The claims of one user, as many as make a token of about 800 bytes.
pub(crate) fn claims(number: usize, tenant: &str, issuer: &str) -> Value {
    let now = SystemClock.unix_seconds();
    json!({
        "iss": issuer, "aud": AUDIENCE, "sub": format!("8c1f6a4e-55d2-4b9e-9a53-{number:012}"), "tenant_id": tenant,
        "roles": ["viewer", "editor"], "iat": now, "nbf": now, "exp": now + 7_200, "jti": format!("{number:032x}"),
        "azp": "web", "scope": "openid profile email offline_access orders invoices", "amr": ["pwd", "otp"],
        "acr": "urn:mace:incommon:iap:silver", "auth_time": now, "sid": format!("{number:064x}"), "ver": "2.0",
    })
}

fn issuer_name(id: &IssuerId) -> String {
    format!("https://{id}.example/")
}

fn policy(tenants: usize, issuers: &[IssuerId]) -> Policy {
    let names: Vec<&str> = issuers.iter().map(IssuerId::as_str).collect();
    let mut text = String::from("tenants:\n");
    for tenant in 0..tenants {
        writeln!(text, "  tenant-{tenant}: {{ status: active }}").expect("a line");
    }
    write!(
        text,
        r#"
roles:
  viewer: {{ allow: ["order:read"] }}
  editor: {{ inherits: [viewer], allow: ["order:write"] }}
limits:
  per_tenant: {{ rate: 1000000/s, burst: 1000000, key: [tenant] }}
routes:
  - id: orders
    match: {{ host: "{{tenant}}.app.example.com", path: "/api/orders/**" }}
    upstream: orders
    auth: {{ issuers: [{}], tenant_from: [token, host] }}
    allow: {{ GET: "order:read", "*": "order:write" }}
    limits: [per_tenant]
"#,
        names.join(", ")
    )
    .expect("text");
    compile(&text, issuers)
}

pub(crate) fn compile(text: &str, issuers: &[IssuerId]) -> Policy {
    let known = Known {
        issuers: issuers.iter().map(|id| (id.clone(), MembershipSource::Claims.into())).collect(),
        upstreams: ["orders".parse().expect("an upstream")].into(),
        ..Known::default()
    };
    policy::compile(&[Source { path: "bench.yaml", text }], &known).expect("a policy").policy
}

//! What a gateway under test is told, and its `cloister.yaml`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use token::forge::Issuer;

use super::Gateway;

/// What differs from the small world.
#[derive(Debug, Default)]
pub struct Setup {
    pub(super) policies: Option<String>,
    pub(super) guard: String,
    pub(super) clients: String,
    pub(super) listener: String,
    pub(super) shutdown: String,
    pub(super) settings: String,
    pub(super) environment: Vec<(&'static str, String)>,
    pub(super) tls: bool,
    pub(super) tls_more: String,
    pub(super) more: String,
    pub(super) upstream: Vec<SocketAddr>,
    pub(super) timeouts: Option<String>,
    pub(super) defence: String,
    pub(super) upstreams: String,
    pub(super) protocol: &'static str,
    pub(super) jwks: Option<String>,
    pub(super) audit: Option<PathBuf>,
    pub(super) audit_more: String,
    pub(super) sinks: String,
    pub(super) members: Option<String>,
    pub(super) issuer: String,
    pub(super) assertion: String,
    pub(super) unready: bool,
    pub(super) admin: Option<SocketAddr>,
}

impl Setup {
    /// Other policies than those of the small world.
    pub fn policies(mut self, text: &str) -> Self {
        self.policies = Some(text.into());
        self
    }

    /// What the audit log has beside its folder: `checkpoint: 1s`. `FOLDER` stands for that of the gateway.
    pub fn audit_settings(mut self, text: &str) -> Self {
        self.audit_more = format!(", {text}");
        self
    }

    /// The settings of the guard, as YAML in one line: `{ head: 300ms }`.
    pub fn guard(mut self, text: &str) -> Self {
        self.guard = format!("guard: {text}\n");
        self
    }

    /// Who the clients are, as YAML in one line: `{ trusted_proxies: ["127.0.0.1"] }`.
    pub fn clients(mut self, text: &str) -> Self {
        self.clients = format!("clients: {text}\n");
        self
    }

    /// What the listener `plain` has beside its address: `h2c: true`.
    pub fn listener(mut self, text: &str) -> Self {
        self.listener = format!(", {text}");
        self
    }

    /// More settings of the shutdown, as YAML: `delay: 300ms`.
    pub fn shutdown(mut self, text: &str) -> Self {
        self.shutdown = text.into();
        self
    }

    /// More sections of cloister.yaml, as YAML.
    pub fn settings(mut self, text: &str) -> Self {
        self.settings.push_str(text);
        self
    }

    /// A variable of the environment, for this process and its successors.
    pub fn environment(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// A second listener, `tls`, with a certificate for `*.example.test`.
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// The same, with more settings of TLS, as YAML in one line: `min_version: "1.3"`.
    pub fn tls_with(mut self, more: &str) -> Self {
        self.tls_more = format!(", {more}");
        self.tls()
    }

    /// More sections of the settings.
    pub fn more(mut self, sections: &str) -> Self {
        self.more.push_str(sections);
        self
    }

    /// Another backend than the one that remembers.
    pub fn upstream(mut self, address: SocketAddr) -> Self {
        self.upstream = vec![address];
        self
    }

    /// A backend that runs on several addresses.
    pub fn addresses(mut self, addresses: &[SocketAddr]) -> Self {
        self.upstream = addresses.to_vec();
        self
    }

    /// How long the backend may take, as YAML in one line.
    pub fn timeouts(mut self, text: &str) -> Self {
        self.timeouts = Some(text.into());
        self
    }

    /// One more setting of the backend, as YAML in one line: `retries: { attempts: 1 }`.
    pub fn defence(mut self, text: &str) -> Self {
        self.defence.push_str(&format!("    {text}\n"));
        self
    }

    /// Another upstream beside `backend`: its name, and its settings as YAML in one line.
    pub fn beside(mut self, name: &str, settings: &str) -> Self {
        self.upstreams.push_str(&format!("  {name}: {settings}\n"));
        self
    }

    /// A backend that speaks HTTP/2 without TLS.
    pub fn h2c(mut self, address: SocketAddr) -> Self {
        self.protocol = "protocol: h2c";
        self.upstream(address)
    }

    /// Another key set than that of the issuer, or a URL.
    pub fn jwks(mut self, yaml: &str) -> Self {
        self.jwks = Some(yaml.into());
        self
    }

    /// Another folder for the log.
    pub fn audit(mut self, directory: &Path) -> Self {
        self.audit = Some(directory.into());
        self
    }

    /// One more sink of the audit log, as YAML in one line. `FOLDER` stands for the gateway's.
    pub fn sink(mut self, text: &str) -> Self {
        self.sinks.push_str(&format!("{text}, "));
        self
    }

    /// More settings of the assertion, as YAML in one line: `lifetime: 2s`.
    pub fn assertion(mut self, text: &str) -> Self {
        self.assertion = format!(", {text}");
        self
    }

    /// More lines of the issuer `main`, and of others behind it. `FOLDER` stands for the gateway's.
    pub fn issuer(mut self, lines: &str) -> Self {
        self.issuer = lines.into();
        self
    }

    /// Who says who is a member: `claims` or `directory`.
    pub fn members(mut self, source: &str) -> Self {
        self.members = Some(source.into());
        self
    }

    /// The gateway will serve without being ready: the story is about that.
    pub fn unready(mut self) -> Self {
        self.unready = true;
        self
    }

    /// The admin listener at an address that is known before.
    pub fn admin(mut self, address: SocketAddr) -> Self {
        self.admin = Some(address);
        self
    }

    pub async fn start(self) -> Gateway {
        Gateway::start(self).await
    }
}

/// What operators show to the admin listener.
pub const ADMIN_TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A configuration that could be run, beside a key set, for stories about files.
pub fn config_text(folder: &Path) -> String {
    std::fs::write(folder.join("jwks.json"), Issuer::es256("key-1").jwks()).unwrap();
    config(&Setup::default(), folder, SocketAddr::from(([127, 0, 0, 1], 9)), &folder.join("audit"))
}

pub(super) fn config(setup: &Setup, folder: &Path, backend: SocketAddr, log: &Path) -> String {
    let folder_text = folder.display();
    let addresses = if setup.upstream.is_empty() { vec![backend] } else { setup.upstream.clone() };
    let addresses: Vec<_> = addresses.iter().map(|address| format!("{:?}", address.to_string())).collect();
    private(&folder.join("admin.token"), ADMIN_TOKEN);
    let jwks = setup.jwks.clone().unwrap_or_else(|| format!("{{ file: {folder_text}/jwks.json, refresh: 1s }}"));
    let mut text = format!(
        r#"version: 1
listeners:
  - {{ bind: "127.0.0.1:0"{listener} }}
{tls}workers: 2
shutdown: {{ {shutdown} }}
admin: {{ bind: "{admin}", token: "${{file:{folder_text}/admin.token}}" }}
state: {{ directory: {folder_text}/state }}
issuers:
  main:
    issuer: "https://idp.example.test/"
    audiences: [saas-api]
    algorithms: [ES256, RS256]
    jwks: {jwks}
    members: {members}
{issuer}upstreams:
  backend:
    addresses: [{addresses}]
    {protocol}
    timeouts: {timeouts}
{defence}{upstreams}assertion: {{ issuer: "https://gateway.example.test"{assertion} }}
audit: {{ directory: {log}{audit_more}{sinks} }}
"#,
        tls = if setup.tls { tls_listener(folder, &setup.tls_more) } else { String::new() },
        admin = setup.admin.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0))),
        listener = setup.listener,
        assertion = setup.assertion,
        log = log.display(),
        audit_more = setup.audit_more.replace("FOLDER", &folder_text.to_string()),
        sinks = sinks(setup, &folder_text.to_string()),
        protocol = setup.protocol,
        addresses = addresses.join(", "),
        timeouts = setup.timeouts.as_deref().unwrap_or("{ connect: 1s, read: 5s, write: 5s, idle: 5s }"),
        defence = setup.defence,
        upstreams = setup.upstreams,
        shutdown = shutdown(&setup.shutdown),
        issuer = setup.issuer.replace("FOLDER", &folder_text.to_string()),
        members = setup.members.as_deref().unwrap_or("claims"),
    );
    text.push_str(&setup.guard);
    text.push_str(&setup.clients);
    text.push_str(&setup.settings);
    text.push_str(&setup.more);
    text
}

fn sinks(setup: &Setup, folder: &str) -> String {
    if setup.sinks.is_empty() { String::new() } else { format!(", sinks: [{}]", setup.sinks.replace("FOLDER", folder)) }
}

/// The settings of the shutdown: quick, unless a story says otherwise.
fn shutdown(more: &str) -> String {
    let quick = [("grace", "5s"), ("idle", "100ms")];
    let quick = quick.iter().filter(|(name, _)| !more.contains(name)).map(|(name, span)| format!("{name}: {span}"));
    quick.chain([more.to_owned()].into_iter().filter(|more| !more.is_empty())).collect::<Vec<_>>().join(", ")
}

/// Writes a certificate and its key, and gives the listener that uses them.
fn tls_listener(folder: &Path, more: &str) -> String {
    let certified =
        rcgen::generate_simple_self_signed(["*.example.test".to_string(), "localhost".to_string()]).unwrap();
    let (certificate, key) = (folder.join("tls.pem"), folder.join("tls.key"));
    std::fs::write(&certificate, certified.cert.pem()).unwrap();
    private(&key, &certified.signing_key.serialize_pem());
    format!(
        "  - {{ bind: \"127.0.0.1:0\", tls: {{ certificates: [{{ certificate: {}, key: {} }}]{more} }} }}\n",
        certificate.display(),
        key.display()
    )
}

/// A file that only its owner may read, whole from the start, as whatever writes secrets should do it.
pub fn private(path: &Path, text: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let draft = path.with_extension("draft");
    let mut file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(&draft).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    std::fs::rename(draft, path).unwrap();
}

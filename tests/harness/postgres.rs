use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::harness::private;

/// A user who is nobody: PostgreSQL does not run as root.
const NOBODY: u32 = 65_534;

/// A PostgreSQL on a socket and a free port, with TLS there, which ends with its test. Everybody may do anything on the
/// socket but `cloister`, who needs its password, as everybody does over the network.
pub struct Postgres {
    folder: TempDir,
    port: u16,
    process: Child,
}

/// What it asks `cloister` for.
pub const PASSWORD: &str = "a-password-that-must-not-be-seen";

fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL, which tests/run installs");
    versions.map(|version| version.unwrap().path().join("bin")).max().expect("a version of it")
}

fn as_nobody(program: &str) -> Command {
    let mut command = Command::new(programs().join(program));
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.stdin(Stdio::null()).current_dir("/");
    command
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

fn give_away(path: &Path) {
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

impl Postgres {
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("cloister-postgresql-").tempdir().unwrap();
        give_away(folder.path());
        let data = folder.path().join("data");
        let made = as_nobody("initdb").args(["-A", "trust", "-U", "postgres", "-N", "-D"]).arg(&data).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let identity = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        for (name, text) in [("tls.pem", identity.cert.pem()), ("tls.key", identity.signing_key.serialize_pem())] {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            give_away(&path);
        }
        let access = "local all cloister scram-sha-256\nlocal all all trust\nhostssl all cloister,cloister_audit_writer,cloister_subjects 127.0.0.1/32 \
             scram-sha-256\n";
        std::fs::write(data.join("pg_hba.conf"), access).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Self::spawn(folder.path(), port);
        let postgres = Self { folder, port, process };
        postgres.await_answer();
        postgres
    }

    fn spawn(folder: &Path, port: u16) -> Child {
        let (certificate, key) = (folder.join("tls.pem"), folder.join("tls.key"));
        as_nobody("postgres")
            .arg("-D")
            .arg(folder.join("data"))
            .arg("-k")
            .arg(folder)
            .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "ssl=on"])
            .arg("-c")
            .arg(format!("ssl_cert_file={}", certificate.display()))
            .arg("-c")
            .arg(format!("ssl_key_file={}", key.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn await_answer(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.run("postgres", "SELECT 1", &[]).is_err() {
            assert!(Instant::now() < deadline, "PostgreSQL does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What psql prints, or why it does not: its error with the code.
    pub fn run(&self, user: &str, sql: &str, variables: &[(&str, &str)]) -> Result<String, String> {
        let mut command = Command::new(programs().join("psql"));
        command.arg("-h").arg(self.folder.path()).args(["-p", &self.port.to_string()]);
        command.args(["-U", user, "-d", "postgres", "-X", "-q", "-A", "-t"]);
        command.args(["-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose"]);
        for (name, value) in variables {
            command.arg("-v").arg(format!("{name}={value}"));
        }
        let file = self.folder.path().join(format!("{user}.sql"));
        std::fs::write(&file, sql).unwrap();
        let output = command.arg("-f").arg(&file).stdin(Stdio::null()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// The same as whoever may do everything, and must.
    pub fn sql(&self, sql: &str) -> String {
        self.run("postgres", sql, &[]).unwrap()
    }

    /// Makes it a directory, as its operator would.
    pub fn holding_members(self) -> Self {
        self.make("directory.sql", "cloister");
        self
    }

    /// Makes it a place for records, as its operator would.
    pub fn holding_records(self) -> Self {
        self.make_records();
        self
    }

    /// The same where there are none any more.
    pub fn make_records(&self) {
        self.make("audit.sql", "cloister_audit_writer");
    }

    /// Makes it a place for subject vaults, as its operator would.
    pub fn holding_subjects(self) -> Self {
        self.make("subjects.sql", "cloister_subjects");
        self
    }

    fn make(&self, file: &str, role: &str) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/postgresql").join(file);
        let sql = std::fs::read_to_string(file).unwrap();
        for _ in 0..2 {
            self.sql(&sql); // it can be run again
        }
        self.sql(&format!("ALTER ROLE {role} PASSWORD '{PASSWORD}'"));
    }

    /// As it stands in `audit`, over TLS, with a root that all gateways have in common.
    pub fn subjects(&self, more: &str) -> String {
        private(&self.password_file(), PASSWORD);
        let (port, folder) = (self.port, self.folder.path().display());
        let root = self.folder.path().join("root");
        private(&root, "the root of a vault that gateways have in common");
        format!(
            "privacy: {{ root: \"${{file:{root}}}\", postgresql: {{ addresses: [\"127.0.0.1:{port}\"], database: postgres, \
             password: \"${{file:{password}}}\", ca: {folder}/tls.pem, {more} }} }}",
            root = root.display(),
            password = self.password_file().display()
        )
    }

    /// As it stands in a sink, over TLS. `DATABASE_PASSWORD` has the password.
    pub fn sink(&self) -> String {
        let (port, ca) = (self.port, self.folder.path().join("tls.pem"));
        format!(
            "postgresql: {{ addresses: [\"127.0.0.1:{port}\"], database: postgres, password: \"${{env:DATABASE_PASSWORD}}\", ca: {} }}",
            ca.display()
        )
    }

    /// As it stands in a configuration, by its socket.
    pub fn settings(&self, more: &str) -> String {
        let socket = self.folder.path().join(format!(".s.PGSQL.{}", self.port));
        self.settings_at(&socket.display().to_string(), more)
    }

    /// The same over the network.
    pub fn settings_over_tls(&self, more: &str) -> String {
        let ca = self.folder.path().join("tls.pem");
        self.settings_at(&format!("127.0.0.1:{}", self.port), &format!("ca: {}, {more}", ca.display()))
    }

    /// The file that a configuration names for the password.
    pub fn password_file(&self) -> PathBuf {
        self.folder.path().join("cloister.password")
    }

    fn settings_at(&self, address: &str, more: &str) -> String {
        private(&self.password_file(), PASSWORD);
        let password = self.password_file();
        let password = password.display();
        format!(
            "directory: {{ postgresql: {{ addresses: [\"{address}\"], database: postgres, user: cloister, \
             password: \"${{file:{password}}}\", {more} }} }}\n"
        )
    }

    /// Ends it at once, as a crash would.
    pub fn end(&mut self) {
        self.signal("QUIT");
        self.process.wait().unwrap();
    }

    /// Kills it and all of its processes.
    pub fn kill(&mut self) {
        self.signal_all("KILL");
        self.process.wait().unwrap();
    }

    /// Starts it again where it was.
    pub fn start_again(&mut self) {
        self.process = Self::spawn(self.folder.path(), self.port);
        self.await_answer();
    }

    /// Lets it and all of its processes stand still, or go on.
    pub fn stand_still(&self) {
        self.signal_all("STOP");
    }

    pub fn go_on(&self) {
        self.signal_all("CONT");
    }

    fn signal(&self, name: &str) {
        let done = Command::new("kill").args(["-s", name, &self.process.id().to_string()]).status().unwrap();
        assert!(done.success());
    }

    fn signal_all(&self, name: &str) {
        let id = self.process.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        let all = std::iter::once(id.to_string()).chain(children.split_whitespace().map(str::to_owned));
        drop(Command::new("kill").args(["-s", name]).args(all).output()); // one of them may have ended just now
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.signal_all("CONT");
        drop(Command::new("kill").args(["-s", "QUIT", &self.process.id().to_string()]).status());
        drop(self.process.wait());
    }
}

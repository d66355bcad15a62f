use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::PATIENCE;

/// A NATS with a stream `AUDIT` that listens to `audit.>`, on a free port; it ends with its test.
pub struct Nats {
    port: u16,
    folder: TempDir,
    child: Child,
}

impl Nats {
    /// What `cloister` shows there.
    pub const PASSWORD: &'static str = "a-password-of-nats-that-must-not-be-seen";

    pub fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let identity = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        std::fs::write(folder.path().join("tls.pem"), identity.cert.pem()).unwrap();
        std::fs::write(folder.path().join("tls.key"), identity.signing_key.serialize_pem()).unwrap();
        let child = Self::spawn(port, folder.path());
        let nats = Self { port, folder, child };
        nats.make_stream();
        nats
    }

    fn spawn(port: u16, folder: &Path) -> Child {
        let place = folder.display();
        let config = format!(
            "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: \"{place}/js\" }}\n\
             authorization {{ user: cloister, password: \"{}\" }}\n\
             tls {{ cert_file: \"{place}/tls.pem\", key_file: \"{place}/tls.key\" }}\nallow_non_tls: true\n",
            Self::PASSWORD
        );
        std::fs::write(folder.join("nats.conf"), config).unwrap();
        Command::new("nats-server")
            .arg("-c")
            .arg(folder.join("nats.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("`nats-server`, which `tests/run` installs")
    }

    /// As it stands in a sink.
    pub fn settings(&self, more: &str) -> String {
        let port = self.port;
        let password = "${env:NATS_PASSWORD}";
        format!(
            "nats: {{ address: \"127.0.0.1:{port}\", subject: audit.records, user: cloister, password: \"{password}\"{more} }}"
        )
    }

    pub fn ca(&self) -> String {
        self.folder.path().join("tls.pem").display().to_string()
    }

    fn make_stream(&self) {
        let stream = json!({ "name": "AUDIT", "subjects": ["audit.>"], "storage": "file", "retention": "limits",
            "duplicate_window": 120_000_000_000_u64 });
        let deadline = Instant::now() + PATIENCE;
        while self.ask("$JS.API.STREAM.CREATE.AUDIT", &stream).is_none_or(|answer| answer["error"].is_object()) {
            assert!(Instant::now() < deadline, "NATS does not come up");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Everything in the stream: the id and the payload of each message.
    pub fn messages(&self) -> Vec<(String, String)> {
        let info = self.ask("$JS.API.STREAM.INFO.AUDIT", &json!({})).unwrap();
        let last = info["state"]["last_seq"].as_u64().unwrap();
        let message = |seq: u64| {
            let found = self.ask("$JS.API.STREAM.MSG.GET.AUDIT", &json!({ "seq": seq })).unwrap();
            let text = |name: &str| {
                String::from_utf8(STANDARD.decode(found["message"][name].as_str().unwrap()).unwrap()).unwrap()
            };
            let head = text("hdrs");
            let id = head.lines().find_map(|line| line.strip_prefix("Nats-Msg-Id: ")).unwrap().to_owned();
            (id, text("data"))
        };
        (1..=last).map(message).collect()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        let info = self.ask("$JS.API.STREAM.INFO.AUDIT", &json!({}));
        info.and_then(|info| usize::try_from(info["state"]["messages"].as_u64()?).ok()).unwrap_or(0)
    }

    /// One question, over a connection of its own, without any client library.
    fn ask(&self, subject: &str, body: &Value) -> Option<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let hello = json!({ "verbose": false, "user": "cloister", "pass": Self::PASSWORD, "headers": true });
        let body = body.to_string();
        write!(stream, "CONNECT {hello}\r\nSUB answer 1\r\nPUB {subject} answer {}\r\n{body}\r\n", body.len()).ok()?;
        let mut reader = BufReader::new(stream);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let words: Vec<_> = line.split_whitespace().collect();
            match *words.first()? {
                "MSG" => {
                    let mut answer = vec![0; words.last()?.parse().ok()?];
                    reader.read_exact(&mut answer).ok()?;
                    return serde_json::from_slice(&answer).ok();
                }
                "HMSG" | "-ERR" => return None,
                _ => {}
            }
        }
    }

    /// Ends it at once, as a crash would.
    pub fn end(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again where it was.
    pub fn start_again(&mut self) {
        self.child = Self::spawn(self.port, self.folder.path());
    }

    /// Starts it again with a disk that has nothing on it.
    pub fn start_again_empty(&mut self) {
        std::fs::remove_dir_all(self.folder.path().join("js")).unwrap();
        self.start_again();
        self.make_stream();
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

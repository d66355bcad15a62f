use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::PATIENCE;

/// A Redis on a free port, which keeps nothing on disk and ends with its test.
pub struct Redis {
    port: u16,
    folder: tempfile::TempDir,
    child: Child,
}

impl Redis {
    pub fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let child = Self::spawn(port, &folder);
        Self::await_port(port);
        Self { port, folder, child }
    }

    fn spawn(port: u16, folder: &tempfile::TempDir) -> Child {
        Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port", &port.to_string(), "--dir"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("`redis-server`, which `tests/run` installs")
    }

    fn await_port(port: u16) {
        let deadline = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "Redis does not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// As it stands in a configuration.
    pub fn settings(&self) -> String {
        self.settings_with("")
    }

    pub fn settings_with(&self, more: &str) -> String {
        format!("redis: {{ url: \"redis://127.0.0.1:{}\"{more} }}\n", self.port)
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let sent =
            Command::new("/bin/kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Says something to it, as somebody who has this password, and gives its answer.
    pub fn say(&self, password: Option<&str>, words: &[&str]) -> String {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let login = password.map(|password| vec!["AUTH", password]);
        let mut answer = String::new();
        for words in login.into_iter().chain([words.to_vec()]) {
            stream.write_all(format!("{}\r\n", words.join(" ")).as_bytes()).unwrap();
            answer.clear();
            BufReader::new(&stream).read_line(&mut answer).unwrap();
        }
        answer
    }

    /// Ends it, and with it all that it knew.
    pub fn end(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again where it was.
    pub fn start_again(&mut self) {
        self.child = Self::spawn(self.port, &self.folder);
        Self::await_port(self.port);
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

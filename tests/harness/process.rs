//! One running `cloister`, and what it says on standard error.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take before a test gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct Process {
    child: Child,
    lines: Receiver<String>,
    said: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts `cloister` with these arguments.
    pub fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cloister"));
        command.args(arguments).envs(environment.iter().copied()).stdin(Stdio::null());
        Self::of(command)
    }

    /// Starts what becomes `cloister`.
    pub fn of(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("cloister starts");
        let stderr = BufReader::new(child.stderr.take().expect("standard error is a pipe"));
        let (sender, lines) = channel();
        let said = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&said);
        let reader = std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                keep.lock().unwrap().push(line.clone());
                drop(sender.send(line)); // nobody may be listening any more
            }
        });
        Self { child, lines, said, reader: Some(reader) }
    }

    /// Waits for the log line `listening` of this listener, and gives its address.
    pub fn address(&self, listener: &str) -> SocketAddr {
        let line = self.await_line(|line| line["message"] == "listening" && line["listener"] == listener);
        line["address"].as_str().and_then(|address| address.parse().ok()).expect("`listening` names an address")
    }

    /// Waits for a log line.
    pub fn await_line(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("cloister did not say what was waited for; it said:\n{}", self.said());
            };
            if let Ok(line) = serde_json::from_str::<Value>(&line)
                && wanted(&line)
            {
                return line;
            }
        }
    }

    /// Everything it said so far.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().join("\n")
    }

    pub fn id(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Sends a signal, by name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill -{name}");
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            match self.child.try_wait().expect("it is our child") {
                Some(status) => break status,
                None if Instant::now() > deadline => {
                    drop(self.child.kill());
                    panic!("cloister did not end; it said:\n{}", self.said());
                }
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        if let Some(reader) = self.reader.take() {
            reader.join().expect("standard error is read to its end");
        }
        status
    }

    pub fn has_ended(&mut self) -> bool {
        self.reader.is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs `cloister` to its end, and gives exit code, standard output and standard error.
pub fn run(arguments: &[&str], directory: &Path) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_cloister"))
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .expect("cloister starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::PATIENCE;

/// Several servers of Redis that know each other. They keep nothing, and end with their test.
#[derive(Default)]
pub struct RedisServers(Vec<Server>);

struct Server {
    port: u16,
    _folder: tempfile::TempDir,
    child: Child,
}

/// A master, its replica, and those who watch over them.
pub struct Watched {
    pub servers: RedisServers,
    pub master: u16,
    pub replica: u16,
    sentinels: Vec<u16>,
}

impl RedisServers {
    /// With these lines in its configuration.
    fn start(&mut self, sentinel: bool, lines: &[String]) -> u16 {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let base = format!("bind 127.0.0.1\nport {port}\ndir {}\n", folder.path().display());
        let save = if sentinel { "" } else { "save \"\"\n" };
        let file = folder.path().join("redis.conf");
        std::fs::write(&file, base + save + &lines.join("\n") + "\n").unwrap();
        let mut command = Command::new("redis-server");
        command.arg(&file);
        if sentinel {
            command.arg("--sentinel");
        }
        let child = command.current_dir(folder.path()).stdout(Stdio::null()).spawn();
        let child = child.expect("`redis-server`, which `tests/run` installs");
        self.0.push(Server { port, _folder: folder, child });
        eventually("it answers", || say(port, "PING").contains("PONG"));
        port
    }

    /// Sends one of them a signal.
    pub fn signal(&mut self, port: u16, name: &str) {
        let server = self.0.iter_mut().find(|server| server.port == port).unwrap();
        let sent = Command::new("/bin/kill").args([&format!("-{name}"), &server.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// A cluster of masters, of which each has the slots from these on. It goes on for what it still has when one is lost.
    pub fn cluster(from: &[u16]) -> (Self, Vec<u16>) {
        let mut servers = Self::default();
        let bus: Vec<u16> = from.iter().map(|_| free_port()).collect();
        let start = |bus: &u16| {
            let lines = ["cluster-enabled yes", "cluster-require-full-coverage no", "cluster-node-timeout 1000"];
            let lines = lines.map(str::to_owned).into_iter().chain([format!("cluster-port {bus}")]);
            servers.start(false, &lines.collect::<Vec<_>>())
        };
        let ports: Vec<u16> = bus.iter().map(start).collect();
        for (place, (port, first)) in ports.iter().zip(from).enumerate() {
            let last = from.get(place + 1).map_or(16_383, |next| next - 1);
            assert!(say(*port, &format!("CLUSTER ADDSLOTSRANGE {first} {last}")).contains("OK"));
            say(*port, &format!("CLUSTER SET-CONFIG-EPOCH {}", place + 1));
        }
        for (port, bus) in ports.iter().zip(&bus).skip(1) {
            say(ports[0], &format!("CLUSTER MEET 127.0.0.1 {port} {bus}"));
        }
        for port in &ports {
            eventually("it knows all of them", || {
                let known = say(*port, "CLUSTER INFO");
                known.contains("cluster_state:ok")
                    && known.contains("cluster_slots_ok:16384")
                    && known.contains(&format!("cluster_size:{}", ports.len()))
            });
        }
        (servers, ports)
    }
}

impl Watched {
    /// Three Sentinels watch a master with one replica. Two of them must agree that it is lost.
    pub fn start() -> Self {
        let mut servers = RedisServers::default();
        let quick = ["repl-ping-replica-period 1".to_owned(), "repl-diskless-sync-delay 0".to_owned()];
        let master = servers.start(false, &quick);
        let replica = servers.start(false, &[&quick[..], &[format!("replicaof 127.0.0.1 {master}")]].concat());
        eventually("the replica follows", || say(replica, "INFO replication").contains("master_link_status:up"));
        let lines = [
            format!("sentinel monitor limits 127.0.0.1 {master} 2"),
            "sentinel down-after-milliseconds limits 1500".to_owned(),
            "sentinel failover-timeout limits 2000".to_owned(),
        ];
        let sentinels: Vec<u16> = (0..3).map(|_| servers.start(true, &lines)).collect();
        for sentinel in &sentinels {
            eventually("a sentinel knows the others, and the replica", || {
                let known = say(*sentinel, "SENTINEL SENTINELS limits");
                let others = sentinels.iter().filter(|other| known.contains(&other.to_string())).count();
                others >= 2 && say(*sentinel, "SENTINEL REPLICAS limits").contains(&replica.to_string())
            });
        }
        Self { servers, master, replica, sentinels }
    }

    /// As it stands in a configuration.
    pub fn sentinels(&self) -> String {
        let urls: Vec<_> = self.sentinels.iter().map(|port| format!("\"redis://127.0.0.1:{port}\"")).collect();
        format!("sentinels: {{ master: limits, urls: [{}] }}", urls.join(", "))
    }
}

impl Drop for RedisServers {
    fn drop(&mut self) {
        for server in &mut self.0 {
            drop(server.child.kill());
            drop(server.child.wait());
        }
    }
}

/// Says something to the server there, and gives all that it answers; nothing, if it does not.
pub fn say(port: u16, words: &str) -> String {
    let ask = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        write!(stream, "{words}\r\n")?;
        stream.shutdown(Shutdown::Write)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        std::io::Result::Ok(answer)
    };
    ask().unwrap_or_default()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn eventually(what: &str, so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

//! systemd: what it passes, what it is told, and what it thinks of the units.

mod slow;

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::upgrade::{Load, Manner};
use crate::harness::{Gateway, PATIENCE, Records, verify};

/// The end of the socket that services tell how it goes.
struct Supervisor(UnixDatagram);

impl Supervisor {
    fn at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    /// The next message that holds this line, and what came before it.
    fn await_line(&self, wanted: impl Fn(&str) -> bool) -> (String, Vec<String>) {
        let (deadline, mut before) = (Instant::now() + PATIENCE, Vec::new());
        loop {
            let mut buffer = [0; 4096];
            let length = self.0.recv(&mut buffer).unwrap_or_else(|error| panic!("{error}, after {before:?}"));
            assert!(Instant::now() < deadline, "it did not say what was waited for: {before:?}");
            let message = String::from_utf8(buffer[..length].to_vec()).unwrap();
            if message.lines().any(&wanted) {
                return (message, before);
            }
            before.push(message);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_supervisor_is_told_of_each_turn_that_it_takes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let supervisor = Supervisor::at(&path);
    let mut gateway = Gateway::test()
        .environment("NOTIFY_SOCKET", path.to_str().unwrap())
        .environment("WATCHDOG_USEC", "1000000")
        .start()
        .await;
    let (_, before) = supervisor.await_line(|line| line == "READY=1");
    assert_eq!(before, Vec::<String>::new(), "nothing is said before it serves");
    supervisor.await_line(|line| line == "WATCHDOG=1");

    gateway.process().signal("HUP");
    let (message, _) = supervisor.await_line(|line| line == "RELOADING=1");
    let micros = message.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")?.parse::<u64>().ok());
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    let uptime = Duration::from_secs_f64(uptime.split(' ').next().unwrap().parse().unwrap());
    let apart = uptime.abs_diff(Duration::from_micros(micros.expect("the time of the reload")));
    assert!(apart < PATIENCE, "{apart:?} between the clocks");
    supervisor.await_line(|line| line == "READY=1");

    let mut old = gateway.upgrade();
    let new = format!("MAINPID={}", gateway.process().id());
    let (_, mut told) = supervisor.await_line(|line| line == new);
    assert!(old.wait().success());
    told.extend(supervisor.await_line(|line| line == "WATCHDOG=1").1);
    assert!(!told.iter().any(|message| message.contains("STOPPING=1")), "the service goes on: {told:?}");

    gateway.process().signal("TERM");
    supervisor.await_line(|line| line == "STOPPING=1");
    assert!(gateway.process().wait().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_that_cannot_be_reached_does_not_keep_it_from_serving() {
    let gateway = Gateway::test().environment("NOTIFY_SOCKET", "/nowhere/notify").start().await;
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
}

/// Stops the gateway, so that its address is free for somebody else to listen on.
fn stop(gateway: &mut Gateway) {
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_no_listener_has_is_an_error() {
    let mut gateway = Gateway::test().start().await;
    stop(&mut gateway);
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    gateway.start_again_by(passing(other));
    assert_eq!(gateway.process().wait().code(), Some(2));
    let said = gateway.process().said();
    assert!(said.contains("no listener is bound to in the configuration"), "{said}");
    assert!(said.contains(&address.to_string()), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_datagram_socket_is_not_taken_for_a_listener() {
    let mut gateway = Gateway::test().start().await;
    stop(&mut gateway);
    gateway.start_again_by(passing(std::net::UdpSocket::bind("127.0.0.1:0").unwrap()));
    assert_eq!(gateway.process().wait().code(), Some(2), "{}", gateway.process().said());
    assert!(gateway.process().said().contains("that was passed"), "{}", gateway.process().said());
}

/// A command that passes this socket to the program that is named behind it, as systemd does.
fn passing(socket: impl Into<OwnedFd>) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@" 3<&0 0</dev/null"#]).stdin(socket.into());
    shell
}

/// As `systemctl restart` does with a socket unit: the socket stays, who comes in between waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_behind_a_socket_that_stays_refuses_nobody() {
    let mut gateway = Gateway::test().shutdown("idle: 2s").start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    stop(&mut gateway);
    let socket = TcpListener::bind(gateway.address).unwrap();
    gateway.start_again_by(passing(socket.try_clone().unwrap()));
    gateway.has_started_again();
    let manners = [[Manner::Keeps; 4].as_slice(), &[Manner::Renews; 4]].concat();
    let load = Load::start(gateway.address, &token, "/orders/1", &manners);
    for _ in 0..3 {
        let count = load.answered();
        gateway.eventually("there is load", || load.answered() > count + 200);
        stop(&mut gateway);
        gateway.start_again_by(passing(socket.try_clone().unwrap()));
        gateway.has_started_again();
    }
    let count = load.answered();
    gateway.eventually("the last one serves", || load.answered() > count + 200);
    let answered = load.end();
    stop(&mut gateway);
    assert_eq!(Records::query(gateway.log(), &[]).finals().len() as u64, answered);
    assert_eq!(verify(gateway.log()).0, 0);
}

/// What the units say is what the shipped configuration says.
#[test]
fn the_units_fit_the_shipped_configuration() {
    let [service, socket, config] = ["systemd/cloister.service", "systemd/cloister.socket", "cloister.yaml"]
        .map(|name| std::fs::read_to_string(Path::new("config").join(name)).unwrap());
    let listen = socket.lines().find_map(|line| line.strip_prefix("ListenStream=")).unwrap();
    assert!(config.contains(&format!("  - bind: \"{listen}\"\n")), "no listener has {listen}");
    let stop = service.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")?.strip_suffix('s')).unwrap();
    let grace = config.lines().find_map(|line| line.trim().strip_prefix("# grace: ")?.split('s').next()).unwrap();
    let [stop, grace] = [stop, grace].map(|seconds| seconds.parse::<u64>().unwrap());
    assert!(stop >= grace + 10, "killed after {stop} s, with {grace} s for running requests");
    assert!(!service.contains("\nProcSubset=pid"), "the log asks which boot this is");
    for folder in ["/var/lib/cloister/state", "/var/lib/cloister/audit"] {
        assert!(config.contains(folder), "{folder} is not where the configuration writes");
    }
}

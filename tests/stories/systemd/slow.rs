//! With the programs of systemd, which not every machine has.

use std::path::PathBuf;
use std::process::Stdio;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn started_by_the_first_connection_it_serves_that_one() {
    let mut gateway = Gateway::test().start().await;
    stop(&mut gateway);
    let mut activate = Command::new("systemd-socket-activate");
    activate.args([format!("--listen={}", gateway.address), "--fdname=front".into()]).stdin(Stdio::null());
    gateway.start_again_by(activate);
    let address = gateway.address;
    gateway.eventually("somebody listens", || std::net::TcpStream::connect(address).is_ok());
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
    let passed = gateway.process().await_line(|line| line["message"] == "a socket was passed");
    assert_eq!((&passed["name"], &passed["address"]), (&"front".into(), &address.to_string().into()));
    gateway.process().await_line(|line| line["message"] == "no socket was passed for this address, opening one"); // the admin listener's
    gateway.has_started_again();
}

/// systemd's own opinion of the units, with the program where it was built.
#[test]
fn systemd_understands_the_units_and_finds_little_that_the_service_could_do() {
    let folder = tempfile::tempdir().unwrap();
    let mut units = Vec::new();
    for name in ["cloister.service", "cloister.socket"] {
        let text = std::fs::read_to_string(format!("config/systemd/{name}")).unwrap();
        let unit = folder.path().join(name);
        std::fs::write(&unit, text.replace("/usr/local/bin/cloister", env!("CARGO_BIN_EXE_cloister"))).unwrap();
        units.push(unit);
    }
    let analyze = |arguments: &[&str], units: &[PathBuf]| {
        let output = Command::new("systemd-analyze").args(arguments).args(units).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    };
    assert_eq!(analyze(&["verify", "--man=no"], &units), (true, String::new()));
    // In tenths, of which a service without any such option has 96.
    let (safe, text) = analyze(&["security", "--offline=true", "--threshold=15"], &units[..1]);
    assert!(safe, "{text}");
}

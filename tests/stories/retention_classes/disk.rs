//! The disk of one class fails: whoever is recorded there is refused, and nobody else.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::{finals, in_two_classes};
use crate::harness::{Gateway, POLICIES};

/// A small file system where the log of a class will be. Nothing, if this user may not mount.
struct Mounted(std::path::PathBuf);

impl Mounted {
    fn at(folder: &Path) -> Option<Self> {
        std::fs::create_dir_all(folder).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"]).arg(folder).status();
        mounted.is_ok_and(|status| status.success()).then(|| Self(folder.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

async fn status(gateway: &Gateway, tenant: &str, method: &str, path: &str) -> u16 {
    let token = gateway.token(tenant, "ada", &["clerk"]);
    gateway.send(gateway.request(method, tenant, path).bearer_auth(token).body("")).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_of_one_class_refuses_its_tenants_alone_and_room_brings_them_back() {
    let folder = tempfile::tempdir().unwrap();
    let audit = folder.path().join("audit");
    let Some(disk) = Mounted::at(&audit.join("classes/r6y")) else { return };
    let spill = r#"
  - id: spill
    match: { host: "{tenant}.example.test", path: "/spill/**" }
    upstream: backend
    auth: { issuers: [main], tenant_from: [token, host] }
    allow: { GET: "order:read" }
    on_audit_failure: spill
"#;
    let policies = format!("{POLICIES}{spill}");
    let policies = policies.replace("globex: { status: active }", "globex: { status: active, retention: r6y }");
    let gateway = in_two_classes().policies(&policies).audit(&audit).start().await;
    // Each worker makes its place in both logs at its first request there: later there is no room for it.
    for tenant in ["acme", "globex"] {
        let asking = (0..40).map(|_| status(&gateway, tenant, "GET", "/orders/1"));
        assert!(futures::future::join_all(asking).await.iter().all(|status| *status == 200));
    }
    let ballast = disk.0.join("ballast");
    drop(Command::new("dd").args(["if=/dev/zero", "bs=1M"]).arg(format!("of={}", ballast.display())).output());
    let deadline = Instant::now() + Duration::from_secs(60);
    while status(&gateway, "globex", "POST", "/strict/1").await != 503 {
        assert!(Instant::now() < deadline, "a full disk is never noticed");
    }
    // Of every promise: what would be recorded there is refused, or spilled where the route says so. Nobody else feels it.
    for (path, globex) in [("/orders/1", 503), ("/strict/1", 503), ("/spill/1", 200)] {
        assert_eq!(status(&gateway, "globex", "GET", path).await, globex, "{path}");
        assert_eq!(status(&gateway, "acme", "GET", path).await, 200, "{path}");
    }
    assert_eq!(gateway.get("nobody", "/orders/1").await.status, 403, "what is nobody's goes to the default log");
    let (ready, why) = gateway.admin("/readyz");
    assert!(ready == 200 && why.contains("of the class r6y cannot be written"), "{ready} {why}");
    let (_, metrics) = gateway.admin("/metrics");
    for line in [r#"cloister_journal_up{class="default"} 1"#, r#"cloister_journal_up{class="r6y"} 0"#] {
        assert!(metrics.lines().any(|found| found == line), "{line}: {metrics}");
    }
    std::fs::remove_file(ballast).unwrap();
    gateway.eventually("the class is served again", || {
        gateway.admin("/metrics").1.contains(r#"cloister_journal_up{class="r6y"} 1"#)
    });
    assert_eq!(status(&gateway, "globex", "POST", "/strict/1").await, 200);
    gateway.eventually("all is on disk", || gateway.metric("cloister_journal_pending_bytes") == 0.0);
    assert!(!finals(&audit).contains_key("globex"));
    assert!(
        finals(&audit.join("classes/r6y"))["globex"].len() >= 6,
        "those that were refused, and those that were served"
    );
    gateway.leave_with_gaps();
}

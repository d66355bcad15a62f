use super::{compiled, refused};
use crate::{OnFailure, Promise};

fn route(more: &str) -> String {
    format!(
        r#"
routes:
  - id: orders
    match: {{ host: "*", path: "/orders" }}
    upstream: orders
    auth: none
{more}"#
    )
}

#[test]
fn a_route_says_what_is_promised_of_its_records_and_what_becomes_of_it_without_a_disk() {
    for (written, promise) in [
        ("", Promise::Standard(OnFailure::Deny)),
        ("    audit: strict\n", Promise::Strict),
        ("    audit: strict\n    on_audit_failure: deny\n", Promise::Strict),
        ("    audit: standard\n    on_audit_failure: spill\n", Promise::Standard(OnFailure::Spill)),
        ("    on_audit_failure: insecure_allow\n", Promise::Standard(OnFailure::InsecureAllow)),
    ] {
        assert_eq!(compiled(&route(written)).policy.routes()[0].audit, promise, "{written}");
    }
}

#[test]
fn what_waits_for_the_disk_cannot_go_on_without_it() {
    insta::assert_snapshot!(refused(&route("    audit: strict\n    on_audit_failure: spill\n")), @"p.yaml:8:23 a strict route waits for its record to be on disk, so it cannot go on without one (take `on_audit_failure` away, or write `audit: standard`)");
    insta::assert_snapshot!(refused(&route("    on_audit_failure: allow\n")), @"p.yaml:7:23 `allow` is not known here (known here: `deny`, `spill`, `insecure_allow`)");
}

#[test]
fn serving_without_records_is_warned_of() {
    let warnings = compiled(&route("    on_audit_failure: insecure_allow\n")).warnings;
    insta::assert_snapshot!(warnings, @"p.yaml:7:23 requests of this route may go without a record while the audit log cannot be written");
}

//! The text of a policy file, and a request after a line `---`: it compiles or says what is wrong with places, and what
//! compiled matches hosts and paths without a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use policy::{Known, Source};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (text, request) = text.split_once("\n---\n").unwrap_or((text, "acme.example.test\n/orders/1"));
    let (host, path) = request.split_once('\n').unwrap_or((request, "/"));
    let known = Known {
        authorities: policy::KnownNames::default(),
        directory: policy::DirectoryAt::Files,
        tenants: policy::TenantsAt::Files,
        issuers: [("main".parse().unwrap(), tenancy::MembershipSource::Claims)].into(),
        upstreams: ["backend".parse().unwrap()].into(),
    };
    let sources = [Source { path: "policy.yaml", text }];
    drop(policy::canonical_bytes(&sources));
    match policy::compile(&sources, &known) {
        Ok(compiled) => {
            drop(compiled.policy.run_cases());
            if let Some(matched) = compiled.policy.route(host, path, "GET") {
                let _: policy::Decision<'_> = compiled.policy.decide(matched.route, "GET", &[]);
            }
        }
        Err(findings) => assert!(!findings.to_string().is_empty()),
    }
});

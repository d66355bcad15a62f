//! The text of a policy file, and a request after a line `---`: it compiles or says what is wrong with places, and what
//! compiled matches hosts and paths, decides, and is compared without a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use policy::{Known, Source};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (text, request) = text.split_once("\n---\n").unwrap_or((text, "acme.example.test\n/orders/1"));
    let (host, path) = request.split_once('\n').unwrap_or((request, "/"));
    let known = Known {
        issuers: [("main".parse().unwrap(), tenancy::MembershipSource::Claims)].into(),
        upstreams: ["backend".parse().unwrap()].into(),
        ..Known::default()
    };
    let sources = [Source { path: "policy.yaml", text }];
    drop(policy::canonical_bytes(&sources));
    match policy::compile(&sources, &known) {
        Ok(compiled) => {
            drop(compiled.policy.run_cases());
            drop((compiled.policy.lint(), compiled.policy.coverage()));
            assert!(compiled.policy.compare(&compiled.policy).is_empty(), "nothing differs from itself");
            let roles: Vec<terms::RoleName> = compiled.policy.roles().take(8).cloned().collect();
            if let Some(matched) = compiled.policy.route(host, path, "GET") {
                let facts = policy::Facts { host, path, ..policy::Facts::new("GET", &roles) };
                let _: policy::Decision<'_> = compiled.policy.decide(matched.route, &facts);
            }
        }
        Err(findings) => assert!(!findings.to_string().is_empty()),
    }
});

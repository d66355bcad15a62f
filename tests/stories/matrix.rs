//! Every role × method × tenant, as a table that a reviewer reads as a diff. `CLOISTER_GOLDEN=write` writes it anew.

use std::fmt::Write as _;

use crate::harness::{Gateway, golden};

#[tokio::test(flavor = "multi_thread")]
async fn every_role_may_do_in_its_own_tenant_what_the_table_says_and_nothing_in_another() {
    let gateway = Gateway::test().start().await;
    let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    let mut table = String::from("role       tenant  ");
    for method in methods {
        write!(table, "{method:<9}").unwrap();
    }
    let roles: [(&str, &[&str]); 7] = [
        ("viewer", &["viewer"]),
        ("clerk", &["clerk"]),
        ("auditor", &["auditor"]),
        ("clerk+aud", &["clerk", "auditor"]),
        ("unknown", &["owner"]),
        ("(none)", &[]),
        ("(nobody)", &[]),
    ];
    for (name, roles) in roles {
        for tenant in ["acme", "globex", "initech"] {
            write!(table, "\n{name:<10} {tenant:<8}").unwrap();
            for method in methods {
                let request = gateway.request(method, tenant, "/orders/1");
                let token = gateway.token("acme", "ada", roles);
                let request = if name == "(nobody)" { request } else { request.bearer_auth(token) };
                let answer = gateway.send(request).await;
                let cell = if answer.status == 200 { "allow".to_string() } else { answer.status.to_string() };
                write!(table, "{cell:<9}").unwrap();
            }
        }
    }
    let table = table.lines().map(str::trim_end).collect::<Vec<_>>().join("\n") + "\n";
    golden("role_matrix.txt", &table);
}

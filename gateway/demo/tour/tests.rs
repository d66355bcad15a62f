use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use terms::{Reason, SystemClock};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;

struct Log(HashMap<String, &'static str>);

impl Look for Log {
    fn reason(&self, request_id: &str) -> Option<String> {
        self.0.get(request_id).map(|reason| (*reason).to_owned())
    }
}

fn step(status: u16, request_id: Option<&str>) -> Step {
    Step {
        what: "a step",
        sent: "GET /".into(),
        expected: Expected { status: 403, reasons: &[Reason::PolicyDenied] },
        got: Ok(status),
        request_id: request_id.map(Into::into),
        reason: None,
        complaint: None,
    }
}

#[test]
fn a_step_is_right_only_if_status_and_reason_and_content_are() {
    let log = Log(HashMap::from([("a", "policy.denied"), ("b", "tenant.mismatch")].map(|(id, why)| (id.into(), why))));
    let complaint = Step { complaint: Some("the backend saw globex".into()), ..step(403, Some("a")) };
    let mut steps = [
        step(403, Some("a")),
        step(200, Some("a")),
        step(403, Some("b")),
        step(403, Some("c")),
        step(403, None),
        complaint,
    ];
    settle(&mut steps, &log);
    assert_eq!(steps.each_ref().map(Step::ok), [true, false, false, false, false, false]);
}

#[test]
fn what_is_printed_says_what_is_wrong_on_one_line() {
    let log = Log(HashMap::from([("a".into(), "policy.denied"), ("b".into(), "tenant.mismatch")]));
    let mut steps = [step(403, Some("a")), step(403, Some("b")), step(200, Some("c"))];
    settle(&mut steps, &log);
    let mut text = Vec::new();
    print(&steps, Ink::Plain, &mut text).unwrap();
    assert_eq!(
        String::from_utf8(text).unwrap(),
        "\
ok   a step  GET /  403 policy.denied
FAIL a step  GET /  403 tenant.mismatch (expected 403 policy.denied)
FAIL a step  GET /  200, and the log has no reason for c (expected 403 policy.denied)

1 of 3 steps were as they must be
"
    );
}

/// A gateway that serves everyone, and one that refuses everyone, must both fail the tour.
#[tokio::test]
async fn a_gateway_that_lets_everything_through_or_nothing_fails_the_tour() {
    for status in [StatusCode::OK, StatusCode::FORBIDDEN] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gateway = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        let router = Router::new().fallback(async move || (status, [("x-request-id", "a")], "{}"));
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });

        let issuer = Issuer::new("http://issuer.test".into(), Arc::new(SystemClock)).unwrap();
        let mut steps = Tour::new(gateway, &issuer).unwrap().walk().await;
        settle(&mut steps, &Log(HashMap::from([("a".into(), "allowed")])));
        let right: Vec<_> = steps.iter().filter(|step| step.ok()).map(|step| step.what).collect();
        let expected: &[&str] = match status {
            // Nothing else has nothing but a status to show; the parser of the test's server refuses the others itself.
            StatusCode::OK => &["a public page needs no token"],
            _ => &[],
        };
        let own = ["two hosts", "a body with two lengths", "what is no request at all"];
        let right: Vec<_> = right.into_iter().filter(|what| !own.contains(what)).collect();
        assert_eq!(right, expected);
        assert!(steps.len() > 30, "{}", steps.len());
    }
}

#[tokio::test]
async fn a_gateway_that_is_not_there_fails_every_step() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = listener.local_addr().unwrap();
    drop(listener);
    let issuer = Issuer::new("http://issuer.test".into(), Arc::new(SystemClock)).unwrap();
    let steps = Tour::new(gateway, &issuer).unwrap().walk().await;
    assert!(steps.iter().all(|step| !step.ok() && step.got.is_err()));
}

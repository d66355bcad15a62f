//! What one tenant asks for is on nobody's account but its own.

use std::time::Duration;

use tokio::task::JoinHandle;

use super::limits::socket;
use crate::harness::{Answer, Gateway, POLICIES, Play, Recorded, Recorder, Setup};

/// A backend with four places that takes long for the first four requests, until all others are in line.
async fn busy(setup: Setup, length: u32) -> (Recorder, Gateway) {
    let script = |request: &Recorded| {
        let pause = Duration::from_millis(if request.number < 4 { 3_000 } else { 20 });
        [&[Play::Body, Play::Pause(pause)], &*Play::answer("ok")].concat()
    };
    let backend = Recorder::playing(script).await;
    let setup = setup.defence("max_in_flight: 4").defence(&format!("queue: {{ length: {length}, wait: 30s }}"));
    let gateway = setup.upstream(backend.address).start().await;
    (backend, gateway)
}

/// So many requests of a tenant, at once.
fn flood(gateway: &Gateway, tenant: &str, requests: usize) -> Vec<JoinHandle<Answer>> {
    let token = gateway.token(tenant, "ada", &["viewer"]);
    let request = || gateway.request("GET", tenant, "/orders/1").bearer_auth(&token);
    #[expect(clippy::disallowed_methods, reason = "they end with their test's runtime")]
    let send = |request: reqwest::RequestBuilder| {
        tokio::spawn(async move { Answer::read(request.send().await.unwrap()).await })
    };
    (0..requests).map(|_| send(request())).collect()
}

fn waiting(gateway: &Gateway, requests: usize) {
    let what = format!("{requests} are waiting");
    gateway.eventually(&what, || gateway.metric("cloister_upstream_waiting") == requests as f64);
}

/// Whose requests reached the backend, in order.
fn order(backend: &Recorder) -> Vec<String> {
    backend.requests().iter().map(|request| request.field("x-tenant-id").unwrap()).collect()
}

async fn statuses(answers: Vec<JoinHandle<Answer>>) -> Vec<u16> {
    let mut statuses = Vec::new();
    for answer in answers {
        statuses.push(answer.await.unwrap().status);
    }
    statuses
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_two_hundred_requests_in_line_is_passed_by_who_has_twenty() {
    let (backend, gateway) = busy(Gateway::test(), 1_000).await;
    let many = flood(&gateway, "acme", 204);
    waiting(&gateway, 200);
    let few = flood(&gateway, "globex", 20);
    waiting(&gateway, 220);
    assert_eq!(statuses(few).await, [200; 20]);
    assert_eq!(statuses(many).await, [200; 204], "and nobody is refused who waits long enough");
    let order = order(&backend);
    let last = order.iter().rposition(|tenant| tenant == "globex").unwrap();
    // Two of four places are its own, so it is done when others have had as many turns.
    assert!(last < 4 + 2 * 20 + 4, "the last of twenty was number {last}: {order:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_three_times_the_weight_has_three_times_the_places() {
    let policies = POLICIES.replacen("globex: { status: active }", "globex: { status: active, plan: gold }", 1);
    let policies = format!("plans: {{ gold: {{ weight: 3 }} }}\n{policies}");
    let (backend, gateway) = busy(Gateway::test().policies(&policies), 1_000).await;
    let acme = flood(&gateway, "acme", 84);
    waiting(&gateway, 80);
    let gold = flood(&gateway, "globex", 80);
    waiting(&gateway, 160);
    assert_eq!((statuses(gold).await, statuses(acme).await), (vec![200; 80], vec![200; 84]));
    let order = order(&backend);
    let of_gold = order.iter().skip(4).take(80).filter(|tenant| *tenant == "globex").count();
    assert!((58..=62).contains(&of_gold), "{of_gold} of 80 turns, and not three of four: {order:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_line_is_full_who_has_most_gives_way_and_is_told_when_to_come_again() {
    let (_backend, gateway) = busy(Gateway::test(), 40).await;
    let many = flood(&gateway, "acme", 44);
    waiting(&gateway, 40);
    assert_eq!(statuses(flood(&gateway, "globex", 10)).await, [200; 10], "there is room for others in a full line");
    let mut given_way = Vec::new();
    for answer in many {
        let answer = answer.await.unwrap();
        if answer.status != 200 {
            given_way.push(answer);
        }
    }
    assert_eq!(given_way.len(), 10, "one for each, and no more");
    for answer in &given_way {
        assert_eq!((answer.status, answer.code().as_str()), (429, "quota_exceeded"));
        let seconds: u64 = answer.field("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
        assert_eq!(gateway.reason(answer), "limit.share");
        let problem: serde_json::Value = serde_json::from_str(&answer.text()).unwrap();
        assert_eq!(problem["type"], "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity");
    }
    let shed = "cloister_upstream_shed_total{upstream=\"backend\",why=\"share\"} 10";
    assert!(gateway.admin("/metrics").1.contains(shed), "{shed}");
    assert_eq!(gateway.records(&["--tenant", "acme", "--reason", "limit.share"]).finals().len(), 10);
    gateway.eventually("nothing is left of it", || gateway.metric("cloister_upstream_in_flight") == 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tenant_does_not_take_the_whole_room_neither_with_requests_nor_with_streams() {
    let gateway = Gateway::test().guard("{ requests: 9 }").start().await;
    let progress = |requests: f64| {
        gateway.eventually("they are in progress", || gateway.metric("cloister_requests_in_progress") == requests);
    };
    let token = gateway.token("acme", "ada", &["viewer"]);
    let hanging = gateway.request("GET", "acme", "/orders/hangs").bearer_auth(&token);
    #[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
    let asking = tokio::spawn(hanging.send());
    progress(1.0);
    let mut sockets = Vec::new();
    for _ in 0..4 {
        sockets.push(socket(&gateway, "acme").await);
    }
    progress(5.0);
    let refused = gateway.get("acme", "/orders/1").await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "quota_exceeded"));
    assert_eq!(refused.field("retry-after"), Some("1"));
    for _ in 0..20 {
        assert_eq!(gateway.get("globex", "/orders/1").await.status, 200, "globex waits for acme");
        assert_eq!(
            gateway.send(gateway.request("GET", "acme", "/public/1")).await.status,
            200,
            "nobody's is not acme's"
        );
    }
    // The fewer are left, the fewer there are for each.
    sockets.push(socket(&gateway, "globex").await);
    sockets.push(socket(&gateway, "globex").await);
    progress(7.0);
    assert_eq!(gateway.get("globex", "/orders/1").await.status, 429);
    assert_eq!(gateway.send(gateway.request("GET", "globex", "/public/1")).await.status, 200, "two rooms are left");
    drop(sockets);
    asking.abort();
    progress(0.0);
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
    let records = gateway.records(&["--reason", "limit.share"]);
    let tenants: Vec<_> = records.finals().iter().map(|record| record["tenant"].as_str().unwrap()).collect();
    assert_eq!(tenants, ["acme", "globex"], "who had too much is on record");
}

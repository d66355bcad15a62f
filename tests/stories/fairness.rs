//! What one tenant asks for is on nobody's account but its own.

use std::time::Duration;

use tokio::task::JoinHandle;

use crate::harness::{Answer, Gateway, POLICIES, Play, Recorder, Setup};

/// A backend that takes a while for each request, and has four places.
async fn busy(setup: Setup, length: u32) -> (Recorder, Gateway) {
    let slow = |_: &_| [&[Play::Body, Play::Pause(Duration::from_millis(30))], &*Play::answer("ok")].concat();
    let backend = Recorder::playing(slow).await;
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
    assert_eq!(statuses(few).await, [200; 20]);
    assert!(gateway.metric("cloister_upstream_waiting") >= 100.0, "most of the others are in line still");
    let order = order(&backend);
    let first = order.iter().position(|tenant| tenant == "globex").unwrap();
    let last = order.iter().rposition(|tenant| tenant == "globex").unwrap();
    assert!(last - first <= 50, "two of four places were its own, so it was done in twice its turns: {order:?}");
    assert_eq!(statuses(many).await, [200; 204], "and nobody is refused who waits long enough");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_three_times_the_weight_has_three_times_the_places() {
    let policies = POLICIES.replacen("globex: { status: active }", "globex: { status: active, plan: gold }", 1);
    let policies = format!("plans: {{ gold: {{ weight: 3 }} }}\n{policies}");
    let (backend, gateway) = busy(Gateway::test().policies(&policies), 1_000).await;
    let acme = flood(&gateway, "acme", 104);
    waiting(&gateway, 100);
    let gold = flood(&gateway, "globex", 100);
    let passed = statuses(gold).await;
    assert_eq!(passed, [200; 100]);
    let order = order(&backend);
    let first = order.iter().position(|tenant| tenant == "globex").unwrap();
    let of_gold = order.iter().skip(first + 20).take(80).filter(|tenant| *tenant == "globex").count();
    assert!((56..=64).contains(&of_gold), "{of_gold} of 80 turns, and not three of four: {order:?}");
    assert_eq!(statuses(acme).await, [200; 104]);
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
    assert!(!given_way.is_empty(), "nobody has given way");
    for answer in &given_way {
        assert_eq!((answer.status, answer.code().as_str()), (429, "quota_exceeded"));
        let seconds: u64 = answer.field("retry-after").unwrap().parse().unwrap();
        assert!((1..=5).contains(&seconds), "40 requests of 30 ms at four places are over soon, not in {seconds} s");
        assert_eq!(gateway.reason(answer), "limit.share");
    }
    let shed = format!("cloister_upstream_shed_total{{upstream=\"backend\",why=\"share\"}} {}", given_way.len());
    assert!(gateway.admin("/metrics").1.contains(&shed), "{shed}");
    assert_eq!(gateway.records(&["--tenant", "globex", "--reason", "limit.share"]).finals().len(), 0);
    gateway.eventually("nothing is left of it", || gateway.metric("cloister_upstream_in_flight") == 0.0);
}

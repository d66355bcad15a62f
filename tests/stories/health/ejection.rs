//! What becomes of requests for an address at which they fail.

use super::{Switched, all, ask, in_state, nobody};
use crate::harness::{Gateway, Play, Recorder, Setup};

fn patient() -> Setup {
    Gateway::test().defence("retries: { per_second: 1000, wait: 1ms }")
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_three_that_refuses_is_left_out_and_comes_back_after_its_time() {
    let (one, other) = (Recorder::start().await, Recorder::start().await);
    let (address, socket) = nobody();
    let setup = patient().addresses(&[one.address, address, other.address]).defence("slow_return: 0s");
    let mut gateway = setup.defence("ejection: { consecutive: 3, for: 2s }").start().await;
    // A third of the attempts finds nobody, is made again elsewhere, and after three of them nobody is sent there any more.
    assert_eq!(ask(&gateway, 12, &["acme"]).await, all(200, 12));
    assert_eq!(gateway.metric("cloister_upstream_ejections_total"), 1.0);
    assert_eq!(gateway.metric("cloister_retries_total"), 6.0, "three were made, and three were answered");
    let left_out = "an address at which requests fail is left out for a while";
    let line = gateway.process().await_line(|line| line["message"] == left_out);
    assert_eq!((&line["address"], &line["span"]), (&address.to_string().into(), &"2s".into()));

    let back = Recorder::listening(socket.listen(16).unwrap(), |_| Play::answer("back"));
    gateway.eventually("its time is over", || in_state(&gateway, "backend", "available") == 3.0);
    assert_eq!(ask(&gateway, 9, &["acme"]).await, all(200, 9));
    assert!(!back.requests().is_empty());
    gateway.process().await_line(|line| line["message"] == "an address that was left out answers again");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_three_that_breaks_every_request_is_left_out_when_it_breaks_those_of_two_tenants() {
    let backends = [Switched::start().await, Switched::start().await, Switched::start().await];
    let addresses = backends.each_ref().map(|it| it.backend.address);
    let setup = patient().addresses(&addresses).defence("ejection: { for: 1h, longest: 1h }");
    let gateway = setup.defence("breaker: { consecutive: 1000, minimum: 1000 }").start().await;
    backends[2].set_ill(true);
    assert_eq!(ask(&gateway, 30, &["acme"]).await, all(200, 30));
    assert_eq!(in_state(&gateway, "backend", "ejected"), 0.0, "one tenant alone puts nobody out");
    // Whoever comes by a public route counts as one more, so that it does not matter if these two share a lane.
    for _ in 0..30 {
        assert_eq!(ask(&gateway, 2, &["acme", "globex"]).await, all(200, 2));
        assert_eq!(gateway.send(gateway.request("GET", "acme", "/public/1")).await.status, 200);
    }
    assert_eq!(in_state(&gateway, "backend", "ejected"), 1.0);
    let before = backends[2].asked();
    assert_eq!(ask(&gateway, 30, &["acme", "globex"]).await, all(200, 30));
    assert_eq!(backends[2].asked(), before, "nobody is sent there any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_with_one_address_is_never_without_one() {
    let (address, _held) = nobody();
    let setup = Gateway::test().upstream(address).defence("ejection: { consecutive: 1, max_share: 100% }");
    let gateway = setup.defence("retries: { attempts: 1 }").start().await;
    assert_eq!(ask(&gateway, 9, &["acme"]).await, all(502, 9));
    assert_eq!(in_state(&gateway, "backend", "available"), 1.0);
    assert_eq!(ask(&gateway, 1, &["acme"]).await, all(502, 1));
    assert_eq!(ask(&gateway, 3, &["acme"]).await, all(503, 3), "that is the breaker's business");
}

//! What checks say of an address.

use super::{QUICK, Switched, all, ask, in_state, is_check, labelled, nobody};
use crate::harness::{Gateway, Play, Recorder};

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_says_it_is_ill_gets_no_requests_and_gets_them_again_when_it_is_well() {
    let backends = [Switched::start().await, Switched::start().await, Switched::start().await];
    let addresses = backends.each_ref().map(|it| it.backend.address);
    let gateway = Gateway::test().addresses(&addresses).defence(QUICK).defence("slow_return: 0s").start().await;
    assert_eq!(ask(&gateway, 9, &["acme"]).await, all(200, 9));
    assert!(backends.iter().all(|backend| backend.asked() > 0));

    backends[0].set_ill(true);
    gateway.eventually("one is out", || in_state(&gateway, "backend", "unhealthy") == 1.0);
    let before = backends[0].asked();
    assert_eq!(ask(&gateway, 30, &["acme", "globex"]).await, all(200, 30), "no client hears of it");
    assert_eq!(backends[0].asked(), before);
    assert_eq!(gateway.metric("cloister_retries_total"), 0.0);
    assert_eq!(gateway.admin("/readyz").0, 200, "two are left");

    backends[0].set_ill(false);
    gateway.eventually("it is back", || in_state(&gateway, "backend", "available") == 3.0);
    assert_eq!(ask(&gateway, 9, &["acme"]).await, all(200, 9));
    assert!(backends[0].asked() > before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_says_nothing_of_anybody_and_shares_no_connection_with_requests() {
    let backend = Switched::start().await;
    let gateway = Gateway::test().upstream(backend.backend.address).defence(QUICK).start().await;
    for _ in 0..5 {
        assert_eq!(ask(&gateway, 5, &["acme"]).await, all(200, 5));
        let passed = gateway.metric("cloister_upstream_checks_total");
        gateway.eventually("it was checked", || gateway.metric("cloister_upstream_checks_total") > passed);
    }
    let (mut of_checks, mut of_requests) = (0, 0);
    for tape in backend.backend.tapes() {
        assert_eq!(tape.spoilt, None);
        if tape.requests.iter().any(is_check) {
            assert_eq!(tape.requests.len(), 1, "a check has a connection of its own");
            of_checks += 1;
            let request = &tape.requests[0];
            let names: Vec<_> = request.fields.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
            assert_eq!(names, ["host", "user-agent", "accept", "connection"]);
            assert_eq!((request.method.as_str(), request.body.len()), ("GET", 0));
            assert_eq!(request.field("host"), Some(backend.backend.address.to_string()));
        } else {
            of_requests += usize::from(!tape.requests.is_empty());
        }
    }
    assert!(of_checks >= 5, "{of_checks}");
    assert!((1..=2).contains(&of_requests), "requests share theirs, one for each worker: {of_requests}");
}

#[tokio::test(flavor = "multi_thread")]
async fn if_every_address_fails_its_checks_requests_get_503_at_once_until_one_is_well() {
    let backends = [Switched::start().await, Switched::start().await];
    let addresses = backends.each_ref().map(|it| it.backend.address);
    let setup = Gateway::test().addresses(&addresses).defence(QUICK).defence("breaker: { consecutive: 5 }");
    let gateway = setup.start().await;
    backends.iter().for_each(|backend| backend.set_ill(true));
    gateway.eventually("all are out", || in_state(&gateway, "backend", "unhealthy") == 2.0);
    let before = backends.each_ref().map(Switched::asked);

    let answer = gateway.get("acme", "/orders/1").await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "upstream_unavailable"));
    assert_eq!(answer.field("retry-after"), Some("1"));
    let id = answer.request_id();
    let records = gateway.records(&["--id", &id]);
    let record = records.of(&id);
    assert_eq!((&record["reason"], &record["attempts"]), (&"upstream.unhealthy".into(), &().into()), "{record}");
    assert_eq!(ask(&gateway, 20, &["acme", "globex"]).await, all(503, 20));
    assert_eq!(backends.each_ref().map(Switched::asked), before, "nobody was asked");
    assert_eq!(labelled(&gateway, "cloister_upstream_shed_total", &[("why", "unhealthy")]), 21.0);
    assert_eq!(gateway.metric("cloister_upstream_breaker_opened_total"), 0.0);
    assert_eq!(gateway.metric("cloister_upstream_in_flight"), 0.0);
    let (status, text) = gateway.admin("/readyz");
    assert_eq!(status, 503);
    assert!(text.contains(&format!("{} (status 302)", addresses[0])), "{text}");

    backends[1].set_ill(false);
    gateway.eventually("one is back", || in_state(&gateway, "backend", "unhealthy") == 1.0);
    assert_eq!(ask(&gateway, 5, &["acme"]).await, all(200, 5), "who returns slowly takes all if there is nobody else");
    gateway.eventually("it is ready", || gateway.admin("/readyz").0 == 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_check_decides_at_once() {
    let backends = [Switched::start().await, Switched::start().await];
    backends[0].set_ill(true);
    let addresses = backends.each_ref().map(|it| it.backend.address);
    let seldom = "health: { check: http, path: \"/healthz?deep=1\", every: 1h }";
    let gateway = Gateway::test().addresses(&addresses).defence(seldom).start().await;
    gateway.eventually("one is out", || in_state(&gateway, "backend", "unhealthy") == 1.0);
    gateway.eventually("both were asked", || gateway.metric("cloister_upstream_checks_total") == 2.0);
    assert_eq!(labelled(&gateway, "cloister_upstream_checks_total", &[("result", "failed")]), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_by_connection_alone_tells_who_listens() {
    let well = Recorder::start().await;
    let (address, socket) = nobody();
    let setup = Gateway::test().addresses(&[well.address, address]);
    let setup = setup.defence("health: { check: tcp, every: 50ms }").defence("slow_return: 0s");
    let mut gateway = setup.start().await;
    gateway.eventually("one is out", || in_state(&gateway, "backend", "unhealthy") == 1.0);
    assert_eq!(ask(&gateway, 10, &["acme"]).await, all(200, 10));
    assert_eq!(gateway.metric("cloister_retries_total"), 0.0);
    gateway.eventually("each was checked again", || gateway.metric("cloister_upstream_checks_total") >= 6.0);
    assert!(well.tapes().iter().filter(|tape| tape.bytes.is_empty()).count() > 1, "checks send nothing");

    let other = Recorder::listening(socket.listen(16).unwrap(), |_| Play::answer("back"));
    gateway.eventually("both are in", || in_state(&gateway, "backend", "available") == 2.0);
    assert_eq!(ask(&gateway, 10, &["acme"]).await, all(200, 10));
    assert!(!other.requests().is_empty());
    for message in ["fails its checks and gets no requests", "passes its checks and gets requests again"] {
        gateway.process().await_line(|line| line["message"].as_str().is_some_and(|said| said.ends_with(message)));
        let said = gateway.process().said();
        let lines: Vec<_> = said.lines().filter(|line| line.contains(message)).collect();
        assert!(lines.len() == 1 && lines[0].contains(&address.to_string()), "told once: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_silent_or_talks_of_something_else_is_out() {
    let [silent, endless, garbage] =
        ["", "HTTP/1.1 102 Soon\r\n\r\n", "SSH-2.0-OpenSSH_9.9\r\n\r\n"].map(|said| async move {
            Recorder::playing(move |_| vec![Play::bytes(&said.repeat(20)), Play::Tunnel]).await.address
        });
    let addresses = [silent.await, endless.await, garbage.await];
    let setup = Gateway::test().addresses(&addresses).unready();
    let setup = setup.defence("health: { check: http, path: /, every: 50ms, timeout: 300ms }");
    let gateway = setup.start().await;
    gateway.eventually("all are out", || in_state(&gateway, "backend", "unhealthy") == 3.0);
    let (_, text) = gateway.admin("/readyz");
    assert!(text.contains("(no answer in time)") && text.contains("gave no answer that can be read"), "{text}");
}

use super::*;
use crate::harness::Nats;

async fn gateway(nats: &Nats, more: &str) -> Gateway {
    let sink = format!("{{ name: stream, batch: {{ wait: 10ms }}, {} }}", nats.settings(more));
    Gateway::test().environment("NATS_PASSWORD", Nats::PASSWORD).sink(&sink).start().await
}

fn has_all(nats: &Nats, gateway: &Gateway) {
    gateway.eventually("the stream has every record", || nats.count() == records(gateway).len());
    let messages = nats.messages();
    assert_eq!(messages.iter().map(|(_, record)| record.clone()).collect::<Vec<_>>(), records(gateway));
    for (index, (id, _)) in messages.iter().enumerate() {
        assert!(id.ends_with(&format!(":{index}")), "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_has_every_record_once_and_in_order_though_server_and_gateway_are_killed() {
    let mut nats = Nats::start();
    let mut gateway = gateway(&nats, "").await;
    for round in 0..4 {
        for _ in 0..25 {
            assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
        }
        if round % 2 == 0 {
            nats.end();
            assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
            nats.start_again();
        } else {
            gateway.process().signal("KILL");
            gateway.process().wait();
            gateway.start_again();
        }
    }
    has_all(&nats, &gateway);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_spoken_with_over_tls_where_an_authority_is_named() {
    let nats = Nats::start();
    let gateway = gateway(&nats, &format!(", ca: {}", nats.ca())).await;
    gateway.get("acme", "/orders/1").await;
    has_all(&nats, &gateway);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_stream_listens_it_is_said_and_records_wait() {
    let nats = Nats::start();
    let sink = nats.settings("").replace("audit.records", "elsewhere");
    let sink = format!("{{ name: stream, batch: {{ wait: 10ms }}, {sink} }}");
    let gateway = Gateway::test().environment("NATS_PASSWORD", Nats::PASSWORD).sink(&sink).start().await;
    gateway.eventually("it is said", || gateway.said().contains("no stream listens to the subject"));
    assert_eq!(gateway.get("acme", "/orders/1").await.status, 200);
    assert!(gateway.metric("cloister_audit_sink_lag_records") > 0.0);
    assert!(!gateway.said().contains(Nats::PASSWORD));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_with_an_empty_disk_gets_what_comes_from_then_on() {
    let mut nats = Nats::start();
    let gateway = gateway(&nats, "").await;
    gateway.get("acme", "/orders/1").await;
    has_all(&nats, &gateway);
    let before = records(&gateway).len();
    nats.end();
    gateway.get("acme", "/orders/1").await;
    nats.start_again_empty();
    gateway.eventually("it has what came since", || nats.count() == records(&gateway).len() - before);
}

//! What a tenant may spend, and what a refusal costs.

use crate::harness::Gateway;

#[tokio::test(flavor = "multi_thread")]
async fn the_request_after_the_burst_is_told_when_to_come_again() {
    let gateway = Gateway::test().start().await;
    for left in (0..3).rev() {
        let answer = gateway.get("acme", "/limited").await;
        assert_eq!(answer.status, 200);
        assert!(answer.field("ratelimit").unwrap().contains(&format!("r={left}")), "{:?}", answer.field("ratelimit"));
        assert!(answer.field("ratelimit-policy").unwrap().contains("\"strict\""));
    }
    let answer = gateway.get("acme", "/limited").await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.code(), "quota_exceeded");
    assert!(answer.field("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    assert_eq!(gateway.reason(&answer), "limit.rate");
    assert_eq!(gateway.backend.seen().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_users_limit_is_not_anothers() {
    let gateway = Gateway::test().start().await;
    for user in ["ada", "bob"] {
        for tenant in ["acme", "globex"] {
            for _ in 0..3 {
                let token = gateway.token(tenant, user, &["viewer"]);
                let answer = gateway.send(gateway.request("GET", tenant, "/limited").bearer_auth(token)).await;
                assert_eq!(answer.status, 200, "{user} of {tenant}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_policies_does_not_give_back_what_was_spent() {
    let gateway = Gateway::test().start().await;
    for _ in 0..3 {
        assert_eq!(gateway.get("acme", "/limited").await.status, 200);
    }
    gateway.reload(&format!("{}\n# changed\n", crate::harness::POLICIES));
    assert_eq!(gateway.get("acme", "/limited").await.status, 429);
}

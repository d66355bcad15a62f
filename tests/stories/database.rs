//! What a database is told of a request, it can verify by itself.

use crate::harness::Gateway;

mod slow;

const KEY: &str = "a key that the database alone has";

async fn gateway() -> Gateway {
    Gateway::test()
        .environment("DATABASE_KEY", KEY)
        .defence("assertion: { database: { key: \"${env:DATABASE_KEY}\", id: db-1 } }")
        .start()
        .await
}

/// What the gateway tells the database of a request of this user.
async fn context(gateway: &Gateway, tenant: &str, user: &str) -> String {
    let token = gateway.token(tenant, user, &["viewer"]);
    let forged =
        gateway.request("GET", tenant, "/orders/1").bearer_auth(token).header("X-Cloister-Db-Context", "forged");
    assert_eq!(gateway.send(forged).await.status, 200);
    gateway.backend.last().field("x-cloister-db-context").unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_says_who_asks_in_which_tenant_and_nobody_else_can_write_one() {
    let gateway = gateway().await;
    let context = context(&gateway, "acme", "ada").await;
    let parts: Vec<_> = context.split('.').collect();
    assert_eq!((parts.len(), parts[0], parts[1], parts[2], parts[3]), (8, "v1", "db-1", "acme", "YWRh"));
    let seconds = |text: &str| text.parse::<u64>().unwrap();
    assert_eq!(seconds(parts[5]) - seconds(parts[4]), 60);
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, KEY.as_bytes());
    let mac = aws_lc_rs::hmac::sign(&key, context.rsplit_once('.').unwrap().0.as_bytes());
    let hex: String = mac.as_ref().iter().map(|octet| format!("{octet:02x}")).collect();
    assert_eq!(parts[7], hex);

    let public = gateway.request("GET", "acme", "/public/page").header("X-Cloister-Db-Context", context);
    assert_eq!(gateway.send(public).await.status, 200);
    assert_eq!(gateway.backend.last().field("x-cloister-db-context"), None);
}

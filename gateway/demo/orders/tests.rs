use std::net::SocketAddr;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::trust::tests::Gateway;
use crate::web::client;

struct Backend {
    gateway: Gateway,
    address: SocketAddr,
    http: reqwest::Client,
}

impl Backend {
    async fn start() -> Self {
        let mut gateway = Gateway::start().await;
        let router = super::router(gateway.trust("orders"));
        let address = gateway.serve(router).await;
        Self { gateway, address, http: client().unwrap().build().unwrap() }
    }

    /// Sends a request as the gateway does, for bob of this tenant.
    async fn send(&self, tenant: &str, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let mut headers = self.gateway.headers(method.as_str(), path, &json!({ "tenant": tenant }));
        headers.insert("x-tenant-id", tenant.parse().unwrap());
        let mut request = self.http.request(method, format!("http://{}{path}", self.address)).headers(headers);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
    }
}

#[tokio::test]
async fn an_order_lives_in_the_book_of_its_tenant_alone() {
    let backend = Backend::start().await;
    let draft = Some(json!({ "item": "glue", "quantity": 3 }));
    let (status, placed) = backend.send("acme", Method::POST, "/api/orders", draft.clone()).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(placed["order"]["placed_by"], "bob");
    let path = format!("/api/orders/{}", placed["order"]["id"]);

    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let body = (method == Method::PUT).then(|| draft.clone().unwrap());
        assert_eq!(backend.send("globex", method, &path, body).await.0, StatusCode::NOT_FOUND);
    }
    let (_, globex) = backend.send("globex", Method::GET, "/api/orders", None).await;
    assert!(!globex["orders"].to_string().contains("glue"), "{globex}");
    assert_eq!(globex["seen"]["tenant"], "globex");

    let changed = backend.send("acme", Method::PUT, &path, Some(json!({ "item": "tape", "quantity": 1 }))).await.1;
    assert_eq!(changed["order"]["item"], "tape");
    assert_eq!(backend.send("acme", Method::DELETE, &path, None).await.0, StatusCode::OK);
    assert_eq!(backend.send("acme", Method::GET, &path, None).await.0, StatusCode::NOT_FOUND);
    let (_, export) = backend.send("acme", Method::GET, "/api/exports", None).await;
    assert_eq!(export["export"], "2 orders of acme");
}

#[tokio::test]
async fn a_tenant_header_that_disagrees_with_the_assertion_is_refused() {
    let backend = Backend::start().await;
    let mut headers = backend.gateway.headers("GET", "/api/orders", &json!({}));
    headers.insert("x-tenant-id", "globex".parse().unwrap());
    let url = format!("http://{}/api/orders", backend.address);
    let response = backend.http.get(url).headers(headers).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
}

#[tokio::test]
async fn nobody_gets_past_the_gateway_but_a_health_check() {
    let backend = Backend::start().await;
    for (path, expected) in
        [("/healthz", 200), ("/api/orders", 401), ("/api/whoami", 401), ("/api/orders/1", 401), ("/nothing", 401)]
    {
        let url = format!("http://{}{path}", backend.address);
        let response = backend.http.get(url).header("x-tenant-id", "acme").send().await.unwrap();
        assert_eq!(response.status(), expected, "{path}");
    }
}

#[tokio::test]
async fn what_arrived_is_shown_but_never_the_whole_assertion() {
    let backend = Backend::start().await;
    let (_, answer) = backend.send("acme", Method::GET, "/api/whoami", None).await;
    assert_eq!(answer["received"]["x-tenant-id"], json!(["acme"]));
    assert!(answer["received"]["x-cloister-assertion"][0].as_str().unwrap().chars().count() < 20, "{answer}");
}

#[tokio::test]
async fn an_order_that_is_none_is_refused() {
    let backend = Backend::start().await;
    for body in [json!({}), json!({ "item": "glue", "quantity": -1 }), json!({ "item": "a", "quantity": 1, "id": 9 })] {
        let (status, _) = backend.send("acme", Method::POST, "/api/orders", Some(body.clone())).await;
        assert!(status.is_client_error(), "{body}: {status}");
    }
}

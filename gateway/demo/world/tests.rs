use std::path::Path;

use serde_json::Value;
use terms::SystemClock;

use super::*;

fn anywhere() -> Places {
    let place = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Places { gateway: place, admin: place, ..Places::default() }
}

fn demo() -> Demo {
    Demo::start(anywhere(), Arc::new(SystemClock)).unwrap()
}

#[test]
fn every_port_is_settled_before_anything_runs() {
    let Places { gateway, admin, issuer, orders, streams } = demo().places();
    let mut ports = [gateway, admin, issuer, orders, streams].map(|place| place.port());
    ports.sort_unstable();
    assert!(!ports.contains(&0) && ports.windows(2).all(|two| two[0] != two[1]), "{ports:?}");
}

#[test]
fn a_port_in_use_is_named() {
    let first = demo();
    let taken = Places { orders: first.places().orders, ..anywhere() };
    let error = Demo::start(taken, Arc::new(SystemClock)).unwrap_err();
    assert_eq!(error.to_string(), format!("the demo cannot listen on `{}`", taken.orders));
}

#[test]
fn the_configuration_names_everything_where_it_is() {
    let demo = demo();
    let text = demo.config(Path::new("/a \"quoted\" place"));
    let Places { gateway, admin, issuer, orders, streams } = demo.places();
    for place in [gateway, admin, issuer, orders, streams] {
        assert!(text.contains(&place.to_string()), "{place} in\n{text}");
    }
    assert!(text.contains(r#"audit: { directory: "/a \"quoted\" place/audit" }"#), "{text}");
}

#[test]
fn the_curl_lines_carry_a_live_token_for_every_user() {
    let demo = demo();
    let text = demo.curl_lines().unwrap();
    for user in User::ALL {
        let line = format!("{}=eyJ", user.name.to_uppercase());
        assert!(text.lines().any(|text| text.starts_with(&line)), "{text}");
    }
    assert!(text.contains(&format!("http://acme.localhost:{}/api/orders", demo.places().gateway.port())), "{text}");
    assert!(!text.contains("{port}"), "{text}");
}

#[tokio::test]
async fn the_issuer_mints_for_forms_and_json_and_publishes_its_keys() {
    let demo = demo();
    let issuer = demo.issuer().name().to_owned();
    let mut tasks = JoinSet::new();
    tasks.spawn(demo.run(std::future::pending()));
    let http = web::client().unwrap().build().unwrap();
    let ask = async |kind: &str, body: &'static str| {
        let answer = http.post(format!("{issuer}/token")).header("content-type", kind).body(body).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice::<Value>(&answer.bytes().await.unwrap()).unwrap())
    };
    let (form, json) = ("application/x-www-form-urlencoded", "application/json");
    for (kind, body) in [(form, "user=eve&audience=other"), (json, r#"{"user":"eve","audience":"other"}"#)] {
        let (status, answer) = ask(kind, body).await;
        assert_eq!((status, &answer["token_type"]), (200, &Value::from("Bearer")), "{answer}");
        let claims: Value =
            jsonwebtoken::dangerous::insecure_decode_claims(answer["access_token"].as_str().unwrap()).unwrap();
        assert_eq!((&claims["sub"], &claims["aud"]), (&Value::from("eve"), &Value::from("other")));
    }
    assert_eq!(ask(form, "user=mallory").await.1["error"], "invalid_grant");
    assert_eq!(ask(json, "[]").await.1["error"], "invalid_request");

    let get = async |path: &str| {
        let answer = http.get(format!("{issuer}{path}")).send().await.unwrap();
        serde_json::from_slice::<Value>(&answer.bytes().await.unwrap()).unwrap()
    };
    let discovery = get("/.well-known/openid-configuration").await;
    assert_eq!(
        (&discovery["issuer"], &discovery["jwks_uri"]),
        (&Value::from(issuer.clone()), &Value::from(format!("{issuer}/jwks.json")))
    );
    assert_eq!(get("/jwks.json").await["keys"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn the_world_ends_when_it_is_told_to() {
    let demo = demo();
    let orders = demo.places().orders;
    demo.run(std::future::ready(())).await.unwrap();
    assert!(TcpListener::bind(orders).is_ok(), "the port is free again");
}

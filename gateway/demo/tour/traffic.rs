use aws_lc_rs::digest::{SHA256, digest};
use futures::{SinkExt, StreamExt};
use terms::{Reason, chain};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::PATIENCE;
use super::step::{Expected, Step};
use super::wire::{Got, Wire};
use crate::web::hex;

const HOST: &str = "acme.localhost";
const FILE: usize = 5 * 1024 * 1024;
const NO_HEADERS: &[(&str, &str)] = &[];
const NO_BODY: Option<&'static str> = None;

const fn allowed(status: u16) -> Expected {
    Expected { status, reasons: &[Reason::Allowed] }
}

/// Says something over a WebSocket and waits for it to come back.
pub(super) async fn web_socket(wire: &Wire, token: &str) -> Step {
    let talk = async {
        let stream = TcpStream::connect(wire.gateway).await.map_err(|error| chain(&error))?;
        let mut request = wire.url("ws", HOST, "/stream/ws").into_client_request().map_err(|error| chain(&error))?;
        let bearer = format!("Bearer {token}").parse().map_err(|_| "the token is no header value".to_owned())?;
        request.headers_mut().insert("authorization", bearer);
        let (mut socket, response) = match client_async(request, stream).await {
            Ok(open) => open,
            Err(Error::Http(response)) => return Ok(Got::head(response.status().as_u16(), response.headers())),
            Err(error) => return Err(chain(&error)),
        };
        let mut got = Got::head(response.status().as_u16(), response.headers());
        socket.send(Message::text("is there an echo?")).await.map_err(|error| chain(&error))?;
        if let Some(Ok(Message::Text(echo))) = socket.next().await {
            got.body = echo.as_bytes().to_vec();
        }
        drop(socket.close(None).await); // the echo is what counts
        Ok(got)
    };
    let got = timeout(PATIENCE, talk).await.unwrap_or_else(|_| Err("no echo in time".into()));
    let check = |got: &Got| (got.body != b"is there an echo?").then(|| "no echo".into());
    let sent = format!("GET {HOST}/stream/ws (ada, WebSocket)");
    Step::noted("a WebSocket echoes", sent, allowed(101), got, check)
}

/// Waits for the first of a stream of events, which a gateway that buffers would hold back.
pub(super) async fn events(wire: &Wire, token: &str) -> Step {
    let listen = async {
        let mut response = wire.start("GET", HOST, "/stream/events", Some(token), NO_HEADERS, NO_BODY).await?;
        let mut got = Got::head(response.status().as_u16(), response.headers());
        while let Some(part) = response.chunk().await.map_err(|error| chain(&error))? {
            got.body.extend_from_slice(&part);
            if got.body.ends_with(b"\n\n") {
                break;
            }
        }
        Ok(got)
    };
    // Ten seconds would be the whole stream.
    let got = timeout(PATIENCE / 2, listen).await.unwrap_or_else(|_| Err("no event in time".into()));
    let check = |got: &Got| {
        let text = String::from_utf8_lossy(&got.body);
        (!text.contains("event: beat") || !text.contains("data: acme 0")).then(|| format!("no event, but {text:?}"))
    };
    Step::noted("events arrive as they happen", format!("GET {HOST}/stream/events (ada)"), allowed(200), got, check)
}

/// Sends five mebibytes; the backend answers what it counted and hashed.
pub(super) async fn upload(wire: &Wire, token: &str) -> Step {
    let file: Vec<u8> = (0..=250).cycle().take(FILE).collect();
    let sha256 = hex(digest(&SHA256, &file).as_ref());
    let send = async {
        let mut response = wire.start("PUT", HOST, "/files/large.bin", Some(token), NO_HEADERS, Some(file)).await?;
        let mut got = Got::head(response.status().as_u16(), response.headers());
        while let Some(part) = response.chunk().await.map_err(|error| chain(&error))? {
            got.body.extend_from_slice(&part);
        }
        Ok(got)
    };
    let got = timeout(PATIENCE, send).await.unwrap_or_else(|_| Err("no answer in time".into()));
    let check = |got: &Got| {
        let answer = got.json().unwrap_or_default();
        let whole = answer.get("size") == Some(&FILE.into()) && answer.get("sha256") == Some(&sha256.into());
        (!whole).then(|| format!("the backend has something else: {answer}"))
    };
    let sent = format!("PUT {HOST}/files/large.bin (ada, 5 MiB)");
    Step::noted("a large upload arrives whole", sent, allowed(201), got, check)
}

/// Fetches five mebibytes, counting.
pub(super) async fn download(wire: &Wire, token: &str) -> Step {
    let path = format!("/files/large.bin?size={FILE}");
    let fetch = async {
        let mut response = wire.start("GET", HOST, &path, Some(token), NO_HEADERS, NO_BODY).await?;
        let got = Got::head(response.status().as_u16(), response.headers());
        let mut count = 0;
        while let Some(part) = response.chunk().await.map_err(|error| chain(&error))? {
            count += part.len();
        }
        Ok((got, count))
    };
    let got = timeout(PATIENCE, fetch).await.unwrap_or_else(|_| Err("no end in time".into()));
    let (got, count) = got.map_or_else(|why| (Err(why), 0), |(got, count)| (Ok(got), count));
    let check = |_: &Got| (count != FILE).then(|| format!("{count} bytes arrived"));
    Step::noted("a large download arrives whole", format!("GET {HOST}{path} (ada)"), allowed(200), got, check)
}

/// Asks for exports, of which there are five a minute, until there are no more.
pub(super) async fn over_limit(wire: &Wire, token: &str) -> Step {
    const MOST: usize = 10;
    let mut served = 0;
    let got = loop {
        let got = wire.ask("GET", HOST, "/api/exports", Some(token), NO_HEADERS, None).await;
        let more = matches!(&got, Ok(got) if got.status == 200) && served < MOST;
        if !more {
            break got;
        }
        served += 1;
    };
    let check = |got: &Got| {
        let seconds = got.retry_after.as_ref().and_then(|text| text.parse::<u64>().ok());
        match (served, seconds) {
            (5, Some(1..=60)) => None,
            (5, _) => Some(format!("retry-after is {:?}", got.retry_after)),
            (served, _) => Some(format!("{served} were served before")),
        }
    };
    let expected = Expected { status: 429, reasons: &[Reason::LimitRate] };
    Step::noted(
        "the sixth export of a minute is one too many",
        format!("GET {HOST}/api/exports (ada)"),
        expected,
        got,
        check,
    )
}

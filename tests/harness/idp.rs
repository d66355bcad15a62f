//! An identity provider that does as it is told, well or badly.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// How it answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mood {
    /// It hangs up.
    Dead,
    /// With a page for people.
    Garbage,
    /// With what is right, and too much of it.
    Huge,
    /// It takes requests and says nothing.
    Mute,
    /// With an error.
    Broken,
    /// That somebody else should be asked.
    Elsewhere,
    /// After a second, and well.
    Slow,
    Well,
}

pub struct Idp {
    pub address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    mood: Mutex<Mood>,
    jwks: Mutex<String>,
    tokens: Mutex<HashMap<String, Value>>,
    asked: Mutex<Vec<String>>,
}

impl Idp {
    /// One with this key set, which answers on `/jwks.json`, and on `/introspect` for the tokens that it is told of.
    pub async fn start(jwks: &str, mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            mood: Mutex::new(mood),
            jwks: Mutex::new(jwks.into()),
            tokens: Mutex::default(),
            asked: Mutex::default(),
        });
        let serving = Arc::clone(&state);
        #[expect(clippy::disallowed_methods, reason = "it serves beside the test")]
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&serving);
                tokio::spawn(async move { drop(state.serve(stream).await) });
            }
        });
        Self { address, state }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// It answers like this from now on.
    pub fn is(&self, mood: Mood) {
        *self.state.mood.lock().unwrap() = mood;
    }

    pub fn publish(&self, jwks: &str) {
        *self.state.jwks.lock().unwrap() = jwks.into();
    }

    /// An opaque token with these claims.
    pub fn grant(&self, token: &str, claims: &Value) {
        let mut claims = claims.clone();
        claims["active"] = json!(true);
        self.state.tokens.lock().unwrap().insert(token.into(), claims);
    }

    pub fn take_back(&self, token: &str) {
        self.state.tokens.lock().unwrap().remove(token);
    }

    /// The requests that came, head and body.
    pub fn asked(&self) -> Vec<String> {
        self.state.asked.lock().unwrap().clone()
    }
}

impl State {
    async fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let text = String::from_utf8_lossy(&head).into_owned();
        let length = text.to_ascii_lowercase();
        let length = length.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.parse().ok());
        let mut body = vec![0; length.unwrap_or_default()];
        stream.read_exact(&mut body).await?;
        let body = String::from_utf8_lossy(&body).into_owned();
        self.asked.lock().unwrap().push(format!("{text}{body}"));
        let right = if text.starts_with("POST /introspect") {
            let token = body.split('&').find_map(|pair| pair.strip_prefix("token=")).unwrap_or_default();
            self.tokens.lock().unwrap().get(token).cloned().unwrap_or(json!({ "active": false })).to_string()
        } else {
            self.jwks.lock().unwrap().clone()
        };
        let ok = |body: &str| {
            format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        };
        let mood = *self.mood.lock().unwrap();
        let answer = match mood {
            Mood::Dead => return Ok(()),
            Mood::Garbage => ok("<html><title>Sign in</title></html>"),
            Mood::Huge => ok(&right.replacen('{', &format!("{{\"x\":\"{}\",", "x".repeat(2 << 20)), 1)),
            Mood::Mute => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                return Ok(());
            }
            Mood::Broken => "HTTP/1.1 500 Broken\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".into(),
            Mood::Elsewhere => {
                "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
                    .into()
            }
            Mood::Slow => {
                tokio::time::sleep(Duration::from_secs(1)).await;
                ok(&right)
            }
            Mood::Well => ok(&right),
        };
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    }
}

//! A backend that keeps every byte that reaches it, and plays the answers that it is given.
//!
//! It reads requests far more strictly than any real backend would: what it cannot read in exactly one way is
//! [`Tape::spoilt`], and a story fails on that.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

use super::strict::{Reader, Stop};

/// Everything that came over one connection.
#[derive(Clone, Debug, Default)]
pub struct Tape {
    /// Byte for byte.
    pub bytes: Vec<u8>,
    /// What they say.
    pub requests: Vec<Recorded>,
    /// Why they are not one request after the other, if they are not.
    pub spoilt: Option<String>,
}

/// One request as it reached the backend.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// How many requests came to the backend before this one, over whatever connection.
    pub number: usize,
    pub method: String,
    pub target: String,
    /// In order, names as they were spelled.
    pub fields: Vec<(String, Vec<u8>)>,
    /// Without its chunks.
    pub body: Vec<u8>,
    /// Whether the body came to its end. A script that does not read it leaves that open.
    pub whole: bool,
}

impl Recorded {
    /// Each value of a field, whatever the case of its name.
    pub fn all(&self, name: &str) -> Vec<String> {
        let named = self.fields.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
        named.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
    }

    /// The only value of a field.
    pub fn field(&self, name: &str) -> Option<String> {
        let mut all = self.all(name);
        assert!(all.len() < 2, "`{name}` reached the backend more than once: {self:?}");
        all.pop()
    }
}

/// What the backend does about a request, one after the other. What is left of the body is read behind the last.
#[derive(Clone, Debug)]
pub enum Play {
    /// Reads the body to its end.
    Body,
    /// Sends these bytes, whatever they are.
    Bytes(Vec<u8>),
    /// Closes the connection.
    Close,
    /// Keeps silent for so long.
    Pause(Duration),
    /// Resets the connection.
    Reset,
    /// Takes in whatever comes until the connection ends: no HTTP any more, or nothing that will be answered.
    Tunnel,
}

impl Play {
    /// An answer with a body, once the request is there to its end.
    pub fn answer(body: &str) -> Vec<Self> {
        vec![Self::Body, Self::bytes(&format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()))]
    }

    pub fn bytes(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

/// A backend on a free port. It ends with its test's runtime.
#[derive(Clone, Debug)]
pub struct Recorder {
    pub address: SocketAddr,
    tapes: Arc<Mutex<Vec<Arc<Mutex<Tape>>>>>,
}

/// What a connection is played with.
struct Player<S> {
    script: S,
    requests: AtomicUsize,
}

impl Recorder {
    /// Answers `ok` to everything.
    pub async fn start() -> Self {
        Self::playing(|request| Play::answer(if request.method == "HEAD" { "" } else { "ok" })).await
    }

    /// Answers each request with what the script makes of its head.
    pub async fn playing(script: impl Fn(&Recorded) -> Vec<Play> + Send + Sync + 'static) -> Self {
        Self::listening(TcpListener::bind("127.0.0.1:0").await.unwrap(), script)
    }

    /// The same, behind a socket that is there already.
    pub fn listening(listener: TcpListener, script: impl Fn(&Recorded) -> Vec<Play> + Send + Sync + 'static) -> Self {
        let address = listener.local_addr().unwrap();
        let recorder = Self { address, tapes: Arc::default() };
        let tapes = Arc::clone(&recorder.tapes);
        let player = Arc::new(Player { script, requests: AtomicUsize::new(0) });
        spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let tape = Arc::<Mutex<Tape>>::default();
                tapes.lock().unwrap().push(Arc::clone(&tape));
                let player = Arc::clone(&player);
                spawn(async move { player.play(stream, tape).await });
            }
        });
        recorder
    }

    /// Every connection so far, in the order in which they came.
    pub fn tapes(&self) -> Vec<Tape> {
        self.tapes.lock().unwrap().iter().map(|tape| tape.lock().unwrap().clone()).collect()
    }

    /// Every request so far, in the order in which they came. Fails if a connection carried anything but requests that can be read in one way.
    pub fn requests(&self) -> Vec<Recorded> {
        let tapes = self.tapes();
        for tape in &tapes {
            assert_eq!(tape.spoilt, None, "{}", String::from_utf8_lossy(&tape.bytes));
        }
        let mut requests: Vec<_> = tapes.into_iter().flat_map(|tape| tape.requests).collect();
        requests.sort_by_key(|request| request.number);
        requests
    }
}

impl<S: Fn(&Recorded) -> Vec<Play>> Player<S> {
    async fn play(&self, stream: TcpStream, tape: Arc<Mutex<Tape>>) {
        let mut reader = Reader::new(stream, Arc::clone(&tape));
        loop {
            match self.serve(&mut reader, &tape).await {
                Ok(()) => {}
                Err(Stop::End) => return,
                Err(Stop::Spoilt(why)) => {
                    tape.lock().unwrap().spoilt = Some(why);
                    return;
                }
            }
        }
    }

    async fn serve(&self, reader: &mut Reader, tape: &Mutex<Tape>) -> Result<(), Stop> {
        let (mut request, framing) = reader.head().await?;
        request.number = self.requests.fetch_add(1, Ordering::Relaxed);
        let plays = (self.script)(&request);
        let index = {
            let mut tape = tape.lock().unwrap();
            tape.requests.push(request);
            tape.requests.len() - 1
        };
        let mut framing = Some(framing);
        for play in plays.into_iter().chain([Play::Body]) {
            match play {
                Play::Body => {
                    let Some(framing) = framing.take() else { continue };
                    let keep = |bytes: &[u8]| tape.lock().unwrap().requests[index].body.extend_from_slice(bytes);
                    reader.body(framing, keep).await?;
                    tape.lock().unwrap().requests[index].whole = true;
                }
                Play::Bytes(bytes) => reader.stream.write_all(&bytes).await.map_err(|_| Stop::End)?,
                Play::Close => return Err(Stop::End),
                Play::Pause(span) => tokio::time::sleep(span).await,
                Play::Reset => {
                    reader.stream.set_zero_linger().map_err(|_| Stop::End)?;
                    return Err(Stop::End);
                }
                Play::Tunnel => reader.drain().await?,
            }
        }
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(task));
}

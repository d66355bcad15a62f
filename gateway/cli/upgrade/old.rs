use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use audit::{Journal, NotHandedOver};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::channel::{self, Channel, ChannelError, Message};
use crate::background::Shutdown;
use crate::life::{Life, Stage};
use crate::notify::Supervisor;

/// How long to wait for the new process.
const MEET: Duration = Duration::from_secs(60);
/// How long the new process may take for one step: to read its files again, to begin with the log.
const STEP: Duration = Duration::from_secs(30);
/// How long a process that has hung up may take to be gone.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long the last commit may take.
const COMMIT: Duration = Duration::from_secs(10);

/// The old side of an upgrade.
#[derive(Debug)]
pub(crate) struct Old {
    pub(crate) state: PathBuf,
    /// The folders of the audit logs.
    pub(crate) logs: Vec<(PathBuf, Arc<Journal>)>,
    pub(crate) life: Life,
    pub(crate) supervisor: Arc<Supervisor>,
    pub(crate) sockets: Spare,
    /// Turns true when another process has taken over.
    pub(crate) taken: watch::Sender<bool>,
}

/// All sockets that listen, once more, by the addresses that the settings ask for. To be emptied when this process stops to
/// accept: as long as anybody has a socket, the kernel lets clients wait for it.
pub(crate) type Spare = Arc<Mutex<Vec<(SocketAddr, TcpListener)>>>;

/// Why nobody took over.
#[derive(Debug, thiserror::Error)]
enum NotTaken {
    #[error("the meeting place cannot be made")]
    Place(#[source] std::io::Error),
    #[error("it came to nothing")]
    Channel(#[from] ChannelError),
    #[error("the audit log stays here")]
    Log(#[from] NotHandedOver),
}

impl Old {
    /// Hands over whenever SIGQUIT says so.
    pub(crate) async fn run(self: Arc<Self>, mut shutdown: Shutdown) {
        let Ok(mut quit) = signal(SignalKind::quit()) else {
            tracing::error!("SIGQUIT cannot be awaited");
            return shutdown.await;
        };
        let hand_over = async {
            while quit.recv().await.is_some() {
                if self.life.stage() != Stage::Serving {
                    tracing::warn!("SIGQUIT is of no use now: this process is about to end");
                    continue;
                }
                let old = Arc::clone(&self);
                if let Ok(Ok(())) = tokio::task::spawn_blocking(move || old.hand_over()).await {
                    break;
                }
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = &mut shutdown => {}
            () = hand_over => {}
        }
    }

    fn hand_over(self: &Arc<Self>) -> Result<(), ()> {
        let outcome = self.meet().and_then(|channel| match self.give(&channel) {
            Ok(given) => Ok((channel, given)),
            Err((error, given)) => {
                if !given.is_empty() {
                    // ORDER: it has a log, and may be slow rather than dead. There is one writer at a time.
                    let at_its_end = matches!(error, NotTaken::Channel(ChannelError::Gone));
                    channel.end_peer(if at_its_end { FAREWELL } else { Duration::ZERO });
                    take_back(&given);
                }
                Err(error)
            }
        });
        match outcome {
            Ok((channel, given)) => {
                tracing::info!(pid = channel.pid, "another process has taken over");
                self.supervisor.main_process(channel.pid);
                self.taken.send_replace(true);
                self.life.go(Stage::Draining);
                let watch = move || {
                    channel.until_gone();
                    tracing::warn!(pid = channel.pid, "the process that took over has ended");
                    take_back(&given);
                };
                if let Err(error) = std::thread::Builder::new().name("successor".into()).spawn(watch) {
                    tracing::error!(%error, "nobody watches for the end of the process that took over");
                }
                Ok(())
            }
            Err(error) => {
                tracing::error!(error = terms::chain(&error), "nobody has taken over; serving as before");
                Err(())
            }
        }
    }

    fn meet(&self) -> Result<Channel, NotTaken> {
        let path = super::meeting_place(&self.state);
        let listener = channel::listen(&path).map_err(NotTaken::Place)?;
        tracing::info!(within_seconds = MEET.as_secs(), "waiting for the process that takes over");
        let met = channel::accept(&listener, MEET);
        if let Err(error) = std::fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "the meeting place stays");
        }
        Ok(met?)
    }

    /// Gives it all that it asks for, until it is ready. What went wrong comes with the logs that it has by then.
    fn give(&self, channel: &Channel) -> Result<Given, (NotTaken, Given)> {
        let mut given = Given::new();
        match self.give_each(channel, &mut given) {
            Ok(()) => Ok(given),
            Err(error) => Err((error, given)),
        }
    }

    fn give_each(&self, channel: &Channel, given: &mut Given) -> Result<(), NotTaken> {
        let (Message::Hello { version }, _) = channel.receive(STEP)? else {
            return Err(ChannelError::Message.into());
        };
        tracing::info!(pid = channel.pid, version, "handing over");
        {
            let sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
            let addresses = sockets.iter().map(|(address, _)| *address).collect();
            let descriptors: Vec<BorrowedFd<'_>> = sockets.iter().map(|(_, socket)| socket.as_fd()).collect();
            channel.send(&Message::Sockets { addresses }, &descriptors)?;
        }
        loop {
            match channel.receive(STEP)?.0 {
                Message::Log { device, inode } => {
                    let Some(journal) = self.log(device, inode) else {
                        channel.send(&Message::OtherLog, &[])?;
                        continue;
                    };
                    match journal.hand_over(COMMIT) {
                        Ok(handed) => {
                            given.push(Arc::clone(journal));
                            channel.send(&Message::YourLog { run: handed.run }, &[handed.lock.as_fd()])?;
                        }
                        Err(error) => {
                            channel.send(&Message::Refused { why: error.to_string() }, &[])?;
                            return Err(error.into());
                        }
                    }
                }
                Message::Ready => return Ok(()),
                Message::Hello { .. }
                | Message::OtherLog
                | Message::Refused { .. }
                | Message::Sockets { .. }
                | Message::YourLog { .. } => return Err(ChannelError::Message.into()),
            }
        }
    }

    /// The log of this process in that folder.
    fn log(&self, device: u64, inode: u64) -> Option<&Arc<Journal>> {
        let is_there = |folder: &PathBuf| {
            std::fs::metadata(folder).is_ok_and(|folder| (folder.dev(), folder.ino()) == (device, inode))
        };
        self.logs.iter().find(|(folder, _)| is_there(folder)).map(|(_, journal)| journal)
    }
}

/// The logs that the new process has got so far, besides the sockets.
type Given = Vec<Arc<Journal>>;

fn take_back(given: &Given) {
    for journal in given {
        while let Err(error) = journal.take_back(COMMIT) {
            tracing::error!(error = terms::chain(&error), "the audit log is not back yet");
        }
        tracing::info!("the audit log is back");
    }
}

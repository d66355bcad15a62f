use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audit::{Committer, Handed, Journal, Predecessor};
use ingress::Inherited;
use terms::Clock;

use super::channel::{self, Channel, ChannelError, Message};
use crate::failure::Failure;
use crate::log_fault;
use crate::logs::Whose;

/// How long to wait for a process that hands over.
const MEET: Duration = Duration::from_secs(60);
/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(30);

/// The new side of an upgrade.
#[derive(Debug)]
pub(crate) struct Upgrade {
    channel: Channel,
    predecessors: Vec<Predecessor>,
}

impl Upgrade {
    /// Meets the process that runs, and gets its sockets.
    pub(crate) fn begin(state: &Path, inherited: &mut Inherited) -> Result<Self, Failure> {
        let failed = |error: ChannelError| Failure::setup("the running process cannot be taken over from", &error);
        let channel = meet(state)?;
        let hello = Message::Hello { version: crate::serve::VERSION.into() };
        channel.send(&hello, &[]).map_err(failed)?;
        match channel.receive(ANSWER).map_err(failed)? {
            (Message::Sockets { addresses }, sockets) if addresses.len() == sockets.len() => {
                for (address, socket) in addresses.into_iter().zip(sockets) {
                    inherited.push(address, TcpListener::from(socket));
                }
            }
            (Message::Refused { why }, _) => return Err(refused(&why)),
            _ => return Err(failed(ChannelError::Message)),
        }
        tracing::info!(pid = channel.pid, "taking over");
        Ok(Self { channel, predecessors: Vec::new() })
    }

    /// Opens the audit log: the one that the other process hands over, or another, if this one is to write elsewhere.
    pub(crate) fn journal(
        &mut self,
        settings: audit::Settings,
        whose: Whose,
        clock: Arc<dyn Clock>,
    ) -> Result<(Arc<Journal>, Committer), Failure> {
        let unopened = |error: audit::OpenError| log_fault::unopened(&error);
        if whose == Whose::OfThoseWithClasses {
            match Journal::open(settings.clone(), Arc::clone(&clock)) {
                Err(audit::OpenError::Locked(_)) => {} // the other process has it
                opened => return opened.map_err(unopened),
            }
        }
        match self.ask_for_log(&settings.directory)? {
            Some(handed) => {
                let (journal, committer, predecessor) =
                    Journal::take_over(settings, clock, handed).map_err(unopened)?;
                self.predecessors.push(predecessor);
                Ok((journal, committer))
            }
            None => Journal::open(settings, clock).map_err(unopened),
        }
    }

    /// Nothing if the old process has another log, or has died: then the log is free.
    fn ask_for_log(&self, directory: &Path) -> Result<Option<Handed>, Failure> {
        let failed = |error: ChannelError| Failure::setup("the running process keeps its audit log", &error);
        let (device, inode) = std::fs::metadata(directory).map_or((0, 0), |folder| (folder.dev(), folder.ino()));
        let answer =
            self.channel.send(&Message::Log { device, inode }, &[]).and_then(|()| self.channel.receive(ANSWER));
        match answer {
            Ok((Message::YourLog { run }, descriptors)) => match <[_; 1]>::try_from(descriptors) {
                Ok([lock]) => Ok(Some(Handed { lock, run })),
                Err(_) => Err(failed(ChannelError::Message)),
            },
            Ok((Message::OtherLog, _)) => Ok(None),
            Ok((Message::Refused { why }, _)) => Err(refused(&why)),
            Ok(_) => Err(failed(ChannelError::Message)),
            Err(ChannelError::Gone) => {
                tracing::warn!("the process that hands over has died; going on without it");
                self.channel.until_dead(ANSWER).map_err(failed)?; // ORDER: its lock goes after its connections
                Ok(None)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Says that connections are accepted here, and remembers in the background when the other process is gone.
    pub(crate) fn ready(self) {
        if let Err(error) = self.channel.send(&Message::Ready, &[]) {
            tracing::warn!(error = terms::chain(&error), "the process that hands over does not listen");
        }
        let Self { channel, predecessors } = self;
        let watch = move || {
            channel.until_gone();
            tracing::info!(pid = channel.pid, "the process before this one has ended");
            predecessors.iter().for_each(Predecessor::is_gone);
        };
        if let Err(error) = std::thread::Builder::new().name("predecessor".into()).spawn(watch) {
            tracing::error!(%error, "nobody watches for the end of the process before this one");
        }
    }
}

fn refused(why: &str) -> Failure {
    Failure::Setup(format!("the running process does not hand over: {why}"))
}

fn meet(state: &Path) -> Result<Channel, Failure> {
    let (path, began) = (super::meeting_place(state), Instant::now());
    loop {
        match channel::connect(&path) {
            Ok(channel) => return Ok(channel),
            Err(error @ ChannelError::Stranger(_)) => return Err(Failure::setup(path.display(), &error)),
            Err(error) if began.elapsed() > MEET => {
                let what = format!("nobody hands over at `{}` (send SIGQUIT to the process that runs)", path.display());
                return Err(Failure::setup(what, &error));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

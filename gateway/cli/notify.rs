//! What a supervisor is told (sd_notify(3)): a few words over a datagram socket, if there is one to tell.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Who started this process and wants to hear how it is. Without one, nothing is said.
#[derive(Debug, Default)]
pub(crate) struct Supervisor {
    line: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

/// Whose supervisor it is that the environment names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Whose {
    /// Of the process that it has started.
    Mine,
    /// Of the process that this one takes over from, too: it will be told that this is the main process.
    Inherited,
}

impl Supervisor {
    /// The one that the environment names.
    ///
    /// # Errors
    /// When it names one that cannot be reached: it would wait in vain.
    pub(crate) fn of_environment(whose: Whose) -> io::Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
        let read = |name: &str| std::env::var(name).ok();
        let line = read("NOTIFY_SOCKET").map(|name| connect(&name)).transpose()?;
        let me = std::process::id().to_string();
        let for_me = whose == Whose::Inherited || read("WATCHDOG_PID").is_none_or(|process| process == me);
        let micros = read("WATCHDOG_USEC").and_then(|micros| micros.parse().ok()).filter(|micros| *micros > 0);
        Ok(Self { line, watchdog: micros.filter(|_| for_me).map(Duration::from_micros) })
    }

    /// How often it wants to hear that this process is well, if it does.
    pub(crate) const fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    pub(crate) fn ready(&self, status: &str) {
        self.say(&format!("READY=1\nSTATUS={status}"));
    }

    pub(crate) fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1000);
        self.say(&format!("RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=reading the policies again"));
    }

    pub(crate) fn stopping(&self) {
        self.say("STOPPING=1\nSTATUS=draining");
    }

    pub(crate) fn well(&self) {
        self.say("WATCHDOG=1");
    }

    /// Another process is the service from now on.
    pub(crate) fn main_process(&self, pid: i32) {
        self.say(&format!("MAINPID={pid}"));
    }

    fn say(&self, words: &str) {
        let Some((socket, address)) = &self.line else { return };
        if let Err(error) = socket.send_to_addr(words.as_bytes(), address) {
            tracing::warn!(%error, "the supervisor cannot be told how it goes");
        }
    }
}

fn connect(name: &str) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name.as_bytes())?,
        None if name.starts_with('/') => SocketAddr::from_pathname(name)?,
        None => return Err(io::Error::other("NOTIFY_SOCKET names neither a path nor an abstract socket")),
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(Duration::from_secs(1)))?; // a supervisor that does not listen stops nothing
    Ok((socket, address))
}

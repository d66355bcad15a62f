//! SIGHUP, and who sent it: what changes for it is on record with that.

use std::io;
use std::sync::OnceLock;

use audit::{Cause, Sender};
use signal_hook::consts::SIGHUP;
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use tokio::sync::watch;

/// Waits for SIGHUP. Of several that come while nobody waits, the last is told.
pub(crate) struct Hangups(watch::Receiver<Cause>);

impl Hangups {
    /// Who has sent the next one.
    pub(crate) async fn recv(&mut self) -> Cause {
        match self.0.changed().await {
            Ok(()) => *self.0.borrow_and_update(),
            Err(_) => std::future::pending().await, // the thread never ends
        }
    }
}

/// From here on a SIGHUP does not end the process, and whoever calls this hears of each.
pub(crate) fn listen() -> io::Result<Hangups> {
    static HEARD: OnceLock<watch::Sender<Cause>> = OnceLock::new();
    if let Some(heard) = HEARD.get() {
        return Ok(Hangups(heard.subscribe()));
    }
    let mut signals = SignalsInfo::<WithOrigin>::new([SIGHUP])?;
    let heard = HEARD.get_or_init(|| watch::Sender::new(Cause::Unknown));
    let hangups = Hangups(heard.subscribe());
    std::thread::Builder::new().name("hangup".into()).spawn(move || {
        for signal in signals.forever() {
            // Who is in another namespace has no number here: then it is not known.
            let sender = signal.process.filter(|process| process.pid > 0);
            let sender = sender.and_then(|it| Some(Sender { user: it.uid, process: u32::try_from(it.pid).ok()? }));
            heard.send_replace(Cause::Signal(sender));
        }
    })?;
    Ok(hangups)
}

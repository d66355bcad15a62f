use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, sockopt,
};
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// What the two processes say to each other. A message is one packet; descriptors come with it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "say", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Message {
    /// New to old: it has read its files, and wants to take over.
    Hello { version: String },
    /// Old to new: the sockets that come with this, by the addresses that they were asked for by.
    Sockets { addresses: Vec<SocketAddr> },
    /// New to old: everything else is ready, and this is the folder of its log.
    Log { device: u64, inode: u64 },
    /// Old to new: that is another log than mine.
    OtherLog,
    /// Old to new: the log is yours, and so is the lock that comes with this.
    YourLog { run: u64 },
    /// Old to new: not now.
    Refused { why: String },
    /// New to old: it accepts connections.
    Ready,
}

/// Why the other process did not say what it should.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChannelError {
    #[error("the other process is gone")]
    Gone,
    #[error("the other process said something else than expected")]
    Message,
    #[error("the other process is of another user ({0})")]
    Stranger(u32),
    #[error("the other process did not answer in time")]
    Late,
    #[error("the connection to the other process broke")]
    Io(#[source] io::Error),
}

impl From<rustix::io::Errno> for ChannelError {
    fn from(error: rustix::io::Errno) -> Self {
        match error {
            rustix::io::Errno::AGAIN | rustix::io::Errno::TIMEDOUT => Self::Late,
            rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET => Self::Gone,
            other => Self::Io(other.into()),
        }
    }
}

const TEXT: usize = 64 << 10;
/// As many as the kernel lets pass in one message (SCM_MAX_FD).
const DESCRIPTORS: usize = 253;

/// A connection to the other process.
#[derive(Debug)]
pub(super) struct Channel {
    socket: OwnedFd,
    peer: OwnedFd,
    pub(super) pid: i32,
}

pub(super) fn listen(path: &Path) -> io::Result<OwnedFd> {
    use std::os::unix::fs::PermissionsExt as _;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {} // one that a killed process has left: whoever has this state folder is this process
    }
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    rustix::net::listen(&socket, 1)?;
    Ok(socket)
}

pub(super) fn accept(listener: &OwnedFd, within: Duration) -> Result<Channel, ChannelError> {
    wait(listener.as_fd(), within)?;
    Channel::over(rustix::net::accept_with(listener, SocketFlags::CLOEXEC)?)
}

pub(super) fn connect(path: &Path) -> Result<Channel, ChannelError> {
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Channel::over(socket)
}

/// Waits until there is something to read, or an end.
fn wait(socket: BorrowedFd<'_>, within: Duration) -> Result<(), ChannelError> {
    let within = Timespec::try_from(within).map_err(|_| ChannelError::Late)?;
    match poll(&mut [PollFd::from_borrowed_fd(socket, PollFlags::IN)], Some(&within)) {
        Ok(0) => Err(ChannelError::Late),
        Ok(_) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

impl Channel {
    /// FAIL CLOSED: nobody but the same user gets a socket or a lock, or is believed.
    fn over(socket: OwnedFd) -> Result<Self, ChannelError> {
        let peer = sockopt::socket_peercred(&socket)?;
        if peer.uid != rustix::process::geteuid() {
            return Err(ChannelError::Stranger(peer.uid.as_raw()));
        }
        let pid = peer.pid;
        let peer = pidfd_open(pid, PidfdFlags::empty())?;
        Ok(Self { socket, peer, pid: pid.as_raw_nonzero().get() })
    }

    pub(super) fn send(&self, message: &Message, descriptors: &[BorrowedFd<'_>]) -> Result<(), ChannelError> {
        let text = serde_json::to_vec(message).map_err(|_| ChannelError::Message)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(ChannelError::Message); // more than the kernel passes on at once
        }
        rustix::net::sendmsg(&self.socket, &[IoSlice::new(&text)], &mut ancillary, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    pub(super) fn receive(&self, within: Duration) -> Result<(Message, Vec<OwnedFd>), ChannelError> {
        wait(self.socket.as_fd(), within)?;
        let mut text = vec![0; TEXT];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut slices = [IoSliceMut::new(&mut text)];
        let received = rustix::net::recvmsg(&self.socket, &mut slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
        let mut descriptors = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(more) = message {
                descriptors.extend(more);
            }
        }
        if received.bytes == 0 {
            return Err(ChannelError::Gone);
        }
        if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
            return Err(ChannelError::Message);
        }
        let message = serde_json::from_slice(text.get(..received.bytes).unwrap_or_default());
        Ok((message.map_err(|_| ChannelError::Message)?, descriptors))
    }

    /// Waits until the other process has ended, or until it says something, which it does not.
    pub(super) fn until_gone(&self) {
        loop {
            match self.receive(Duration::from_secs(3600)) {
                Ok(_) | Err(ChannelError::Late) => {}
                Err(_) => return,
            }
        }
    }

    /// Waits until the other process, which has hung up, is gone with all that it holds: its lock of the log, for one.
    pub(super) fn until_dead(&self, within: Duration) -> Result<(), ChannelError> {
        wait(self.peer.as_fd(), within)
    }

    /// Makes sure that the other process is dead. One that is at its end by itself has some time to say why.
    pub(super) fn end_peer(&self, patience: Duration) {
        if wait(self.peer.as_fd(), patience).is_ok() {
            return;
        }
        // The descriptor names that very process, whoever may have its number by now.
        if let Err(error) = pidfd_send_signal(&self.peer, Signal::KILL)
            && error != rustix::io::Errno::SRCH
        {
            tracing::error!(%error, "the other process cannot be killed");
        }
        while wait(self.peer.as_fd(), Duration::from_secs(1)).is_err() {
            tracing::warn!(pid = self.pid, "waiting until the other process is dead");
        }
    }
}

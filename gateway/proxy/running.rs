//! The means to end one running request: to drop it where it stands, also while it waits for somebody who is silent.
//!
//! On HTTP/1 that closes the connection, on HTTP/2 it resets the one stream; what is spoken to the backend ends in the same
//! way. The record says `cut`, and why. Only a request that was admitted can be ended: before that, its decision may be
//! on its way to the disk, and it would have no record or two.
//!
//! Who waits too long for the head of a response is not dropped but woken, by the end of the connection to the backend: so
//! the client can be given an answer. Only connections that carry one request at a time (HTTP/1) can be ended for it.
//!
//! A request that nobody wants to end pays for one task-local value and no more. A deadline costs one timer, which is not
//! set anew when the deadline moves back; to be ended by others costs what `streams.rs` does.

use std::cell::{Cell, OnceCell, RefCell};
use std::os::fd::RawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Instant;

use nix::sys::socket::{Shutdown, shutdown};
use terms::Reason;
use tokio::time::Sleep;

use crate::context::{Admitted, Context, Stage};
use crate::streams::Stream;

tokio::task_local! {
    static RUNNING: Running;
}

/// What may end a request at a time that is known before. Each may be set, moved and lifted by itself; the first that
/// comes ends the request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Deadline {
    /// The client's body has to come in, or to come in faster.
    Body,
    /// The client itself waits no longer (`grpc-timeout`).
    Call,
    /// The head of the backend's answer has to be there, all of it.
    FirstByte,
    /// All of a body that is held has to be there, before any backend is asked.
    Held,
    /// The backend's whole answer has to be there.
    Whole,
}

const DEADLINES: [Deadline; 5] = [Deadline::Body, Deadline::Call, Deadline::FirstByte, Deadline::Held, Deadline::Whole];

impl Deadline {
    /// What the record says of a request that it has ended.
    const fn reason(self) -> Reason {
        match self {
            Self::Body | Self::Held => Reason::RequestTimeout,
            Self::Call | Self::FirstByte | Self::Whole => Reason::UpstreamTimeout,
        }
    }
}

impl Admitted {
    /// Ends this request at that time, unless it is moved or lifted. To be called by what runs for this request.
    pub(crate) fn end_at(&self, deadline: Deadline, at: Instant) {
        self.with(|running| running.set(deadline, Some(at)));
    }

    /// Takes back what [`Admitted::end_at`] has set.
    pub(crate) fn lift(&self, deadline: Deadline) {
        self.with(|running| running.set(deadline, None));
    }

    /// From now on until [`Admitted::heard`], the answer to this request is read from that connection, and from it alone.
    pub(crate) fn listens_to(&self, connection: RawFd) {
        self.with(|running| running.backend.set(Some(connection)));
    }

    /// No answer is waited for on that connection any more. `true`: it was hung up, since the answer took too long.
    pub(crate) fn heard(&self) -> bool {
        self.with(|running| {
            running.backend.set(None);
            running.set(Deadline::FirstByte, None);
            running.hung_up.take()
        })
        .unwrap_or_default()
    }

    /// Lets this request be ended by whoever holds this.
    pub(crate) fn runs_as(&self, stream: &Arc<Stream>) {
        self.with(|running| running.stream.set(Arc::clone(stream)));
    }

    fn with<T>(&self, then: impl FnOnce(&Running) -> T) -> Option<T> {
        let found = RUNNING.try_with(then);
        if found.is_err() {
            // INVARIANT: every request comes through `run`. If one does not, nothing can end it, which nobody may overlook.
            tracing::error!(request = %self.arrival.id, "a request that cannot be ended");
        }
        found.ok()
    }
}

/// Nothing ends this request any more: its record is complete.
pub(crate) fn over() {
    let _outside = RUNNING.try_with(|running| running.over.set(true));
}

/// Takes over what a dropped context leaves, if its request was ended. Whoever ended it writes the record.
pub(crate) fn leave(context: &mut Context) {
    if matches!(context.stage, Stage::New | Stage::Recorded) {
        return;
    }
    let _outside = RUNNING.try_with(|running| {
        if let Some(why) = running.ended.get() {
            // ORDER: the context goes before the session, whose connection says this as the last thing.
            if let (Some(socket), Some(connection)) = (&context.socket, &context.connection)
                && let Some(word) = socket.close(why)
            {
                connection.connection().bid_farewell(word);
            }
            *running.left.borrow_mut() = Some(Box::new((std::mem::take(context), why)));
        }
    });
}

/// Runs one request to its end, or to where it is ended: then what it leaves goes to `cut`.
pub(crate) async fn run<T>(request: Request<'_, T>, cut: impl FnOnce(Context, Reason) + Send) -> Option<T> {
    let request = async {
        let done = Endable { request: Some(request), alarm: None }.await;
        if let Some(left) = RUNNING.with(|running| running.left.take()) {
            let (context, why) = *left;
            cut(context, why);
        }
        done
    };
    RUNNING.scope(Running::default(), request).await
}

/// A request as pingora works on it.
type Request<'r, T> = Pin<Box<dyn Future<Output = Option<T>> + Send + 'r>>;

/// One request, as its task and what it has called know it.
#[derive(Debug, Default)]
struct Running {
    deadlines: Cell<[Option<Instant>; DEADLINES.len()]>,
    stream: OnceCell<Arc<Stream>>,
    over: Cell<bool>,
    /// The connection on which the backend's answer is waited for, if it is of this request alone.
    backend: Cell<Option<RawFd>>,
    /// Whether nothing more is waited for on it.
    hung_up: Cell<bool>,
    /// Why it was ended, while it is dropped for it.
    ended: Cell<Option<Reason>>,
    /// What it leaves. In a box, since all of this moves each time that its task is polled.
    left: RefCell<Option<Box<(Context, Reason)>>>,
}

impl Running {
    fn set(&self, deadline: Deadline, at: Option<Instant>) {
        let mut deadlines = self.deadlines.get();
        if let Some(place) = deadlines.get_mut(deadline as usize) {
            *place = at;
        }
        self.deadlines.set(deadlines);
    }

    /// The deadline that comes first.
    fn first(&self) -> Option<(Instant, Deadline)> {
        let set = self.deadlines.get().into_iter().zip(DEADLINES);
        set.filter_map(|(at, deadline)| Some((at?, deadline))).min_by_key(|(at, _)| *at)
    }

    /// Resolves when this request has to end.
    fn poll(&self, cx: &mut std::task::Context<'_>, alarm: &mut Option<Pin<Box<Sleep>>>) -> Poll<Reason> {
        if self.over.get() {
            return Poll::Pending;
        }
        if let Some(why) = self.stream.get().and_then(|stream| stream.check(cx)) {
            return Poll::Ready(why);
        }
        while let Some((at, deadline)) = self.first() {
            let at = at.into();
            let alarm = alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
            if alarm.deadline() > at {
                alarm.as_mut().reset(at);
            }
            ready!(alarm.as_mut().poll(cx));
            if alarm.deadline() < at {
                alarm.as_mut().reset(at); // the deadline has moved back since the alarm was set
            } else if deadline == Deadline::FirstByte && self.hang_up() {
                self.set(deadline, None);
            } else {
                return Poll::Ready(deadline.reason());
            }
        }
        Poll::Pending
    }

    /// Ends the connection to the backend, so that whoever waits for its answer finds its end there, and can still give
    /// the client an answer. `false`: there is no connection of this request alone.
    ///
    /// INVARIANT: the number is that of an open connection of this very request. It is taken back before the connection
    /// goes: by `heard` in every call of pingora's that can come between.
    fn hang_up(&self) -> bool {
        let Some(connection) = self.backend.take() else { return false };
        self.hung_up.set(true);
        shutdown(connection, Shutdown::Both).is_ok()
    }
}

/// A request that is dropped when it has to end.
struct Endable<'r, T> {
    request: Option<Request<'r, T>>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<T> Future for Endable<'_, T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Option<T>> {
        let this = self.get_mut();
        let Some(request) = &mut this.request else { return Poll::Ready(None) };
        if let Poll::Ready(done) = request.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        let why = ready!(RUNNING.with(|running| running.poll(cx, &mut this.alarm)));
        RUNNING.with(|running| running.ended.set(Some(why)));
        this.request = None; // with it its context, which is left to `run`
        Poll::Ready(None)
    }
}

#[cfg(test)]
mod tests;

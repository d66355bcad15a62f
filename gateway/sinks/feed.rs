//! One sink's loop over one log.

use std::sync::Arc;
use std::time::Duration;

use audit::{ReadError, Reader, Stored};
use terms::Clock;
use tlog::leaf_hash;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::backoff::Backoff;
use crate::batch::{Batch, Item};
use crate::cursor::{Cursor, CursorError, Kept};
use crate::feeding::{Committed, Log, Stop};
use crate::record::Fields;
use crate::render::{Event, Severity, Source};
use crate::settings::{OnRefusal, Settings, Start};
use crate::sink::{Class, Sink, SinkError};
use crate::state::State;

/// How often it is looked whether there is more to deliver.
const LOOK: Duration = Duration::from_millis(100);
/// How often it is put down that records went by which are not wanted: each time is a sync of the disk.
const GOES_BY: Duration = Duration::from_secs(1);
/// How often a record that stands alone is offered before it is set aside.
const OFFERS: u32 = 3;
/// How many are set aside one after the other, before it is the receiver that is at fault.
const MOST_ASIDE: u32 = 10;

/// What takes the records of one log to one sink.
pub(crate) struct Feed {
    pub(crate) settings: Arc<Settings>,
    pub(crate) log: Log,
    pub(crate) committed: Committed,
    pub(crate) state: Arc<State>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) stop: watch::Receiver<Stop>,
    pub(crate) sink: Box<dyn Sink>,
    pub(crate) at: Option<At>,
    pub(crate) doubt: Doubt,
}

/// Where it stands.
pub(crate) struct At {
    kept: Kept,
    cursor: Cursor,
    reader: Reader,
    /// Read, and not yet committed as far as we knew then.
    peeked: Option<Stored>,
    /// Rendered, and not delivered.
    ready: Vec<Item>,
    ready_bytes: usize,
    ready_since: Option<Instant>,
    /// The place behind the last record that was looked at, and its hash.
    read: Cursor,
    /// When the cursor was put down last.
    moved: Instant,
}

/// What is thought of records that were refused.
#[derive(Debug, Default)]
pub(crate) struct Doubt {
    /// At most so many go at once, up to this index.
    narrow: Option<(usize, u64)>,
    /// How often the record that stands alone was offered.
    offers: u32,
    /// How many were set aside since one was taken.
    aside: u32,
}

enum Step {
    Delivered,
    Failed(SinkError),
    /// There is nothing to do.
    Idle(Duration),
    /// What is there waits for more.
    Waiting(Duration),
}

impl Feed {
    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::new();
        loop {
            let pause = match self.step().await {
                Step::Delivered => {
                    backoff.reset();
                    self.state.well();
                    Duration::ZERO
                }
                Step::Idle(_) if Stop::told(&self.stop) == Stop::WhenDone => return,
                Step::Idle(pause) | Step::Waiting(pause) => pause,
                Step::Failed(error) => {
                    let pause = backoff.next(error.after);
                    self.tell(&error, pause);
                    if Stop::told(&self.stop) != Stop::Not {
                        return;
                    }
                    pause
                }
            };
            if Stop::told(&self.stop) == Stop::Now {
                return;
            }
            let mut stop = self.stop.clone();
            tokio::select! {
                () = sleep(pause) => {}
                _ = stop.wait_for(|stop| *stop != Stop::Not) => {}
            }
        }
    }

    fn tell(&self, error: &SinkError, pause: Duration) {
        self.state.failed(error.class, &self.clock);
        let (sink, class) = (self.settings.name.as_str(), error.class.as_str());
        tracing::warn!(sink, class, error = error.what, again_in = ?pause, "records of the audit log are not delivered");
    }

    async fn step(&mut self) -> Step {
        let Some(committed) = self.committed.now() else {
            self.at = None; // who writes delivers
            return Step::Idle(LOOK);
        };
        if self.at.is_none() {
            match self.open(committed) {
                Ok(Some(at)) => self.at = Some(at),
                Ok(None) => return Step::Idle(LOOK), // the process before this one lets go when it ends
                Err(error) => return Step::Failed(error),
            }
        }
        match self.gather(committed) {
            Ok(Gathered::Enough) => self.deliver().await,
            Ok(Gathered::Nothing) => Step::Idle(LOOK),
            Ok(Gathered::Some(wait)) => Step::Waiting(wait.min(LOOK)),
            Err(error) => {
                self.at = None; // from the cursor on, once it can be read again
                Step::Failed(error)
            }
        }
    }

    /// Takes up what was put down, and shows that this is the log that it was put down for.
    fn open(&self, committed: u64) -> Result<Option<At>, SinkError> {
        let of_cursor = |error: CursorError| SinkError::new(Class::Cursor, terms::chain(&error));
        let Some(kept) = Kept::hold(&self.log.state, self.log.id, self.settings.name.clone()).map_err(of_cursor)?
        else {
            return Ok(None);
        };
        let cursor = kept.read().map_err(of_cursor)?;
        let is_new = cursor.is_none();
        let mut cursor = cursor.unwrap_or(Cursor { next: 0, leaf: None });
        if is_new && self.settings.start == Start::Now {
            cursor.next = committed;
            kept.advance(&cursor).map_err(of_cursor)?;
        }
        if cursor.next > committed {
            return Err(of_cursor(kept.ahead(cursor.next, committed)));
        }
        let last = cursor.leaf.and_then(|leaf| Some((cursor.next.checked_sub(1)?, leaf)));
        let begin = last.map_or(cursor.next, |(index, _)| index);
        let mut reader = Reader::from(&self.log.directory, begin).map_err(|error| unreadable(&error))?;
        reader.stop_at(committed);
        let mut peeked = None;
        if begin < committed {
            let first = reader.next().transpose().map_err(|error| unreadable(&error))?;
            let first = first.ok_or_else(|| SinkError::new(Class::Log, "the log ends before its records do"))?;
            match last {
                Some((index, leaf)) if first.index == index => {
                    if leaf_hash(&first.json) != leaf {
                        return Err(of_cursor(kept.differs(index)));
                    }
                }
                Some(_) | None => {
                    // FAIL CLOSED: records that were pruned before they were delivered are missed.
                    if first.index > cursor.next && !is_new {
                        return Err(of_cursor(kept.gone(cursor.next, first.index)));
                    }
                    cursor.next = cursor.next.max(first.index);
                    peeked = Some(first);
                }
            }
        }
        self.state.next.store(cursor.next, std::sync::atomic::Ordering::Relaxed);
        let read = cursor.clone();
        Ok(Some(At {
            kept,
            cursor,
            reader,
            peeked,
            ready: Vec::new(),
            ready_bytes: 0,
            ready_since: None,
            read,
            moved: Instant::now(),
        }))
    }

    /// Reads and renders what is committed, up to the limits.
    fn gather(&mut self, committed: u64) -> Result<Gathered, SinkError> {
        let Self { at: Some(at), settings, log, state, doubt, stop, .. } = self else { return Ok(Gathered::Nothing) };
        let limits = settings.limits;
        let records = doubt.narrow.map_or(limits.records, |(most, _)| most.min(limits.records));
        at.reader.stop_at(committed);
        while at.ready.len() < records && at.ready_bytes < limits.bytes {
            let stored = match at.peeked.take() {
                Some(stored) => stored,
                None if at.read.next >= committed => break,
                None => match at.reader.next() {
                    Some(stored) => stored.map_err(|error| unreadable(&error))?,
                    None => break,
                },
            };
            if stored.index >= committed {
                at.peeked = Some(stored);
                break;
            }
            if stored.index != at.read.next {
                let what = format!("record {} comes where {} was expected", stored.index, at.read.next);
                return Err(SinkError::new(Class::Log, what));
            }
            let leaf = leaf_hash(&stored.json);
            at.read = Cursor { next: stored.index + 1, leaf: Some(leaf) };
            let fields = Fields::parse(&stored.json);
            let tenant = fields.as_ref().and_then(|fields| fields.text("tenant"));
            let is_wanted = settings.tenants.as_ref().is_none_or(|wanted| {
                tenant.as_ref().is_some_and(|tenant| wanted.iter().any(|other| other.as_str() == *tenant))
            });
            if !is_wanted {
                continue;
            }
            let source = Source { log: log.id, index: stored.index, leaf, json: &stored.json };
            let text = settings.rendering.render_fields(&source, fields.as_ref());
            let item = Item {
                index: stored.index,
                leaf,
                millis: fields.as_ref().and_then(Fields::millis).unwrap_or(0),
                event: fields.as_ref().map_or_else(|| "record.unreadable".into(), |fields| fields.event().into_owned()),
                tenant: tenant.map(std::borrow::Cow::into_owned),
                severity: fields.as_ref().map_or(Severity::High, |fields| Event::of(fields).severity),
                trace: fields.as_ref().and_then(|fields| fields.text("trace")).map(std::borrow::Cow::into_owned),
                text,
            };
            at.ready_bytes += item.bytes();
            at.ready_since.get_or_insert_with(Instant::now);
            at.ready.push(item);
        }
        let store = std::sync::atomic::Ordering::Relaxed;
        state.oldest.store(at.ready.first().map_or(0, |item| item.millis), store);
        let Some(since) = at.ready_since else {
            // Nothing of it is wanted; the cursor moves on all the same.
            let goes_by = at.read.next > at.cursor.next;
            let is_time = at.moved.elapsed() >= GOES_BY || Stop::told(stop) != Stop::Not;
            return Ok(if goes_by && is_time { Gathered::Enough } else { Gathered::Nothing });
        };
        let left = limits.wait.saturating_sub(since.elapsed());
        let is_full = at.ready.len() >= records || at.ready_bytes >= limits.bytes;
        let is_enough = is_full || left.is_zero() || Stop::told(stop) != Stop::Not;
        Ok(if is_enough { Gathered::Enough } else { Gathered::Some(left) })
    }

    async fn deliver(&mut self) -> Step {
        let Self { at: Some(at), settings, log, state, stop, sink, doubt, .. } = self else {
            return Step::Idle(LOOK);
        };
        let most = doubt.narrow.map_or(usize::MAX, |(most, _)| most);
        let later = at.ready.split_off(at.ready.len().min(most));
        let batch = Batch { log: log.id, items: std::mem::replace(&mut at.ready, later) };
        let mut stop = stop.clone();
        let outcome = if batch.items.is_empty() {
            Ok(())
        } else {
            let late = || SinkError::new(Class::Late, format!("no answer within {:?}", settings.limits.timeout));
            tokio::select! {
                done = timeout(settings.limits.timeout, sink.deliver(&batch)) => done.unwrap_or_else(|_| Err(late())),
                _ = stop.wait_for(|stop| *stop == Stop::Now) => return Step::Idle(LOOK),
            }
        };
        let safe = outcome.as_ref().map_or_else(|error| error.delivered.min(batch.items.len()), |()| batch.items.len());
        let mut items = batch.items;
        let rest = items.split_off(safe);
        let reached = match items.last() {
            // What nobody wants goes by with the last that somebody does.
            _ if rest.is_empty() && at.ready.is_empty() => at.read.clone(),
            Some(last) => of_item(last),
            None => at.cursor.clone(),
        };
        at.ready.splice(..0, rest);
        at.ready_bytes = at.ready.iter().map(Item::bytes).sum();
        at.ready_since = at.ready_since.filter(|_| !at.ready.is_empty());
        if reached != at.cursor {
            // ORDER: the records are safe where they went before the cursor says so.
            if let Err(error) = at.kept.advance(&reached) {
                self.at = None;
                return Step::Failed(SinkError::new(Class::Local, terms::chain(&error)));
            }
            at.cursor = reached;
            at.moved = Instant::now();
            let relaxed = std::sync::atomic::Ordering::Relaxed;
            state.next.store(at.cursor.next, relaxed);
            state.delivered.fetch_add(items.len() as u64, relaxed);
            state.holding.store(0, relaxed);
            state.oldest.store(at.ready.first().map_or(0, |item| item.millis), relaxed);
            doubt.offers = 0;
            doubt.aside = if items.is_empty() { doubt.aside } else { 0 };
        }
        if doubt.narrow.is_some_and(|(_, until)| at.cursor.next >= until) {
            doubt.narrow = None;
        }
        match outcome {
            Ok(()) => Step::Delivered,
            Err(error) if error.class == Class::Refused => {
                let tried = most.min(at.ready.len());
                self.refused(tried, error).map_or_else(Step::Failed, |()| Step::Delivered)
            }
            Err(error) => Step::Failed(error),
        }
    }

    /// What is refused for what it says is halved until one record stands alone. `tried` is how many of those that are ready
    /// were offered.
    fn refused(&mut self, tried: usize, error: SinkError) -> Result<(), SinkError> {
        let Self { at: Some(at), settings, log, state, clock, doubt, .. } = self else { return Err(error) };
        let sink = settings.name.as_str();
        if tried > 1 {
            let until = at.ready.get(tried - 1).map_or(0, |item| item.index + 1);
            let until = doubt.narrow.map_or(until, |(_, before)| before.max(until));
            *doubt = Doubt { narrow: Some((tried.div_ceil(2), until)), offers: 0, ..*doubt };
            tracing::warn!(sink, error = error.what, records = tried, "refused; the record at fault is looked for");
            state.failed(error.class, clock);
            return Ok(());
        }
        let Some(item) = at.ready.first() else { return Err(error) };
        doubt.offers += 1;
        if doubt.offers < OFFERS {
            return Err(error);
        }
        let relaxed = std::sync::atomic::Ordering::Relaxed;
        match settings.refused {
            // FAIL CLOSED: who takes nothing at all has no quarrel with a single record.
            OnRefusal::SetAside if doubt.aside < MOST_ASIDE => {
                let said = serde_json::json!({ "log": log.id.to_string(), "index": item.index,
                    "leaf": item.leaf.to_string(), "why": error.what, "record": item.text });
                let next = of_item(item);
                // ORDER: it lies aside before the cursor passes it.
                let kept = at.kept.set_aside(&format!("{said}\n")).and_then(|()| at.kept.advance(&next));
                kept.map_err(|error| SinkError::new(Class::Local, terms::chain(&error)))?;
                tracing::error!(
                    sink,
                    record = item.index,
                    error = error.what,
                    "a record was refused, and is set aside"
                );
                at.ready_bytes = at.ready_bytes.saturating_sub(item.bytes());
                at.ready.remove(0);
                at.cursor = next;
                state.next.store(at.cursor.next, relaxed);
                state.set_aside.fetch_add(1, relaxed);
                state.failed(error.class, clock);
                doubt.offers = 0;
                doubt.aside += 1;
                Ok(())
            }
            OnRefusal::Hold | OnRefusal::SetAside => {
                state.holding.store(1, relaxed);
                tracing::error!(sink, record = item.index, error = error.what, "a record is refused: the sink waits");
                Err(error)
            }
        }
    }
}

enum Gathered {
    Enough,
    Nothing,
    Some(Duration),
}

fn of_item(item: &Item) -> Cursor {
    Cursor { next: item.index + 1, leaf: Some(item.leaf) }
}

fn unreadable(error: &ReadError) -> SinkError {
    SinkError::of(Class::Log, "the log cannot be read", error)
}

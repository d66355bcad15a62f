use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Instant, SystemTime};

use terms::Clock;
use tokio::sync::{mpsc, oneshot};

use crate::memory::Owned;
use crate::subjects::Shared;
use crate::{Persona, SubjectVault, Unavailable};

/// The one that opens the vault for requests, on a thread of its own: a disk may be waited for there. It ends with the last of
/// those who ask.
#[derive(Debug)]
pub struct Keeper {
    vault: SubjectVault,
    messages: mpsc::Receiver<Message>,
    shared: Weak<Shared>,
}

pub(crate) enum Message {
    /// Something was destroyed.
    Forget,
    /// Somebody asks.
    Who(Question),
}

pub(crate) struct Question {
    pub(crate) person: Owned,
    pub(crate) reply: oneshot::Sender<Result<Arc<Persona>, Unavailable>>,
}

/// How many questions share one transaction, and so one wait for the disk.
const MOST: usize = 256;

impl Keeper {
    pub(crate) const fn new(vault: SubjectVault, messages: mpsc::Receiver<Message>, shared: Weak<Shared>) -> Self {
        Self { vault, messages, shared }
    }

    /// Answers until nobody asks any more.
    pub fn run(mut self, clock: &dyn Clock) {
        let mut batch = Vec::with_capacity(MOST);
        while self.messages.blocking_recv_many(&mut batch, MOST) > 0 {
            let mut questions = Vec::with_capacity(batch.len());
            for message in batch.drain(..) {
                match message {
                    Message::Forget => self.vault.forget(),
                    // Whoever has gone away by now does not need to be asked for.
                    Message::Who(question) if question.reply.is_closed() => {}
                    Message::Who(question) => questions.push(question),
                }
            }
            let Some(shared) = self.shared.upgrade() else { return };
            if !questions.is_empty() {
                self.answer(questions, &shared, clock.now());
            }
        }
    }

    fn answer(&mut self, questions: Vec<Question>, shared: &Shared, now: SystemTime) {
        let began = Instant::now();
        self.vault.knows(shared.memory.now());
        let looked = self.vault.look();
        if let Ok(destroyed) = looked
            && shared.memory.is_destroyed(destroyed)
        {
            self.vault.forget();
        }
        // ORDER: before the rows are read. What is destroyed from here on is not remembered.
        let of = shared.memory.now();
        let persons: Vec<_> = questions.iter().map(|question| question.person.person()).collect();
        let now = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        // FAIL CLOSED: what another vault says, or one that was set back, is not asked for.
        let answers = looked.and_then(|_| self.vault.personas(&persons, now));
        match answers {
            Err(error) => {
                tracing::error!(error = terms::chain(&error), "the subject vault cannot be asked");
                questions.into_iter().for_each(|question| drop(question.reply.send(Err(Unavailable))));
            }
            Ok(answers) => {
                for (Question { person, reply }, answer) in questions.into_iter().zip(answers) {
                    let answer = match answer {
                        Ok(persona) => {
                            let persona = Arc::new(persona);
                            shared.memory.remember(person, Arc::clone(&persona), of, began);
                            Ok(persona)
                        }
                        Err(error) => {
                            tracing::error!(error = terms::chain(&error), "the subject vault cannot be asked");
                            Err(Unavailable)
                        }
                    };
                    drop(reply.send(answer)); // who asked may have left
                }
            }
        }
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        shared.counts.micros.fetch_add(micros, Ordering::Relaxed);
        shared.counts.batches.fetch_add(1, Ordering::Relaxed);
    }
}

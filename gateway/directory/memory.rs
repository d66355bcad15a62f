use std::sync::Arc;
use std::time::{Duration, Instant};

use quick_cache::Equivalent;
use quick_cache::sync::Cache;
use terms::{IssuerId, RoleName, Subject, TenantId};

use crate::directory::Question;
use crate::generations::Generation;
use crate::settings::Memberships;

/// What the database has said of a subject in a tenant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    /// A member, with these roles.
    Member(Arc<[RoleName]>),
    /// Nobody there.
    Stranger,
    /// Something that means nothing here. FAIL CLOSED: nobody gets in by that.
    Unreadable,
}

/// What it has said lately. Bounded.
///
/// Members and others are kept apart, so that nobody crowds out the members by asking for tenants that are not his.
#[derive(Debug)]
pub(crate) struct Memory {
    members: Cache<Key, Entry>,
    others: Cache<Key, Entry>,
    remember: Duration,
    remember_unknown: Duration,
    without_notice: Duration,
}

/// Whom an answer is about. A subject is unique only within its issuer.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Key {
    issuer: IssuerId,
    tenant: TenantId,
    subject: Subject,
}

#[derive(Clone, Debug)]
struct Entry {
    answer: Answer,
    of: Generation,
    /// When its query began.
    at: Instant,
}

impl Key {
    pub(crate) const fn question(&self) -> Question<'_> {
        Question { issuer: &self.issuer, tenant: &self.tenant, subject: &self.subject }
    }
}

impl From<Question<'_>> for Key {
    fn from(Question { issuer, tenant, subject }: Question<'_>) -> Self {
        Self { issuer: issuer.clone(), tenant: tenant.clone(), subject: subject.clone() }
    }
}

impl Equivalent<Key> for Question<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        let Key { issuer, tenant, subject } = key;
        self.subject == subject && self.tenant == tenant && self.issuer == issuer
    }
}

impl Memory {
    pub(crate) fn new(settings: &Memberships) -> Self {
        let Memberships { remember, remember_unknown, without_notice, entries, .. } = *settings;
        let (members, others) = (Cache::new(entries), Cache::new(entries.div_ceil(8)));
        Self { members, others, remember, remember_unknown, without_notice }
    }

    /// What counts of it, if notices are heard and if they are not.
    pub(crate) fn recall(&self, question: Question<'_>, of: Generation, now: Instant, hears: bool) -> Option<Answer> {
        let (entry, longest) = match self.members.get(&question) {
            Some(entry) if entry.of == of => (entry, self.remember),
            Some(_) | None => (self.others.get(&question)?, self.remember_unknown),
        };
        let longest = if hears { longest } else { longest.min(self.without_notice) };
        (entry.of == of && now.saturating_duration_since(entry.at) < longest).then_some(entry.answer)
    }

    pub(crate) fn remember(&self, question: Question<'_>, answer: &Answer, of: Generation, at: Instant) {
        let entry = Entry { answer: answer.clone(), of, at };
        match answer {
            Answer::Member(_) => {
                self.others.remove(&question);
                self.members.insert(question.into(), entry);
            }
            Answer::Stranger | Answer::Unreadable => {
                self.members.remove(&question);
                self.others.insert(question.into(), entry);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len() + self.others.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generations::Generations;
    use crate::notice::Notice;
    use crate::settings::Subjects;

    const SECOND: Duration = Duration::from_secs(1);

    fn memory(entries: usize) -> Memory {
        Memory::new(&Memberships {
            query: String::new(),
            subjects: Subjects::OfOneIssuer,
            remember: SECOND * 60,
            remember_unknown: SECOND * 10,
            without_notice: SECOND,
            entries,
        })
    }

    fn key(issuer: &str, tenant: &str, subject: &str) -> Key {
        Key { issuer: issuer.parse().unwrap(), tenant: tenant.parse().unwrap(), subject: subject.parse().unwrap() }
    }

    fn viewer() -> Answer {
        Answer::Member(["viewer".parse().unwrap()].into())
    }

    #[test]
    fn an_answer_counts_for_its_time_which_is_short_while_nobody_says_what_changes() {
        let (memory, generations, ada) = (memory(100), Generations::default(), key("main", "acme", "ada"));
        let (began, of) = (Instant::now(), generations.now(&ada.tenant, &ada.subject));
        for (answer, longest) in [(viewer(), 60), (Answer::Stranger, 10), (Answer::Unreadable, 10), (viewer(), 60)] {
            memory.remember(ada.question(), &answer, of, began);
            for (after, hears, counts) in [
                (0, true, true),
                (0, false, true),
                (1, false, false),
                (longest - 1, true, true),
                (longest, true, false),
            ] {
                let told = memory.recall(ada.question(), of, began + SECOND * after, hears);
                assert_eq!(told, counts.then(|| answer.clone()), "{answer:?} after {after}s, heard: {hears}");
            }
        }
    }

    #[test]
    fn an_answer_is_about_one_subject_of_one_issuer_in_one_tenant() {
        let (memory, generations, ada) = (memory(100), Generations::default(), key("main", "acme", "ada"));
        let (now, of) = (Instant::now(), generations.now(&ada.tenant, &ada.subject));
        memory.remember(ada.question(), &viewer(), of, now);
        for other in [key("other", "acme", "ada"), key("main", "globex", "ada"), key("main", "acme", "bob")] {
            assert_eq!(memory.recall(other.question(), of, now, true), None, "{other:?}");
        }
    }

    #[test]
    fn what_was_asked_before_something_changed_is_not_believed_whenever_it_comes() {
        let (memory, generations, ada) = (memory(100), Generations::default(), key("main", "acme", "ada"));
        let (now, notice) = (Instant::now(), Notice::Member(ada.tenant.clone(), ada.subject.clone()));
        let of = || generations.now(&ada.tenant, &ada.subject);
        let before = of();
        memory.remember(ada.question(), &viewer(), before, now);
        generations.end(&notice);
        assert_eq!(memory.recall(ada.question(), of(), now, true), None, "it was remembered before the change");
        memory.remember(ada.question(), &viewer(), before, now);
        assert_eq!(memory.recall(ada.question(), of(), now, true), None, "it was on its way when it changed");
        memory.remember(ada.question(), &Answer::Stranger, of(), now);
        assert_eq!(memory.recall(ada.question(), of(), now, true), Some(Answer::Stranger));
    }

    #[test]
    fn it_has_a_bound_and_strangers_do_not_crowd_members_out() {
        let (memory, generations) = (memory(1_000), Generations::default());
        let now = Instant::now();
        let remember = |key: &Key, answer: &Answer| {
            memory.remember(key.question(), answer, generations.now(&key.tenant, &key.subject), now);
        };
        let members: Vec<_> = (0..500).map(|n| key("main", "acme", &format!("m{n}"))).collect();
        members.iter().for_each(|member| remember(member, &viewer()));
        (0..10_000).for_each(|n| remember(&key("main", "acme", &format!("s{n}")), &Answer::Stranger));
        let known =
            |key: &&Key| memory.recall(key.question(), generations.now(&key.tenant, &key.subject), now, true).is_some();
        assert_eq!(members.iter().filter(known).count(), 500);
        (0..10_000).for_each(|n| remember(&key("main", "acme", &format!("n{n}")), &viewer()));
        assert!(memory.len() <= 1_200, "{}", memory.len());
    }
}

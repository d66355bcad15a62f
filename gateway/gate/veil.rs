use std::sync::Arc;

use audit::{Journal, Pseudonym};
use subjects::{About, Person, Persona, Sealed, Subjects};

use crate::member::{Entered, Member};
use crate::refusal::{Cause, Refusal};
use crate::route::Routed;
use crate::{Arrival, Who};

/// What records have in place of a member's name.
#[derive(Clone, Debug)]
pub(crate) enum Veil {
    /// A keyed hash: there is no subject vault.
    Hash,
    /// What the subject vault has made for it.
    Persona(Arc<Persona>),
    /// Nothing: it could not be found out.
    Unknown,
}

/// Proof that the log has a name for a member, which it can forget. Only [`Veiled::check`] makes one.
pub(crate) struct Veiled<'r> {
    pub(crate) routed: Routed<'r>,
    pub(crate) member: Member,
}

impl<'r> Veiled<'r> {
    pub(crate) async fn check(
        entered: Entered<'r>,
        subjects: Option<&Subjects>,
        arrival: &Arrival,
    ) -> Result<Self, Refusal> {
        let Entered { routed, member } = entered;
        let Some(subjects) = subjects else {
            return Ok(Self { routed, member: member.veiled(Veil::Hash) });
        };
        let person = Person {
            tenant: member.membership().tenant(),
            issuer: member.caller().vouched_by(),
            subject: member.caller().subject(),
        };
        match subjects.of(person, arrival.started).await {
            Ok(persona) => Ok(Self { routed, member: member.veiled(Veil::Persona(persona)) }),
            // FAIL CLOSED: what cannot be recorded is not served, and nobody is recorded by a name that cannot be forgotten.
            Err(subjects::Unavailable) => {
                Err(routed.refuse_as(Cause::Unrecorded(audit::Unavailable::Subjects), Who::Member(member)))
            }
        }
    }
}

// What is sealed fits where it goes.
const _: () = assert!(subjects::SEALED_MAX <= audit::PERSONAL_MAX);
const _: () = assert!(policy::Justification::LONGEST <= subjects::JUSTIFICATION_MAX);

/// The name in the record.
pub(crate) fn name(member: &Member, journal: &Journal) -> Option<Pseudonym> {
    match member.veil() {
        Veil::Hash => Some(journal.pseudonym(member.caller().vouched_by(), member.caller().subject())),
        Veil::Persona(persona) => Some(persona.surrogate().into()),
        Veil::Unknown => None,
    }
}

/// Seals what is personal about a request.
pub(crate) fn seal(
    member: &Member,
    arrival: &Arrival,
    user_agent: Option<&[u8]>,
    justification: Option<&str>,
) -> Result<Option<Sealed>, audit::Unavailable> {
    let Veil::Persona(persona) = member.veil() else {
        // FAIL CLOSED: what somebody said is kept where it can be forgotten, or nothing is let through by it.
        return if justification.is_none() { Ok(None) } else { Err(audit::Unavailable::Subjects) };
    };
    let about = About { id: arrival.id, tenant: member.membership().tenant() };
    let personal = subjects::Personal { client: Some(arrival.client), user_agent, justification };
    // FAIL CLOSED: a record that lacks what it should have is none.
    persona.seal(personal, about).map_err(|_| audit::Unavailable::Subjects)
}

/// What was sealed, as it goes into the record.
pub(crate) fn personal<'m>(member: &'m Member, sealed: Option<&'m Sealed>) -> Option<audit::Personal<'m>> {
    let Veil::Persona(persona) = member.veil() else { return None };
    sealed.map(|sealed| audit::Personal { key: persona.key_id(), sealed: sealed.as_bytes() })
}

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use terms::{Author, IssuerId, LimitId, Reason, RequestId, RoleName, RouteId, TenantId, UpstreamId};

use crate::{Prunable, Pseudonym};

/// What is known of a request once it has been judged: everything but how it went on.
///
/// No field can hold a header, a body, a token, a query string or a raw path: what must not be in a record cannot be
/// put there. What is missing is left out of the record.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// The request. Exactly one final record carries it.
    pub id: RequestId,
    /// When it arrived.
    pub at: SystemTime,
    /// The tenant that it acts for, once that is proved.
    pub tenant: Option<&'a TenantId>,
    /// Who acts: a surrogate, or as [`crate::Journal::pseudonym`] hides it.
    pub subject: Option<Pseudonym>,
    /// What is personal, sealed.
    pub personal: Option<Personal<'a>>,
    /// Which issuer vouched for the subject.
    pub issuer: Option<&'a IssuerId>,
    /// The roles that were looked at for the decision. Left out of the record, all of them, where they are too many for it.
    pub roles: Option<&'a [RoleName]>,
    /// What the API key is called that was shown. No secret. At most 12 characters are kept.
    pub key: Option<&'a str>,
    /// The client's address. The record keeps its first 24 bits (IPv4) or 48 bits (IPv6).
    pub client: Option<IpAddr>,
    /// The method as the client wrote it. At most 32 characters are kept.
    pub method: Option<&'a str>,
    /// The host as the client wrote it. At most 255 characters are kept.
    pub host: Option<&'a str>,
    /// The version of HTTP that the client spoke.
    pub protocol: Option<Protocol>,
    /// The route that was chosen: it stands in place of the path.
    pub route: Option<&'a RouteId>,
    /// What was not enforced, on a route that is in shadow.
    pub shadow: Option<Shadow>,
    /// Whether roles granted it, or somebody who said why.
    pub glass: Glass,
    /// Whether the request may be forwarded.
    pub decision: Decision,
    /// Why.
    pub reason: Reason,
    /// The limit that has no room: of a refusal, the one that refuses; else one that only looks and would have refused.
    pub limit: Option<&'a LimitId>,
    /// What limits did for want of the store in which gateways share them.
    pub limit_store: Option<WithoutStore>,
    /// The rule that decided. At most 96 characters are kept.
    pub rule: Option<&'a str>,
    /// The policy that decided.
    pub policy: Option<Digest>,
    /// The backend that the request goes to.
    pub upstream: Option<&'a UpstreamId>,
    /// How long the decision took.
    pub deciding: Option<Duration>,
    /// The W3C trace that the request belongs to.
    pub trace: Option<u128>,
}

impl<'a> Entry<'a> {
    /// An entry that knows nothing more than this: for a request that never parsed, and to fill in the rest by name.
    #[must_use]
    pub const fn new(id: RequestId, at: SystemTime, decision: Decision, reason: Reason) -> Self {
        Self {
            id,
            at,
            tenant: None,
            subject: None,
            personal: None,
            issuer: None,
            roles: None,
            key: None,
            client: None,
            method: None,
            host: None,
            protocol: None,
            route: None,
            shadow: None,
            glass: Glass::Whole,
            decision,
            reason,
            limit: None,
            limit_store: None,
            rule: None,
            policy: None,
            upstream: None,
            deciding: None,
            trace: None,
        }
    }
}

/// What authorisation said on a route that is in shadow, where it keeps nobody out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shadow {
    /// Why the request would have been refused; nothing if it would not.
    pub would: Option<Reason>,
}

/// Whether roles granted a request. Where they did not, and its caller has said why it must be, that text is sealed in
/// [`Entry::personal`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Glass {
    /// They did not.
    Broken,
    /// They did, or nothing did.
    Whole,
}

/// What is personal in a record, under a key that can be destroyed.
#[derive(Clone, Copy, Debug)]
pub struct Personal<'a> {
    /// What the key is called, in letters, digits, `-` and `_`. At most 8 characters.
    pub key: &'a str,
    /// Nonce, ciphertext and tag of XChaCha20-Poly1305. At most [`PERSONAL_MAX`] bytes.
    pub sealed: &'a [u8],
}

/// The longest that is sealed of a person, in bytes.
pub const PERSONAL_MAX: usize = 320;

/// How a request went on after it was judged.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// The status that the client got, if it got one.
    pub status: Option<u16>,
    /// A reason that came later than the decision and replaces its reason: the backend could not be reached.
    pub reason: Option<Reason>,
    /// How many times a backend was asked.
    pub attempts: u8,
    /// How many bytes of body the client sent.
    pub bytes_in: u64,
    /// How many bytes of body the client got.
    pub bytes_out: u64,
    /// From the arrival of the request to the end of its response.
    pub took: Duration,
    /// How it ended.
    pub end: End,
    /// What the response said of its tenant, where its route looks.
    pub echo: Option<Echo>,
}

/// What limits did that several gateways share, when their store could not be asked. Of several the laxest.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum WithoutStore {
    /// One was not judged, and let it through.
    Allow,
    /// One was not judged, and refused.
    Deny,
    /// They were judged by the share of this gateway.
    LocalShare,
}

impl WithoutStore {
    /// The word in the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::LocalShare => "local_share",
        }
    }
}

/// What a response said of its tenant.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Echo {
    /// It named another tenant than the one that asked.
    Differs,
    /// It named the tenant that asked.
    Match,
    /// It named none.
    Missing,
    /// It could not be read.
    Unreadable,
}

impl Echo {
    /// The word in the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Differs => "differs",
            Self::Match => "match",
            Self::Missing => "missing",
            Self::Unreadable => "unreadable",
        }
    }
}

/// Whether a request may be forwarded.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Decision {
    /// It was forwarded.
    Allow,
    /// It was answered with a refusal.
    Deny,
}

impl Decision {
    /// The word in the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// How a request ended. A record may also say `interrupted`: the process ended before the request did.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum End {
    /// The request was dropped before its end: something of ours broke.
    Abandoned,
    /// The client went away before it had the whole response.
    ClientGone,
    /// The response was sent whole.
    #[default]
    Complete,
    /// We ended it where it stood; the reason says why.
    Cut,
    /// The gateway was told to end, and its grace was over.
    Shutdown,
    /// The bytes on the connection never became a request.
    Unparsed,
    /// The backend could not be reached, or broke off.
    UpstreamFailed,
}

impl End {
    /// The word in the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Abandoned => "abandoned",
            Self::ClientGone => "client_gone",
            Self::Complete => "complete",
            Self::Cut => "cut",
            Self::Shutdown => "shutdown",
            Self::Unparsed => "unparsed",
            Self::UpstreamFailed => "upstream_failed",
        }
    }
}

/// The version of HTTP that a client spoke.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Protocol {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// HTTP/2.
    Http2,
}

impl Protocol {
    /// The word in the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "1.0",
            Self::Http11 => "1.1",
            Self::Http2 => "2",
        }
    }
}

/// The first 64 bits of a SHA-256: enough to tell one version of a file from the next. 16 hexadecimal digits in records.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Digest(u64);

impl From<[u8; 32]> for Digest {
    fn from(sha256: [u8; 32]) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = sha256;
        Self(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }
}

impl Digest {
    /// The bits as a number.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

/// Something that happened to the gateway itself and belongs in its log.
#[derive(Clone, Copy, Debug)]
pub enum Note<'a> {
    /// An API key was made, replaced or taken back. Nothing of the key itself is in the record.
    ApiKey(KeyChange<'a>),
    /// Somebody says that the machine's clock is right, which was ahead of the time that had passed while it was looked at.
    Clock {
        /// What time it was at least, in seconds since the Unix epoch, before that was said.
        before: u64,
        /// What the clock said when that was said.
        done: u64,
        /// Why it is right. At most 400 characters are kept.
        why: &'a str,
        /// Who says so.
        by: Author,
    },
    /// Other files are in force now.
    Changed {
        /// Which files.
        what: Files,
        /// What was in force before; nothing at the first start.
        old: Option<Digest>,
        /// What is in force now.
        new: Digest,
        /// The version of the signed set that the policy files are, if they are one.
        version: Option<u64>,
        /// Who or what caused it.
        by: Cause,
    },
    /// A backend says that something has happened.
    Event(crate::Event<'a>),
    /// A key of the log was retired: what comes from here on it does not sign.
    KeyRetired {
        /// The key, as those have it who verify: `name+id+key`.
        old: &'a str,
        /// The one that signs in its place.
        new: &'a str,
        /// The last checkpoint that both had signed when this was written: the old one vouches for the new one by it.
        checkpoint: &'a str,
    },
    /// Another key signs from now on, or is about to.
    KeyRotated {
        /// What the key is for.
        of: KeyOf,
        /// What the one before it is called; of the log's, `name+id+key`.
        old: Option<&'a str>,
        /// The same of the new one.
        new: &'a str,
        /// Who or what caused it.
        by: Cause,
    },
    /// Something was done with what the log holds of persons.
    Persons(PersonsChange<'a>),
    /// Somebody read records of the log.
    Read(LogUse<'a>),
    /// The oldest records go, as their time is over. It is on disk before they do.
    Pruned {
        /// Which they are.
        gone: &'a Prunable,
        /// How many records the checkpoint was signed for under which all of this was looked at last.
        size: u64,
        /// The root of the tree that they made, in base64url.
        root: &'a str,
        /// How long records are kept, in seconds.
        keep: u64,
    },
    /// Records of a tenant are kept for another time from now on. It stands in both logs: where its records were, and where they
    /// come from here on.
    Retention {
        /// Whose.
        tenant: &'a TenantId,
        /// The class that it was in.
        old: &'a str,
        /// The class that it is in.
        new: &'a str,
        /// Who or what caused it.
        by: Cause,
    },
    /// All of the log was read again, since it was doubted, or somebody asked for it.
    Rechecked {
        /// How many records there were.
        records: u64,
        /// How often, one after the other, all of it was as it must be.
        readings: u64,
        /// What was not as it must be. Nothing: it is gone on with.
        found: u64,
        /// Why it was asked for. At most 400 characters are kept.
        why: &'a str,
        /// Who or what caused it.
        by: Cause,
    },
    /// New files were not taken; the old ones stay in force.
    Refused {
        /// Which files.
        what: Files,
        /// What stays in force.
        old: Option<Digest>,
        /// Why the new ones were refused. At most 400 characters are kept.
        why: &'a str,
        /// Who or what caused that they were looked at.
        by: Cause,
    },
    /// A report was made of the log.
    Reported(LogUse<'a>),
    /// A secret of the settings has another value, or should have had one.
    Secret {
        /// Which setting: `admin.token`.
        setting: &'a str,
        /// Why the last good value stays in force; nothing if the new one is. At most 400 characters are kept.
        refused: Option<&'a str>,
        /// Who or what caused that it was looked at.
        by: Cause,
    },
    /// Tokens were taken back before their time, or given back.
    Tokens {
        /// Which of both.
        turn: Turn,
        /// What they have in common.
        of: TokensOf<'a>,
        /// Only those that were issued before, in seconds since the Unix epoch.
        before: Option<u64>,
        /// Who did it, if that is known.
        by: Option<Author>,
    },
}

/// What was done with the log.
#[derive(Clone, Copy, Debug)]
pub struct LogUse<'a> {
    /// Whose records were seen, if they are of one tenant: it stands in the chain of that tenant.
    pub tenant: Option<&'a TenantId>,
    /// Which records, without what names a person. At most 400 characters are kept.
    pub filter: &'a str,
    /// How many, if that was known.
    pub found: Option<u64>,
    /// Who did it.
    pub by: Author,
    /// When it was done, in seconds since the Unix epoch: perhaps no gateway ran.
    pub done: u64,
}

/// What was done with what the log holds of persons.
#[derive(Clone, Copy, Debug)]
pub struct PersonsChange<'a> {
    /// What: `subject.erased` or another kind of the schema.
    pub kind: &'static str,
    /// In which tenant; in none, where it was about all of them.
    pub tenant: Option<&'a TenantId>,
    /// To whom; nobody in particular, where it was about the tenant.
    pub subject: Option<Pseudonym>,
    /// What the key was called that was destroyed. At most 8 characters.
    pub key: Option<&'a str>,
    /// How many persons or records it was about.
    pub count: Option<u64>,
    /// The hold that it was about.
    pub hold: Option<u64>,
    /// The SHA-256 of what was handed out, in hexadecimal digits.
    pub sha256: Option<&'a str>,
    /// Why. At most 400 characters are kept.
    pub why: &'a str,
    /// What the request for it is called. At most 200 characters are kept.
    pub reference: Option<&'a str>,
    /// Who did it.
    pub by: Author,
    /// When it was done, in seconds since the Unix epoch: perhaps no gateway ran.
    pub done: u64,
}

/// What became of an API key.
#[derive(Clone, Copy, Debug)]
pub struct KeyChange<'a> {
    /// Whether it was made, replaced or taken back.
    pub turn: KeyTurn,
    /// What the key is called that was made or taken back.
    pub key: &'a str,
    /// What the key is called that it replaces.
    pub replaces: Option<&'a str>,
    /// The tenant that it acts for.
    pub tenant: &'a TenantId,
    /// What it is there, with spaces between.
    pub roles: &'a str,
    /// From when on it is no key any more, in seconds since the Unix epoch.
    pub expires: Option<u64>,
    /// Who did it.
    pub by: Author,
    /// When it was done, in seconds since the Unix epoch: perhaps no gateway ran.
    pub done: u64,
}

/// What was done with an API key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyTurn {
    /// It was made.
    Created,
    /// It was taken back.
    Revoked,
    /// It was made in place of another.
    Rotated,
}

/// What became of tokens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Turn {
    /// They are good again, as far as they would be without.
    Restored,
    /// They are not good any longer.
    Revoked,
}

/// What tokens have in common. What a token or a session is called is not in the record: nothing else there names it.
#[derive(Clone, Copy, Debug)]
pub enum TokensOf<'a> {
    /// They are all of this issuer.
    Issuer(&'a IssuerId),
    /// They belong to one session at this issuer.
    Session(&'a IssuerId),
    /// They speak of one subject of this issuer, as [`crate::Journal::pseudonym`] hides it.
    Subject(&'a IssuerId, Pseudonym),
    /// They are for this tenant.
    Tenant(&'a TenantId),
    /// It is one, of this issuer.
    Token(&'a IssuerId),
}

/// What a key is for that was replaced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyOf {
    /// It signs who asks, for backends.
    Assertion,
    /// It signs the checkpoints of this log.
    Log,
    /// It signs requests, for backends.
    Signature,
}

impl KeyOf {
    /// The word in the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Assertion => "assertion",
            Self::Log => "log",
            Self::Signature => "signature",
        }
    }
}

/// Who or what caused something. What cannot be known is said to be unknown, and is never guessed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Cause {
    /// Whoever has the token of the admin listener.
    Admin,
    /// A user of the system, who ran a command.
    Command(u32),
    /// A file has another content than before. Whom it belongs to now, which need not be who wrote it.
    File(Option<u32>),
    /// It was time.
    Schedule,
    /// A signal, and who sent it, if the system says so.
    Signal(Option<Sender>),
    /// The gateway was started, by a process of this user.
    Start(u32),
    /// It is not known.
    #[default]
    Unknown,
}

/// Who sent a signal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sender {
    /// Whose process it was.
    pub user: u32,
    /// Which.
    pub process: u32,
}

/// What a [`Note`] is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Files {
    /// `cloister.yaml` and what it names.
    Config,
    /// The published keys that backends verify with.
    Keys,
    /// The policies.
    Policy,
}

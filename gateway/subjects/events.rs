use terms::{Author, Surrogate, TenantId};

/// Something that was done with persons and is not in the audit log yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// In which tenant; in none, where it was about the vault.
    pub tenant: Option<TenantId>,
    /// To whom; nobody in particular, where it was about the tenant.
    pub surrogate: Option<Surrogate>,
    /// What the key was called that was destroyed.
    pub key: Option<String>,
    /// How many keys of persons were destroyed, or how many records were handed out.
    pub count: Option<u64>,
    /// The hold that was made, that was taken away, or that forbade it.
    pub hold: Option<u64>,
    /// The SHA-256 of what was handed out, in hexadecimal digits.
    pub sha256: Option<String>,
    /// Why, and who did it when.
    pub order: Order,
}

/// What may be done with persons.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EventKind {
    /// A person was erased.
    Erased,
    /// All that the log has of a person was handed out.
    Exported,
    /// Persons must not be erased from now on.
    HoldAdded,
    /// They may be again.
    HoldRemoved,
    /// A tenant was erased with all its persons.
    OffBoarded,
    /// A hold has kept a tenant from that.
    OffBoardRefused,
    /// A hold has kept a person from being erased.
    EraseRefused,
    /// The vault has another root, and each key in it is wrapped anew.
    RootRotated,
}

impl EventKind {
    const ALL: [Self; 8] = [
        Self::Erased,
        Self::Exported,
        Self::HoldAdded,
        Self::HoldRemoved,
        Self::OffBoarded,
        Self::OffBoardRefused,
        Self::EraseRefused,
        Self::RootRotated,
    ];

    /// The word for it, here and in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Erased => "subject.erased",
            Self::Exported => "subject.exported",
            Self::HoldAdded => "hold.added",
            Self::HoldRemoved => "hold.removed",
            Self::OffBoarded => "tenant.off_boarded",
            Self::OffBoardRefused => "tenant.off_board_refused",
            Self::EraseRefused => "subject.erase_refused",
            Self::RootRotated => "vault.root_rotated",
        }
    }

    pub(crate) fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// Why something is done, who does it and when.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Order {
    /// In words. It stays in the log for good: no names.
    pub reason: String,
    /// What the request is called in the books of whoever asked for it.
    pub reference: Option<String>,
    /// Who.
    pub who: Author,
    /// When, in seconds since the Unix epoch.
    pub done: u64,
}

/// Someone whom the development issuer knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct User {
    /// The name, which is also the `sub` of the tokens.
    pub name: &'static str,
    /// The tenant that the tokens name.
    pub tenant: &'static str,
    /// The roles that the tokens name.
    pub roles: &'static [&'static str],
    /// What the tokens are signed with, so that the demo shows both.
    pub(crate) signature: Signature,
}

/// Which of the issuer's keys signs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Signature {
    Es256,
    Rs256,
}

impl User {
    /// May do everything in `acme`.
    pub const ADA: Self = Self { name: "ada", tenant: "acme", roles: &["admin"], signature: Signature::Es256 };
    /// May look at things in `acme`.
    pub const BOB: Self = Self { name: "bob", tenant: "acme", roles: &["viewer"], signature: Signature::Es256 };
    /// Does the daily work in `globex`.
    pub const EVE: Self = Self { name: "eve", tenant: "globex", roles: &["clerk"], signature: Signature::Rs256 };
    /// Would do the same in `initech`, which is suspended.
    pub const IAN: Self = Self { name: "ian", tenant: "initech", roles: &["clerk"], signature: Signature::Es256 };

    /// Everyone.
    pub const ALL: [Self; 4] = [Self::ADA, Self::BOB, Self::EVE, Self::IAN];

    /// Finds someone by name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|user| user.name == name)
    }
}

use serde::Serialize;

/// Something that can be down, so that the gateway should get no traffic while it is.
pub trait Check: Send + Sync {
    /// What it is called in `/readyz`: one lower-case word, such as `journal`.
    fn name(&self) -> &str;

    /// Says whether it is up. It is asked on every probe, so it looks at what is known already and waits for nothing.
    fn check(&self) -> Standing;
}

/// How something stands. What is wrong is told in words for an operator: no secret, no tenant's data.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Standing {
    /// So that the gateway should get no traffic.
    Down(String),
    /// A part of it is down, and the gateway is of use all the same.
    Impaired(String),
    /// As it should be.
    Up,
}

impl Standing {
    /// How so many of a kind stand, of which these ail: all of them, or some.
    #[must_use]
    pub fn of_several(count: usize, ill: Vec<String>) -> Self {
        match ill.len() {
            0 => Self::Up,
            all if all == count => Self::Down(ill.join("; ")),
            _ => Self::Impaired(ill.join("; ")),
        }
    }

    /// Whether traffic may come.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        match self {
            Self::Down(_) => false,
            Self::Impaired(_) | Self::Up => true,
        }
    }
}

/// Gauges that are cheaper to compute when somebody asks than to keep up to date.
pub trait Collect: Send + Sync {
    /// Brings the gauges up to date. It runs before each scrape and waits for nothing.
    fn collect(&self);
}

impl<F: Fn() + Send + Sync> Collect for F {
    fn collect(&self) {
        self();
    }
}

/// The body of `/readyz`.
#[derive(Debug, Serialize)]
pub(crate) struct Readiness<'a> {
    pub(crate) ready: bool,
    pub(crate) checks: Vec<Outcome<'a>>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Outcome<'a> {
    name: &'a str,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl<'a> Readiness<'a> {
    pub(crate) fn of(checks: impl Iterator<Item = &'a dyn Check>) -> Self {
        let checks: Vec<_> = checks
            .map(|check| {
                let standing = check.check();
                let ok = standing.is_ready();
                let detail = match standing {
                    Standing::Down(detail) | Standing::Impaired(detail) => Some(detail),
                    Standing::Up => None,
                };
                Outcome { name: check.name(), ok, detail }
            })
            .collect();
        Self { ready: checks.iter().all(|outcome| outcome.ok), checks }
    }
}

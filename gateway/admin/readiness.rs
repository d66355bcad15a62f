use serde::Serialize;

/// Something that can be down, so that the gateway should get no traffic while it is.
pub trait Check: Send + Sync {
    /// What it is called in `/readyz`: one lower-case word, such as `journal`.
    fn name(&self) -> &str;

    /// Says whether it is up. It is asked on every probe, so it looks at what is known already and waits for nothing.
    ///
    /// # Errors
    /// What is wrong, in words for an operator: no secret, no tenant's data.
    fn check(&self) -> Result<(), String>;
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
                let detail = check.check().err();
                Outcome { name: check.name(), ok: detail.is_none(), detail }
            })
            .collect();
        Self { ready: checks.iter().all(|outcome| outcome.ok), checks }
    }
}

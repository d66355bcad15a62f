use limit::Limits;
use policy::Policy;

/// All that is in force at one moment: replaced as a whole, never in part.
#[derive(Debug)]
pub struct Rules {
    policy: Policy,
    limits: Limits,
    digest: audit::Digest,
}

impl Rules {
    /// Rules made of a compiled policy and its limits, in the policy's order. `digest` names the files that they were
    /// made of, in records and metrics.
    #[must_use]
    pub const fn new(policy: Policy, limits: Limits, digest: audit::Digest) -> Self {
        Self { policy, limits, digest }
    }

    /// Who may do what.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// How often.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The name of this version.
    #[must_use]
    pub const fn digest(&self) -> audit::Digest {
        self.digest
    }
}

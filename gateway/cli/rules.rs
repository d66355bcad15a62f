//! The rules in force: put together from a compiled policy, and replaced as a whole when the files change.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use audit::{Cause, Digest, Journal, Logs, Note};
use gate::Rules;
use limit::{Failures, KeyPart, Limit, Limits, Mode, Numbers, OnLoss, Scope, Seed};
use policy::{Amount, Counting, Known, LimitMode, LimitRule, LimitScope, OnStoreLoss, Policy};
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec};
use tenancy::{Registry, Status, TenantRow};
use terms::{ClassName, Findings, Live, RetentionClass, Severity};

use crate::load::{self, Policies};
use crate::trusted::{Pushed, Trust};

/// How many keys one limit follows; beyond that, new ones share a bucket.
const KEYS: usize = 1 << 20;

/// How many rows that cannot be read are told of at a time.
const TOLD: usize = 20;

/// What may come of reading the files again.
pub(crate) const OUTCOMES: [&str; 3] = [REFUSED, REPLACED, UNCHANGED];
const REFUSED: &str = "refused";
const REPLACED: &str = "replaced";
const UNCHANGED: &str = "unchanged";

/// Remembers which version of signed policies comes into force. ORDER: before it does.
fn keep(trust: Option<&Trust>, policies: &Policies) -> Result<(), Findings> {
    let (Some(trust), Some(signed)) = (trust, &policies.signed) else { return Ok(()) };
    trust.keep(signed).map_err(|error| {
        let place = terms::Place::file("the state folder");
        terms::Finding::error(place, format!("the version of the policies cannot be kept: {error}"))
    })?;
    let by: Vec<String> = signed.by.iter().map(ToString::to_string).collect();
    tracing::info!(policy.version = signed.version, by = by.join(", "), "signed policies");
    Ok(())
}

/// Puts rules together for the first time.
pub(crate) fn first(
    policies: Policies,
    trust: Option<&Trust>,
    seed: Seed,
    counting: Counting,
) -> Result<Rules, String> {
    keep(trust, &policies).map_err(|findings| findings.to_string())?;
    let Policies { policy, digest, .. } = policies;
    let limits = Limits::new(limits(&policy, counting), policy.plans().to_vec(), seed, KEYS, Instant::now())
        .map_err(|error| terms::chain(&error))?;
    Ok(Rules::new(policy, limits, digest.into()))
}

/// Whether the limits can be kept as they are written. ORDER: whenever files are read, so that no command takes what a gateway
/// would refuse.
pub(crate) fn keepable(policy: &Policy, counting: Counting) -> Result<(), Findings> {
    let made = Limits::new(limits(policy, counting), policy.plans().to_vec(), Seed::from([0; 16]), 1, Instant::now());
    let Err(error) = made else { return Ok(()) };
    let rule = policy.limits().iter().find(|rule| rule.id == *error.limit());
    let place = rule.map_or_else(|| terms::Place::file("the policies"), |rule| rule.place.clone());
    Err(terms::Finding::error(place, terms::chain(&error)).into())
}

fn limits(policy: &Policy, counting: Counting) -> Vec<Limit> {
    let part = |part: &policy::KeyPart| match *part {
        policy::KeyPart::ApiKey => KeyPart::ApiKey,
        policy::KeyPart::Claim(place) => KeyPart::Claim(place),
        policy::KeyPart::ClientIp => KeyPart::ClientIp,
        policy::KeyPart::Issuer => KeyPart::Issuer,
        policy::KeyPart::Named(place) => KeyPart::Named(place),
        policy::KeyPart::Role => KeyPart::Role,
        policy::KeyPart::Route => KeyPart::Route,
        policy::KeyPart::Tenant => KeyPart::Tenant,
        policy::KeyPart::User => KeyPart::User,
    };
    let limit = |rule: &LimitRule| Limit {
        id: rule.id.clone(),
        key: rule.key.iter().map(part).collect(),
        mode: match rule.mode {
            LimitMode::Enforce => Mode::Enforce,
            LimitMode::Shadow => Mode::Shadow,
        },
        scope: match (rule.scope, counting) {
            (LimitScope::Shared(on_loss), Counting::Together(gateways)) => {
                Scope::Store { on_loss: self::on_loss(on_loss), gateways }
            }
            (LimitScope::Gateway | LimitScope::Shared(_), _) => Scope::Gateway,
        },
        numbers: numbers(rule.amount),
        plans: rule.plans.iter().map(|(plan, amount)| (plan.clone(), numbers(*amount))).collect(),
        tenants: rule.tenants.iter().map(|(tenant, amount)| (tenant.clone(), numbers(*amount))).collect(),
    };
    policy.limits().iter().map(limit).collect()
}

const fn on_loss(on_loss: OnStoreLoss) -> OnLoss {
    match on_loss {
        OnStoreLoss::Allow => OnLoss::Allow,
        OnStoreLoss::Deny => OnLoss::Deny,
        OnStoreLoss::LocalShare => OnLoss::LocalShare,
    }
}

fn numbers(amount: Amount) -> Numbers {
    match amount {
        Amount::Bytes(rate) => Numbers::Bytes { rate, burst: rate.bytes.get() },
        Amount::Concurrency(most) => Numbers::Concurrency(most),
        Amount::Failures { most, within, lock, statuses } => {
            Numbers::Failures(Failures { most, within, lock, statuses })
        }
        Amount::Quota { count, per } => Numbers::Quota { count, per },
        Amount::Rate { rate, burst } => Numbers::Rate { rate, burst },
    }
}

/// Replaces the rules when asked to, if the files are good; keeps those in force if not.
#[derive(Debug)]
pub(crate) struct Reloader {
    pub(crate) folder: PathBuf,
    pub(crate) trust: Option<Trust>,
    pub(crate) known: Known,
    pub(crate) rules: Arc<Live<Rules>>,
    pub(crate) logs: Arc<Logs>,
    /// What the retention classes are called, the default one first.
    pub(crate) classes: Vec<String>,
    pub(crate) outcomes: IntCounterVec,
    pub(crate) info: IntGaugeVec,
    /// The version of the signed set in force.
    pub(crate) version: IntGauge,
    pub(crate) rows: Rows,
}

/// A set of files that was taken over.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) version: u64,
    pub(crate) digest: Digest,
    /// Whether it is another one than before.
    pub(crate) replaced: bool,
}

/// The tenants of a table, as they were read last, and how it is with them.
#[derive(Debug)]
pub(crate) struct Rows {
    /// Held by whoever makes the next rules, so that none of two changes is lost.
    pub(crate) last: Mutex<Option<Arc<[TenantRow]>>>,
    /// How many cannot be read.
    pub(crate) unreadable: IntGauge,
}

impl Reloader {
    /// Loads the files anew. Either all of it comes into force, at once, or nothing changes.
    pub(crate) fn reload(&self, by: Cause) {
        let rows = self.rows.last.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.rules.snapshot();
        let outcome = load::policies(&self.folder, &self.known, self.trust.as_ref())
            .and_then(|policies| self.succeed(&before, policies, rows.as_deref(), by));
        drop(rows);
        self.tell(&outcome, &before, by);
    }

    /// Takes over a signed set of files that was sent: all of it, at once, and so that the next start has it, or nothing.
    pub(crate) fn push(&self, pushed: &Pushed) -> Result<Taken, Findings> {
        let place = || terms::Place::file("pushed");
        let Some(trust) = &self.trust else {
            let finding = terms::Finding::error(
                place(),
                "nothing is taken that is pushed, since nobody says whose signature counts",
            );
            return Err(finding.help("name keys in `policies.signed_by` of cloister.yaml").into());
        };
        let rows = self.rows.last.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.rules.snapshot();
        let mut version = 0;
        let outcome = trust.check_pushed(pushed).and_then(|signed| {
            version = signed.version;
            let texts = pushed.texts();
            let policies = load::tested(&texts, Some(signed), &self.known).map_err(|findings| {
                findings.quoting(|file| texts.iter().find(|(path, _)| path == file).map(|(_, text)| text.as_str()))
            })?;
            let kept = |error: std::io::Error| {
                Findings::from(terms::Finding::error(place(), format!("cannot be kept in the state folder: {error}")))
            };
            let last = trust.pushed().ok().flatten();
            // ORDER: before it is in force, or a start would go back to what was before.
            trust.keep_pushed(pushed).map_err(kept)?;
            self.succeed(&before, policies, rows.as_deref(), Cause::Admin).inspect_err(|_| {
                if let Err(error) = trust.put_back(last.as_ref()) {
                    tracing::error!(%error, "what was pushed and refused lies in the state folder");
                }
            })
        });
        drop(rows);
        self.tell(&outcome, &before, Cause::Admin);
        outcome.map(|digest| Taken { version, digest: digest.unwrap_or(before.digest()), replaced: digest.is_some() })
    }

    /// Says what has come of new files: in metrics, in the log, and on record.
    fn tell(&self, outcome: &Result<Option<Digest>, Findings>, before: &Rules, by: Cause) {
        match outcome {
            Ok(None) => {
                tracing::info!("policies read again, nothing changed");
                self.outcomes.with_label_values(&[UNCHANGED]).inc();
            }
            Ok(Some(digest)) => {
                tracing::info!(policy.digest = %hex(*digest), "policies replaced");
                self.outcomes.with_label_values(&[REPLACED]).inc();
                self.show(*digest);
            }
            Err(findings) => {
                for finding in findings.iter().filter(|finding| finding.severity == Severity::Error) {
                    tracing::error!(place = %finding.place, help = finding.help, "policies refused: {}", finding.message);
                }
                self.outcomes.with_label_values(&[REFUSED]).inc();
                let first = findings.iter().next().map(ToString::to_string).unwrap_or_default();
                self.note(&Note::Refused { what: audit::Files::Policy, old: Some(before.digest()), why: &first, by });
            }
        }
    }

    /// Takes over the tenants of a table. They come into force as a whole, and a row that cannot be read keeps only its own
    /// tenant out.
    pub(crate) fn take(&self, rows: Arc<[TenantRow]>) {
        let mut last = self.rows.last.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.rules.snapshot();
        let registry = self.registry(&before, &rows);
        tracing::info!(tenants = registry.len(), "tenants replaced");
        self.tell_of_classes(before.tenants(), &registry, Cause::Unknown);
        self.rules.replace(before.serving(registry));
        *last = Some(rows);
    }

    fn registry(&self, rules: &Rules, rows: &[TenantRow]) -> Registry {
        let (registry, findings) = rules.policy().with_rows(rows, &self.known);
        for finding in findings.iter().take(TOLD) {
            let row = &*finding.place.file;
            tracing::error!(row, help = finding.help, "a tenant is refused: {}", finding.message);
        }
        let nameless = rows.iter().filter(|row| row.id.parse::<terms::TenantId>().is_err()).count();
        let unreadable = nameless + registry.iter().filter(|tenant| tenant.status == Status::Unreadable).count();
        self.rows.unreadable.set(i64::try_from(unreadable).unwrap_or(i64::MAX));
        registry
    }

    /// Shows the version in force as a metric.
    pub(crate) fn show(&self, digest: Digest) {
        self.info.reset();
        self.info.with_label_values(&[hex(digest).as_str()]).set(1);
    }

    /// Shows the version of the signed set in force as a metric; 0 if none has to be signed.
    pub(crate) fn show_version(&self, version: Option<u64>) {
        self.version.set(version.and_then(|version| i64::try_from(version).ok()).unwrap_or_default());
    }

    fn succeed(
        &self,
        before: &Rules,
        policies: Policies,
        rows: Option<&[TenantRow]>,
        by: Cause,
    ) -> Result<Option<Digest>, Findings> {
        keep(self.trust.as_ref(), &policies)?;
        let Policies { policy, digest, signed, .. } = policies;
        let version = signed.map(|signed| signed.version);
        self.show_version(version);
        let digest = Digest::from(digest);
        if digest == before.digest() {
            return Ok(None);
        }
        let place = terms::Place::file(&self.folder.display().to_string());
        let limits = Limits::succeed(before.limits(), limits(&policy, self.known.counting), policy.plans().to_vec())
            .map_err(|error| terms::Finding::error(place, terms::chain(&error)))?;
        self.note(&Note::Changed { what: audit::Files::Policy, old: Some(before.digest()), new: digest, version, by });
        let rules = Rules::new(policy, limits, digest);
        let rules = match rows {
            Some(rows) => rules.serving(self.registry(&rules, rows)),
            None => rules, // if tenants stand in a table, none is served before it is read
        };
        self.tell_of_classes(before.tenants(), rules.tenants(), by);
        self.rules.replace(rules);
        Ok(Some(digest))
    }

    /// Puts on record whose records come into another log from now on: in the log where they were, so that whoever reads that
    /// knows that it has not the last of them, and in the other one.
    fn tell_of_classes(&self, before: &Registry, after: &Registry, by: Cause) {
        for tenant in after.iter().filter(|tenant| tenant.status != Status::Unreadable) {
            let was = before.get(tenant.id.as_str()).filter(|was| was.status != Status::Unreadable);
            let Some(was) = was.filter(|was| was.retention != tenant.retention) else { continue };
            let (old, new) = (self.class(was.retention), self.class(tenant.retention));
            let note = Note::Retention { tenant: &tenant.id, old, new, by };
            for class in [was.retention, tenant.retention] {
                Self::note_in(self.logs.of(class), &note);
            }
        }
    }

    fn class(&self, class: RetentionClass) -> &str {
        let place = class.beyond_default().map_or(0, |place| place + 1);
        self.classes.get(place).map_or(ClassName::DEFAULT, String::as_str)
    }

    fn note(&self, note: &Note<'_>) {
        Self::note_in(self.logs.first(), note);
    }

    fn note_in(log: &Journal, note: &Note<'_>) {
        if let Err(unavailable) = log.note(note) {
            tracing::error!(error = terms::chain(&unavailable), "the change of policies is not on record");
        }
    }
}

/// A digest as records show it.
pub(crate) fn hex(digest: Digest) -> String {
    format!("{:016x}", digest.as_u64())
}

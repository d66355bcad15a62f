use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use certificate::AuthoritySettings;
use ingress::{CertificateFiles, Shown};
use policy::{
    ClaimForm, Counting, DirectoryAt, Known, KnownClaim, KnownNames, KnownUpstream, Requests, TenantsAt, Upgrade,
};
use secrets::Environment;
use tenancy::{MembershipSource, OpaqueTokens, Voucher};
use terms::{ClassName, Findings, Place, PlanId, RetentionClass};
use yaml::Named;

use super::Settings;
use super::compile::Compiler;
use super::file::{self, Field, FieldForm, File, Members, Protocol};
use crate::asking::Asking;

/// What became of the text of `cloister.yaml`: the settings or all that is wrong with them, and what others can be checked
/// against all the same.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) settings: Result<Settings, Findings>,
    /// The names that policies may refer to, broken ones among them.
    pub(crate) known: Known,
    pub(crate) certificates: Vec<Certificate>,
    pub(crate) authorities: Vec<AuthorityFiles>,
}

/// The files of an authority, and where each is named.
#[derive(Debug)]
pub(crate) struct AuthorityFiles {
    pub(crate) settings: AuthoritySettings,
    pub(crate) ca: Place,
    pub(crate) crl: Option<Place>,
}

impl AuthorityFiles {
    /// Of an authority that can be named. Its tenants say nothing about its files.
    fn named(Named { name, entry }: &Named<file::Authority>, file: &Arc<str>) -> Option<Self> {
        let file::Authority { ca, crl, .. } = entry.as_ref()?;
        let settings = AuthoritySettings {
            id: name.value.parse().ok()?,
            ca: PathBuf::from(&ca.value),
            crl: crl.as_ref().map(|crl| PathBuf::from(&crl.value)),
            tenants: Arc::default(),
        };
        Some(Self { settings, ca: ca.spot.place(file), crl: crl.as_ref().map(|crl| crl.spot.place(file)) })
    }
}

/// The certificate and the key of a listener, and where each is named.
#[derive(Debug)]
pub(crate) struct Certificate {
    pub(crate) files: CertificateFiles,
    pub(crate) certificate: Place,
    pub(crate) key: Place,
    pub(crate) ocsp: Option<Place>,
}

impl Reading {
    /// Reads the text of `cloister.yaml`.
    pub(crate) fn of(path: &Path, text: &str, environment: &dyn Environment, asking: Asking) -> Self {
        let file: Arc<str> = path.display().to_string().into();
        let mut findings = Findings::default();
        let Some(root) = yaml::parse(&file, text, &mut findings) else {
            return Self::nothing(findings.quoting(|quoted| (*quoted == *file).then_some(text)));
        };
        let written = File::read(&file, &root, &mut findings);
        let known = known(&written, &findings);
        let tls = written.listeners.iter().filter_map(|listener| listener.value.tls.as_ref());
        let certificates = tls.flat_map(|tls| &tls.certificates.value).map(|named| Certificate::named(named, &file));
        let certificates = certificates.collect();
        let authorities = written.authorities.iter().filter_map(|named| AuthorityFiles::named(named, &file)).collect();
        let settings = Compiler::new(&file, environment, &mut findings).compile(written, asking);
        let settings = match settings {
            Some(settings) if !findings.reject() => Ok(settings),
            Some(_) | None => Err(findings.quoting(|quoted| (*quoted == *file).then_some(text))),
        };
        Self { settings, known, certificates, authorities }
    }

    /// What there is to know of a file that cannot be read.
    pub(crate) fn nothing(findings: Findings) -> Self {
        let known = Known {
            issuers: KnownNames::unread(),
            authorities: KnownNames::unread(),
            upstreams: KnownNames::unread(),
            claims: KnownNames::unread(),
            directory: DirectoryAt::Files,
            tenants: TenantsAt::Files,
            counting: Counting::Alone,
            classes: KnownNames::unread(),
            classes_of_plans: BTreeMap::new(),
        };
        Self { settings: Err(findings), known, certificates: Vec::new(), authorities: Vec::new() }
    }
}

impl Certificate {
    fn named(named: &file::Certificate, file: &Arc<str>) -> Self {
        let file::Certificate { certificate, key, ocsp, .. } = named;
        Self {
            files: CertificateFiles {
                certificate: PathBuf::from(&certificate.value),
                key: PathBuf::from(&key.value),
                ocsp: ocsp.as_ref().map(|ocsp| PathBuf::from(&ocsp.value)),
                shown: Shown::ByName,
            },
            certificate: certificate.spot.place(file),
            key: key.spot.place(file),
            ocsp: ocsp.as_ref().map(|ocsp| ocsp.spot.place(file)),
        }
    }
}

fn known(written: &File, findings: &Findings) -> Known {
    let issuers = names(&written.issuers, findings, |issuer| {
        let members = match issuer.members {
            Members::Claims => MembershipSource::Claims,
            Members::Directory => MembershipSource::Directory,
            Members::Union => MembershipSource::Union,
        };
        // FAIL CLOSED: a name that is none is left out, and the finding about it keeps the files from being used.
        let tenants =
            issuer.tenants.as_ref().map(|tenants| tenants.value.iter().filter_map(|it| it.value.parse().ok()));
        let opaque = if issuer.introspection.is_some() { OpaqueTokens::Asked } else { OpaqueTokens::Refused };
        let bound_to = issuer.bound_to.iter().flat_map(|bound_to| &bound_to.value);
        Voucher {
            members,
            tenants: tenants.map(|tenants| Arc::new(tenants.collect())),
            bound_to: bound_to.filter_map(|binding| binding.value.parse().ok()).collect(),
            nonce: issuer.dpop_nonce.into(),
            opaque,
        }
    });
    let upstreams = names(&written.upstreams, findings, |upstream| {
        let upgrade = match upstream.protocol {
            Protocol::H2 | Protocol::H2c => Upgrade::None,
            Protocol::Http1 => Upgrade::WebSocket,
        };
        let requests = if upstream.assertion.signs() { Requests::Signed } else { Requests::Unsigned };
        let told = upstream.assertion.fields.0.iter().map(|(name, _)| name.value.clone());
        KnownUpstream { upgrade, requests, told: told.collect() }
    });
    let authorities = names(&written.authorities, findings, |authority| {
        let tenants = authority.tenants.value.iter().filter_map(|tenant| tenant.value.parse().ok());
        Arc::new(tenants.collect())
    });
    let directory = if written.directory.is_some() { DirectoryAt::Database } else { DirectoryAt::Files };
    let gateways = written.redis.as_ref().and_then(|redis| redis.limits.as_ref()).map(|limits| limits.gateways.value);
    // Zero is found out elsewhere.
    let counting = gateways
        .map_or(Counting::Alone, |gateways| Counting::Together(NonZeroU16::new(gateways).unwrap_or(NonZeroU16::MIN)));
    let has_tenants = written.directory.as_ref().is_some_and(|it| it.postgresql.tenants.is_some());
    let tenants = if has_tenants { TenantsAt::Database } else { TenantsAt::Files };
    // Their places are those in the list, of which none is missing in settings that are used.
    let mut claims = KnownNames::default();
    for (place, Named { name, entry }) in written.claims.iter().enumerate() {
        let form = match entry {
            Some(Field::Formed(formed)) => formed.r#as,
            Some(Field::Text(_)) | None => FieldForm::Text,
        };
        let form = match form {
            FieldForm::Bool => Some(ClaimForm::Bool),
            FieldForm::List => Some(ClaimForm::Texts),
            FieldForm::Number => Some(ClaimForm::Number),
            FieldForm::Text => Some(ClaimForm::Text),
            FieldForm::Json => None,
        };
        match (name.value.parse(), form) {
            (Ok(claim), Some(form)) => claims.insert(claim, KnownClaim { place, form }),
            (Err(_), _) | (_, None) => claims.insert_broken(&name.value),
        }
    }
    let (classes, classes_of_plans) = classes(written, findings);
    Known { issuers, authorities, upstreams, claims, directory, tenants, counting, classes, classes_of_plans }
}

/// The retention classes, by their place in the settings, and those of plans.
fn classes(
    written: &File,
    findings: &Findings,
) -> (KnownNames<ClassName, RetentionClass>, BTreeMap<PlanId, RetentionClass>) {
    let Some(audit) = &written.audit else {
        let none = if findings.reject() { KnownNames::unread() } else { KnownNames::default() };
        return (none, BTreeMap::new());
    };
    let (mut names, mut sound, mut plans) = (KnownNames::default(), Vec::new(), BTreeMap::new());
    for (name, entry) in &audit.retention.classes.0 {
        match name.value.parse::<ClassName>() {
            Ok(class) => sound.push((class, entry)),
            Err(_) => names.insert_broken(&name.value),
        }
    }
    // ORDER: as the settings have them, by their names.
    sound.sort_by(|(one, _), (other, _)| one.cmp(other));
    for (place, (name, entry)) in (0..).zip(sound) {
        let Some(class) = RetentionClass::other(place) else { continue };
        names.insert(name, class);
        plans.extend(entry.value.plans.iter().filter_map(|plan| Some((plan.value.parse().ok()?, class))));
    }
    (names, plans)
}

fn names<N, E, T>(entries: &[Named<E>], findings: &Findings, what: impl Fn(&E) -> T) -> KnownNames<N, T>
where
    N: Borrow<str> + FromStr + Ord,
{
    if entries.is_empty() && findings.reject() {
        return KnownNames::unread(); // most likely one of the findings says why there is none
    }
    let mut names = KnownNames::default();
    for Named { name, entry } in entries {
        match (name.value.parse(), entry) {
            (Ok(id), Some(entry)) => names.insert(id, what(entry)),
            (Err(_), _) | (_, None) => names.insert_broken(&name.value),
        }
    }
    names
}

//! What Prometheus sees of the parts that count for themselves: read off them at each scrape, so that nothing is counted
//! twice and nothing on the way of a request is done for the scrape's sake.

mod audit_log;
mod limits;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use admin::Check;
use assertion::{Keys, State};
use directory::Directory;
use gate::{Rooms, Rules};
use ingress::{Certificates, Counters, Served};
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Error, Registry};
use proxy::Proxy;
use relay::{Hearing, Relay};
use secrets::Followed;
use tally::Tally;
use terms::{Live, UpstreamId};
use token::{Dpop, Verifier};
use upstream::{Defence, States, Upstream};
use vault::Vault;

use crate::persons::Persons;
use crate::quotas::Quotas;
use crate::reckoning::Reckoning;
use crate::signing::Rings;
use crate::{counting, membership};

pub(crate) use audit_log::OfLog;

/// The parts that count for themselves.
pub(crate) struct Parts {
    pub(crate) tokens: Arc<Verifier>,
    pub(crate) logs: Vec<OfLog>,
    pub(crate) dpop: Arc<Dpop>,
    pub(crate) ingress: Arc<Counters>,
    pub(crate) rooms: Arc<Rooms>,
    pub(crate) rules: Arc<Live<Rules>>,
    pub(crate) quotas: Arc<Quotas>,
    pub(crate) certificates: Certificates,
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) keys: Rings,
    pub(crate) readiness: Vec<Arc<dyn Check>>,
    pub(crate) upstreams: Vec<Arc<Upstream>>,
    pub(crate) defences: Vec<(UpstreamId, Arc<Defence>)>,
    pub(crate) relay: Option<Arc<Relay>>,
    pub(crate) tally: Option<Tally>,
    pub(crate) secrets: Arc<Followed>,
    pub(crate) directory: Option<Directory>,
    pub(crate) reckoning: Arc<Reckoning>,
    pub(crate) vault: Option<Arc<Vault>>,
    pub(crate) persons: Arc<Persons>,
}

impl Parts {
    /// Hands them to the registry.
    pub(crate) fn register(self, registry: &Registry) -> Result<(), Error> {
        let name = "cloister_parts".to_owned();
        let parts = Desc::new(name, "What the parts count for themselves".to_owned(), Vec::new(), HashMap::new())?;
        registry.register(Box::new(Counted { parts: self, desc: parts }))
    }
}

/// The parts, with the one description that the registry wants to know them by.
struct Counted {
    parts: Parts,
    desc: Desc,
}

impl Collector for Counted {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = self.parts.of_tokens();
        families.extend(self.parts.of_ingress());
        families.extend(self.parts.of_certificates());
        families.push(self.parts.of_readiness());
        families.extend(self.parts.of_upstreams());
        families.extend(self.parts.of_defences());
        families.extend(limits::metrics(self.parts.rules.snapshot().limits(), self.parts.quotas.unkept()));
        let rules = self.parts.rules.snapshot();
        families.extend(self.parts.tally.iter().flat_map(|tally| counting::metrics(tally, rules.limits())));
        families.extend(self.parts.relay.iter().flat_map(|relay| of_relay(&relay.hearing())));
        families.extend(self.parts.directory.iter().flat_map(|directory| membership::metrics(&directory.state())));
        families.extend(self.parts.persons.metrics());
        families.extend(self.parts.of_keys());
        families.push(self.parts.of_secrets());
        families.extend(self.parts.logs.iter().flat_map(OfLog::metrics));
        families.push(audit_log::of_reckoning(&self.parts.reckoning));
        families.extend(self.parts.vault.iter().flat_map(|vault| of_vault(&vault.hearing())));
        families
    }
}

fn of_relay(hearing: &Hearing) -> [MetricFamily; 4] {
    let silence = hearing.silence.map_or(f64::INFINITY, |silence| silence.as_secs_f64());
    [
        family(
            "cloister_relay_silence_seconds",
            "Time since Redis has last answered",
            MetricType::GAUGE,
            vec![(Vec::new(), silence)],
        ),
        counter("cloister_relay_sent_total", "Revocations that went to other gateways", hearing.sent),
        counter("cloister_relay_received_total", "Revocations that came from Redis, also our own", hearing.received),
        counter("cloister_relay_failures_total", "Times that Redis could not be used", hearing.failures),
    ]
}

fn of_vault(hearing: &vault::Hearing) -> [MetricFamily; 5] {
    let seconds = |span: Option<Duration>| vec![(Vec::new(), span.map_or(f64::INFINITY, |span| span.as_secs_f64()))];
    [
        family(
            "cloister_vault_silence_seconds",
            "Time since Vault has last given its values",
            MetricType::GAUGE,
            seconds(hearing.silence),
        ),
        family(
            "cloister_vault_token_seconds",
            "For how long our token of Vault is good, if it is not renewed",
            MetricType::GAUGE,
            seconds(hearing.token),
        ),
        counter("cloister_vault_logins_total", "Times that we have proven to Vault who we are", hearing.logins),
        counter("cloister_vault_renewals_total", "Times that our token of Vault was renewed", hearing.renewals),
        counter("cloister_vault_failures_total", "Times that Vault could not be asked", hearing.failures),
    ]
}

impl Parts {
    fn of_secrets(&self) -> MetricFamily {
        let conditions: Vec<_> = self.secrets.conditions().collect();
        let faulty = conditions.iter().map(|it| (vec![("secret", &*it.name)], f64::from(u8::from(it.fault.is_some()))));
        family(
            "cloister_secret_faulty",
            "Whether the value of a secret that is there now is not the one in force",
            MetricType::GAUGE,
            faulty.collect(),
        )
    }

    fn of_tokens(&self) -> Vec<MetricFamily> {
        let cache = self.tokens.cache_stats();
        let issuers = self.tokens.issuers();
        let realms = self.tokens.realms();
        let of_realms = |value: &dyn Fn(&token::RealmsState) -> f64| {
            realms.iter().map(|realms| (vec![("issuer", realms.id.as_str())], value(realms))).collect::<Vec<_>>()
        };
        let asked = self.tokens.introspections();
        let of_answers = asked.iter().flat_map(|it| {
            let outcomes = [
                ("remembered", it.remembered),
                ("active", it.active),
                ("refused", it.refused),
                ("failed", it.failed),
                ("unasked", it.unasked),
            ];
            outcomes.map(|(outcome, count)| (vec![("issuer", it.id.as_str()), ("outcome", outcome)], float(count)))
        });
        let mut failures: Vec<_> = of_realms(&|realms| float(realms.failures));
        let of_each = |value: &dyn Fn(&token::IssuerState) -> f64| {
            issuers.iter().map(|issuer| (vec![("issuer", issuer.id.as_str())], value(issuer))).collect::<Vec<_>>()
        };
        let (proofs, most_proofs) = self.dpop.remembered();
        let age = of_each(&|issuer| issuer.age.map_or(f64::INFINITY, |age| age.as_secs_f64()));
        vec![
            counter("cloister_token_cache_hits_total", "Tokens found verified", cache.hits),
            counter("cloister_token_cache_misses_total", "Tokens that had to be verified", cache.misses),
            gauge("cloister_token_cache_entries", "Verified tokens that are remembered", cache.entries as u64),
            gauge("cloister_dpop_proofs", "Proofs of possession that are remembered", proofs as u64),
            gauge("cloister_dpop_proofs_limit", "Proofs of possession that may be remembered", most_proofs as u64),
            family(
                "cloister_jwks_age_seconds",
                "Time since an issuer's keys were last fetched well",
                MetricType::GAUGE,
                age,
            ),
            family(
                "cloister_jwks_refresh_failures_total",
                "Times that an issuer's keys could not be fetched",
                MetricType::COUNTER,
                {
                    failures.extend(of_each(&|issuer| float(issuer.failures)));
                    failures
                },
            ),
            family(
                "cloister_introspections_total",
                "Tokens that an issuer was to be asked about, by what came of it",
                MetricType::COUNTER,
                of_answers.collect(),
            ),
            family(
                "cloister_introspection_open",
                "Whether an issuer that failed to answer for tokens is left alone for a while",
                MetricType::GAUGE,
                asked.iter().map(|it| (vec![("issuer", it.id.as_str())], f64::from(u8::from(it.open)))).collect(),
            ),
            gauge(
                "cloister_introspection_cache_entries",
                "Tokens about which an issuer was asked, and which are remembered",
                self.tokens.opaque_tokens() as u64,
            ),
            family(
                "cloister_issuer_tenants",
                "Tenants whose issuers are loaded, of an issuer with a tenant's name in it",
                MetricType::GAUGE,
                of_realms(&|realms| float(realms.loaded as u64)),
            ),
            family(
                "cloister_issuer_tenants_without_keys",
                "Tenants whose issuers are loaded and have no keys that could be used",
                MetricType::GAUGE,
                of_realms(&|realms| float(realms.unusable as u64)),
            ),
            family(
                "cloister_issuer_tenants_crowded_total",
                "Tokens that were answered with 503 since the issuers of too many tenants were in use",
                MetricType::COUNTER,
                of_realms(&|realms| float(realms.crowded)),
            ),
        ]
    }

    fn of_defences(&self) -> [MetricFamily; 4] {
        let of_each = |name: &str, help: &str, kind: MetricType, value: &dyn Fn(&Defence) -> f64| {
            let of = |(id, defence): &(UpstreamId, Arc<Defence>)| (id.clone(), value(defence));
            let values: Vec<_> = self.defences.iter().map(of).collect();
            family(
                name,
                help,
                kind,
                values.iter().map(|(id, value)| (vec![("upstream", id.as_str())], *value)).collect(),
            )
        };
        let occupancy = |defence: &Defence| defence.bulkhead().occupancy();
        [
            of_each("cloister_upstream_in_flight", "Requests in flight to a backend", MetricType::GAUGE, &|defence| {
                f64::from(occupancy(defence).in_flight)
            }),
            of_each("cloister_upstream_waiting", "Requests in the queue of a backend", MetricType::GAUGE, &|defence| {
                f64::from(occupancy(defence).waiting)
            }),
            of_each(
                "cloister_upstream_breaker",
                "What the circuit breaker of a backend does: 0 closed, 1 half open, 2 open",
                MetricType::GAUGE,
                &|defence| f64::from(defence.breaker().phase() as u8),
            ),
            of_each(
                "cloister_upstream_breaker_opened_total",
                "Times that the circuit breaker of a backend opened",
                MetricType::COUNTER,
                &|defence| float(defence.breaker().opened()),
            ),
        ]
    }

    fn of_keys(&self) -> Vec<MetricFamily> {
        let each = |value: &dyn Fn(&Keys) -> f64| {
            self.keys.each().map(|(set, keys)| (vec![("set", set.as_str())], value(keys))).collect::<Vec<_>>()
        };
        let states: Vec<_> = self
            .keys
            .each()
            .flat_map(|(set, keys)| {
                [State::Active, State::Next, State::Retiring]
                    .map(|it| (vec![("set", set.as_str()), ("state", it.as_str())], keys.in_state(it)))
            })
            .collect();
        let ages = states.iter().filter_map(|(labels, (_, age))| Some((labels.clone(), float((*age)?))));
        let counts = states.iter().map(|(labels, (count, _))| (labels.clone(), float(*count as u64)));
        vec![
            family(
                "cloister_signing_key_age_seconds",
                "How long the oldest key that signs for backends has been in its state",
                MetricType::GAUGE,
                ages.collect(),
            ),
            family("cloister_signing_keys", "Keys that sign for backends", MetricType::GAUGE, counts.collect()),
            family(
                "cloister_signing_key_rotate_after_seconds",
                "After how long another key signs for backends",
                MetricType::GAUGE,
                each(&|keys| float(keys.schedule().rotate_after())),
            ),
            family(
                "cloister_signing_key_rotations_total",
                "Times that a key began to sign",
                MetricType::COUNTER,
                each(&|keys| float(keys.rotations())),
            ),
            family(
                "cloister_signing_keys_faulty",
                "Whether the keys that sign cannot be looked after, so that the last good ones serve on",
                MetricType::GAUGE,
                each(&|keys| f64::from(u8::from(keys.is_faulty()))),
            ),
        ]
    }

    fn of_readiness(&self) -> MetricFamily {
        let up = |check: &Arc<dyn Check>| f64::from(u8::from(check.check().is_ready()));
        let checks = self.readiness.iter().map(|check| (vec![("check", check.name())], up(check))).collect();
        family("cloister_ready", "Whether something that must be up is up, as /readyz says", MetricType::GAUGE, checks)
    }

    /// Labelled by upstream alone: names stand for addresses that nobody has written down.
    fn of_upstreams(&self) -> Vec<MetricFamily> {
        let of_each = |value: &dyn Fn(&Upstream) -> f64| {
            let upstreams = self.upstreams.iter();
            upstreams.map(|upstream| (vec![("upstream", upstream.id().as_str())], value(upstream))).collect::<Vec<_>>()
        };
        let now = Instant::now();
        let by_state = self.upstreams.iter().flat_map(|upstream| {
            let States { available, returning, ejected, unhealthy } = upstream.states(now);
            let states =
                [("available", available), ("ejected", ejected), ("returning", returning), ("unhealthy", unhealthy)];
            states.map(|(state, count)| (vec![("upstream", upstream.id().as_str()), ("state", state)], float(count)))
        });
        let checked = self.upstreams.iter().filter(|upstream| upstream.check().is_some());
        let checks = checked.flat_map(|upstream| {
            let (passed, failed) = upstream.checks();
            [("passed", passed), ("failed", failed)]
                .map(|(result, count)| (vec![("upstream", upstream.id().as_str()), ("result", result)], float(count)))
        });
        vec![
            family(
                "cloister_upstream_addresses_by_state",
                "Addresses of an upstream by what becomes of requests for them",
                MetricType::GAUGE,
                by_state.collect(),
            ),
            family(
                "cloister_upstream_checks_total",
                "Times that an address of an upstream was asked whether it is well",
                MetricType::COUNTER,
                checks.collect(),
            ),
            family(
                "cloister_upstream_ejections_total",
                "Times that an address of an upstream was left out for what became of requests",
                MetricType::COUNTER,
                of_each(&|upstream| float(upstream.ejections())),
            ),
            family(
                "cloister_upstream_addresses",
                "Addresses that an upstream has",
                MetricType::GAUGE,
                of_each(&|upstream| float(upstream.addresses() as u64)),
            ),
            family(
                "cloister_upstream_resolutions_total",
                "Times that a name of an upstream was looked up well",
                MetricType::COUNTER,
                of_each(&|upstream| float(upstream.look_ups().0)),
            ),
            family(
                "cloister_upstream_resolution_failures_total",
                "Times that a name of an upstream could not be looked up",
                MetricType::COUNTER,
                of_each(&|upstream| float(upstream.look_ups().1)),
            ),
        ]
    }

    fn of_ingress(&self) -> Vec<MetricFamily> {
        let counters = self.ingress.snapshot();
        let why = |pairs: &[(&'static str, u64)]| {
            pairs.iter().map(|(why, count)| (vec![("why", *why)], float(*count))).collect()
        };
        let refused = [
            ("certificate", counters.refused_certificate),
            ("client", counters.refused_client),
            ("denied", counters.refused_denied),
            ("full", counters.refused_full),
            ("handshakes", counters.refused_handshake),
            ("proxy_header", counters.refused_proxy_header),
            ("proxy_header_timeout", counters.proxy_header_timeouts),
            ("server_name", counters.refused_name),
            ("stranger", counters.refused_stranger),
        ];
        let cut = [
            ("handshake_failed", counters.handshake_failures),
            ("handshake_timeout", counters.handshake_timeouts),
            ("head_timeout", counters.head_timeouts),
            ("head_too_large", counters.heads_too_large),
            ("idle", counters.idle_timeouts),
            ("silent", counters.silent),
            ("slow_upload", counters.slow_uploads),
            ("slow_download", counters.slow_downloads),
            ("flood", counters.floods),
        ];
        vec![
            gauge("cloister_requests_in_progress", "Requests in progress", self.rooms.taken() as u64),
            gauge("cloister_connections", "Connections from clients", counters.open),
            counter("cloister_connections_accepted_total", "Connections accepted", counters.accepted),
            family(
                "cloister_connections_refused_total",
                "Connections closed at once: too many, or not as the listener demands",
                MetricType::COUNTER,
                why(&refused),
            ),
            counter(
                "cloister_client_certificates_refused_total",
                "Requests with a client's certificate that was good once and is not any more",
                counters.client_certificates_refused,
            ),
            family(
                "cloister_tls_handshakes_total",
                "TLS handshakes that ended well",
                MetricType::COUNTER,
                vec![
                    (vec![("kind", "full")], float(counters.handshakes_full)),
                    (vec![("kind", "resumed")], float(counters.handshakes_resumed)),
                ],
            ),
            family("cloister_connections_cut_total", "Connections ended by us", MetricType::COUNTER, why(&cut)),
        ]
    }
}

impl Parts {
    /// One value for each certificate that is configured, so there are never more than that.
    fn of_certificates(&self) -> Vec<MetricFamily> {
        let believed_faulty = self.proxy.backends().all().filter(|backend| backend.security().is_faulty()).count();
        let served = self.certificates.served();
        let named: Vec<_> =
            served.iter().map(|it| (it, it.listener.to_string(), it.certificate.display().to_string())).collect();
        let of_each = |name: &str, help: &str, value: &dyn Fn(&Served) -> f64| {
            let labels = |listener, certificate| vec![("listener", listener), ("certificate", certificate)];
            let values = named.iter().map(|(it, at, file)| (labels(at.as_str(), file.as_str()), value(it)));
            family(name, help, MetricType::GAUGE, values.collect())
        };
        vec![
            of_each(
                "cloister_certificate_not_after_seconds",
                "When a certificate that is served runs out, in seconds since the Unix epoch",
                &|it| it.not_after.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64()),
            ),
            of_each(
                "cloister_certificate_ocsp_unfit",
                "Whether the OCSP response of a certificate is not stapled for being stale or another's",
                &|it| f64::from(u8::from(it.unfit_ocsp.is_some())),
            ),
            gauge(
                "cloister_certificate_faulty",
                "Certificates, authorities and upstreams whose files cannot be used, so that the last good state serves on",
                (self.certificates.faulty() + believed_faulty) as u64,
            ),
        ]
    }
}

pub(crate) fn counter(name: &str, help: &str, value: u64) -> MetricFamily {
    family(name, help, MetricType::COUNTER, vec![(Vec::new(), float(value))])
}

pub(crate) fn gauge(name: &str, help: &str, value: u64) -> MetricFamily {
    family(name, help, MetricType::GAUGE, vec![(Vec::new(), float(value))])
}

/// `buckets`: how many are at most so large.
pub(crate) fn histogram(
    name: &str,
    help: &str,
    buckets: impl Iterator<Item = (f64, u64)>,
    count: u64,
    sum: f64,
) -> MetricFamily {
    let buckets = buckets.map(|(bound, count)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(bound);
        bucket.set_cumulative_count(count);
        bucket
    });
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(count);
    histogram.set_sample_sum(sum);
    let mut metric = Metric::default();
    metric.set_histogram(histogram);
    named(name, help, MetricType::HISTOGRAM, vec![metric])
}

pub(crate) fn family(name: &str, help: &str, kind: MetricType, values: Vec<(Vec<(&str, &str)>, f64)>) -> MetricFamily {
    let metrics = values.into_iter().map(|(labels, value)| {
        let mut metric = Metric::from_label(labels.into_iter().map(label).collect());
        if kind == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        metric
    });
    named(name, help, kind, metrics.collect())
}

fn named(name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.into());
    family.set_help(help.into());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

fn label((name, value): (&str, &str)) -> LabelPair {
    let mut label = LabelPair::default();
    label.set_name(name.into());
    label.set_value(value.into());
    label
}

#[expect(
    clippy::cast_precision_loss,
    reason = "Prometheus counts in doubles; beyond 2^53 the last digits do not matter"
)]
pub(crate) const fn float(count: u64) -> f64 {
    count as f64
}

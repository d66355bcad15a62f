mod targets;

use std::collections::BTreeSet;
use std::time::Duration;

use sinks::{Limits, Name, OnRefusal, Rendering, Settings, Start, Target};
use terms::{ByteCount, Span, TenantId};
use yaml::{At, Spot, Tried};

use super::Compiler;
use crate::settings::file::sinks as file;

const MOST: usize = 16;
const RECORDS: u32 = 500;
const MOST_RECORDS: u32 = 10_000;
const BYTES: u64 = 1 << 20;
const LEAST_BYTES: u64 = 16 << 10;
const MOST_BYTES: u64 = 16 << 20;
const WAIT: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(30);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A target, how it is batched if nothing else is said, and what tells it from others of its kind.
struct Aimed {
    target: Target,
    place: String,
}

impl Compiler<'_> {
    /// `hostname` is what syslog calls this gateway.
    pub(super) fn sinks(&mut self, entries: Vec<Tried<At<file::Sink>>>, hostname: &str) -> Option<Vec<Settings>> {
        let count = entries.len();
        let (mut names, mut places) = (BTreeSet::new(), BTreeSet::new());
        let mut compiled = Vec::new();
        for At { spot, value } in entries.into_iter().filter_map(|Tried(entry)| entry) {
            let (name, at) = (value.name.clone(), At { spot, value: () });
            if compiled.len() == MOST {
                self.error(&at, format!("there are at most {MOST} sinks"), "each has a thread of its own");
                return None;
            }
            let Some((settings, place)) = self.sink(spot, value, hostname) else { continue };
            if !names.insert(settings.name.clone()) {
                let help = "a sink remembers by its name how far it is";
                self.error(&name, format!("there is a sink `{}` already", settings.name), help);
            }
            if !places.insert(place) {
                let help = "what two of them write would be mixed up";
                self.error(&at, "another sink has the same place".into(), help);
            }
            compiled.push(settings);
        }
        (compiled.len() == count).then_some(compiled)
    }

    fn sink(&mut self, spot: Spot, entry: file::Sink, hostname: &str) -> Option<(Settings, String)> {
        let file::Sink {
            name,
            rendering,
            tenants,
            start,
            refused,
            batch,
            timeout,
            file,
            http,
            nats,
            otlp,
            postgresql,
            s3,
            stdout,
            syslog,
        } = entry;
        let at = At { spot, value: () };
        let parsed: Option<Name> = self.parse(&name);
        let tenants = match tenants {
            Some(tenants) if tenants.value.is_empty() => {
                self.error(&tenants, "records of nobody would go there".into(), "leave it out for everybody's");
                None
            }
            Some(tenants) => {
                let read: Vec<Option<TenantId>> = tenants.value.iter().map(|tenant| self.parse(tenant)).collect();
                Some(Some(read.into_iter().collect::<Option<_>>()?))
            }
            None => Some(None),
        };
        let setting = format!("audit.sinks.{}", name.value);
        let file = file.map(|it| self.aimed_at_file(it.value));
        let http = http.map(|it| self.aimed_at_http(&setting, it));
        let nats = nats.map(|it| self.aimed_at_nats(&setting, it.value));
        let otlp = otlp.map(|it| self.aimed_at_otlp(&setting, it.value));
        let must_be_json = postgresql.as_ref().and(rendering.as_ref()).filter(|it| it.value == file::Rendering::Cef);
        if let Some(rendering) = must_be_json {
            self.error(rendering, "a row holds JSON".into(), "write `native` or `ocsf`");
        }
        let postgresql = postgresql.map(|it| self.aimed_at_postgresql(&setting, it.value));
        let is_s3 = s3.is_some(); // each object costs, and there are to be few of them
        let s3 = s3.map(|it| self.aimed_at_s3(&setting, it.value));
        let syslog = syslog.map(|it| self.aimed_at_syslog(it.value, hostname));
        let stdout = stdout.map(|_| Some(Aimed { target: Target::Stdout, place: "stdout".into() }));
        let aimed: Vec<_> = [file, http, nats, otlp, postgresql, s3, stdout, syslog].into_iter().flatten().collect();
        let help = "write one of `file`, `http`, `nats`, `otlp`, `postgresql`, `s3`, `stdout`, `syslog`";
        match aimed.len() {
            0 => self.error(&at, "nothing says where the records go".into(), help),
            1 => {}
            _ => self.error(&at, "a sink has one place where records go".into(), help),
        }
        let limits = Limits {
            records: self.bounded(batch.records, if is_s3 { MOST_RECORDS } else { RECORDS }, 1, MOST_RECORDS) as usize,
            bytes: usize::try_from(self.bytes(batch.bytes, if is_s3 { 8 * BYTES } else { BYTES }))
                .unwrap_or(usize::MAX),
            wait: self.within(batch.wait, if is_s3 { MINUTE } else { WAIT }, Duration::from_millis(10), HOUR),
            timeout: self.within(timeout, TIMEOUT, Duration::from_millis(100), HOUR),
        };
        let Aimed { target, place } = aimed.into_iter().next()??;
        let rendering = match rendering.map(|it| it.value) {
            Some(file::Rendering::Cef) => Rendering::Cef,
            None | Some(file::Rendering::Native) => Rendering::Native,
            Some(file::Rendering::Ocsf) => Rendering::Ocsf,
        };
        let start = match start {
            file::Start::First => Start::First,
            file::Start::Now => Start::Now,
        };
        let refused = match refused {
            file::OnRefusal::Hold => OnRefusal::Hold,
            file::OnRefusal::SetAside => OnRefusal::SetAside,
        };
        Some((Settings { name: parsed?, rendering, tenants: tenants?, limits, start, refused, target }, place))
    }

    fn bounded(&mut self, written: Option<At<u32>>, default: u32, least: u32, most: u32) -> u32 {
        let Some(written) = written else { return default };
        if !(least..=most).contains(&written.value) {
            self.error(&written, format!("from {least} to {most}"), "leave it out for the default");
        }
        written.value
    }

    fn bytes(&mut self, written: Option<At<ByteCount>>, default: u64) -> u64 {
        let Some(written) = written else { return default };
        let ByteCount(bytes) = written.value;
        if !(LEAST_BYTES..=MOST_BYTES).contains(&bytes) {
            self.error(&written, "from 16KiB to 16MiB".into(), "leave it out for the default");
        }
        bytes
    }

    fn within(&mut self, written: Option<At<Span>>, default: Duration, least: Duration, most: Duration) -> Duration {
        let Some(written) = written else { return default };
        let Span(span) = written.value;
        if !(least..=most).contains(&span) {
            let message = format!("from {} to {}", Span(least), Span(most));
            self.error(&written, message, "leave it out for the default");
        }
        span
    }
}

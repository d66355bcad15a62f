//! Bodies that the signature of their request covers (RFC 9530).

use terms::{ByteCount, Finding, Findings};
use yaml::At;

use super::Reader;
use crate::compile::names::parse;
use crate::destination::Destination;
use crate::file::FieldsEntry;
use crate::known::{Requests, Standing};
use crate::route::{Access, Upgrade};

/// The longest body that is held: all of it has to be there before the first byte of its request goes out.
const LONGEST: ByteCount = ByteCount(64 << 10);

/// The fields that say what a body is, which is for the one who reads it to say.
const DIGESTS: [&str; 3] = ["content-digest", "digest", "repr-digest"];

/// What else the route says.
pub(super) struct Around<'a> {
    pub(super) access: Option<&'a Access>,
    pub(super) upstream: Option<&'a Destination>,
    pub(super) upgrade: Upgrade,
    pub(super) max_body: Option<ByteCount>,
    pub(super) request_headers: Option<&'a FieldsEntry>,
}

impl Reader<'_> {
    pub(super) fn body_digest(
        &self,
        written: &At<String>,
        around: &Around<'_>,
        findings: &mut Findings,
    ) -> Option<ByteCount> {
        let bound: Option<ByteCount> = parse(self.file, written, findings);
        let mut refuse = |message: String, help: &str| {
            findings.push(Finding::error(self.place(written), message).help(help));
        };
        if bound.is_some_and(|bound| bound == ByteCount(0) || bound > LONGEST) {
            refuse("so much is held in memory for each request".into(), "at least 1B, at most 64KiB");
        } else if bound.is_some_and(|bound| around.max_body.is_some_and(|longest| bound > longest)) {
            refuse("no body is as long as that: `max_body` is less".into(), "make it at most `max_body`");
        }
        if around.upgrade != Upgrade::None {
            refuse("what flows after an upgrade has no digest".into(), "give it a route of its own");
        }
        match (around.access, around.upstream) {
            (Some(Access::Public), _) => {
                refuse("on a public route nothing is signed".into(), "take `body_digest` away");
            }
            (_, Some(upstreams)) => {
                let unsigned = upstreams.all().filter(|upstream| {
                    let known = self.known.upstreams.look_up(upstream.as_str());
                    matches!(known, Standing::Sound(_, known) if known.requests == Requests::Unsigned)
                });
                let mut unsigned: Vec<_> = unsigned.map(|upstream| format!("`{upstream}`")).collect();
                unsigned.sort_unstable();
                unsigned.dedup();
                if !unsigned.is_empty() {
                    let message =
                        format!("requests to {} are not signed, so nothing covers a digest", unsigned.join(", "));
                    refuse(message, "give it a `signature` or a `key` under `assertion` in cloister.yaml");
                }
            }
            (Some(Access::Guarded { .. } | Access::Services { .. }) | None, None) => {}
        }
        let named = around.request_headers.iter().flat_map(|entry| entry.names());
        for name in named.filter(|name| DIGESTS.iter().any(|ours| terms::same_field(ours, name.as_str()))) {
            let finding =
                Finding::error(self.place(name), format!("with `body_digest` only Cloister writes `{}`", name.value));
            findings.push(finding.help("take it away: the digest is of what was read"));
        }
        bound
    }
}

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use policy::response_field;
use proxy::{RateLimitFields, ResponseBounds, ResponseSettings, SecurityHeaders};
use terms::Finding;
use yaml::At;

use super::Compiler;
use crate::settings::file::{self, ContentTypeOptions, FrameOptions, GuardedCache, Hsts, ReferrerPolicy};

/// What browsers' makers ask of a host before they put it on their lists.
const PRELOAD: Duration = Duration::from_secs(365 * 86_400);

impl Compiler<'_> {
    pub(super) fn response(&mut self, response: file::Response) -> Option<ResponseSettings> {
        let file::Response {
            head_bytes,
            field_bytes,
            fields,
            remove,
            hsts,
            hsts_max_age,
            content_type_options,
            frame_options,
            referrer_policy,
            guarded_cache,
            rate_limit_fields,
        } = response;
        let remove: Vec<_> = remove.iter().map(|name| self.removed(name)).collect();
        let age = hsts_max_age.0;
        if let Some(at) = hsts.as_ref().filter(|hsts| hsts.value == Hsts::Preload && age < PRELOAD) {
            self.error(at, "no browser takes this host on its list".into(), "`hsts_max_age` must be at least 365d");
        }
        let hsts = hsts.map_or_else(Hsts::default, |hsts| hsts.value);
        Some(ResponseSettings {
            bounds: ResponseBounds {
                head_bytes: usize::try_from(head_bytes.0).unwrap_or(usize::MAX),
                field_bytes: usize::try_from(field_bytes.0).unwrap_or(usize::MAX),
                fields: usize::from(fields),
            },
            remove: remove.into_iter().collect::<Option<_>>()?,
            security: SecurityHeaders {
                strict_transport: strict_transport(hsts, age),
                content_type: match content_type_options {
                    ContentTypeOptions::None => None,
                    ContentTypeOptions::Nosniff => Some(HeaderValue::from_static("nosniff")),
                },
                frames: match frame_options {
                    FrameOptions::None => None,
                    FrameOptions::Deny => Some(HeaderValue::from_static("DENY")),
                    FrameOptions::SameOrigin => Some(HeaderValue::from_static("SAMEORIGIN")),
                },
                referrer: match referrer_policy {
                    ReferrerPolicy::None => None,
                    ReferrerPolicy::SameOrigin => Some(HeaderValue::from_static("same-origin")),
                    ReferrerPolicy::NoReferrer => Some(HeaderValue::from_static("no-referrer")),
                    ReferrerPolicy::StrictOriginWhenCrossOrigin => {
                        Some(HeaderValue::from_static("strict-origin-when-cross-origin"))
                    }
                },
            },
            rate_limits: match rate_limit_fields {
                file::RateLimitFields::Older => RateLimitFields::Older,
                file::RateLimitFields::Standard => RateLimitFields::Standard,
            },
            guarded_cache: HeaderValue::from_static(match guarded_cache {
                GuardedCache::Private => "private",
                GuardedCache::NoStore => "no-store",
            }),
        })
    }

    fn removed(&mut self, name: &At<String>) -> Option<HeaderName> {
        let parsed = response_field(name.as_str());
        parsed
            .map_err(|invalid| self.findings.push(Finding::error(name.spot.place(self.file), invalid.to_string())))
            .ok()
    }
}

fn strict_transport(hsts: Hsts, age: Duration) -> Option<HeaderValue> {
    let rest = match hsts {
        Hsts::None => return None,
        Hsts::Host => "",
        Hsts::Subdomains => "; includeSubDomains",
        Hsts::Preload => "; includeSubDomains; preload",
    };
    HeaderValue::from_str(&format!("max-age={}{rest}", age.as_secs())).ok()
}

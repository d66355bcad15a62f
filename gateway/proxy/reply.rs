use std::time::Duration;

use bytes::Bytes;
use gate::{Answer, Cause, Challenge, Preflight, Refusal, Unheard};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use limit::{Exceeded, Limits, Standing};
use pingora::http::ResponseHeader;
use pingora::protocols::http::HttpTask;
use pingora::proxy::Session;
use policy::{Justification, Route};
use serde_json::json;
use terms::{Reason, RequestId};

use crate::response::{RateLimitFields, SecurityHeaders, Transport};

/// The name of the field that tells clients which request to ask us about.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// What may be spent (draft-ietf-httpapi-ratelimit-headers).
pub(crate) const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// What is left of it.
pub(crate) const STANDING: HeaderName = HeaderName::from_static("ratelimit");

/// The same, as it was told before there was a draft: how much there is, how much is left, and in how many seconds it is whole.
const OLDER: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit"),
    HeaderName::from_static("x-ratelimit-remaining"),
    HeaderName::from_static("x-ratelimit-reset"),
];

/// What an answer says of limits: nothing where there is none that clients are told of.
pub(crate) fn told(limits: &Limits, standing: &Standing, fields: RateLimitFields) -> Vec<(HeaderName, String)> {
    let standard = [(POLICY, limits.policy_field(standing)), (STANDING, limits.standing_field(standing))];
    let older = match fields {
        RateLimitFields::Older => limits.older_fields(standing),
        RateLimitFields::Standard => None,
    };
    let older = older.into_iter().flat_map(|values| OLDER.into_iter().zip(values.map(|value| value.to_string())));
    standard.into_iter().filter(|(_, value)| !value.is_empty()).chain(older).collect()
}

/// A refusal as it goes out: a problem document (RFC 9457), or a gRPC status for a gRPC client.
#[derive(Debug)]
pub(crate) struct Reply {
    status: StatusCode,
    fields: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Reply {
    /// The answer to one refused request.
    pub(crate) fn to(
        refusal: &Refusal,
        challenge: Vec<(HeaderName, String)>,
        id: RequestId,
        grpc: bool,
        fields: RateLimitFields,
    ) -> Self {
        let answer = refusal.answer();
        let exceeded = if let Cause::Limited(exceeded) = refusal.cause() { Some(exceeded) } else { None };
        let exceeded = exceeded.map(|exceeded| (exceeded, &**refusal.rules().limits()));
        let wanted = if let Cause::Unjustified(unheard) = refusal.cause() { Some(&**unheard) } else { None };
        let wanted = wanted.filter(|_| !refusal.is_hidden());
        let mut reply = Self::of(answer, id, grpc, exceeded, wanted);
        for (name, value) in challenge {
            reply.field(name, &value);
        }
        if let Some((exceeded, limits)) = exceeded {
            if let Some(seconds) = exceeded.retry_after() {
                reply.field(header::RETRY_AFTER, &seconds.to_string());
            }
            for (name, value) in told(limits, exceeded.standing(), fields) {
                reply.field(name, &value);
            }
        }
        if matches!(refusal.cause(), Cause::Crowded | Cause::Overloaded) {
            reply.field(header::RETRY_AFTER, "1"); // a request that is in progress is over soon, and its room is free
        }
        reply
    }

    /// The answer to a request that failed after it was admitted.
    pub(crate) fn failed(reason: Reason, id: RequestId, grpc: bool, retry_after: Option<Duration>) -> Self {
        let answer = Answer::to(reason);
        let mut reply = Self::of(answer, id, grpc, None, None);
        if answer.challenge != Challenge::None {
            reply.field(header::WWW_AUTHENTICATE, &format!("Bearer error=\"{}\"", answer.code));
        }
        if let Some(after) = retry_after {
            reply.field(header::RETRY_AFTER, &after.as_millis().div_ceil(1_000).max(1).to_string());
        }
        reply
    }

    /// The answer to a browser that asks what a page may ask.
    pub(crate) fn to_preflight(preflight: &Preflight, id: RequestId) -> Self {
        let fields = preflight.fields().to_vec();
        let mut reply = Self { status: Answer::to(Reason::CorsPreflight).status, fields, body: Bytes::new() };
        reply.field(header::VARY, "origin, access-control-request-method, access-control-request-headers");
        reply.field(REQUEST_ID, &id.to_string());
        reply
    }

    /// Lets pages of the origins that the route allows read it, so that they can show what is wrong.
    pub(crate) fn readable(mut self, route: &Route, origin: Option<&str>, host: &str) -> Self {
        let Some(cors) = &route.cors else { return self };
        self.field(header::VARY, "origin");
        self.fields.extend(
            origin
                .filter(|origin| cors.allows(origin, host))
                .map_or_else(Vec::new, |origin| cors.response_fields(origin)),
        );
        self
    }

    fn of(
        answer: Answer,
        id: RequestId,
        grpc: bool,
        exceeded: Option<(&Exceeded, &Limits)>,
        wanted: Option<&Unheard>,
    ) -> Self {
        let mut reply = if grpc { Self::grpc(answer) } else { Self::problem(answer, id, exceeded, wanted) };
        reply.field(REQUEST_ID, &id.to_string());
        reply.field(header::CACHE_CONTROL, "no-store");
        reply
    }

    fn problem(
        answer: Answer,
        id: RequestId,
        exceeded: Option<(&Exceeded, &Limits)>,
        wanted: Option<&Unheard>,
    ) -> Self {
        let mut problem = json!({
            "type": "about:blank",
            "title": answer.title,
            "status": answer.status.as_u16(),
            "code": answer.code,
            "instance": format!("urn:cloister:request:{id}"),
        });
        let kind = match (exceeded.map(|(exceeded, _)| exceeded.reason()), answer.code) {
            // Also of who has more than its share while others want theirs: no policy of its own says how much that is.
            (None, "overloaded" | "quota_exceeded") => "#temporary-reduced-capacity",
            (None, _) | (Some(Reason::Internal | Reason::LimitUnavailable), _) => "",
            (Some(Reason::LimitLockout), _) => "#abnormal-usage-detected",
            (Some(_), _) => "#quota-exceeded",
        };
        if let (Some(members), false) = (problem.as_object_mut(), kind.is_empty()) {
            members.insert("type".into(), format!("https://iana.org/assignments/http-problem-types{kind}").into());
            if let Some((exceeded, limits)) = exceeded {
                let violated = exceeded.violated().filter_map(|level| limits.limit(level.limit));
                members.insert("violated-policies".into(), violated.map(|limit| limit.id.as_str()).collect());
            }
        }
        if let (Some(members), Some(Unheard { rule: _, wanted, why })) = (problem.as_object_mut(), wanted) {
            let (header, shortest) = (&*wanted.header, wanted.shortest);
            let longest = Justification::LONGEST;
            members.insert("detail".into(), format!("Say in `{header}` why it must be: {why}").into());
            let wanted =
                json!({"header": header, "min_length": shortest, "max_bytes": longest, "problem": why.as_str()});
            members.insert("justification".into(), wanted);
        }
        let mut reply = Self { status: answer.status, fields: Vec::with_capacity(8), body: problem.to_string().into() };
        reply.field(header::CONTENT_TYPE, "application/problem+json");
        reply.field(header::CONTENT_LENGTH, &reply.body.len().to_string());
        reply
    }

    /// gRPC carries its status in the head of a response without a body ("trailers-only").
    fn grpc(answer: Answer) -> Self {
        let mut reply = Self { status: StatusCode::OK, fields: Vec::with_capacity(8), body: Bytes::new() };
        reply.field(header::CONTENT_TYPE, "application/grpc");
        reply.field(HeaderName::from_static("grpc-status"), &answer.grpc.to_string());
        reply.field(HeaderName::from_static("grpc-message"), answer.code);
        reply
    }

    fn field(&mut self, name: HeaderName, value: &str) {
        // INVARIANT: all values are numbers, names of limits and of algorithms, and constants, so that none is left out here.
        self.fields.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
    }

    /// How many bytes of body it has.
    pub(crate) fn length(&self) -> u64 {
        self.body.len() as u64
    }

    /// The status code that goes out.
    pub(crate) fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// Sends it. A `HEAD` request gets the head alone (RFC 9110 §9.3.2).
    pub(crate) async fn send(
        self,
        session: &mut Session,
        security: &SecurityHeaders,
        transport: Transport,
    ) -> pingora::Result<()> {
        let mut head = ResponseHeader::build_no_case(self.status, Some(self.fields.len()))?;
        for (name, value) in self.fields {
            head.insert_header(name, value)?;
        }
        security.put_on(&mut head, transport)?;
        let no_body = self.body.is_empty() || session.req_header().method == Method::HEAD;
        if no_body && session.is_http2() {
            // `write_response_header` would leave the end to an empty frame, in which a gRPC client misses its trailers.
            session.write_response_tasks(vec![HttpTask::Header(Box::new(head), true)]).await?;
            return Ok(());
        }
        session.write_response_header(Box::new(head), no_body).await?;
        if !no_body {
            session.write_response_body(Some(self.body), true).await?;
        }
        Ok(())
    }
}

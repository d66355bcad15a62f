//! Bodies that are read whole before any backend is asked, where the route has them covered by the signature: what is signed
//! must be known before the head goes out.
//!
//! pingora keeps what it has read of a body, 64 KiB at most, and sends it to every backend that is tried: these bytes are the
//! ones that the digest is of. No route holds more than that (`policy` sees to it), and no place at a backend is taken
//! meanwhile, so that who sends slowly is in nobody's way.

use std::time::Duration;

use assertion::BodyDigest;
use audit::End;
use pingora::prelude::{Error, ErrorType, Result};
use pingora::proxy::Session;
use terms::{ByteCount, Reason};

use crate::context::{Context, Held, Stage};
use crate::proxy::Proxy;
use crate::{deadline, go_on, upload};

/// The field that says what was read; what a client says in it is compared with that, and never passed on.
pub(crate) const CONTENT_DIGEST: &str = "content-digest";

/// What else clients say of bodies. Nobody has compared it with anything, so it does not stand beside what is signed.
pub(crate) const UNVERIFIED: [&str; 2] = ["digest", "repr-digest"];

impl Proxy {
    /// Reads the body of an admitted request, if its route has it covered, and notes its digest.
    ///
    /// # Errors
    /// The request is to be answered with what is noted, or its client is gone.
    pub(crate) async fn hold(&self, session: &mut Session, context: &mut Context) -> Result<()> {
        let Stage::Admitted(admitted) = &context.stage else {
            return Error::e_explain(ErrorType::InternalError, "no permit, no body");
        };
        let Some(bound) = admitted.permit.route().body_digest else { return Ok(()) };
        let Some(backend) = self.backends().named(admitted.permit.upstream()) else {
            return Error::e_explain(ErrorType::InternalError, "rules and backends do not fit together");
        };
        let within = deadline::whole(admitted, backend);
        let digest = match BodyDigest::begin(session.req_header().headers.get_all(CONTENT_DIGEST)) {
            Ok(digest) => read(session, context, digest, bound, within).await?.finish(),
            Err(invalid) => Err(invalid),
        };
        let digest = match digest {
            Ok(digest) => digest,
            Err(invalid) => return refuse(context, Reason::RequestDigest, invalid),
        };
        let length = std::mem::take(&mut context.received); // of which no backend has seen any
        if let Stage::Admitted(admitted) = &mut context.stage {
            admitted.held = Some(Held { digest, length });
        }
        Ok(())
    }
}

async fn read(
    session: &mut Session,
    context: &mut Context,
    mut digest: BodyDigest,
    bound: ByteCount,
    within: Duration,
) -> Result<BodyDigest> {
    if session.is_body_empty() {
        return Ok(digest);
    }
    session.enable_retry_buffering();
    go_on::tell(session, context).await?;
    context.await_body();
    upload::hold(session, context, within);
    while let Some(piece) = session.read_request_body().await.map_err(|error| error.into_down())? {
        context.received = context.received.saturating_add(piece.len() as u64);
        if context.received > bound.0 {
            return refuse(context, Reason::RequestBodyBeyondDigest, TooLong);
        }
        digest.update(&piece);
        upload::comes(context, piece.len());
    }
    upload::held(context);
    context.end_body();
    Ok(digest)
}

#[derive(Debug, thiserror::Error)]
#[error("the body is longer than what its route covers")]
struct TooLong;

fn refuse<T>(context: &mut Context, reason: Reason, why: impl std::error::Error + Send + Sync + 'static) -> Result<T> {
    context.failed = Some((reason, End::Complete));
    Error::e_because(ErrorType::new("refused body"), reason.as_str(), why)
        .map_err(|error: Box<Error>| error.into_down())
}

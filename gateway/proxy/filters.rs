use std::os::fd::RawFd;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use async_trait::async_trait;
use audit::{End, Outcome};
use bytes::Bytes;
use futures::FutureExt as _;
use gate::{Arrival, Cause, DPOP_NONCE, Refusal};
use http::{HeaderMap, StatusCode, Version, header};
use ingress::Connection;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::prelude::{Error, ErrorType, HttpPeer, Result};
use pingora::protocols::Digest;
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use terms::Reason;
use upstream::Went;

use crate::context::{Admitted, Context, InProgress, Stage};
use crate::forward::Came;
use crate::proxy::{Refused, Serving, channel};
use crate::reply::{self, REQUEST_ID, Reply};
use crate::response::Asked;
use crate::retry::Connection as From;
use crate::socket::Frames;
use crate::trace::Trace;
use crate::{
    deadline, echo, ends, forward, go_on, old, patience, response, running, socket, spelling, streams, upload,
};

/// What `request_filter` answers pingora with. Named here, since `true` says nothing at the place where it stands.
const ANSWERED: bool = true;
const FORWARD: bool = false;

#[async_trait]
impl ProxyHttp for Serving {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context::default()
    }

    /// No module of pingora's has a part in this.
    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, context: &mut Context) -> Result<()> {
        let connection = session.digest().and_then(Connection::of);
        let Some(connection) = connection.map(InProgress::on) else {
            // FAIL CLOSED: a connection that did not come through our ingress has no guard and no address.
            return Error::e_explain(ErrorType::InternalError, "a connection without a guard");
        };
        spelling::forget(session.req_header_mut())?;
        let knows_no_1xx = session.req_header().version == Version::HTTP_10; // RFC 9110 §15.2
        session.set_ignore_info_resp(knows_no_1xx);
        session.set_pipelining_enabled(true); // or pingora drops what comes behind, unanswered and unrecorded
        if canonical::asks_to_close(&session.req_header().headers) {
            session.set_keepalive(None);
        }
        let client = self.client(connection.connection().peer().ip(), session.req_header());
        let trace = Trace::of(&session.req_header().headers, (fastrand::u128(..), fastrand::u64(..)));
        let channel = channel(connection.connection());
        let scheme = Came { client: &client, tls: connection.connection().tls().is_some() }.scheme();
        let arrival =
            Arrival { channel, scheme, ..self.arrival(client.address, Some(session.req_header()), Some(trace)) };
        context.connection = Some(connection);
        context.client = Some(client);
        context.stage = Stage::Arrived(arrival, trace);
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, context: &mut Context) -> Result<bool> {
        let Stage::Arrived(arrival, trace) = std::mem::take(&mut context.stage) else {
            return Error::e_explain(ErrorType::InternalError, "a request that did not arrive");
        };
        let judged = AssertUnwindSafe(self.judge(session, &arrival)).catch_unwind().await;
        self.metrics().decided(arrival.started.elapsed().as_secs_f64());
        let refused = match judged {
            Ok(Ok((permit, forward))) => {
                context.stage = Stage::Admitted(Box::new(Admitted { arrival, trace, permit, forward, held: None }));
                // A client that asks first whether to send its body owes none until it begins.
                if !session.is_body_empty() && session.get_header("expect").is_none() && !session.is_upgrade_req() {
                    context.await_body();
                }
                self.hold(session, context).await?;
                return Ok(FORWARD);
            }
            Ok(Err(refused)) => refused,
            Err(_) => {
                // FAIL CLOSED: a panic of ours costs this request alone, and is told as what it is.
                let refusal = Refusal::new(Cause::Broken("admit"), self.gate().rules());
                self.refuse(&arrival, session.req_header(), None, refusal)
            }
        };
        let Refused { reason, route, reply } = refused;
        context.answered = Some(reply.status());
        end_of_request(session, reason);
        context.stage = Stage::Refused { arrival, reason, route }; // first: a client that hangs up is on record all the same
        if context.is_ending() {
            session.set_keepalive(None);
        }
        reply.send(session, &self.response().security, context.transport()).await?;
        Ok(ANSWERED)
    }

    async fn upstream_peer(&self, session: &mut Session, context: &mut Context) -> Result<Box<HttpPeer>> {
        let mut peer = self.attempt(session, context).await?;
        if session.is_upgrade_req() {
            // On a kept connection a quick 101 can be read before pingora has noted that the request has no body, and then
            // that note ends the new protocol as it begins. A new connection cannot be read that early.
            peer.group_key = fastrand::u64(..);
            socket::opening(&mut peer);
        }
        Ok(peer)
    }

    /// No byte of the request has left.
    fn fail_to_connect(
        &self,
        session: &mut Session,
        peer: &HttpPeer,
        context: &mut Context,
        mut error: Box<Error>,
    ) -> Box<Error> {
        let again = self.unconnected(session, context, peer, &error);
        error.set_retry(again);
        error
    }

    async fn connected_to_upstream(
        &self,
        _: &mut Session,
        _: bool,
        _: &HttpPeer,
        connection: RawFd,
        _: Option<&Digest>,
        context: &mut Context,
    ) -> Result<()> {
        context.wire = Some(connection);
        Ok(())
    }

    /// Some of the request may have left.
    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        context: &mut Context,
        reused: bool,
    ) -> Box<Error> {
        context.wire = None;
        if let Stage::Admitted(admitted) = &context.stage
            && admitted.heard()
        {
            error = deadline::late();
        }
        let connection = if reused { From::Kept } else { From::New };
        let again = std::mem::take(&mut context.effort.put_aside) || self.failed(session, context, &error, connection);
        error.set_retry(again);
        error
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        head: &mut RequestHeader,
        context: &mut Context,
    ) -> Result<()> {
        let Stage::Admitted(admitted) = &context.stage else {
            return Error::e_explain(ErrorType::InternalError, "no permit, no request");
        };
        if context.stream.is_none() {
            context.stream = streams::of_request(session).map(|kind| self.streams().watch(kind, admitted));
        }
        go_on::tell(session, context).await?;
        let Stage::Admitted(admitted) = &context.stage else {
            return Error::e_explain(ErrorType::InternalError, "no permit, no request");
        };
        let Some(backend) = &context.effort.backend else {
            return Error::e_explain(ErrorType::InternalError, "rules and backends do not fit together");
        };
        if head.version == Version::HTTP_11 {
            backend.may_speak_http1()?;
        }
        let injected = match self.inject(admitted, backend, session.req_header()) {
            Ok(injected) => injected,
            Err(error) => {
                // FAIL CLOSED: nothing is forwarded that does not say who asks.
                context.failed = Some((error.reason(), End::Complete));
                self.metrics().failed_closed(error.reason());
                return Error::e_because(ErrorType::InternalError, "minting an assertion", error);
            }
        };
        let (Some(connection), Some(client)) = (&context.connection, &context.client) else {
            return Error::e_explain(ErrorType::InternalError, "a request from nobody");
        };
        let came = Came { client, tls: connection.connection().tls().is_some() };
        forward::rewrite(head, admitted, backend.assertion(), injected, &came)?;
        context.announced = 0; // of this attempt
        if let Some((echo, _)) = admitted.echo() {
            echo::prepare(echo, session, head)?;
        }
        if session.is_http2() {
            session.set_write_timeout(Some(upload::for_a_piece(connection.connection().body_pace())));
        }
        let backend = context.backend_takes;
        upload::begin(session, context, backend);
        listen(session, head, context);
        Ok(())
    }

    async fn request_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        context: &mut Context,
    ) -> Result<()> {
        if end_of_stream || context.socket.is_some() {
            context.end_body();
        } else {
            context.await_body();
        }
        if end_of_stream && body.as_ref().is_some_and(Bytes::is_empty) {
            // HTTP/2 may end a body with an empty frame. pingora would write it as a chunk, which is the last one, and then
            // the last one again: in front of whoever's request is next on that connection.
            *body = None;
        }
        let Stage::Admitted(admitted) = &context.stage else {
            return Error::e_explain(ErrorType::InternalError, "no permit, no body");
        };
        upload::came(&mut context.upload, admitted, body.as_ref().map_or(0, Bytes::len), end_of_stream);
        if end_of_stream {
            deadline::asked(admitted, &context.effort);
        }
        let Some(chunk) = body else { return Ok(()) };
        context.received = context.received.saturating_add(chunk.len() as u64);
        if context.received > admitted.permit.route().max_body.0 && context.socket.is_none() {
            // It must be the client's: towards a backend of HTTP/2 pingora waits for an answer after any other error.
            return Error::e_explain(ErrorType::HTTPStatus(413), "the body is longer than the route takes")
                .map_err(|error: Box<Error>| error.into_down());
        }
        Ok(())
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        head: &mut ResponseHeader,
        context: &mut Context,
    ) -> Result<()> {
        spelling::forget_in_response(head)?;
        // ORDER: what is no response says nothing: no status of it is noted, and none is a reason to try again.
        let answers = !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS;
        if let (true, Stage::Admitted(admitted)) = (answers, &context.stage) {
            context.effort.first_byte = None;
            if admitted.heard() {
                return Err(deadline::late());
            }
        }
        let asked = if session.is_upgrade_req() { Asked::Upgrade } else { Asked::Response };
        response::check(head, asked, &mut context.announced, &self.response().bounds)?;
        let status = head.status;
        if answers {
            self.report(context, Went::Answered(status.as_u16()));
            if self.puts_aside(session, context, status.as_u16()) {
                return Error::e_explain(ErrorType::HTTPStatus(status.as_u16()), "put aside for another attempt")
                    .map_err(|error: Box<Error>| error.into_up());
            }
            self.recovered(context);
        }
        let Context { stage: Stage::Admitted(admitted), watch, .. } = context else {
            return Error::e_explain(ErrorType::InternalError, "no permit, no response");
        };
        if let Some((echo, tenant)) = admitted.echo().filter(|_| !status.is_informational()) {
            watch.head(echo, tenant, head, &session.req_header().method)?;
        }
        response::clean(head, &self.response().remove)
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        head: &mut ResponseHeader,
        context: &mut Context,
    ) -> Result<()> {
        if let Some(forwarded) = context.forwarded.take() {
            self.metrics().responded(forwarded.elapsed().as_secs_f64());
        }
        context.responded = Some(head.status.as_u16());
        context.effort.begun = true;
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            socket::check(session.req_header(), head)?;
            context.socket = Some(Frames::default());
            session.set_read_timeout(None); // a client may listen for hours
            context.end_body(); // from here on nobody owes anything
        } else if context.is_ending() {
            session.set_keepalive(None); // the last answer on this connection, and it says so
        }
        let Stage::Admitted(admitted) = &context.stage else {
            return Error::e_explain(ErrorType::InternalError, "no permit, no response");
        };
        if context.stream.is_none() {
            context.stream = streams::of_response(session, head).map(|kind| self.streams().watch(kind, admitted));
        }
        if !head.status.is_informational() {
            let route = admitted.permit.route();
            self.response().security.put_on(head, context.transport())?;
            response::apply(head, &route.response_fields)?;
            response::keep_apart(head, route, &self.response().guarded_cache)?;
            response::share(head, route, origin(session), host(admitted))?;
        }
        head.insert_header(REQUEST_ID, admitted.arrival.id.to_string())?;
        let (limits, standing) = (admitted.permit.rules().limits(), admitted.permit.standing());
        for (name, value) in reply::told(limits, standing, self.response().rate_limits) {
            head.insert_header(name, value)?;
        }
        if let Some(nonce) = self.gate().next_nonce(&admitted.permit) {
            head.insert_header(DPOP_NONCE, nonce)?;
        }
        if let Some((echo, _)) = admitted.echo().filter(|_| !head.status.is_informational()) {
            context.watch.hold(echo, head)?;
        }
        if context.watch.holds() {
            context.responded = None; // there may be another answer still, so its deadlines stay as they are
            return Ok(());
        }
        patience::answering(admitted);
        if context.socket.is_some() || !head.status.is_informational() {
            deadline::answering(admitted, context.effort.until, &head.headers);
        }
        if let Some(stream) = &context.stream {
            stream.responds(head.status.as_u16());
        }
        if session.req_header().version == Version::HTTP_10 {
            old::adapt(head, session)?;
        }
        Ok(())
    }

    fn response_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        _: bool,
        context: &mut Context,
    ) -> Result<Option<Duration>> {
        if let Context { stage: Stage::Admitted(admitted), watch, .. } = context
            && let Some((echo, _)) = admitted.echo()
        {
            watch.body(echo, body)?;
        }
        let length = body.as_ref().map_or(0, Bytes::len);
        context.sent = context.sent.saturating_add(length as u64);
        if let (Some(socket), Some(body)) = (&mut context.socket, &body) {
            socket.follow(body);
        }
        Ok(None)
    }

    async fn response_trailer_filter(
        &self,
        _: &mut Session,
        trailers: &mut HeaderMap,
        context: &mut Context,
    ) -> Result<Option<Bytes>> {
        response::clean_trailers(trailers, &self.response().remove);
        // Trailers cannot go out before a head that is held: an empty last part of the body takes their place.
        Ok(context.watch.holds().then(Bytes::new))
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, context: &mut Context) -> FailToProxy {
        let slow = context.connection.as_ref().is_some_and(|connection| connection.connection().was_too_slow());
        let (reason, end) = match context.failed {
            Some((reason, end)) => (Some(reason), end), // a request that was turned away
            None if slow => (Some(Reason::RequestTimeout), End::ClientGone),
            None => ends::of(error),
        };
        if let Some(reason) = reason {
            context.failed = Some((reason, end));
        }
        let id = match &context.stage {
            Stage::Admitted(admitted) => Some(admitted.arrival.id),
            Stage::Arrived(arrival, _) | Stage::Refused { arrival, .. } => Some(arrival.id),
            Stage::New | Stage::Recorded => None,
        };
        let (Some(reason), Some(id), None) = (reason, id, written(session)) else {
            return FailToProxy { error_code: 0, can_reuse_downstream: false };
        };
        let grpc = canonical::speaks_grpc(&session.req_header().headers);
        let mut reply = Reply::failed(reason, id, grpc, context.effort.retry_after);
        if let Stage::Admitted(admitted) = &context.stage {
            reply = reply.readable(admitted.permit.route(), origin(session), host(admitted));
        }
        let status = reply.status();
        context.answered = Some(status);
        session.set_keepalive(None); // what is left of the body is not read
        if reply.send(session, &self.response().security, context.transport()).await.is_err() {
            context.failed = Some((reason, End::ClientGone));
        }
        FailToProxy { error_code: status, can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, context: &mut Context) {
        let released = if error.is_none() { self.release(session, context).await } else { None };
        let error = error.or(released.as_deref());
        let status = context.answered.or_else(|| written(session));
        let (reason, end) = match (context.failed, error) {
            (Some((reason, end)), _) => (Some(reason), end),
            (None, Some(_)) => (None, End::ClientGone),
            (None, None) => (None, End::Complete),
        };
        let echo = self.echoed(context);
        let (bytes_in, bytes_out) = (session.body_bytes_read() as u64, session.body_bytes_sent() as u64);
        let attempts = context.attempts;
        let outcome = Outcome { status, reason, attempts, bytes_in, bytes_out, end, echo, ..Outcome::default() };
        if let Some(stream) = context.stream.take() {
            stream.over(&outcome);
        }
        self.close(std::mem::replace(&mut context.stage, Stage::Recorded), outcome, session.req_header());
        running::over();
        context.chosen = None;
        context.connection = None; // the guard's clock runs again
    }

    /// One line for pingora's own logs, which must not quote paths or fields.
    fn request_summary(&self, _: &Session, context: &Context) -> String {
        match &context.stage {
            Stage::Admitted(admitted) => format!("request {}", admitted.arrival.id),
            Stage::Arrived(arrival, _) | Stage::Refused { arrival, .. } => format!("request {}", arrival.id),
            Stage::New | Stage::Recorded => "a request".into(),
        }
    }

    /// What went wrong with a request is in its record and in the metrics.
    fn suppress_error_log(&self, _: &Session, _: &Context, _: &Error) -> bool {
        true
    }
}

impl Serving {
    /// Lets out the response that was held, if it is of the tenant that asked; else answers in its place.
    async fn release(&self, session: &mut Session, context: &mut Context) -> Option<Box<Error>> {
        let Context { stage: Stage::Admitted(admitted), watch, .. } = context else { return None };
        let (echo, tenant) = admitted.echo()?;
        match watch.end(echo, tenant) {
            Ok(held) => {
                let held = held?;
                (context.responded, context.sent) = (Some(held.status()), held.length());
                held.send(session).await.err()
            }
            Err(leak) => {
                self.fail_to_proxy(session, &leak, context).await;
                None
            }
        }
    }
}

/// From here on the backend owes an answer: at once, if there is no body that it may wait for.
fn listen(session: &mut Session, head: &RequestHeader, context: &Context) {
    let Stage::Admitted(admitted) = &context.stage else { return };
    if let (Some(wire), Version::HTTP_11) = (context.wire, head.version) {
        admitted.listens_to(wire);
    }
    if session.is_body_empty() || session.is_upgrade_req() {
        deadline::asked(admitted, &context.effort);
    }
}

/// Whose page asks, if a page of one origin does.
fn origin(session: &Session) -> Option<&str> {
    session.req_header().headers.get(header::ORIGIN)?.to_str().ok() // one at most: others were refused
}

/// The host as it was judged, without its port.
fn host(admitted: &Admitted) -> &str {
    let authority = admitted.forward.host.to_str().unwrap_or_default();
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// The status of the response that has begun, if one has. What only announces it does not count.
fn written(session: &Session) -> Option<u16> {
    let status = session.response_written()?.status;
    let begun = !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS;
    begun.then_some(status.as_u16())
}

/// Ends the connection behind a head that has more than one meaning: nobody knows where that request ends. Behind a body
/// that nobody has read pingora ends it by itself.
fn end_of_request(session: &mut Session, reason: Reason) {
    // Who waits to be told to send the body may leave it out after this answer, and then the next request comes in its place.
    if reason.is_malformed() || session.get_header(header::EXPECT).is_some() {
        session.set_keepalive(None);
    }
}

//! Holds a response back until it is known whose it is.
//!
//! pingora writes a response head as soon as it has passed the filters, and the body comes after. So where the body must be
//! seen first, the head that passes is made an informational one, which pingora drops (HTTP/1.1, told so; HTTP/2, always), and
//! the body is taken out as it comes. When pingora has nothing more to forward it calls `logging`, which has the session to
//! itself: there what was held goes out, or a 502 in its place. The connection to the backend is back in its pool by then.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::{Error, ErrorType, Result};
use pingora::proxy::Session;
use policy::{Echo, EchoMode, EchoPlace, Echoed, Success};

use crate::streams;

/// What pingora is told of a response that must not reach the client.
pub(crate) const LEAK: ErrorType = ErrorType::new("TenantLeak");

/// What is known so far of one response's tenant.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    said: Option<Echoed>,
    /// The JSON so far, while it is looked at.
    body: Option<BytesMut>,
    /// The head that waits for the end of the body.
    held: Option<Box<ResponseHeader>>,
    success: Option<Success>,
}

/// A response that may go out.
#[derive(Debug)]
pub(crate) struct Held {
    head: Box<ResponseHeader>,
    body: Bytes,
}

/// Asks the backend for a response that can be read: whole, and not compressed.
pub(crate) fn prepare(echo: &Echo, session: &mut Session, head: &mut RequestHeader) -> Result<()> {
    if echo.mode == EchoMode::Block {
        session.set_ignore_info_resp(true); // before a byte leaves: also none of what only announces the response
    }
    if matches!(echo.place, EchoPlace::Json(_)) {
        head.insert_header(header::ACCEPT_ENCODING, "identity")?;
        head.remove_header(&header::RANGE);
        head.remove_header(&header::IF_RANGE);
    }
    Ok(())
}

impl Watch {
    /// Looks at a final head as it came from the backend.
    pub(crate) fn head(&mut self, echo: &Echo, tenant: &str, head: &ResponseHeader, method: &Method) -> Result<()> {
        let success = if head.status.is_success() { Success::Yes } else { Success::No };
        *self = Self { success: Some(success), ..Self::default() };
        match &echo.place {
            EchoPlace::Header(name) => {
                let values = head.headers.get_all(name);
                self.said = Some(Echo::of_fields(values.iter().map(http::HeaderValue::as_bytes), tenant));
            }
            EchoPlace::Json(_) if has_no_body(method, head.status) => {}
            EchoPlace::Json(_) if is_no_json(head) => self.hide(),
            EchoPlace::Json(_) => self.body = Some(BytesMut::new()),
        }
        self.judge(echo)
    }

    /// Keeps a head that is ready for the client, if its body must be seen first.
    pub(crate) fn hold(&mut self, echo: &Echo, head: &mut ResponseHeader) -> Result<()> {
        if self.body.is_none() || echo.mode == EchoMode::Shadow {
            return Ok(());
        }
        self.held = Some(Box::new(head.clone()));
        head.set_status(StatusCode::PROCESSING)
    }

    /// Looks at the next part of the body, and takes it out if the head is held.
    pub(crate) fn body(&mut self, echo: &Echo, part: &mut Option<Bytes>) -> Result<()> {
        let (Some(body), Some(bytes)) = (&mut self.body, part.as_ref()) else { return Ok(()) };
        let length = (body.len() as u64).saturating_add(bytes.len() as u64);
        if length > echo.max_body.0 {
            self.hide(); // FAIL CLOSED: what is not held whole is not looked at
            return self.judge(echo);
        }
        body.extend_from_slice(bytes);
        if self.held.is_some() {
            *part = None;
        }
        Ok(())
    }

    /// Whether trailers would come where no head has gone out.
    pub(crate) const fn holds(&self) -> bool {
        self.held.is_some()
    }

    /// Looks at the whole body, once it is there to its end. What was held comes out if it may go to the client.
    pub(crate) fn end(&mut self, echo: &Echo, tenant: &str) -> Result<Option<Held>> {
        let Some(body) = self.body.take() else { return Ok(None) };
        if let (EchoPlace::Json(pointer), false) = (&echo.place, body.is_empty()) {
            self.said = Some(Echo::of_json(pointer, &body, tenant));
        }
        let held = self.held.take(); // it goes out below, or never
        self.judge(echo)?;
        Ok(held.map(|head| Held { head, body: body.freeze() }))
    }

    /// What the response said.
    pub(crate) const fn said(&self) -> Option<Echoed> {
        self.said
    }

    /// It cannot be looked at, so nothing is known of it, whatever its status.
    fn hide(&mut self) {
        (self.said, self.body, self.success) = (Some(Echoed::Unreadable), None, Some(Success::Yes));
    }

    fn judge(&self, echo: &Echo) -> Result<()> {
        match (self.said, self.success) {
            (Some(said), Some(success)) if !echo.passes(said, success) => {
                Error::e_explain(LEAK, "the response is not known to be of this tenant").map_err(Error::into_up)
            }
            (Some(_) | None, Some(_) | None) => Ok(()),
        }
    }
}

impl Held {
    pub(crate) fn status(&self) -> u16 {
        self.head.status.as_u16()
    }

    pub(crate) fn length(&self) -> u64 {
        self.body.len() as u64
    }

    /// Sends it.
    pub(crate) async fn send(self, session: &mut Session) -> Result<()> {
        let Self { mut head, body } = self;
        head.remove_header(&header::TRANSFER_ENCODING);
        head.insert_header(header::CONTENT_LENGTH, body.len())?;
        let empty = body.is_empty();
        session.write_response_header(head, empty).await?;
        if !empty {
            session.write_response_body(Some(body), true).await?;
        }
        Ok(())
    }
}

fn has_no_body(method: &Method, status: StatusCode) -> bool {
    let bare = [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT, StatusCode::NOT_MODIFIED];
    method == Method::HEAD || bare.contains(&status)
}

/// What is compressed, or one part of something, or comes as it happens: to hold that would be to wait for an end that is
/// not there.
fn is_no_json(head: &ResponseHeader) -> bool {
    let fields = &head.headers;
    is_encoded(fields)
        || head.status == StatusCode::PARTIAL_CONTENT
        || streams::are_events(fields)
        || canonical::speaks_grpc(fields)
}

fn is_encoded(fields: &HeaderMap) -> bool {
    fields.get_all(header::CONTENT_ENCODING).iter().any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

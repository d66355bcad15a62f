use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{Bounds, Malformed, connection};

/// The fields that may stand once, as one walk over the head finds them.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'h> {
    pub(crate) all: &'h HeaderMap,
    pub(crate) authorization: Option<&'h HeaderValue>,
    pub(crate) connection: Option<connection::Upgrade>,
    pub(crate) content_length: Option<&'h HeaderValue>,
    pub(crate) content_type: Option<&'h HeaderValue>,
    pub(crate) expect: Option<&'h HeaderValue>,
    pub(crate) host: Option<&'h HeaderValue>,
    pub(crate) transfer_encoding: Option<&'h HeaderValue>,
    pub(crate) upgrade: Option<&'h HeaderValue>,
    pub(crate) websocket_key: Option<&'h HeaderValue>,
    pub(crate) websocket_version: Option<&'h HeaderValue>,
}

impl<'h> Fields<'h> {
    pub(crate) fn read(all: &'h HeaderMap, bounds: &Bounds) -> Result<Self, Malformed> {
        if all.len() > bounds.fields {
            return Err(Malformed::HeadTooLarge);
        }
        let mut fields = Self::none(all);
        let mut origin = None;
        let mut bytes = 0_usize;
        for (name, value) in all {
            bytes = bytes.saturating_add(name.as_str().len()).saturating_add(value.len()).saturating_add(PUNCTUATION);
            if bytes > bounds.head_bytes {
                return Err(Malformed::HeadTooLarge);
            }
            check_name(name)?;
            check_value(value.as_bytes())?;
            let slot = match name.as_str() {
                "authorization" => &mut fields.authorization,
                "content-length" => &mut fields.content_length,
                "content-type" => &mut fields.content_type,
                "expect" => &mut fields.expect,
                "host" => &mut fields.host,
                "origin" => &mut origin,
                "sec-websocket-key" => &mut fields.websocket_key,
                "sec-websocket-version" => &mut fields.websocket_version,
                "transfer-encoding" => &mut fields.transfer_encoding,
                "upgrade" => &mut fields.upgrade,
                "connection" => {
                    let asked = connection::check(value)?;
                    if fields.connection != Some(connection::Upgrade::Asked) {
                        fields.connection = Some(asked);
                    }
                    continue;
                }
                // Frameworks take method and path from these (Symfony, Rails, Zend, IIS and others), so that a backend would
                // do another thing than the one that was judged.
                "x-http-method"
                | "x-http-method-override"
                | "x-method-override"
                | "x-original-url"
                | "x-rewrite-url" => {
                    return Err(Malformed::Field);
                }
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return Err(Malformed::DuplicateField);
            }
        }
        Ok(fields)
    }

    /// One field that may stand once and has only visible ASCII, spaces and tabs.
    pub(crate) fn single(&self, name: &str) -> Result<Option<&'h str>, Malformed> {
        let mut found = self.all.get_all(name).iter();
        match (found.next(), found.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => value.to_str().map(Some).map_err(|_| Malformed::Field),
            (Some(_), Some(_)) => Err(Malformed::DuplicateField),
        }
    }

    /// One field that may stand once and is UTF-8.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&'h str>, Malformed> {
        let mut found = self.all.get_all(name).iter();
        match (found.next(), found.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => std::str::from_utf8(value.as_bytes()).map(Some).map_err(|_| Malformed::Field),
            (Some(_), Some(_)) => Err(Malformed::DuplicateField),
        }
    }

    const fn none(all: &'h HeaderMap) -> Self {
        Self {
            all,
            authorization: None,
            connection: None,
            content_length: None,
            content_type: None,
            expect: None,
            host: None,
            transfer_encoding: None,
            upgrade: None,
            websocket_key: None,
            websocket_version: None,
        }
    }
}

/// `: ` and the end of the line, so that empty fields count too.
const PUNCTUATION: usize = 4;

/// Narrower than RFC 9110 §5.1: CGI, WSGI, PHP and their like turn `_`, `.` and others into what `-` becomes, so that
/// `X_Tenant` would arrive as `X-Tenant` at a backend, past whatever strips `X-Tenant`.
fn check_name(name: &HeaderName) -> Result<(), Malformed> {
    let within = |byte: u8, first: u8, count: u8| byte.wrapping_sub(first) < count;
    let allowed = |byte: u8| within(byte, b'a', 26) | within(byte, b'0', 10) | (byte == b'-');
    // A fold without an early end, here and below, so that it is done sixteen bytes at a time.
    let bad = name.as_str().bytes().fold(false, |bad, byte| bad | !allowed(byte));
    if bad { Err(Malformed::Field) } else { Ok(()) }
}

/// No control character but the tab. Bytes beyond ASCII are opaque (RFC 9110 §5.5) and forwarded as they are: browsers
/// send them in cookies and referrers. Fields that the gateway reads are held to visible ASCII where they are read.
fn check_value(value: &[u8]) -> Result<(), Malformed> {
    let bad = value.iter().fold(false, |bad, byte| bad | ((*byte < 0x20) & (*byte != b'\t')) | (*byte == 0x7f));
    if bad { Err(Malformed::Field) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `http` builds no such value, but a parser that skips its checks does.
    #[test]
    fn a_control_character_in_a_value_is_refused() {
        for value in ["a\0", "\x1b[31m", "a\x7fb", "a\r\nX: y", "\x0b"] {
            assert_eq!(check_value(value.as_bytes()), Err(Malformed::Field), "{value:?}");
        }
        for value in ["", "a\tb", " a", "caf\u{e9}"] {
            assert_eq!(check_value(value.as_bytes()), Ok(()), "{value:?}");
        }
    }
}

//! Requests of HTTP/1 whose end two readers could see in two places, and heads that they could read differently.
//!
//! `{post}` and `{get}` are a request line and the fields that make it a good one, `{evil}` the request that is to be
//! smuggled, `{n}` and `{x}` its length in decimal and hexadecimal digits.

use super::arena::{Arena, Attack, Sent};
use super::expect::Expect::{self, Broken, Passes, Refused};
use super::expect::{assert_none, complaint, laxity};
use crate::harness::Gateway;

pub type Row = (&'static str, &'static str, &'static [Expect]);

pub const TABLE: &[Row] = &[
    // two lengths, or a length and a coding
    ("CL.TE", "{post}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{evil}", &[Refused("framing")]),
    (
        "TE.CL",
        "{post}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n{x}\r\n{evil}\r\n0\r\n\r\n",
        &[Refused("framing")],
    ),
    (
        "CL and TE of one mind",
        "{post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        &[Refused("framing")],
    ),
    (
        "CL of zero beside TE",
        "{post}Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{evil}",
        &[Refused("framing")],
    ),
    (
        "CL beside a TE of identity",
        "{post}Content-Length: {n}\r\nTransfer-Encoding: identity\r\n\r\n{evil}",
        &[Refused("unparsed")],
    ),
    ("CL twice, different", "{post}Content-Length: 0\r\nContent-Length: {n}\r\n\r\n{evil}", &[Refused("unparsed")]),
    (
        "CL twice, equal",
        "{post}Content-Length: {n}\r\nContent-Length: {n}\r\n\r\n{evil}",
        &[Refused("duplicate_field")],
    ),
    (
        "CL twice, one in capitals",
        "{post}content-length: 3\r\nCONTENT-LENGTH: 3\r\n\r\nabc",
        &[Refused("duplicate_field")],
    ),
    ("CL as a list", "{post}Content-Length: 3, 3\r\n\r\nabc", &[Refused("framing")]),
    ("CL as a list of two", "{post}Content-Length: 3, {n}\r\n\r\nabc{evil}", &[Refused("unparsed")]),
    ("CL with a plus", "{post}Content-Length: +3\r\n\r\nabc", &[Refused("unparsed")]),
    ("CL with a minus", "{post}Content-Length: -3\r\n\r\nabc", &[Refused("unparsed")]),
    ("CL in hexadecimal", "{post}Content-Length: 0x3\r\n\r\nabc", &[Refused("unparsed")]),
    ("CL with zeros in front", "{post}Content-Length: 003\r\n\r\nabc", &[Refused("framing")]),
    ("CL with a fraction", "{post}Content-Length: 3.0\r\n\r\nabc", &[Refused("unparsed")]),
    ("CL with an exponent", "{post}Content-Length: 3e0\r\n\r\nabc", &[Refused("unparsed")]),
    ("CL in quotes", "{post}Content-Length: \"3\"\r\n\r\nabc", &[Refused("unparsed")]),
    ("CL without a value", "{post}Content-Length:\r\n\r\n{evil}", &[Refused("unparsed")]),
    ("CL with a space inside", "{post}Content-Length: 3 3\r\n\r\nabc{evil}", &[Refused("unparsed")]),
    ("CL of other digits", "{post}Content-Length: \u{b3}\r\n\r\nabc", &[Refused("unparsed")]),
    ("CL over 2^63", "{post}Content-Length: 9223372036854775808\r\n\r\nabc", &[Refused("framing")]),
    (
        "CL over 2^64, which wraps to 3",
        "{post}Content-Length: 18446744073709551619\r\n\r\nabc{evil}",
        &[Refused("unparsed")],
    ),
    ("CL with a tab in front", "{post}Content-Length:\t3\r\n\r\nabc", &[Passes("abc")]),
    ("CL with an underscore", "{post}Content_Length: {n}\r\n\r\n{evil}", &[Refused("field")]),
    (
        "CL nominated away",
        "{post}Connection: close, Content-Length\r\nContent-Length: {n}\r\n\r\n{evil}",
        &[Refused("field")],
    ),
    (
        "CL.0: the length is what the backend might overlook",
        "{post}Content-Length: {n}\r\n\r\n{evil}",
        &[Passes("{evil}")],
    ),
    ("CL.0 of a GET", "{get}Content-Length: {n}\r\n\r\n{evil}", &[Passes("{evil}")]),
    ("0.CL: a length that is not to be seen", "{post}Content-Length : {n}\r\n\r\n{evil}", &[Refused("unparsed")]),
    ("a length in a line of its own", "{post}X: y\r\nContent-Length:\r\n {n}\r\n\r\n{evil}", &[Refused("unparsed")]),
    (
        "more body than its length",
        "{post}Content-Length: 3\r\n\r\nabc{evil}",
        &[Passes("abc"), Refused("route.unknown")],
    ),
    ("less body than its length", "{post}Content-Length: 30\r\n\r\nabc", &[Broken("allowed")]),
    // codings
    (
        "TE of something like chunked",
        "{post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{evil}",
        &[Refused("unparsed")],
    ),
    (
        "TE chunked before identity",
        "{post}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{evil}",
        &[Refused("unparsed")],
    ),
    ("TE of two codings", "{post}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n{evil}", &[Refused("framing")]),
    (
        "TE chunked twice in a list",
        "{post}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n{evil}",
        &[Refused("framing")],
    ),
    (
        "TE twice",
        "{post}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{evil}",
        &[Refused("duplicate_field")],
    ),
    (
        "TE.TE, the second unknown",
        "{post}Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n{evil}",
        &[Refused("unparsed")],
    ),
    (
        "TE.TE, the first unknown",
        "{post}Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{evil}",
        &[Refused("duplicate_field")],
    ),
    ("TE with a tab behind", "{post}Transfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n", &[Passes("")]),
    ("TE with a vertical tab", "{post}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n{evil}", &[Refused("unparsed")]),
    ("TE with a form feed", "{post}Transfer-Encoding:\x0cchunked\r\n\r\n0\r\n\r\n{evil}", &[Refused("unparsed")]),
    (
        "TE with a space that is none",
        "{post}Transfer-Encoding:\u{a0}chunked\r\n\r\n0\r\n\r\n{evil}",
        &[Refused("unparsed")],
    ),
    ("TE in quotes", "{post}Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n{evil}", &[Refused("unparsed")]),
    ("TE with a parameter", "{post}Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n{evil}", &[Refused("unparsed")]),
    ("TE with a comma in front", "{post}Transfer-Encoding: , chunked\r\n\r\n0\r\n\r\n{evil}", &[Refused("framing")]),
    ("TE without a value", "{post}Transfer-Encoding:\r\n\r\n{evil}", &[Refused("unparsed")]),
    ("TE before its colon", "{post}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{evil}", &[Refused("unparsed")]),
    ("TE behind a tab", "{post}\tTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{evil}", &[Refused("unparsed")]),
    ("TE on a folded line", "{post}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n{evil}", &[Refused("unparsed")]),
    (
        "TE hidden in a folded line",
        "{post}X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{evil}",
        &[Refused("unparsed")],
    ),
    ("TE with an underscore", "{post}Transfer_Encoding: chunked\r\n\r\n0\r\n\r\n{evil}", &[Refused("field")]),
    (
        "TE nominated away",
        "{post}Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{evil}",
        &[Refused("field")],
    ),
    ("TE behind a bare LF", "{post}X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{evil}", &[Refused("framing")]),
    ("TE behind a bare CR", "{post}X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{evil}", &[Refused("unparsed")]),
    ("TE in capitals", "{post}TRANSFER-ENCODING: CHUNKED\r\n\r\n3\r\nabc\r\n0\r\n\r\n", &[Passes("abc")]),
    (
        "TE in HTTP/1.0",
        "POST /orders/1 HTTP/1.0\r\n{who}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{evil}",
        &[Refused("unparsed")],
    ),
    // chunks
    (
        "a chunk with an extension",
        "{post}Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0;c\r\n\r\n",
        &[Passes("abc")],
    ),
    (
        "an extension with a bare LF",
        "{post}Transfer-Encoding: chunked\r\n\r\n2;\nxx\r\n{x}\r\n{evil}\r\n0\r\n\r\n",
        &[Broken("framing")],
    ),
    (
        "an extension with a bare CR",
        "{post}Transfer-Encoding: chunked\r\n\r\n2;\rxx\r\nab\r\n0\r\n\r\n",
        &[Broken("framing")],
    ),
    (
        "an extension with a quoted line end",
        "{post}Transfer-Encoding: chunked\r\n\r\n2;a=\"\r\nab\"\r\n0\r\n\r\n",
        &[Broken("framing")],
    ),
    (
        "a chunk's size that ends with LF",
        "{post}Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
        &[Broken("framing")],
    ),
    ("a chunk that ends with LF", "{post}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\n0\r\n\r\n", &[Broken("framing")]),
    (
        "a chunk longer than it says",
        "{post}Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
        &[Broken("framing")],
    ),
    (
        "a chunk without its end",
        "{post}Transfer-Encoding: chunked\r\n\r\n3\r\nabc0\r\n\r\n{evil}",
        &[Broken("framing")],
    ),
    (
        "a chunk's size over 2^64",
        "{post}Transfer-Encoding: chunked\r\n\r\n10000000000000003\r\nabc\r\n0\r\n\r\n",
        &[Broken("framing")],
    ),
    (
        "a chunk's size over 2^32",
        "{post}Transfer-Encoding: chunked\r\n\r\n100000003\r\nabc\r\n0\r\n\r\n{evil}",
        &[Broken("allowed")],
    ),
    ("a chunk's size with 0x", "{post}Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n", &[Broken("framing")]),
    (
        "a chunk's size with a sign",
        "{post}Transfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n",
        &[Broken("framing")],
    ),
    (
        "a chunk's size below zero",
        "{post}Transfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n0\r\n\r\n",
        &[Broken("framing")],
    ),
    (
        "a chunk's size behind a space",
        "{post}Transfer-Encoding: chunked\r\n\r\n 3\r\nabc\r\n0\r\n\r\n",
        &[Broken("framing")],
    ),
    (
        "a chunk's size before a space",
        "{post}Transfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n",
        &[Passes("abc")],
    ),
    (
        "a chunk's size that is none, which the parser takes for the last one's",
        "{post}Transfer-Encoding: chunked\r\n\r\n\r\nabc\r\n0\r\n\r\n",
        &[Passes("")],
    ),
    (
        "a chunk's size with an underscore",
        "{post}Transfer-Encoding: chunked\r\n\r\n0_3\r\nabc\r\n0\r\n\r\n",
        &[Broken("framing")],
    ),
    (
        "a chunk's size with zeros in front",
        "{post}Transfer-Encoding: chunked\r\n\r\n0000000000000000003\r\nabc\r\n0\r\n\r\n",
        &[Broken("framing")],
    ),
    ("chunks without a last one", "{post}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", &[Broken("allowed")]),
    (
        "a trailer that smuggles a length",
        "{post}Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: {n}\r\n\r\n{evil}",
        &[Passes(""), Refused("route.unknown")],
    ),
    (
        "a trailer that ends with LF",
        "{post}Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\n\r\n{evil}",
        &[Broken("framing")],
    ),
    (
        "a request behind the last chunk",
        "{post}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{evil}",
        &[Passes(""), Refused("route.unknown")],
    ),
    // lines
    ("lines that end with LF", "GET /orders/1 HTTP/1.1\nHost: acme.example.test\n\n{evil}", &[Refused("framing")]),
    ("a head that ends with LF", "{get}\n{evil}", &[Refused("framing")]),
    ("a request line that ends with LF", "GET /orders/1 HTTP/1.1\n{who}\r\n", &[Refused("framing")]),
    ("a request line that ends with CR", "GET /orders/1 HTTP/1.1\r{who}\r\n", &[Refused("unparsed")]),
    ("a bare CR in a value", "{get}X: a\rb\r\n\r\n", &[Refused("unparsed")]),
    ("two CRs before the LF", "{get}X: a\r\r\n\r\n{evil}", &[Refused("unparsed")]),
    ("a folded line", "{get}X: a\r\n b\r\n\r\n", &[Refused("unparsed")]),
    ("a folded first field", "GET /orders/1 HTTP/1.1\r\n X: y\r\n{who}\r\n", &[Refused("unparsed")]),
    ("a NUL in a value", "{get}X: a\0b\r\n\r\n", &[Refused("unparsed")]),
    ("a NUL in a name", "{get}X\0: a\r\n\r\n", &[Refused("unparsed")]),
    ("a NUL behind a name", "{post}Transfer-Encoding\0: chunked\r\n\r\n0\r\n\r\n{evil}", &[Refused("unparsed")]),
    ("an escape character in a value", "{get}X: \x1b[2J\r\n\r\n", &[Refused("unparsed")]),
    ("a DEL in a value", "{get}X: a\x7fb\r\n\r\n", &[Refused("unparsed")]),
    ("a space before a colon", "{get}X : a\r\n\r\n", &[Refused("unparsed")]),
    ("a space in a name", "{get}X Y: a\r\n\r\n", &[Refused("unparsed")]),
    ("a name that is none", "{get}: a\r\n\r\n", &[Refused("unparsed")]),
    ("a line without a colon", "{get}X\r\n\r\n", &[Refused("unparsed")]),
    ("a name beyond ASCII", "{get}X\u{e9}: a\r\n\r\n", &[Refused("unparsed")]),
    ("an empty line in front", "\r\n{get}\r\n", &[Passes("")]),
    ("a byte order mark in front", "\u{ef}\u{bb}\u{bf}{get}\r\n", &[Refused("unparsed")]),
    // request lines
    ("HTTP/0.9", "GET /orders/1\r\n{evil}", &[Refused("unparsed")]),
    ("HTTP/1.2", "GET /orders/1 HTTP/1.2\r\n{who}\r\n", &[Refused("unparsed")]),
    ("HTTP/2.0 in a line", "GET /orders/1 HTTP/2.0\r\n{who}\r\n", &[Refused("unparsed")]),
    ("HTTP/1.01", "GET /orders/1 HTTP/1.01\r\n{who}\r\n", &[Refused("unparsed")]),
    ("http/1.1 in small letters", "GET /orders/1 http/1.1\r\n{who}\r\n", &[Refused("unparsed")]),
    ("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[Refused("unparsed")]),
    ("two spaces in the line", "GET  /orders/1 HTTP/1.1\r\n{who}\r\n", &[Refused("path.form")]),
    ("a tab in the line", "GET\t/orders/1 HTTP/1.1\r\n{who}\r\n", &[Refused("unparsed")]),
    ("a space behind the version", "GET /orders/1 HTTP/1.1 \r\n{who}\r\n", &[Refused("unparsed")]),
    // The parser escapes a raw space before anybody can see it: what is judged and forwarded is `/orders/1%20/x`.
    ("a space in the target", "GET /orders/1 /x HTTP/1.1\r\n{who}\r\n", &[Passes("")]),
    ("a version in the target", "GET /orders/1 HTTP/1.1 HTTP/1.1\r\n{who}\r\n", &[Refused("unparsed")]),
    (
        "a line end escaped in the target",
        "GET /orders/1%20HTTP/1.1%0d%0aX:%20y HTTP/1.1\r\n{who}\r\n",
        &[Refused("path.control")],
    ),
    ("a raw CR in the target", "GET /orders/1\rX HTTP/1.1\r\n{who}\r\n", &[Refused("path.control")]),
    ("a fragment in the target", "GET /orders/1#/../smuggled HTTP/1.1\r\n{who}\r\n", &[Refused("path.encoding")]),
    (
        "absolute form of another host",
        "GET http://globex.example.test/orders/1 HTTP/1.1\r\n{who}\r\n",
        &[Refused("unparsed")],
    ),
    (
        "absolute form with a user",
        "GET http://acme.example.test@evil.test/ HTTP/1.1\r\n{who}\r\n",
        &[Refused("unparsed")],
    ),
    ("absolute form of the same host", "GET http://acme.example.test/orders/1 HTTP/1.1\r\n{who}\r\n", &[Passes("")]),
    (
        "absolute form of another scheme",
        "GET ftp://acme.example.test/orders/1 HTTP/1.1\r\n{who}\r\n",
        &[Refused("path.form")],
    ),
    ("asterisk form", "OPTIONS * HTTP/1.1\r\n{who}\r\n", &[Refused("path.form")]),
    ("asterisk form of a GET", "GET * HTTP/1.1\r\n{who}\r\n", &[Refused("path.form")]),
    ("authority form", "GET acme.example.test:80 HTTP/1.1\r\n{who}\r\n", &[Refused("path.form")]),
    ("CONNECT", "CONNECT acme.example.test:80 HTTP/1.1\r\n{who}\r\n{evil}", &[Refused("unparsed")]),
    ("CONNECT to a path", "CONNECT /orders/1 HTTP/1.1\r\n{who}\r\n{evil}", &[Refused("unparsed")]),
    ("TRACE", "TRACE /orders/1 HTTP/1.1\r\n{who}\r\n", &[Refused("method")]),
    ("a method in small letters", "get /orders/1 HTTP/1.1\r\n{who}\r\n", &[Refused("method")]),
    ("a method of WebDAV", "PROPFIND /orders/1 HTTP/1.1\r\n{who}\r\n", &[Refused("method")]),
    ("a method that nobody knows", "SMUGGLE /orders/1 HTTP/1.1\r\n{who}\r\n", &[Refused("method")]),
    ("a method that is none", "G\0T /orders/1 HTTP/1.1\r\n{who}\r\n", &[Refused("unparsed")]),
    // hosts
    ("no host", "GET /orders/1 HTTP/1.1\r\n\r\n", &[Refused("host")]),
    ("two hosts", "{get}Host: globex.example.test\r\n\r\n", &[Refused("unparsed")]),
    ("one host twice", "{get}Host: acme.example.test\r\n\r\n", &[Refused("unparsed")]),
    (
        "a list of hosts",
        "GET /public/1 HTTP/1.1\r\nHost: acme.example.test, globex.example.test\r\n\r\n",
        &[Refused("host")],
    ),
    ("a host with a path", "GET /public/1 HTTP/1.1\r\nHost: acme.example.test/x?y\r\n\r\n", &[Refused("host")]),
    ("a host with a user", "GET /public/1 HTTP/1.1\r\nHost: a@acme.example.test\r\n\r\n", &[Refused("unparsed")]),
    ("a host with a dot behind", "GET /public/1 HTTP/1.1\r\nHost: acme.example.test.\r\n\r\n", &[Refused("host")]),
    ("an empty host", "GET /public/1 HTTP/1.1\r\nHost:\r\n\r\n", &[Refused("host")]),
    ("a host behind a space", "GET /public/1 HTTP/1.1\r\nHost : acme.example.test\r\n\r\n", &[Refused("unparsed")]),
    ("a folded host", "GET /public/1 HTTP/1.1\r\nHost:\r\n acme.example.test\r\n\r\n", &[Refused("unparsed")]),
    ("a port that is none", "GET /public/1 HTTP/1.1\r\nHost: acme.example.test:80x\r\n\r\n", &[Refused("host")]),
    // splitting through values, which a backend or a log might decode
    ("a value with an escaped line end", "{get}X: a%0d%0aX-Tenant-Id: globex\r\n\r\n", &[Passes("")]),
    ("a value with a line end of Unicode", "{get}X: a\u{e5}\u{98}\u{8d}\u{e5}\u{98}\u{8a}b\r\n\r\n", &[Passes("")]),
    // one after the other
    (
        "a pipelined request without a token",
        "{get}\r\nGET /orders/2 HTTP/1.1\r\nHost: acme.example.test\r\n\r\n",
        &[Passes(""), Refused("auth.missing")],
    ),
    (
        "a good request behind a refused one",
        "GET /orders/2 HTTP/1.1\r\nHost: acme.example.test\r\n\r\n{get}\r\n",
        &[Refused("auth.missing"), Passes("")],
    ),
    (
        "a good request behind a refused body",
        "POST /orders/2 HTTP/1.1\r\nHost: acme.example.test\r\nContent-Length: {n}\r\n\r\n{evil}{get}\r\n",
        &[Refused("auth.missing")],
    ),
    (
        "a request in a refused body of chunks",
        "POST /orders/2 HTTP/1.1\r\nHost: acme.example.test\r\nTransfer-Encoding: chunked\r\n\r\n{x}\r\n{evil}\r\n0\r\n\r\n{evil}",
        &[Refused("auth.missing")],
    ),
    (
        "a request in a refused body that is long",
        "POST /orders/2 HTTP/1.1\r\nHost: acme.example.test\r\nContent-Length: 70000\r\n\r\n{evil}",
        &[Refused("auth.missing")],
    ),
    (
        "a body that was not waited for",
        "POST /orders/early HTTP/1.1\r\n{who}Content-Length: {n}\r\n\r\n{evil}{get}\r\n",
        &[Passes("{evil}"), Passes("")],
    ),
    (
        "a body that is expected and refused",
        "POST /orders/2 HTTP/1.1\r\nHost: acme.example.test\r\nExpect: 100-continue\r\nContent-Length: {n}\r\n\r\n{evil}",
        &[Refused("auth.missing")],
    ),
    (
        "an expectation that nobody knows",
        "{post}Expect: 200-ok\r\nContent-Length: 3\r\n\r\nabc",
        &[Refused("expectation")],
    ),
    ("an expectation and its body", "{post}Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc", &[Passes("abc")]),
    ("a request behind a close", "{get}Connection: close\r\n\r\n{evil}", &[Passes("")]),
    // upgrades
    (
        "an upgrade that the backend does not take, and a request",
        "GET /socket HTTP/1.1\r\n{who}{upgrade}\r\n{evil}",
        &[Passes(""), Refused("route.unknown")],
    ),
    ("an upgrade where none is taken", "{get}{upgrade}\r\n{evil}", &[Refused("upgrade")]),
    (
        "an upgrade to HTTP/2",
        "GET /socket HTTP/1.1\r\n{who}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n{evil}",
        &[Refused("upgrade")],
    ),
    (
        "an upgrade of two minds",
        "GET /socket HTTP/1.1\r\n{who}{upgrade}Upgrade: h2c\r\n\r\n{evil}",
        &[Refused("duplicate_field")],
    ),
    (
        "an upgrade with a body",
        "GET /socket HTTP/1.1\r\n{who}{upgrade}Content-Length: {n}\r\n\r\n{evil}",
        &[Refused("upgrade")],
    ),
    ("an upgrade of a POST", "POST /socket HTTP/1.1\r\n{who}{upgrade}\r\n{evil}", &[Refused("upgrade")]),
    (
        "an upgrade that Connection does not name",
        "GET /socket HTTP/1.1\r\n{who}Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n{evil}",
        &[Refused("upgrade")],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_smuggled_in_http_1() {
    let arena = Arena::open(Gateway::test()).await;
    let token = arena.gateway.token("acme", "ada", &["clerk"]);
    let attack = |row: &Row| Attack { name: row.0.into(), sent: Sent::Http1(expand(row.1, &token)) };
    let attacks: Vec<_> = TABLE.iter().map(attack).collect();
    let outcomes = arena.run(&attacks).await;
    assert_none(TABLE.iter().zip(&outcomes).filter_map(|((_, _, expected), outcome)| complaint(outcome, expected)));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_shape_of_a_request_makes_smuggling_easier() {
    let arena = Arena::open(Gateway::test()).await;
    let token = arena.gateway.token("acme", "ada", &["clerk"]);
    let mut attacks = Vec::new();
    let mut expected = Vec::new();
    for (name, text, expect) in TABLE {
        for (variant, text) in variants(text) {
            attacks.push(Attack { name: format!("{name}, as {variant}"), sent: Sent::Http1(expand(&text, &token)) });
            expected.push(*expect);
        }
    }
    assert!(attacks.len() > 500, "{}", attacks.len());
    let outcomes = arena.run(&attacks).await;
    assert_none(outcomes.iter().zip(expected).filter_map(|(outcome, expected)| laxity(outcome, expected)));
}

/// The same attack by requests of other shapes.
fn variants(text: &str) -> Vec<(&'static str, String)> {
    let plain = text.replacen("{post}", "POST /orders/1 HTTP/1.1\r\n{who}", 1).replacen(
        "{get}",
        "GET /orders/1 HTTP/1.1\r\n{who}",
        1,
    );
    let Some((method, rest)) = plain.split_once(' ') else { return Vec::new() };
    let mut variants = vec![
        ("HEAD", format!("HEAD {rest}")),
        ("OPTIONS", format!("OPTIONS {rest}")),
        ("DELETE", format!("DELETE {rest}")),
        ("HTTP/1.0", plain.replacen(" HTTP/1.1", " HTTP/1.0", 1)),
    ];
    if plain.contains("{who}") {
        let socket = |line: &str| line.replacen("/orders/1", "/socket", 1).replacen("{who}", "{who}{upgrade}", 1);
        variants.push(("an upgrade", socket(&format!("GET {rest}"))));
        variants.push(("an upgrade of its method", socket(&plain)));
    }
    if !["GET", "POST"].contains(&method) {
        variants.retain(|(_, text)| text.starts_with(method)); // the method is what the attack is about
    }
    variants.retain(|(_, text)| *text != plain);
    variants
}

pub const EVIL: &str = "GET /smuggled HTTP/1.1\r\nHost: acme.example.test\r\n\r\n";

pub const UPGRADE: &str = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Each character up to U+00FF is one byte.
pub fn expand(text: &str, token: &str) -> Vec<u8> {
    let text = text
        .replace("{post}", "POST /orders/1 HTTP/1.1\r\n{who}")
        .replace("{get}", "GET /orders/1 HTTP/1.1\r\n{who}")
        .replace("{who}", &format!("Host: acme.example.test\r\nAuthorization: Bearer {token}\r\n"))
        .replace("{upgrade}", UPGRADE)
        .replace("{evil}", EVIL)
        .replace("{n}", &EVIL.len().to_string())
        .replace("{x}", &format!("{:x}", EVIL.len()));
    text.chars().map(|character| u8::try_from(u32::from(character)).expect("one byte")).collect()
}

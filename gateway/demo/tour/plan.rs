use std::fmt;

use terms::Reason;

use super::Check;
use super::step::Expected;
use super::wire::Got;
use crate::{Minted, User};

/// Whose token goes with a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Bearer {
    /// Ada's, with this flaw.
    Broken(Minted),
    /// A sound one of this user.
    Of(User),
}

impl Bearer {
    pub(super) const ALL: [Self; 10] = [
        Self::Broken(Minted::AlgorithmConfusion),
        Self::Broken(Minted::AlgorithmNone),
        Self::Broken(Minted::Expired),
        Self::Broken(Minted::Forged),
        Self::Broken(Minted::UnknownIssuer),
        Self::Broken(Minted::WrongAudience),
        Self::Of(User::ADA),
        Self::Of(User::BOB),
        Self::Of(User::EVE),
        Self::Of(User::IAN),
    ];
}

impl fmt::Display for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(_) => f.write_str("ada?"),
            Self::Of(user) => f.write_str(user.name),
        }
    }
}

/// A request as any client makes it.
#[derive(Debug)]
pub(super) struct Plain {
    pub(super) what: &'static str,
    pub(super) method: &'static str,
    pub(super) host: &'static str,
    pub(super) path: &'static str,
    pub(super) bearer: Option<Bearer>,
    pub(super) headers: &'static [(&'static str, &'static str)],
    pub(super) body: Option<&'static str>,
    pub(super) expected: Expected,
    pub(super) check: Check,
}

/// A request as only somebody with bad intentions, or a broken program, makes it.
#[derive(Debug)]
pub(super) struct Crafted {
    pub(super) what: &'static str,
    /// How it is shown.
    pub(super) shown: &'static str,
    /// What is sent, with `{port}` and ada's `{token}` put in.
    pub(super) bytes: &'static str,
    pub(super) expected: Expected,
    pub(super) check: Check,
}

const ACME: &str = "acme.localhost";
const GLOBEX: &str = "globex.localhost";
const ORDERS: &str = "/api/orders";
const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
const ORDER: Option<&str> = Some(r#"{"item":"anvil","quantity":2}"#);

const fn expect(status: u16, reasons: &'static [Reason]) -> Expected {
    Expected { status, reasons }
}

/// Reading the orders of acme, which most requests are a variation of.
const READ: Plain = Plain {
    what: "",
    method: "GET",
    host: ACME,
    path: ORDERS,
    bearer: Some(Bearer::Of(User::ADA)),
    headers: &[],
    body: None,
    expected: expect(200, &[Reason::Allowed]),
    check: |_| None,
};

const fn broken(what: &'static str, flaw: Minted, reasons: &'static [Reason]) -> Plain {
    Plain { what, bearer: Some(Bearer::Broken(flaw)), expected: expect(401, reasons), ..READ }
}

pub(super) const PLAIN: &[Plain] = &[
    Plain {
        what: "a viewer reads the orders of his tenant",
        bearer: Some(Bearer::Of(User::BOB)),
        check: saw_acme,
        ..READ
    },
    Plain {
        what: "a clerk of another tenant reads hers, with an RSA token",
        host: GLOBEX,
        bearer: Some(Bearer::Of(User::EVE)),
        check: saw_globex,
        ..READ
    },
    Plain {
        what: "an admin places an order, on record before it is served",
        method: "POST",
        headers: JSON,
        body: ORDER,
        expected: expect(201, &[Reason::Allowed]),
        check: saw_acme,
        ..READ
    },
    Plain { what: "a public page needs no token", path: "/healthz", bearer: None, ..READ },
    Plain {
        what: "a viewer may not place an order",
        method: "POST",
        bearer: Some(Bearer::Of(User::BOB)),
        headers: JSON,
        body: ORDER,
        expected: expect(403, &[Reason::PolicyDenied]),
        ..READ
    },
    Plain {
        what: "nobody sees another tenant's orders",
        host: GLOBEX,
        expected: expect(403, &[Reason::TenantMismatch]),
        ..READ
    },
    Plain {
        what: "a suspended tenant is closed",
        host: "initech.localhost",
        bearer: Some(Bearer::Of(User::IAN)),
        expected: expect(403, &[Reason::TenantSuspended]),
        ..READ
    },
    Plain {
        what: "a path that no route has is not there",
        path: "/api/secrets",
        expected: expect(404, &[Reason::RouteUnknown]),
        ..READ
    },
    Plain { what: "no token, no entry", bearer: None, expected: expect(401, &[Reason::AuthMissing]), ..READ },
    broken("a forged token", Minted::Forged, &[Reason::AuthInvalidSignature]),
    broken("an expired token", Minted::Expired, &[Reason::AuthInvalidExpired]),
    broken(
        "a token with algorithm `none`",
        Minted::AlgorithmNone,
        &[Reason::AuthInvalidAlgorithm, Reason::AuthInvalidMalformed],
    ),
    broken(
        "a token signed with the public key as a secret",
        Minted::AlgorithmConfusion,
        &[Reason::AuthInvalidAlgorithm],
    ),
    broken("a token for another API", Minted::WrongAudience, &[Reason::AuthInvalidAudience]),
    broken("a token of an unknown issuer", Minted::UnknownIssuer, &[Reason::AuthInvalidIssuer]),
    Plain {
        what: "a tenant header of the client's is replaced",
        headers: &[("x-tenant-id", "globex"), ("x-roles", "admin"), ("x-cloister-assertion", "e30.e30.e30")],
        check: saw_acme,
        ..READ
    },
    Plain {
        what: "an upgrade to something else is refused",
        headers: &[("connection", "upgrade"), ("upgrade", "h2c")],
        expected: expect(400, &[Reason::RequestUpgrade]),
        ..READ
    },
    Plain {
        what: "a WebSocket where the route has none is refused",
        headers: &[
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ],
        expected: expect(400, &[Reason::RequestUpgrade]),
        ..READ
    },
];

/// A crafted `GET` with a sound token: everything is right but the path.
macro_rules! path {
    ($what:literal, $path:literal, $($reason:ident)|+) => {
        Crafted {
            what: $what,
            shown: concat!("GET ", $path),
            bytes: concat!(
                "GET ", $path, " HTTP/1.1\r\nHost: acme.localhost:{port}\r\nAuthorization: Bearer {token}\r\n",
                "Connection: close\r\n\r\n"
            ),
            expected: expect(400, &[$(Reason::$reason),+]),
            check: |_| None,
        }
    };
}

/// A crafted request with a sound token for the orders of acme, with these lines (each ended) in its head.
macro_rules! head {
    ($what:literal, $method:literal, $shown:literal, $lines:literal, $expected:expr, $check:expr) => {
        Crafted {
            what: $what,
            shown: concat!($method, " ", $shown),
            bytes: concat!(
                $method,
                " /api/orders HTTP/1.1\r\nHost: acme.localhost:{port}\r\nAuthorization: Bearer {token}\r\n",
                $lines,
                "\r\n"
            ),
            expected: $expected,
            check: $check,
        }
    };
}

pub(super) const CRAFTED: &[Crafted] = &[
    path!("an encoded slash", "/api/orders/..%2fadmin", RequestPathEncodedSlash | RequestPathDotSegment),
    path!("an empty segment", "//api/orders", RequestPathEmptySegment),
    path!("a dot segment", "/api/./orders", RequestPathDotSegment),
    path!("an encoded dot segment", "/files/%2e%2e/api/orders", RequestPathDotSegment),
    path!("an encoded NUL", "/api/orders/1%00", RequestPathControl),
    path!("a path parameter", "/api/orders;x", RequestPathParameters),
    path!("a double encoding", "/api/orders/%252e", RequestPathDoubleEncoding),
    head!(
        "a tenant header in a spelling that some servers fold",
        "GET",
        "X_Tenant_Id: globex",
        "X_Tenant_Id: globex\r\nConnection: close\r\n",
        expect(400, &[Reason::RequestField]),
        |_| None
    ),
    head!(
        "the gateway's own headers cannot be nominated away",
        "GET",
        "Connection: close, X-Tenant-Id, X-Cloister-Assertion",
        "X-Tenant-Id: globex\r\nConnection: close, X-Tenant-Id, X-Cloister-Assertion\r\n",
        expect(200, &[Reason::Allowed]),
        saw_acme
    ),
    head!(
        "two hosts",
        "GET",
        "Host: globex.localhost",
        "Host: globex.localhost\r\nConnection: close\r\n",
        expect(400, &[]),
        |_| None
    ),
    head!(
        "a body with two lengths",
        "POST",
        "Content-Length and Transfer-Encoding",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n",
        expect(400, &[]),
        |_| None
    ),
    head!(
        "a method for debugging",
        "TRACE",
        "/api/orders",
        "Connection: close\r\n",
        expect(405, &[Reason::RequestMethod]),
        |_| None
    ),
    Crafted {
        what: "what is no request at all",
        shown: "an SSH greeting",
        bytes: "SSH-2.0-OpenSSH_9.9\r\n\r\n",
        expected: expect(400, &[]),
        check: |_| None,
    },
];

fn saw_acme(got: &Got) -> Option<String> {
    saw("acme", "globex", got)
}

fn saw_globex(got: &Got) -> Option<String> {
    saw("globex", "acme", got)
}

/// The backend saw this tenant, in the assertion and in the one header, and nothing of another.
fn saw(tenant: &str, other: &str, got: &Got) -> Option<String> {
    let Some(body) = got.json() else { return Some("the answer is not the backend's".into()) };
    let seen = body.pointer("/seen/tenant").and_then(|seen| seen.as_str());
    if seen != Some(tenant) {
        return Some(format!("the backend saw {}", seen.unwrap_or("no tenant")));
    }
    let headers = body.get("received").and_then(|received| received.as_object())?;
    let told = |(name, values): (&String, &serde_json::Value)| name != "host" && values.to_string().contains(other);
    headers.iter().any(told).then(|| format!("a header of the client's that says {other} came through"))
}

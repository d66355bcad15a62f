//! The backends, and what each is told about who asks.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use terms::Span;
use yaml::At;

use super::assertion::UpstreamAssertion;
use super::defence::{Breaker, Queue, Retries};
use super::health::{Ejection, Health};

/// A backend.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upstream {
    /// Where it runs: IP addresses or names, each with a port.
    pub(crate) addresses: At<Vec<At<Address>>>,
    /// Which address is next.
    #[serde(default)]
    pub(crate) balance: Balance,
    /// What it speaks. gRPC needs `h2` or `h2c`.
    #[serde(default)]
    pub(crate) protocol: Protocol,
    /// TLS, and how it is known that it is the one. Without it the connection is plain.
    #[serde(default)]
    pub(crate) tls: Option<At<UpstreamTls>>,
    /// Whose requests may share a connection. If it is left out, those of all tenants over HTTP/1, where one follows the
    /// other, and those of one tenant over HTTP/2, where a client could have the backend end a connection on which others
    /// are, too.
    pub(crate) pool: Option<Pool>,
    /// How long it may take.
    #[serde(default)]
    pub(crate) timeouts: Timeouts,
    /// What is tried again if it failed.
    #[serde(default)]
    pub(crate) retries: Retries,
    /// When it is left alone.
    #[serde(default)]
    pub(crate) breaker: Breaker,
    /// How its addresses are asked whether they are well. Nobody is asked if it is left out.
    #[serde(default)]
    pub(crate) health: Option<Health>,
    /// When an address is left out for what became of requests.
    #[serde(default)]
    pub(crate) ejection: Ejection,
    /// How long an address that was out takes to get its whole share again: at first a tenth of it, then more and more. `0s`:
    /// at once.
    #[serde(default = "slow_return")]
    #[schemars(with = "String", default = "slow_return_text")]
    pub(crate) slow_return: Span,
    /// How many requests it may have in flight: `4096` if it is left out. A stream counts to its end.
    #[serde(default)]
    pub(crate) max_in_flight: Option<At<u32>>,
    /// How many of these one tenant may have: `1024` if it is left out. Public routes count as one tenant.
    #[serde(default)]
    pub(crate) max_in_flight_per_tenant: Option<At<u32>>,
    /// Where requests wait that find no place.
    #[serde(default)]
    pub(crate) queue: Queue,
    /// What it is told about who asks.
    #[serde(default)]
    pub(crate) assertion: UpstreamAssertion,
}

const fn slow_return() -> Span {
    Span(Duration::from_secs(30))
}

fn slow_return_text() -> String {
    slow_return().to_string()
}

/// An address of a backend, perhaps with its weight.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum Address {
    /// `10.0.0.2:9001`, `orders.internal:9001`
    Plain(String),
    /// With its weight.
    Weighted(Weighted),
}

/// An address and how much of the work it gets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an address, or a mapping with `address` and `weight`")]
pub(crate) struct Weighted {
    /// `10.0.0.2:9001`, `orders.internal:9001`
    pub(crate) address: At<String>,
    /// 1 to 100: twice the weight, twice the requests.
    pub(crate) weight: At<u16>,
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Address;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address, or a mapping with `address` and `weight`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Address, E> {
                Ok(Address::Plain(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Address, A::Error> {
                Weighted::deserialize(MapAccessDeserializer::new(map)).map(Address::Weighted)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

/// Which address is next.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Balance {
    /// The one that the verified tenant falls to; when an address leaves, only its own tenants move.
    Consistent,
    /// Of two that are drawn, the one with fewer requests under way.
    LeastRequests,
    /// One after the other, each as often as its weight says.
    #[default]
    RoundRobin,
}

/// Whose requests may share a connection.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Pool {
    /// Those of one tenant: for backends that tie something to a connection, or read requests less strictly than they
    /// should. It costs at least one connection per tenant that is busy.
    PerTenant,
    /// All members' requests: each says by itself who asks. Those of public routes have connections of their own.
    Shared,
}

/// TLS to a backend.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub(crate) struct UpstreamTls {
    /// Whose certificates are believed, PEM. The roots of the system if it is left out.
    pub(crate) ca: Option<At<String>>,
    /// The name that its certificate must be for, which it is also told (SNI). The host of its addresses if it is left
    /// out and they all have the same.
    pub(crate) server_name: Option<At<String>>,
    /// Our own certificate, then those between it and its root, PEM.
    pub(crate) certificate: Option<At<String>>,
    /// Its private key, PEM; readable for its owner alone.
    pub(crate) key: Option<At<String>>,
    /// Believe whoever answers.
    pub(crate) insecure_skip_verify: bool,
}

/// What a backend speaks.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Protocol {
    /// HTTP/1.1. The trailers of a response do not reach the client.
    #[default]
    Http1,
    /// HTTP/2 over TLS. Trailers as with `h2c`.
    H2,
    /// HTTP/2 without TLS. The trailers of a response reach every client that speaks HTTP/2, as gRPC clients do; clients
    /// of HTTP/1.1 get the response without them. Such a backend takes no WebSockets.
    H2c,
}

/// How long to wait for a backend.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Timeouts {
    /// Until a connection stands, without TLS.
    #[schemars(with = "String")]
    pub(crate) connect: Span,
    /// Until TLS stands, from there on.
    #[schemars(with = "String")]
    pub(crate) tls: Span,
    /// Until the head of the response is there, from the end of the request on. At most `read`, which it is if it is left
    /// out.
    #[schemars(with = "Option<String>")]
    pub(crate) first_byte: Option<At<Span>>,
    /// Until the next bytes of the response. 60s or `first_byte`, whichever is longer, if it is left out.
    #[schemars(with = "Option<String>")]
    pub(crate) read: Option<Span>,
    /// Until the next bytes of the request are taken.
    #[schemars(with = "String")]
    pub(crate) write: Span,
    /// How long an unused connection is kept.
    #[schemars(with = "String")]
    pub(crate) idle: Span,
    /// Until the end of the response: from the arrival of the request on, over all attempts. Streams have no such time.
    #[schemars(with = "String")]
    pub(crate) request: Span,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = |count| Span(Duration::from_secs(count));
        Self {
            connect: seconds(1),
            tls: seconds(2),
            first_byte: None,
            read: None,
            write: seconds(60),
            idle: seconds(60),
            request: seconds(300),
        }
    }
}

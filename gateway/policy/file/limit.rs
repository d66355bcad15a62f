//! Limits, and what plans and tenants have of them.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use terms::Weight;
use yaml::{At, Pairs, Tried};

use crate::limit::{LimitMode, OnStoreLoss};

/// A limit: how much of what, for each key. One of `rate`, `quota`, `concurrency`, `bytes` and `failures` says
/// what it counts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub(crate) struct LimitEntry {
    /// Requests: how fast their bucket refills: `20/s`, `600/m`, `5000/h`, `100000/d`.
    #[schemars(extend("pattern" = "^[0-9]+/[smhd]$"))]
    pub(crate) rate: Option<At<String>>,
    /// How many requests a full bucket holds, beside `rate`. 0 lets nothing through.
    pub(crate) burst: Option<At<u32>>,
    /// Requests in each day or month, beside `per`, by the calendar of the tenant. 0 lets nothing through.
    pub(crate) quota: Option<At<u32>>,
    /// `day` or `month`, beside `quota`.
    pub(crate) per: Option<At<Tried<PeriodWord>>>,
    /// Requests in flight at the same time. 0 lets nothing through.
    pub(crate) concurrency: Option<At<u32>>,
    /// Bytes of the bodies of requests and responses: `100MiB/m`. They are charged when they are known.
    #[schemars(extend("pattern" = "^[0-9]+(B|KiB|MiB|GiB)/[smhd]$"))]
    pub(crate) bytes: Option<At<String>>,
    /// So many answers that say no lock out.
    pub(crate) failures: Option<At<u16>>,
    /// Which statuses say no, beside `failures`. `[401]` if it is left out.
    pub(crate) of: Option<At<Vec<At<u16>>>>,
    /// Within so long of the first, beside `failures`: `10m`.
    #[schemars(extend("pattern" = "^[0-9]+(ms|s|m|h|d)$"))]
    pub(crate) within: Option<At<String>>,
    /// For so long, beside `failures`: `15m`.
    #[schemars(extend("pattern" = "^[0-9]+(ms|s|m|h|d)$"))]
    pub(crate) lock: Option<At<String>>,
    /// Who shares a budget: requests that are the same in all of these. `tenant`, `user`, `client_ip`, `route`, `api_key`, `role`,
    /// `issuer`, `claim:` and a name under `claims` in cloister.yaml, `header:` and a field, or `path:` and a parameter of the path.
    #[schemars(length(min = 1))]
    pub(crate) key: At<Vec<At<String>>>,
    /// `shadow`: it refuses nothing, and says what it would have refused. `enforce` if it is left out.
    pub(crate) mode: Option<Tried<LimitMode>>,
    /// `gateway`: each gateway counts for itself. `shared` if it is left out and cloister.yaml says that gateways share limits
    /// (`redis.limits`): then all of them count together.
    pub(crate) scope: Option<At<Tried<ScopeWord>>>,
    /// What becomes of requests while the store cannot be asked in which gateways share limits. `local_share` if it is left out.
    pub(crate) on_store_loss: Option<At<Tried<OnStoreLoss>>>,
}

/// Who counts.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ScopeWord {
    /// Each gateway by itself.
    Gateway,
    /// All of them together.
    Shared,
}

/// A stretch of the calendar.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PeriodWord {
    /// From midnight to midnight.
    Day,
    /// From the first of a month to that of the next.
    Month,
}

/// How much of a limit a plan or a tenant has. Of the kind of the limit.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub(crate) struct AmountEntry {
    /// How fast the bucket refills: `20/s`, `600/m`, `5000/h`, `100000/d`.
    #[schemars(extend("pattern" = "^[0-9]+/[smhd]$"))]
    pub(crate) rate: Option<At<String>>,
    /// How many requests a full bucket holds, beside `rate`. 0 lets nothing through.
    pub(crate) burst: Option<At<u32>>,
    /// Requests in each day or month, as the limit says. 0 lets nothing through.
    pub(crate) quota: Option<At<u32>>,
    /// Requests in flight at the same time. 0 lets nothing through.
    pub(crate) concurrency: Option<At<u32>>,
    /// Bytes of bodies: `100MiB/m`.
    #[schemars(extend("pattern" = "^[0-9]+(B|KiB|MiB|GiB)/[smhd]$"))]
    pub(crate) bytes: Option<At<String>>,
}

/// What the tenants of a plan have: how much of which limit, and how much of what is short.
#[derive(Debug, Default)]
pub(crate) struct PlanEntry {
    pub(crate) weight: Option<At<Tried<u32>>>,
    /// Everything else in it is the name of a limit.
    pub(crate) limits: Pairs<Tried<AmountEntry>>,
}

impl PlanEntry {
    /// The one key that is no limit's name.
    pub(crate) const WEIGHT: &str = "weight";
}

impl<'de> Deserialize<'de> for PlanEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = PlanEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PlanEntry, A::Error> {
                let mut plan = PlanEntry::default();
                while let Some(key) = map.next_key::<At<String>>()? {
                    if key.as_str() != PlanEntry::WEIGHT {
                        plan.limits.0.push((key, map.next_value()?));
                    } else if plan.weight.replace(map.next_value()?).is_some() {
                        return Err(A::Error::duplicate_field(PlanEntry::WEIGHT));
                    }
                }
                Ok(plan)
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

impl JsonSchema for PlanEntry {
    fn schema_name() -> Cow<'static, str> {
        "PlanEntry".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let amount = generator.subschema_for::<AmountEntry>();
        schemars::json_schema!({
            "description": "What the tenants of a plan have: how much of which limit, and how much of what is short.",
            "type": "object",
            "properties": {
                "weight": {
                    "description": "How much its tenants get of what is short, beside other tenants: twice the weight, twice the places. `1` if it is left out.",
                    "type": "integer",
                    "minimum": 1,
                    "maximum": Weight::MOST,
                }
            },
            "additionalProperties": amount,
        })
    }
}

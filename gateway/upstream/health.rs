use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use terms::Share;

/// How it is known which addresses of an upstream are well.
#[derive(Clone, Debug)]
pub struct HealthSettings {
    /// What each address is asked, again and again. Without it nobody is asked, and every address counts as well.
    pub check: Option<CheckSettings>,
    /// When an address is left out for what became of requests.
    pub ejection: EjectionSettings,
    /// How long an address that was out takes to get its whole share again.
    pub slow_return: Duration,
}

/// How addresses are asked whether they are well.
#[derive(Clone, Debug)]
pub struct CheckSettings {
    /// What is asked.
    pub check: Check,
    /// How long to wait before the next time.
    pub every: Duration,
    /// How long one may take, from the first byte of its connection on.
    pub timeout: Duration,
    /// After so many failures in a row an address is out.
    pub unhealthy: NonZeroU32,
    /// After so many successes in a row it is back.
    pub healthy: NonZeroU32,
}

/// What an address is asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Check {
    /// Whether it serves, by gRPC's health checking protocol (`grpc.health.v1`).
    Grpc {
        /// Which of its services; empty for all of them.
        service: String,
    },
    /// A GET.
    Http {
        /// Of what.
        path: String,
        /// The host that is asked for. Without it the name that its certificate must be for, or else the address.
        host: Option<String>,
        /// What a healthy one answers.
        statuses: Vec<RangeInclusive<u16>>,
    },
    /// Whether a connection stands, TLS and all.
    Tcp,
}

/// When an address is left out for what became of requests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EjectionSettings {
    /// After so many failures in a row.
    pub consecutive: NonZeroU32,
    /// How long the first time; twice as long the second time in a row, three times the third, and so on.
    pub span: Duration,
    /// The longest time.
    pub longest: Duration,
    /// No address is ejected when more than this share would be out. Whatever it is, one stays.
    pub max_share: Share,
}

use std::num::NonZeroU32;
use std::sync::LazyLock;
use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use limit::{Demand, Due, Measure, Mode, Reply, Seen, Verdict};
use redis::aio::ConnectionLike;
use redis::{Cmd, FromRedisValue, RedisError, ServerErrorKind};

use crate::tally::micros;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unanswered {
    /// In another form than the script gives.
    #[error("its answer cannot be read")]
    Garbled,
    /// Not in time.
    #[error("it does not answer in time")]
    Late,
    /// It says no, or there is nobody.
    #[error(transparent)]
    Redis(#[from] RedisError),
}

/// A script, and the name under which a store knows it once it was run there.
#[derive(Debug)]
pub(crate) struct Script {
    text: String,
    name: String,
}

/// What time it is there.
const CLOCK: &str = include_str!("clock.lua");

/// Judges and charges a request.
pub(crate) static JUDGE: LazyLock<Script> = LazyLock::new(|| Script::new(CLOCK, include_str!("judge.lua")));

/// Charges or gives back what is due when it is over.
pub(crate) static SETTLE: LazyLock<Script> = LazyLock::new(|| Script::new(CLOCK, include_str!("settle.lua")));

impl Script {
    pub(crate) fn new(clock: &str, text: &str) -> Self {
        let text = format!("{clock}{text}");
        // The store names it so; nothing is secured by it.
        let name = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
        Self { name: name.as_ref().iter().map(|byte| format!("{byte:02x}")).collect(), text }
    }

    /// Runs it with what `complete` adds: how many keys, the keys, and the rest. A store that does not know it, learns it.
    pub(crate) async fn run<T: FromRedisValue>(
        &self,
        connection: &mut (impl ConnectionLike + Send),
        complete: impl Fn(&mut Cmd) + Send + Sync,
    ) -> Result<T, RedisError> {
        let mut known = redis::cmd("EVALSHA");
        complete(known.arg(&self.name));
        match known.query_async(connection).await {
            Err(error) if error.kind() == redis::ErrorKind::Server(ServerErrorKind::NoScript) => {
                let mut whole = redis::cmd("EVAL");
                complete(whole.arg(&self.text));
                whole.query_async(connection).await
            }
            answer => answer,
        }
    }
}

/// Asks about all levels at once. Places that it gets are kept for so long, unless they are renewed.
pub(crate) async fn judge(
    script: &Script,
    connection: &mut (impl ConnectionLike + Send),
    (lease, lasts): (&str, Duration),
    cost: NonZeroU32,
    levels: &[(String, &Demand)],
) -> Result<Reply, Unanswered> {
    let complete = |command: &mut Cmd| {
        command.arg(levels.len());
        for (key, _) in levels {
            command.arg(key);
        }
        command.arg(cost.get()).arg(lease).arg(micros(lasts));
        levels.iter().for_each(|(_, demand)| level(command, demand.mode(), demand.measure()));
    };
    let numbers: Vec<u64> = script.run(connection, complete).await?;
    let [verdict, now, seen @ ..] = numbers.as_slice() else { return Err(Unanswered::Garbled) };
    let seen = seen.chunks(3).map(|level| match *level {
        [one, two, fits] => Some(Seen { now: *now, one, two, fits: fits == 1 }),
        _ => None,
    });
    let seen: Vec<_> = seen.collect();
    if seen.len() != levels.len() || seen.contains(&None) {
        return Err(Unanswered::Garbled);
    }
    Ok(Reply { verdict: if *verdict == 1 { Verdict::Fits } else { Verdict::Refused }, seen })
}

/// The words for one level in the script that judges.
pub(crate) fn level(command: &mut Cmd, mode: Mode, measure: Measure) {
    let mode = match mode {
        Mode::Enforce => "enforce",
        Mode::Shadow => "shadow",
    };
    let mut add = |kind: &str, numbers: [u64; 3]| {
        command.arg(kind).arg(mode).arg(&numbers[..]);
    };
    match measure {
        Measure::Bytes { whole } => add("bytes", [whole, 0, 0]),
        Measure::Concurrency { most } => add("concurrency", [most.into(), 0, 0]),
        Measure::Failures { most, within } => add("failures", [most.into(), within, 0]),
        Measure::Nothing => add("nothing", [0, 0, 0]),
        Measure::Quota { count, ends, at } => add("quota", [count.into(), ends.into(), at.into()]),
        Measure::Rate { interval, burst } => add("rate", [interval, burst.into(), 0]),
    }
}

/// The words for what is due.
pub(crate) fn due(command: &mut Cmd, due: Due, lease: &str, begun: u8) {
    match due {
        Due::Bytes { micros } => command.arg("bytes").arg(micros),
        Due::QuotaBack { count, at } => command.arg("quota_back").arg(count).arg(at),
        Due::RateBack { micros } => command.arg("rate_back").arg(micros),
        Due::Place => command.arg("place").arg(lease),
        Due::Try { failed, most, within, lock } => {
            command.arg("try").arg(begun).arg(u8::from(failed)).arg(most).arg(within).arg(lock)
        }
    };
}

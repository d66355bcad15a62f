use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::print::Style;
use crate::settings::{Level, LogFormat};

/// Starts logging to standard error. Lines speak of the gateway; requests are the audit log's.
///
/// pingora is not heard at all: clients make it write lines at will, and some quote what they sent. What it does to a
/// request is in the request's record and in the metrics. Other libraries are heard from `warn` up.
pub(crate) fn start(format: LogFormat, level: Level) {
    let level = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
    };
    let ours = OURS.iter().map(|part| (*part, level));
    let silent = ["pingora", "pingora_core", "pingora_proxy"].map(|library| (library, LevelFilter::OFF));
    let targets = Targets::new().with_default(level.min(LevelFilter::WARN)).with_targets(ours).with_targets(silent);
    let base = fmt::layer().with_writer(std::io::stderr).with_target(true);
    let registry = tracing_subscriber::registry().with(targets);
    // A second start in one process keeps the first subscriber.
    let started = match format {
        LogFormat::Json => registry.with(base.json().flatten_event(true)).try_init(),
        LogFormat::Text => registry.with(base.with_ansi(Style::stderr().colours())).try_init(),
    };
    if started.is_ok() {
        log::set_max_level(log::LevelFilter::Warn);
    }
}

/// The parts that log.
const OURS: [&str; 9] = ["admin", "audit", "cli", "demo", "gate", "ingress", "proxy", "token", "upstream"];

use std::time::UNIX_EPOCH;

use terms::Clock;

use crate::args;
use crate::failure::Failure;
use crate::{load, operator, print, reckoning, which};

/// Says how the clock stands, and takes it for right, if that is asked for.
pub(super) fn run(arguments: &args::Clock, clock: &dyn Clock) -> Result<(), Failure> {
    let (settings, _) = load::config(&arguments.config)?;
    let now = clock.unix_seconds();
    let seen = reckoning::remembered(&settings.state, clock);
    let seen = seen.map_err(|error| Failure::setup("what time it was last cannot be read", &error))?;
    let Some(seen) = seen.and_then(|seen| seen.duration_since(UNIX_EPOCH).ok()).map(|seen| seen.as_secs()) else {
        return Err(Failure::Setup("no gateway has looked at the time with this state folder yet".into()));
    };
    print::line(format_args!("The clock of this machine says {}.", which::time(now)));
    let ahead = now.saturating_sub(seen);
    if ahead == 0 {
        print::line("So much time has passed while a gateway could see it pass.");
    } else {
        print::line(format_args!(
            "As far as a gateway could see it pass, it is {}: {ahead} s less.",
            which::time(seen)
        ));
        print::line(
            "Records grow old by the latter: time while the machine was off is not among it, nor a jump of its clock.",
        );
    }
    let Some(reason) = arguments.reason.as_deref().filter(|_| arguments.accept) else { return Ok(()) };
    if reason.trim().is_empty() || reason.len() > 400 {
        return Err(Failure::Setup("--reason: say in at most 400 bytes why the clock is right".into()));
    }
    reckoning::accept(&settings.state, clock, operator::author(), reason.trim())
        .map_err(|error| Failure::broke("that the clock is right cannot be said", &error))?;
    print::line("It is taken for right, by the gateway that runs within seconds, or by the next that is started.");
    Ok(())
}

use tokio::time::Instant;

/// Counts frames of HTTP/2 that ask for nothing: pings, settings, priorities, resets, empty pieces of bodies, windows that are
/// moved on though nothing was sent. Each costs us something and the client nothing, and none of them is a request that a limit would count (CVE-2019-9512 to -9518).
#[derive(Debug, Default)]
pub(crate) struct Chatter {
    heard: u32,
    since: Option<Instant>,
}

/// What to make of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Heard {
    Enough,
    TooMuch,
}

/// So many at once, and so many a second on the whole. A client of gRPC that measures its path may send a ping for each
/// round trip, a thousand a second in one building; a flood is a hundred times that.
const BURST: u32 = 20_000;
const PER_SECOND: u32 = 5_000;

impl Chatter {
    pub(crate) fn add(&mut self, frames: u32, now: Instant) -> Heard {
        let elapsed = now.duration_since(*self.since.get_or_insert(now));
        let forgiven = elapsed.as_millis().saturating_mul(u128::from(PER_SECOND)) / 1000;
        if forgiven > 0 {
            self.heard = self.heard.saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX));
            self.since = Some(now);
        }
        self.heard = self.heard.saturating_add(frames);
        if self.heard > BURST { Heard::TooMuch } else { Heard::Enough }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_too_much_and_what_clients_need_is_not() {
        for (frames, every_ms, until) in
            [(10, 1, Some(2)), (5, 1, None), (1, 1, None), (20_001, 1, Some(0)), (3_000, 1000, None)]
        {
            let (mut chatter, start) = (Chatter::default(), Instant::now());
            let mut too_much = None;
            while start.elapsed() < Duration::from_secs(60) && too_much.is_none() {
                if chatter.add(frames, Instant::now()) == Heard::TooMuch {
                    too_much = Some(start.elapsed());
                }
                tokio::time::advance(Duration::from_millis(every_ms)).await;
            }
            match (too_much, until) {
                (None, None) => {}
                (Some(at), Some(until)) => {
                    assert!(at >= Duration::from_secs(until), "{frames} every {every_ms} ms: {at:?}")
                }
                other => panic!("{frames} every {every_ms} ms: {other:?}"),
            }
        }
    }
}

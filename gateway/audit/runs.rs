use crate::Row;
use crate::verify::Fault;

/// One process's time as the writer of the log, from when it opened it or took it over.
///
/// Whatever it says of itself is compared with what is there: requests = records.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Run {
    /// The gateway.
    pub instance: String,
    /// Its first record here: index and time.
    pub first: (u64, String),
    /// Its last record.
    pub last: (u64, String),
    /// Final records.
    pub finals: u64,
    /// How many requests it says came in, those that were under way when it took the log over among them. Nothing, if it
    /// never said so.
    pub requests: Option<u64>,
    /// Requests of which it says that they have no record.
    pub unrecorded: u64,
    /// How it ended.
    pub ended: Ended,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    /// It said good-bye: it has told of everything.
    Closed,
    /// It was cut off, and the next one has brought into the log what it left.
    CutOff,
    /// It goes on, or was cut off and nobody has opened the log since.
    No,
    /// The log is written by another process from there on.
    TakenOver,
}

impl Ended {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::CutOff => "cut off",
            Self::No => "open",
            Self::TakenOver => "taken over",
        }
    }
}

impl Run {
    fn of(index: u64, row: &Row<'_>) -> Self {
        let here = (index, row.time.to_owned());
        let instance = row.instance.to_owned();
        Self { instance, first: here.clone(), last: here, finals: 0, requests: None, unrecorded: 0, ended: Ended::No }
    }

    /// Requests that came in and are not on record yet, as far as it has said.
    #[must_use]
    pub fn under_way(&self) -> Option<u64> {
        self.requests.map(|requests| requests.saturating_sub(self.finals + self.unrecorded))
    }
}

/// Takes in the next record, and answers what does not fit.
pub(crate) fn follow(runs: &mut Vec<Run>, index: u64, row: &Row<'_>) -> Vec<Fault> {
    match row.kind {
        Some("log.taken_over") => {
            if let Some(run) = runs.last_mut() {
                run.ended = Ended::TakenOver;
            }
            runs.push(Run::of(index, row));
        }
        Some("log.opened") => runs.push(Run::of(index, row)),
        _ => {}
    }
    let Some(run) = runs.last_mut() else { return Vec::new() }; // the beginning of the log was pruned
    run.last.0 = index;
    row.time.clone_into(&mut run.last.1);
    run.finals += u64::from(row.stage == Some("final"));
    run.unrecorded += row.unrecorded.unwrap_or(0);
    let ended = match row.kind {
        Some("log.closed") => Some(Ended::Closed),
        Some("log.recovered") => Some(Ended::CutOff),
        _ => None,
    };
    run.ended = ended.unwrap_or(run.ended);
    let (Some(requests), Some(said)) = (row.requests, row.finals) else {
        // What it said before it was cut off is not all that came in.
        run.requests = run.requests.filter(|_| ended != Some(Ended::CutOff));
        return Vec::new();
    };
    run.requests = Some(requests);
    let mut faults = Vec::new();
    if said != run.finals {
        faults.push(Fault::Finals { said, found: run.finals });
    }
    let recorded = run.finals + run.unrecorded;
    if ended.is_some() && requests > recorded {
        faults.push(Fault::Requests { requests, recorded });
    }
    faults
}

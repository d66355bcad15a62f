/// The levels that are open, the outermost first: the column of each, as it was and as it is now.
#[derive(Debug, Default)]
pub(super) struct Levels {
    open: Vec<Level>,
    /// Whether an entry has been placed yet.
    begun: bool,
}

#[derive(Clone, Copy, Debug)]
struct Level {
    was: usize,
    now: usize,
    kind: LevelKind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum LevelKind {
    Items,
    Keys,
}

/// Where an entry goes.
pub(super) struct Placed<'t> {
    /// Its column.
    pub(super) column: usize,
    /// How many lists begin with it.
    pub(super) dashes: usize,
    /// What stands behind their dashes.
    pub(super) rest: &'t str,
    /// Where that stood.
    pub(super) key_was: usize,
    /// Where it stands.
    pub(super) key_now: usize,
}

const STEP: usize = 2;

impl Levels {
    /// Finds the place of an entry that stood at this column.
    pub(super) fn place<'t>(&mut self, column: usize, content: &'t str) -> Placed<'t> {
        self.begun = true;
        let (mut was, mut rest, mut dashes, mut first) = (column, content, 0, None);
        loop {
            let after = item(rest);
            let kind = if after.is_some() { LevelKind::Items } else { LevelKind::Keys };
            let now = self.level(was, kind);
            first = first.or(Some(now));
            let Some(after) = after else {
                return Placed { column: first.unwrap_or(now), dashes, rest, key_was: was, key_now: now };
            };
            let inner = after.trim_start_matches(' ');
            was += rest.len() - inner.len();
            rest = inner;
            dashes += 1;
            if inner.is_empty() || inner.starts_with('#') {
                // What the item is stands on the lines that follow.
                return Placed { column: first.unwrap_or(now), dashes, rest, key_was: was, key_now: now + STEP };
            }
        }
    }

    /// The column of the level that stands at this one; it is opened if it was not.
    fn level(&mut self, was: usize, kind: LevelKind) -> usize {
        self.open.retain(|level| level.was <= was);
        // A list may stand at the column of the key whose value it is; behind it, that key's level goes on.
        if kind == LevelKind::Keys {
            while self.open.last().is_some_and(|level| level.was == was && level.kind == LevelKind::Items) {
                self.open.pop();
            }
        }
        match self.open.last() {
            Some(level) if level.was == was && level.kind == kind => level.now,
            last => {
                let now = last.map_or(0, |level| level.now + STEP);
                self.open.push(Level { was, now, kind });
                now
            }
        }
    }

    /// Where a comment goes that stood at this column, before an entry at the next one.
    pub(super) fn column_of_comment(&self, was: usize, next: Option<usize>) -> usize {
        let below = |column: usize| self.open.iter().rev().find(|level| level.was <= column);
        match (below(was), next) {
            // It is about the entry that follows, which opens a level of its own.
            (Some(level), Some(next)) if next == was && level.was < was => level.now + STEP,
            (Some(level), _) => level.now + (was - level.was),
            (None, _) => 0,
        }
    }

    /// Whether there is an entry already.
    pub(super) const fn is_begun(&self) -> bool {
        self.begun
    }
}

/// What stands behind the dash of an item.
fn item(content: &str) -> Option<&str> {
    let rest = content.strip_prefix('-')?;
    (rest.is_empty() || rest.starts_with(' ')).then_some(rest)
}

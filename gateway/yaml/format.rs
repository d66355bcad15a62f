//! One way to lay a file out: two spaces for each level, no white space at the ends of lines, an empty line before each section.
//!
//! Only white space is changed, and never inside of quotes or of a text that is a block of its own (`|`, `>`): words, quotes,
//! comments, anchors and the order of everything stay as they are. What comes out is read again and compared with what went in,
//! so a layout that means something that is not known here is refused, and never changed into something else.

mod flow;
mod levels;

use std::sync::Arc;

use terms::Findings;

use crate::node::{Kind, Node, parse};
use flow::{Ends, spaced};
use levels::Levels;

/// Why a file cannot be laid out.
#[derive(Debug, thiserror::Error)]
pub enum Unformatted {
    /// It is no YAML that can be read.
    #[error("{0}")]
    Unreadable(Findings),
    /// It would mean something else afterwards, or not be settled. Nothing is lost: it stays as it is.
    #[error("its layout means more than is known here, so it stays as it is")]
    Unsure,
}

/// The same file in the one layout.
///
/// # Errors
/// It cannot be read, or would not mean the same.
pub fn format(file: &Arc<str>, text: &str) -> Result<String, Unformatted> {
    let mut findings = Findings::default();
    let before = parse(file, text, &mut findings);
    let Some(before) = before.filter(|_| !findings.reject()) else { return Err(Unformatted::Unreadable(findings)) };
    let formatted = laid_out(text);
    let after = parse(file, &formatted, &mut Findings::default());
    let same = after.is_some_and(|after| same(&before, &after));
    let settled = laid_out(&formatted) == formatted;
    let only_space = text.split_whitespace().flat_map(str::chars).eq(formatted.split_whitespace().flat_map(str::chars));
    if same && settled && only_space { Ok(formatted) } else { Err(Unformatted::Unsure) }
}

/// Whether two values are the same, wherever they stand.
fn same(one: &Node, two: &Node) -> bool {
    match (&one.kind, &two.kind) {
        (Kind::Bool(one), Kind::Bool(two)) => one == two,
        (Kind::List(one), Kind::List(two)) => {
            one.len() == two.len() && one.iter().zip(two).all(|(one, two)| same(one, two))
        }
        (Kind::Map(one), Kind::Map(two)) => {
            let alike = |((a, b), (c, d)): (&(Node, Node), &(Node, Node))| same(a, c) && same(b, d);
            one.len() == two.len() && one.iter().zip(two).all(alike)
        }
        (Kind::Null, Kind::Null) | (Kind::Odd, Kind::Odd) => true,
        (Kind::Number(one), Kind::Number(two)) => one == two,
        (Kind::Text(one), Kind::Text(two)) => one == two,
        _ => false,
    }
}

/// Where a line begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Within {
    /// Between two entries.
    Block,
    /// In a text of its own, whose key stands at this column, and whose lines at that one, once it is known.
    Text(usize, Option<usize>),
    /// In brackets or braces, so many deep, of an entry that is moved so far.
    Flow(usize),
    /// In quotes, inside of so many brackets and braces.
    Quotes(char, usize),
}

/// The text in the one layout, if nothing in it means more than is known here.
fn laid_out(text: &str) -> String {
    let mut out = Layout { lines: Vec::new(), waiting: Vec::new(), levels: Levels::default(), moved: 0 };
    let mut within = Within::Block;
    for line in text.lines() {
        within = out.line(line, within);
    }
    out.finish()
}

struct Layout<'t> {
    lines: Vec<String>,
    /// Comments and empty lines, which go where the next entry goes.
    waiting: Vec<&'t str>,
    levels: Levels,
    /// How far to the right the entry goes whose lines follow.
    moved: isize,
}

impl<'t> Layout<'t> {
    fn line(&mut self, line: &'t str, within: Within) -> Within {
        let trimmed = line.trim_end();
        let column = trimmed.len() - trimmed.trim_start_matches(' ').len();
        let content = trimmed.get(column..).unwrap_or_default();
        match within {
            Within::Text(key, of) => {
                let of = if content.is_empty() { of } else { of.or(Some(column).filter(|column| *column > key)) };
                match of {
                    Some(of) if content.is_empty() || column >= of => {
                        self.push_moved(line);
                        Within::Text(key, Some(of))
                    }
                    None if content.is_empty() => {
                        self.push_moved(line);
                        within
                    }
                    Some(_) | None => self.line(line, Within::Block),
                }
            }
            Within::Quotes(quote, depth) => {
                let ends = spaced(line, depth, Some(quote));
                self.lines.push(ends.text.clone());
                self.within(ends, 0)
            }
            Within::Flow(_) if content.is_empty() => {
                self.lines.push(String::new());
                within
            }
            Within::Flow(depth) => {
                let ends = spaced(content, depth, None);
                let column = column.saturating_add_signed(self.moved);
                self.lines.push(format!("{:column$}{}", "", ends.text));
                self.within(ends, 0)
            }
            Within::Block if content.is_empty() || content.starts_with('#') => {
                self.waiting.push(trimmed);
                within
            }
            Within::Block => self.entry(column, content),
        }
    }

    /// A line on which an entry begins.
    fn entry(&mut self, column: usize, content: &str) -> Within {
        let is_section = column == 0 && !content.starts_with('-');
        self.settle_comments(Some(column), is_section);
        let placed = self.levels.place(column, content);
        let (dashes, rest) = (placed.dashes, placed.rest);
        let ends = spaced(rest, 0, None);
        let first = placed.column;
        self.lines.push(format!("{:first$}{}{}", "", "- ".repeat(dashes), ends.text).trim_end().to_owned());
        self.moved = isize::try_from(placed.key_now).unwrap_or(0) - isize::try_from(placed.key_was).unwrap_or(0);
        self.within(ends, placed.key_was)
    }

    fn within(&mut self, ends: Ends, key: usize) -> Within {
        match (ends.quote, ends.depth, ends.text_follows) {
            (Some(quote), depth, _) => Within::Quotes(quote, depth),
            (None, 0, true) => Within::Text(key, None),
            (None, 0, false) => Within::Block,
            (None, depth, _) => Within::Flow(depth),
        }
    }

    fn push_moved(&mut self, line: &str) {
        let column = line.len() - line.trim_start_matches(' ').len();
        let content = line.get(column..).unwrap_or_default();
        let column = if content.is_empty() { 0 } else { column.saturating_add_signed(self.moved) };
        self.lines.push(format!("{:column$}{content}", ""));
    }

    /// Puts out what waits: at the column of the entry that follows, if it stands there, or else where it stood among those
    /// before. Of several empty lines one stays.
    fn settle_comments(&mut self, next: Option<usize>, is_section: bool) {
        let waiting = std::mem::take(&mut self.waiting);
        // Those right before a section belong to it, and the empty line comes before them.
        let attached = waiting.iter().rev().take_while(|line| line.starts_with('#')).count();
        let head = waiting.len() - attached;
        for (at, line) in waiting.iter().enumerate() {
            if at == head {
                self.part(is_section);
            }
            if line.is_empty() {
                self.empty_line();
                continue;
            }
            let column = line.len() - line.trim_start_matches(' ').len();
            let content = line.get(column..).unwrap_or_default();
            let column = self.levels.column_of_comment(column, next);
            self.lines.push(format!("{:column$}{content}", ""));
        }
        if attached == 0 {
            self.part(is_section);
        }
    }

    /// An empty line before a section.
    fn part(&mut self, is_section: bool) {
        if is_section && self.levels.is_begun() {
            self.empty_line();
        }
    }

    fn empty_line(&mut self) {
        if self.lines.last().is_some_and(|last| !last.is_empty()) {
            self.lines.push(String::new());
        }
    }

    fn finish(mut self) -> String {
        self.settle_comments(None, false);
        while self.lines.last().is_some_and(String::is_empty) {
            self.lines.pop();
        }
        let mut text = self.lines.join("\n");
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests;

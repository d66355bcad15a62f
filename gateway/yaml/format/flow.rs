/// A line, and how it ends.
#[derive(Debug)]
pub(super) struct Ends {
    /// The line as it is written now.
    pub(super) text: String,
    /// In how many brackets and braces.
    pub(super) depth: usize,
    /// In which quotes.
    pub(super) quote: Option<char>,
    /// Whether a text of its own follows (`|`, `>`).
    pub(super) text_follows: bool,
}

/// Writes one line with one space inside of braces, none inside of brackets, and one behind each comma. It begins in so many
/// brackets and braces, and perhaps in quotes.
pub(super) fn spaced(line: &str, depth: usize, quote: Option<char>) -> Ends {
    let mut ends = Ends { text: String::with_capacity(line.len() + 8), depth, quote, text_follows: false };
    // Whether a value may begin here: what is special at its beginning is not within a word.
    let mut begins = quote.is_none();
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        if let Some(quote) = ends.quote {
            ends.text.push(c);
            match c {
                '\\' if quote == '"' => ends.text.extend(chars.next()),
                '\'' if quote == '\'' && chars.peek() == Some(&'\'') => ends.text.extend(chars.next()),
                _ if c == quote => ends.quote = None,
                _ => {}
            }
            continue;
        }
        let before = ends.text.chars().next_back();
        match c {
            '#' if before.is_none_or(|before| before == ' ' || before == '\t') => {
                ends.text.push(c);
                ends.text.extend(chars);
                break;
            }
            '"' | '\'' if begins => {
                ends.quote = Some(c);
                ends.text.push(c);
                begins = false;
            }
            '{' | '[' if begins || ends.depth > 0 => {
                ends.depth += 1;
                ends.text.push(c);
                while chars.next_if_eq(&' ').is_some() {}
                match chars.peek() {
                    Some('#') => ends.text.push(' '),
                    Some(next) if c == '{' && *next != '}' => ends.text.push(' '),
                    _ => {}
                }
                begins = true;
            }
            '}' | ']' if ends.depth > 0 => {
                ends.depth -= 1;
                let length = ends.text.trim_end_matches(' ').len();
                let is_first = length == 0;
                ends.text.truncate(length);
                if c == '}' && !is_first && !ends.text.ends_with('{') {
                    ends.text.push(' ');
                }
                ends.text.push(c);
                begins = false;
            }
            ',' if ends.depth > 0 => {
                ends.text.truncate(ends.text.trim_end_matches(' ').len());
                ends.text.push(c);
                let mut spaces = 0;
                while chars.next_if_eq(&' ').is_some() {
                    spaces += 1;
                }
                match chars.peek() {
                    None => {}
                    Some('#') => ends.text.extend(std::iter::repeat_n(' ', spaces)),
                    Some(_) => ends.text.push(' '),
                }
                begins = true;
            }
            '|' | '>' if begins && ends.depth == 0 => {
                ends.text.push(c);
                let rest: String = chars.collect();
                let (header, comment) = rest.split_once(' ').unwrap_or((&rest, ""));
                ends.text_follows = header.chars().all(|c| c.is_ascii_digit() || c == '+' || c == '-')
                    && (comment.trim_start().is_empty() || comment.trim_start().starts_with('#'));
                ends.text.push_str(&rest);
                break;
            }
            // The name of an anchor or a tag: what it is about begins behind it.
            '&' | '!' if begins => {
                ends.text.push(c);
                while let Some(next) = chars.next_if(|next| *next != ' ') {
                    ends.text.push(next);
                }
            }
            ' ' => ends.text.push(c),
            ':' | '?' if chars.peek().is_none_or(|next| *next == ' ') || ends.depth > 0 && before == Some('"') => {
                ends.text.push(c);
                begins = true;
            }
            _ => {
                ends.text.push(c);
                begins = false;
            }
        }
    }
    ends.text.truncate(if ends.quote.is_none() { ends.text.trim_end().len() } else { ends.text.len() });
    ends
}

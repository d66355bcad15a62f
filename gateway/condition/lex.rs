use crate::fault::Mistake;

/// One word of an expression, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub(crate) at: usize,
    pub(crate) end: usize,
    pub(crate) kind: TokenKind,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TokenKind {
    End,
    /// A whole number without its sign: one more than the largest, so that the smallest can be written.
    Int(u64),
    Mark(&'static str),
    Name(String),
    Text(String),
}

/// Longer marks first.
const MARKS: [&str; 26] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "?", ":", "+", "-", "*", "/", "%", "(", ")", "[", "]", "{", "}",
    ".", ",", "=", "&",
];

/// Cuts an expression into words. The last is [`TokenKind::End`].
pub(crate) fn lex(text: &str) -> Result<Vec<Token>, Mistake> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        let token = lexer.next()?;
        let is_last = token.kind == TokenKind::End;
        tokens.push(token);
        if is_last {
            return Ok(tokens);
        }
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    fn left(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Passes over what `is` says, and gives it.
    fn take(&mut self, is: impl Fn(char) -> bool) -> &'t str {
        let left = self.left();
        let length = left.find(|c| !is(c)).unwrap_or(left.len());
        self.at += length;
        left.get(..length).unwrap_or_default()
    }

    fn next(&mut self) -> Result<Token, Mistake> {
        loop {
            self.take(|c| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}'));
            if !self.left().starts_with("//") {
                break;
            }
            self.take(|c| c != '\n');
        }
        let at = self.at;
        let kind = self.kind()?;
        Ok(Token { at, end: self.at, kind })
    }

    fn kind(&mut self) -> Result<TokenKind, Mistake> {
        let (at, left) = (self.at, self.left());
        let Some(first) = left.chars().next() else { return Ok(TokenKind::End) };
        if let Some(raw) = opening(left) {
            return self.quoted(raw).map(TokenKind::Text);
        }
        if first.is_ascii_digit() {
            return self.number().map(TokenKind::Int);
        }
        if first.is_ascii_alphabetic() || first == '_' {
            let name = self.take(|c| c.is_ascii_alphanumeric() || c == '_');
            if matches!(name, "b" | "B" | "br" | "rb" | "bR" | "Rb" | "Br" | "rB" | "BR" | "RB")
                && self.left().starts_with(['"', '\''])
            {
                return Err(Mistake::new(at, "bytes are not part of this language"));
            }
            return Ok(TokenKind::Name(name.to_owned()));
        }
        match MARKS.into_iter().find(|mark| left.starts_with(mark)) {
            Some("=") => Err(Mistake::new(at, "`=` compares nothing").help("write `==`")),
            Some("&") => Err(Mistake::new(at, "`&` joins nothing").help("write `&&`")),
            Some("{" | "}") => Err(Mistake::new(at, "maps are not written in this language")),
            Some(mark) => {
                self.at += mark.len();
                Ok(TokenKind::Mark(mark))
            }
            None => Err(Mistake::new(at, format!("`{first}` means nothing here"))),
        }
    }

    fn number(&mut self) -> Result<u64, Mistake> {
        let at = self.at;
        let large = |_| Mistake::new(at, "this number is too large");
        let hexadecimal = self.left().strip_prefix("0x").or_else(|| self.left().strip_prefix("0X"));
        let number = match hexadecimal {
            Some(_) => {
                self.at += 2;
                let digits = self.take(|c| c.is_ascii_hexdigit());
                u64::from_str_radix(if digits.is_empty() { "x" } else { digits }, 16).map_err(large)?
            }
            None => self.take(|c| c.is_ascii_digit()).parse().map_err(large)?,
        };
        let mut after = self.left().chars();
        match (after.next(), after.next()) {
            (Some('.'), Some('0'..='9')) | (Some('e' | 'E'), _) => {
                Err(Mistake::new(at, "numbers with a fraction are not part of this language"))
            }
            (Some('u' | 'U'), _) => {
                Err(Mistake::new(at, "numbers without a sign are not part of this language").help("leave the `u` out"))
            }
            (Some(c), _) if c.is_ascii_alphanumeric() || c == '_' => {
                Err(Mistake::new(at, "a name does not start with a digit"))
            }
            _ => Ok(number),
        }
    }

    /// A text between quotes, three of which may stand around several lines.
    fn quoted(&mut self, raw: bool) -> Result<String, Mistake> {
        let at = self.at;
        self.at += usize::from(raw);
        let left = self.left();
        let quote = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| left.starts_with(quote)).unwrap_or("'");
        self.at += quote.len();
        let mut text = String::new();
        loop {
            if self.left().starts_with(quote) {
                self.at += quote.len();
                return Ok(text);
            }
            let c = self.left().chars().next();
            match c {
                Some('\\') if !raw => text.push(self.escape()?),
                Some('\n' | '\r') if quote.len() == 1 => break,
                Some(c) => {
                    self.at += c.len_utf8();
                    text.push(c);
                }
                None => break,
            }
        }
        Err(Mistake::new(at, "this text has no closing quote"))
    }

    fn escape(&mut self) -> Result<char, Mistake> {
        let at = self.at;
        let unknown = || Mistake::new(at, "this escape is not known").help("write `\\\\` for a backslash");
        self.at += 1;
        let c = self.left().chars().next().ok_or_else(unknown)?;
        let (digits, radix, skip) = match c {
            'x' | 'X' => (2, 16, 1),
            'u' => (4, 16, 1),
            'U' => (8, 16, 1),
            '0'..='3' => (3, 8, 0),
            _ => {
                self.at += c.len_utf8();
                return simple(c).ok_or_else(unknown);
            }
        };
        let start = self.at + skip;
        let written = self.text.get(start..start + digits).ok_or_else(unknown)?;
        self.at = start + digits;
        let is_digit = |byte: u8| char::from(byte).is_digit(radix);
        let code = Some(written).filter(|written| written.bytes().all(is_digit));
        let code = code.and_then(|written| u32::from_str_radix(written, radix).ok());
        code.and_then(char::from_u32).ok_or_else(unknown)
    }
}

/// Whether a text begins here, and whether its backslashes mean nothing.
fn opening(left: &str) -> Option<bool> {
    let raw = left.strip_prefix(['r', 'R']);
    match (left.starts_with(['"', '\'']), raw) {
        (true, _) => Some(false),
        (false, Some(left)) if left.starts_with(['"', '\'']) => Some(true),
        (false, _) => None,
    }
}

fn simple(c: char) -> Option<char> {
    Some(match c {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        '\\' | '?' | '"' | '\'' | '`' => c,
        _ => return None,
    })
}

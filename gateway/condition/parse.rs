use crate::fault::Mistake;
use crate::lex::{Token, TokenKind, lex};
use crate::syntax::{Expr, ExprKind};

/// The longest expression, in bytes.
pub(crate) const LONGEST: usize = 2_048;
/// The deepest, in parts within parts.
pub(crate) const DEEPEST: usize = 48;

/// Words that mean something in CEL, or may once.
const RESERVED: [&str; 19] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "var",
    "void",
    "while",
];

/// Reads an expression.
pub(crate) fn parse(text: &str) -> Result<Expr, Mistake> {
    if text.len() > LONGEST {
        return Err(Mistake::new(0, format!("a condition has at most {LONGEST} bytes")));
    }
    let mut parser = Parser { tokens: lex(text)?, next: 0, depth: 0 };
    let expr = parser.expression()?;
    if parser.peek().kind != TokenKind::End {
        return Err(parser.unexpected("an operator or the end"));
    }
    Ok(expr)
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

static END: Token = Token { at: 0, end: 0, kind: TokenKind::End };

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.next).or_else(|| self.tokens.last()).unwrap_or(&END)
    }

    fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn is(&self, mark: &str) -> bool {
        matches!(&self.peek().kind, TokenKind::Mark(found) if *found == mark)
    }

    /// Passes over a mark, if it is next.
    fn take(&mut self, mark: &str) -> bool {
        let found = self.is(mark);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, mark: &'static str) -> Result<usize, Mistake> {
        if !self.is(mark) {
            return Err(self.unexpected(&format!("`{mark}`")));
        }
        Ok(self.advance().end)
    }

    fn unexpected(&self, expected: &str) -> Mistake {
        let Token { at, kind, .. } = self.peek();
        let found = match kind {
            TokenKind::End => "the end".to_owned(),
            TokenKind::Int(number) => format!("`{number}`"),
            TokenKind::Mark(mark) => format!("`{mark}`"),
            TokenKind::Name(name) => format!("`{name}`"),
            TokenKind::Text(_) => "a text".to_owned(),
        };
        Mistake::new(*at, format!("expected {expected}, found {found}"))
    }

    fn made(at: usize, end: usize, kind: ExprKind) -> Result<Expr, Mistake> {
        let expr = Expr::of(at, end, kind);
        if expr.depth > DEEPEST {
            return Err(too_deep(at));
        }
        Ok(expr)
    }

    fn expression(&mut self) -> Result<Expr, Mistake> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(too_deep(self.peek().at));
        }
        let condition = self.any()?;
        let expr = if self.take("?") {
            let yes = self.any()?;
            self.expect(":")?;
            let no = self.expression()?;
            let (at, end) = (condition.at, no.end);
            Self::made(at, end, ExprKind::Choice(Box::new((condition, yes, no))))?
        } else {
            condition
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn any(&mut self) -> Result<Expr, Mistake> {
        self.chain("||", Self::all, ExprKind::Any)
    }

    fn all(&mut self) -> Result<Expr, Mistake> {
        self.chain("&&", Self::relation, ExprKind::All)
    }

    /// Operands of one operator for which it makes no difference how they are grouped.
    fn chain(
        &mut self,
        mark: &str,
        operand: fn(&mut Self) -> Result<Expr, Mistake>,
        kind: fn(Vec<Expr>) -> ExprKind,
    ) -> Result<Expr, Mistake> {
        let first = operand(self)?;
        if !self.is(mark) {
            return Ok(first);
        }
        let (at, mut end, mut operands) = (first.at, first.end, vec![first]);
        while self.take(mark) {
            let next = operand(self)?;
            end = next.end;
            operands.push(next);
        }
        Self::made(at, end, kind(operands))
    }

    fn relation(&mut self) -> Result<Expr, Mistake> {
        let mut left = self.binary(&["+", "-"], |parser| parser.binary(&["*", "/", "%"], Self::unary))?;
        loop {
            let relation = match &self.peek().kind {
                TokenKind::Mark(mark @ ("<" | "<=" | ">=" | ">" | "==" | "!=")) => *mark,
                TokenKind::Name(name) if name == "in" => "in",
                TokenKind::End | TokenKind::Int(_) | TokenKind::Mark(_) | TokenKind::Name(_) | TokenKind::Text(_) => {
                    return Ok(left);
                }
            };
            let place = self.advance().at;
            let right = self.binary(&["+", "-"], |parser| parser.binary(&["*", "/", "%"], Self::unary))?;
            let (at, end) = (left.at, right.end);
            left = Self::made(at, end, ExprKind::Binary(relation, place, Box::new((left, right))))?;
        }
    }

    fn binary(
        &mut self,
        marks: &[&'static str],
        operand: fn(&mut Self) -> Result<Expr, Mistake>,
    ) -> Result<Expr, Mistake> {
        let mut left = operand(self)?;
        while let Some(mark) = marks.iter().find(|mark| self.is(mark)) {
            let place = self.advance().at;
            let right = operand(self)?;
            let (at, end) = (left.at, right.end);
            left = Self::made(at, end, ExprKind::Binary(mark, place, Box::new((left, right))))?;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, Mistake> {
        let at = self.peek().at;
        if !self.is("!") && !self.is("-") {
            return self.member();
        }
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(too_deep(at));
        }
        let is_not = self.advance().kind == TokenKind::Mark("!");
        let literal = match (is_not, &self.peek().kind) {
            (false, TokenKind::Int(number)) => Some(*number),
            _ => None,
        };
        let expr = match literal {
            // The sign belongs to the number: the smallest could not be written without.
            Some(number) => {
                let number = 0_i64.checked_sub_unsigned(number).ok_or_else(|| large(at))?;
                let end = self.advance().end;
                self.suffixes(Expr::of(at, end, ExprKind::Int(number)))?
            }
            None => {
                let inner = self.unary()?;
                let end = inner.end;
                let kind = if is_not { ExprKind::Not } else { ExprKind::Negative };
                Self::made(at, end, kind(Box::new(inner)))?
            }
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn member(&mut self) -> Result<Expr, Mistake> {
        let primary = self.primary()?;
        self.suffixes(primary)
    }

    /// `.name`, `.name(…)` and `[…]`, as many as there are.
    fn suffixes(&mut self, mut expr: Expr) -> Result<Expr, Mistake> {
        loop {
            let at = expr.at;
            if self.take(".") {
                let Token { at: place, end, kind } = self.peek().clone();
                let TokenKind::Name(name) = kind else { return Err(self.unexpected("a name")) };
                self.next += 1;
                expr = if self.take("(") {
                    let (arguments, end) = self.list(")")?;
                    Self::made(at, end, ExprKind::Call(Some(Box::new(expr)), name, place, arguments))?
                } else {
                    Self::made(at, end, ExprKind::Select(Box::new(expr), name, place))?
                };
            } else if self.take("[") {
                let index = self.expression()?;
                let end = self.expect("]")?;
                expr = Self::made(at, end, ExprKind::Index(Box::new((expr, index))))?;
            } else {
                return Ok(expr);
            }
        }
    }

    /// Expressions with commas between them, up to the closing mark.
    fn list(&mut self, closing: &'static str) -> Result<(Vec<Expr>, usize), Mistake> {
        let mut list = Vec::new();
        while !self.is(closing) {
            list.push(self.expression()?);
            if !self.take(",") {
                break;
            }
        }
        Ok((list, self.expect(closing)?))
    }

    fn primary(&mut self) -> Result<Expr, Mistake> {
        let token = self.peek().clone();
        match &token.kind {
            TokenKind::Int(number) => {
                let number = i64::try_from(*number).map_err(|_| large(token.at))?;
                self.next += 1;
                Ok(Expr::leaf(&token, ExprKind::Int(number)))
            }
            TokenKind::Text(text) => {
                self.next += 1;
                Ok(Expr::leaf(&token, ExprKind::Text(text.clone())))
            }
            TokenKind::Mark("(") => {
                self.next += 1;
                let inner = self.expression()?;
                let end = self.expect(")")?;
                Ok(Expr { at: token.at, end, ..inner })
            }
            TokenKind::Mark("[") => {
                self.next += 1;
                let (elements, end) = self.list("]")?;
                Self::made(token.at, end, ExprKind::List(elements))
            }
            TokenKind::Name(name) => self.name(name, &token),
            TokenKind::End | TokenKind::Mark(_) => Err(self.unexpected("a value")),
        }
    }

    fn name(&mut self, name: &str, token: &Token) -> Result<Expr, Mistake> {
        if RESERVED.contains(&name) {
            return Err(self.unexpected("a value"));
        }
        self.next += 1;
        match name {
            "true" => Ok(Expr::leaf(token, ExprKind::Bool(true))),
            "false" => Ok(Expr::leaf(token, ExprKind::Bool(false))),
            _ if self.take("(") => {
                let (arguments, end) = self.list(")")?;
                Self::made(token.at, end, ExprKind::Call(None, name.to_owned(), token.at, arguments))
            }
            _ => Ok(Expr::leaf(token, ExprKind::Name(name.to_owned()))),
        }
    }
}

fn too_deep(at: usize) -> Mistake {
    Mistake::new(at, format!("a condition is at most {DEEPEST} parts within parts deep"))
}

fn large(at: usize) -> Mistake {
    Mistake::new(at, "this number is too large")
}

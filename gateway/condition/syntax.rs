use crate::lex::Token;

/// An expression as it is written.
#[derive(Clone, Debug)]
pub(crate) struct Expr {
    /// Where it begins and ends, in bytes.
    pub(crate) at: usize,
    pub(crate) end: usize,
    /// How deep what it is made of lies.
    pub(crate) depth: usize,
    pub(crate) kind: ExprKind,
}

#[derive(Clone, Debug)]
pub(crate) enum ExprKind {
    /// `a && b && c`
    All(Vec<Expr>),
    /// `a || b || c`
    Any(Vec<Expr>),
    /// `a < b`, `a + b`, `a in b`; where the mark stands.
    Binary(&'static str, usize, Box<(Expr, Expr)>),
    Bool(bool),
    /// `f(a)`, `a.f(b)`; where the name stands.
    Call(Option<Box<Expr>>, String, usize, Vec<Expr>),
    /// `a ? b : c`
    Choice(Box<(Expr, Expr, Expr)>),
    /// `a[b]`
    Index(Box<(Expr, Expr)>),
    Int(i64),
    List(Vec<Expr>),
    Name(String),
    /// `-a`
    Negative(Box<Expr>),
    /// `!a`
    Not(Box<Expr>),
    /// `a.b`; where the name stands.
    Select(Box<Expr>, String, usize),
    Text(String),
}

impl Expr {
    /// One whose parts are these.
    pub(crate) fn of(at: usize, end: usize, kind: ExprKind) -> Self {
        let deepest = |parts: &[Self]| parts.iter().map(|part| part.depth).max().unwrap_or(0);
        let depth = match &kind {
            ExprKind::All(parts) | ExprKind::Any(parts) | ExprKind::List(parts) => deepest(parts),
            ExprKind::Binary(_, _, parts) | ExprKind::Index(parts) => parts.0.depth.max(parts.1.depth),
            ExprKind::Bool(_) | ExprKind::Int(_) | ExprKind::Name(_) | ExprKind::Text(_) => 0,
            ExprKind::Call(target, _, _, parts) => deepest(parts).max(target.as_ref().map_or(0, |it| it.depth)),
            ExprKind::Choice(parts) => parts.0.depth.max(parts.1.depth).max(parts.2.depth),
            ExprKind::Negative(part) | ExprKind::Not(part) | ExprKind::Select(part, ..) => part.depth,
        };
        Self { at, end, depth: depth + 1, kind }
    }

    pub(crate) fn leaf(token: &Token, kind: ExprKind) -> Self {
        Self::of(token.at, token.end, kind)
    }

    /// `a.b.c` as text, if it is nothing but names.
    pub(crate) fn path(&self) -> Option<String> {
        match &self.kind {
            ExprKind::Name(name) => Some(name.clone()),
            ExprKind::Select(target, name, _) => Some(format!("{}.{name}", target.path()?)),
            ExprKind::All(_)
            | ExprKind::Any(_)
            | ExprKind::Binary(..)
            | ExprKind::Bool(_)
            | ExprKind::Call(..)
            | ExprKind::Choice(_)
            | ExprKind::Index(_)
            | ExprKind::Int(_)
            | ExprKind::List(_)
            | ExprKind::Negative(_)
            | ExprKind::Not(_)
            | ExprKind::Text(_) => None,
        }
    }
}

use std::fmt;

use crate::check::{Checker, Named, Typed};
use crate::code::Code;
use crate::declare::{Environment, Type};
use crate::eval::Scope;
use crate::fault::{Fault, Mistake};
use crate::parse::parse;
use crate::syntax::{Expr, ExprKind};
use crate::value::Value;

/// What an expression may be worth at most, in steps. One takes some nanoseconds.
const COSTLIEST: u64 = 4_096;

/// What is true of one request, by the numbers of an [`Environment`]. What is not known is not there.
pub trait Facts {
    /// A value or a list.
    ///
    /// # Errors
    /// There is something, and it is not of its type.
    fn fact(&self, fact: usize) -> Result<Option<Value<'_>>, Fault>;

    /// Of a map the text with this name.
    ///
    /// # Errors
    /// There is something of this name, and it is not one text.
    fn entry(&self, map: usize, name: &str) -> Result<Option<&str>, Fault>;
}

/// An expression that is true or false, checked and ready to be asked.
#[derive(Clone, Debug)]
pub struct Program {
    text: Box<str>,
    code: Code,
    cost: u64,
    /// If it is a chain of `&&` or `||`, where each operand begins and ends.
    operands: Box<[(usize, usize)]>,
    named: Box<[(String, Named)]>,
}

/// A part of an expression and what it was worth, for explanations.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PartValue {
    /// The part as it is written.
    pub text: String,
    /// Its value as text.
    pub value: Result<String, Fault>,
}

impl Program {
    /// Reads an expression about these facts. It must be true or false.
    ///
    /// # Errors
    /// What is wrong with it, and where in its text: all of it, if it can be read at all.
    pub fn compile(text: &str, environment: &Environment) -> Result<Self, Vec<Mistake>> {
        let expr = parse(text).map_err(|mistake| vec![mistake])?;
        let mut checker = Checker::new(environment);
        let typed = checker.expecting(&expr, &Type::Bool);
        let Some(Typed { code, cost, .. }) = typed.filter(|_| checker.mistakes.is_empty()) else {
            return Err(checker.mistakes);
        };
        if cost > COSTLIEST {
            let message = format!("this condition may take {cost} steps, and {COSTLIEST} are too many");
            return Err(vec![Mistake::new(0, message).help("go through fewer lists, or shorter ones")]);
        }
        let named = checker.named.into_iter().collect();
        Ok(Self { text: text.into(), code, cost, operands: operands(&expr), named })
    }

    /// Whether it is true of these facts. Allocates nothing, but what `matches` takes of memory that it keeps.
    ///
    /// # Errors
    /// A fault in a part that decides. Whoever asks must take it for the outcome that lets nothing through.
    pub fn holds(&self, facts: &dyn Facts) -> Result<bool, Fault> {
        Scope::new(facts).truth(&self.code)
    }

    /// An upper bound of the steps that it takes.
    #[must_use]
    pub const fn cost(&self) -> u64 {
        self.cost
    }

    /// The text that it was made of.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The names in a map that it asks for.
    pub fn entries(&self, map: usize) -> impl Iterator<Item = &str> {
        self.named.iter().filter_map(move |(_, named)| match named {
            Named::Entry(found, name) if *found == map => Some(name.as_str()),
            Named::Entry(..) | Named::Fact(_) => None,
        })
    }

    /// Whether it speaks of this fact.
    #[must_use]
    pub fn asks(&self, fact: usize) -> bool {
        self.named.iter().any(|(_, named)| match named {
            Named::Entry(found, _) | Named::Fact(found) => *found == fact,
        })
    }

    /// What each operand was worth, if it is a chain of `&&` or `||`, and then each fact that it names.
    #[must_use]
    pub fn parts(&self, facts: &dyn Facts) -> Vec<PartValue> {
        let operands: &[Code] = if let Code::All(it) | Code::Any(it) = &self.code { it } else { &[] };
        let mut parts = Vec::new();
        for (operand, (at, end)) in operands.iter().zip(&self.operands) {
            let text = self.text.get(*at..*end).unwrap_or_default().to_owned();
            let value = Scope::new(facts).eval(operand).map(|value| value.to_string());
            parts.push(PartValue { text, value });
        }
        for (name, named) in &self.named {
            let value = match named {
                Named::Entry(map, key) => facts.entry(*map, key).map(|text| text.map(Value::Text)),
                Named::Fact(fact) => facts.fact(*fact),
            };
            let value = value.and_then(|value| value.map(|value| value.to_string()).ok_or(Fault::Absent));
            parts.push(PartValue { text: name.clone(), value });
        }
        parts
    }
}

fn operands(expr: &Expr) -> Box<[(usize, usize)]> {
    if let ExprKind::All(operands) | ExprKind::Any(operands) = &expr.kind {
        operands.iter().map(|it| (it.at, it.end)).collect()
    } else {
        Box::default()
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

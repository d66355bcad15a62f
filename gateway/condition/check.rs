//! From what is written to [`Code`]: every name is known, every type fits, and the cost has a bound.

mod call;
mod names;

use std::collections::BTreeSet;

use crate::code::{Code, Operator, Relation};
use crate::declare::{Environment, Type};
use crate::fault::Mistake;
use crate::syntax::{Expr, ExprKind};
use crate::value::Constant;

/// How many loops may stand within each other.
pub(crate) const LOOPS: usize = 4;

/// What of the facts an expression speaks of.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Named {
    Entry(usize, String),
    Fact(usize),
}

/// A part whose types fit.
pub(crate) struct Typed {
    pub(crate) code: Code,
    pub(crate) of: Type,
    /// An upper bound of what it takes to work it out.
    pub(crate) cost: u64,
    /// If it is a list, how long it is at most.
    pub(crate) most: u64,
}

impl Typed {
    fn new(code: Code, of: Type, cost: u64) -> Self {
        Self { code, of, cost, most: 0 }
    }
}

/// Checks an expression against the facts that there are, and notes everything that is wrong with it.
pub(crate) struct Checker<'e> {
    environment: &'e Environment,
    variables: Vec<(String, Type)>,
    pub(crate) named: BTreeSet<(String, Named)>,
    pub(crate) mistakes: Vec<Mistake>,
}

impl<'e> Checker<'e> {
    pub(crate) fn new(environment: &'e Environment) -> Self {
        Self { environment, variables: Vec::new(), named: BTreeSet::new(), mistakes: Vec::new() }
    }

    fn refuse(&mut self, mistake: Mistake) -> Option<Typed> {
        self.mistakes.push(mistake);
        None
    }

    pub(crate) fn expr(&mut self, expr: &Expr) -> Option<Typed> {
        match &expr.kind {
            ExprKind::All(operands) => self.chain(operands, Code::All),
            ExprKind::Any(operands) => self.chain(operands, Code::Any),
            ExprKind::Binary("in", at, operands) => self.is_in(*at, operands),
            ExprKind::Binary(mark, at, operands) => self.binary(mark, *at, operands),
            ExprKind::Bool(value) => Some(Typed::new(Code::Constant(Constant::Bool(*value)), Type::Bool, 1)),
            ExprKind::Call(target, name, at, arguments) => self.call(expr, target.as_deref(), name, *at, arguments),
            ExprKind::Choice(parts) => self.choice(parts),
            ExprKind::Index(parts) => self.index(parts),
            ExprKind::Int(value) => Some(Typed::new(Code::Constant(Constant::Int(*value)), Type::Int, 1)),
            ExprKind::List(elements) => self.list(expr.at, elements),
            ExprKind::Name(_) | ExprKind::Select(..) => self.name(expr),
            ExprKind::Negative(inner) => {
                let number = self.expecting(inner, &Type::Int)?;
                Some(Typed::new(Code::Negative(Box::new(number.code)), Type::Int, number.cost + 1))
            }
            ExprKind::Not(inner) => {
                let truth = self.expecting(inner, &Type::Bool)?;
                Some(Typed::new(Code::Not(Box::new(truth.code)), Type::Bool, truth.cost + 1))
            }
            ExprKind::Text(text) => {
                Some(Typed::new(Code::Constant(Constant::Text(text.as_str().into())), Type::Text, 1))
            }
        }
    }

    /// A part that must be of one type.
    pub(crate) fn expecting(&mut self, expr: &Expr, of: &Type) -> Option<Typed> {
        let typed = self.expr(expr)?;
        if typed.of == *of {
            return Some(typed);
        }
        self.refuse(Mistake::new(expr.at, format!("expected {of}, found {}", typed.of)))
    }

    fn chain(&mut self, operands: &[Expr], code: fn(Box<[Code]>) -> Code) -> Option<Typed> {
        // All of them are looked at, so that one mistake does not hide the next.
        let operands: Vec<_> = operands.iter().map(|operand| self.expecting(operand, &Type::Bool)).collect();
        let operands: Vec<Typed> = operands.into_iter().collect::<Option<_>>()?;
        let cost = operands.iter().map(|operand| operand.cost + 1).sum();
        Some(Typed::new(code(operands.into_iter().map(|operand| operand.code).collect()), Type::Bool, cost))
    }

    fn both(&mut self, operands: &(Expr, Expr)) -> Option<(Typed, Typed)> {
        let (left, right) = (self.expr(&operands.0), self.expr(&operands.1));
        left.zip(right)
    }

    fn binary(&mut self, mark: &'static str, at: usize, operands: &(Expr, Expr)) -> Option<Typed> {
        let (left, right) = self.both(operands)?;
        let cost = left.cost + right.cost + 2;
        if let Some(relation) = Relation::of(mark) {
            let equality = matches!(relation, Relation::Equal | Relation::Unequal);
            let ordered = !matches!(left.of, Type::Address | Type::List(_));
            return match (left.of == right.of, equality || ordered) {
                (true, true) => {
                    let cost = cost + left.most.max(right.most) * 4;
                    Some(Typed::new(Code::Compare(relation, Box::new((left.code, right.code))), Type::Bool, cost))
                }
                (true, false) => self.refuse(Mistake::new(at, format!("`{mark}` does not order {}", left.of))),
                (false, _) => {
                    let message = format!("`{mark}` compares {} with {}", left.of, right.of);
                    self.refuse(Mistake::new(at, message).help("both sides must be of one type"))
                }
            };
        }
        let of = match (mark, &left.of, &right.of) {
            (_, Type::Int, Type::Int) => Some(Type::Int),
            ("+" | "-", Type::Duration, Type::Duration) | ("-", Type::Timestamp, Type::Timestamp) => {
                Some(Type::Duration)
            }
            ("+" | "-", Type::Timestamp, Type::Duration) | ("+", Type::Duration, Type::Timestamp) => {
                Some(Type::Timestamp)
            }
            _ => None,
        };
        match (Operator::of(mark), of) {
            (Some(operator), Some(of)) => {
                Some(Typed::new(Code::Arithmetic(operator, Box::new((left.code, right.code))), of, cost))
            }
            _ => {
                let message = format!("`{mark}` does not take {} and {}", left.of, right.of);
                self.refuse(Mistake::new(at, message))
            }
        }
    }

    fn choice(&mut self, parts: &(Expr, Expr, Expr)) -> Option<Typed> {
        let condition = self.expecting(&parts.0, &Type::Bool);
        let (yes, no) = (self.expr(&parts.1), self.expr(&parts.2));
        let (condition, (yes, no)) = condition.zip(yes.zip(no))?;
        if yes.of != no.of {
            let message = format!("one outcome is {}, the other {}", yes.of, no.of);
            return self.refuse(Mistake::new(parts.2.at, message).help("both must be of one type"));
        }
        let cost = condition.cost + yes.cost.max(no.cost) + 1;
        let most = yes.most.max(no.most);
        let code = Code::Choice(Box::new((condition.code, yes.code, no.code)));
        Some(Typed { most, ..Typed::new(code, yes.of, cost) })
    }

    fn list(&mut self, at: usize, elements: &[Expr]) -> Option<Typed> {
        let typed: Vec<_> = elements.iter().map(|element| self.expr(element)).collect();
        let typed: Vec<Typed> = typed.into_iter().collect::<Option<_>>()?;
        let Some(of) = typed.first().map(|first| first.of.clone()) else {
            return self.refuse(Mistake::new(at, "an empty list holds nothing"));
        };
        if let Some((other, written)) = typed.iter().zip(elements).find(|(typed, _)| typed.of != of) {
            let message = format!("the first element is {of}, this one {}", other.of);
            return self.refuse(Mistake::new(written.at, message).help("all elements must be of one type"));
        }
        let most = typed.len() as u64;
        let constants: Option<Box<[Constant]>> = typed.iter().map(|typed| constant(&typed.code)).collect();
        if constants.is_none() && matches!(of, Type::List(_)) {
            return self.refuse(Mistake::new(at, "a list of lists has only what is written out"));
        }
        // What is not written out is worked out twice: once to see that it can be, and once when it is asked for.
        let cost = typed.iter().map(|typed| typed.cost * 2 + 1).sum();
        let code = match constants {
            Some(constants) => Code::Constant(Constant::List(constants)),
            None => Code::List(typed.into_iter().map(|typed| typed.code).collect()),
        };
        Some(Typed { most, ..Typed::new(code, Type::List(Box::new(of)), cost) })
    }
}

/// What is written out.
pub(crate) fn constant(code: &Code) -> Option<Constant> {
    if let Code::Constant(constant) = code { Some(constant.clone()) } else { None }
}

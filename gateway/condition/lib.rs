//! Conditions: a part of CEL, the Common Expression Language (<https://cel.dev>), that always ends and never guesses.
//!
//! *What it decides:* whether an expression is one, of which types its parts are, what it may cost, and what it is worth
//! for given facts. What it takes is CEL and means the same as everywhere; what it leaves out is a [`Mistake`]: numbers with
//! a fraction or without a sign, bytes, `null`, maps that are written out, joining of texts, `map` and `filter`, and values
//! whose type is known only when they come. It adds [`Type::Address`] and `ip_in`.
//!
//! *What it must never do:* know what a gateway is; read a clock; allocate while it works an expression out; make `false`
//! of something that it could not work out. A part that fails is a [`Fault`], which `&&` and `||` treat as the
//! specification says: an operand that decides by itself does so from either side, and otherwise the fault is the outcome.
//!
//! *Who gives it what:* `policy` declares the facts ([`Environment`]), hands over the text of each condition, and answers
//! for each request what is true of it ([`Facts`]).
//!
//! *How to add a function:* its name in `check/call.rs` with the types that it takes, its `Code` and what that may
//! cost; its meaning in `eval.rs`; a row in `tests/vectors.rs`, and an arm in `tests/oracle.rs`, which asks another
//! implementation the same.
//!
//! ```
//! use condition::{Environment, Facts, Fault, Program, Type, Value};
//!
//! struct Request;
//! impl Facts for Request {
//!     fn fact(&self, _: usize) -> Result<Option<Value<'_>>, Fault> {
//!         Ok(Some(Value::Int(17)))
//!     }
//!     fn entry(&self, _: usize, _: &str) -> Result<Option<&str>, Fault> {
//!         Ok(None)
//!     }
//! }
//!
//! let environment = Environment::default().value("request.hour", 0, Type::Int);
//! let program = Program::compile("request.hour >= 8 && request.hour < 18", &environment).unwrap();
//! assert_eq!(program.holds(&Request), Ok(true));
//!
//! let mistakes = Program::compile("request.huor >= 8", &environment).unwrap_err();
//! assert_eq!(mistakes[0].help.as_deref(), Some("did you mean `hour`?"));
//! ```
#![forbid(unsafe_code)]

mod check;
mod code;
mod declare;
mod eval;
mod fault;
mod lex;
mod moment;
mod parse;
mod program;
mod syntax;
#[cfg(test)]
mod tests;
mod value;

pub use declare::{Environment, Type};
pub use fault::{Fault, Mistake};
pub use program::{Facts, PartValue, Program};
pub use value::{List, Texts, Value};

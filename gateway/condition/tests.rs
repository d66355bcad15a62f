//! Promises about whole expressions.

mod faults;
mod mistakes;
mod oracle;
mod vectors;

use std::net::IpAddr;

use crate::{Environment, Facts, Fault, Program, Texts, Type, Value};

/// Facts of every type. `none` is declared and not there; `map` has `a` alone; of `fields` `x-twice` cannot be read.
#[derive(Debug)]
struct Given {
    i: i64,
    j: i64,
    s: &'static str,
    t: &'static str,
    list: Words,
    now: i128,
    span: i64,
    address: IpAddr,
}

#[derive(Debug)]
struct Words(Vec<&'static str>);

impl Texts for Words {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn text(&self, place: usize) -> Option<&str> {
        self.0.get(place).copied()
    }
}

impl Default for Given {
    fn default() -> Self {
        Self {
            i: 7,
            j: -3,
            s: "hello",
            t: "",
            list: Words(vec!["clerk", "viewer"]),
            now: 1_234_567_890_123_456_789,
            span: 90_000_000_000,
            address: "10.1.2.3".parse().unwrap(),
        }
    }
}

impl Facts for Given {
    fn fact(&self, fact: usize) -> Result<Option<Value<'_>>, Fault> {
        Ok(Some(match fact {
            0 => Value::Int(self.i),
            1 => Value::Int(self.j),
            2 => Value::Text(self.s),
            3 => Value::Text(self.t),
            4 => Value::from(&self.list as &dyn Texts),
            5 => Value::Timestamp(self.now),
            6 => Value::Duration(self.span),
            7 => Value::Address(self.address),
            11 => return Err(Fault::Unreadable),
            _ => return Ok(None),
        }))
    }

    fn entry(&self, map: usize, name: &str) -> Result<Option<&str>, Fault> {
        match (map, name) {
            (9, "a") | (10, "x-a") => Ok(Some("one")),
            (10, "x-twice") => Err(Fault::Unreadable),
            _ => Ok(None),
        }
    }
}

fn environment() -> Environment {
    Environment::default()
        .value("i", 0, Type::Int)
        .value("j", 1, Type::Int)
        .value("s", 2, Type::Text)
        .value("t", 3, Type::Text)
        .texts("list", 4, 16)
        .value("now", 5, Type::Timestamp)
        .value("span", 6, Type::Duration)
        .value("given.address", 7, Type::Address)
        .value("given.none", 8, Type::Text)
        .value("given.odd", 11, Type::Text)
        .map("map", 9, None)
        .map("given.keys", 9, Some(vec!["a".to_owned(), "b".to_owned()]))
        .fields("fields", 10, |name| if name == "secret" { Err("nobody reads this".to_owned()) } else { Ok(()) })
}

#[track_caller]
fn compiled(text: &str) -> Program {
    Program::compile(text, &environment()).unwrap_or_else(|mistakes| panic!("{text}: {mistakes:?}"))
}

#[track_caller]
fn worth(text: &str) -> Result<bool, Fault> {
    compiled(text).holds(&Given::default())
}

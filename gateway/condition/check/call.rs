//! Functions, methods and macros.

use regex::RegexBuilder;
use terms::{Network, Networks};

use super::names::suggest;
use super::{Checker, LOOPS, Typed, constant};
use crate::code::{Code, Conversion, Quantifier, Test};
use crate::declare::Type;
use crate::fault::Mistake;
use crate::moment::{self, Part, Zone};
use crate::syntax::{Expr, ExprKind};
use crate::value::Constant;

const FUNCTIONS: [&str; 6] = ["duration", "has", "int", "ip_in", "size", "timestamp"];
const METHODS: [&str; 18] = [
    "all",
    "contains",
    "endsWith",
    "exists",
    "exists_one",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "matches",
    "size",
    "startsWith",
];

/// How large a pattern may be once it is compiled, in bytes.
const PATTERN: usize = 64 << 10;

impl Checker<'_> {
    pub(super) fn call(
        &mut self,
        expr: &Expr,
        target: Option<&Expr>,
        name: &str,
        at: usize,
        arguments: &[Expr],
    ) -> Option<Typed> {
        match (target, name, arguments) {
            (None, "has", _) => self.has(expr.at, arguments),
            (None, "duration", [text]) => self.convert(Conversion::Duration, text),
            (None, "timestamp", [text]) => self.convert(Conversion::Timestamp, text),
            (None, "int", [text]) => self.convert(Conversion::Int, text),
            (None, "size", [whole]) | (Some(whole), "size", []) => self.size(whole),
            (None, "ip_in", [address, networks]) => self.network(address, networks),
            (Some(text), "contains", [part]) => self.test(Test::Contains, text, part),
            (Some(text), "endsWith", [part]) => self.test(Test::EndsWith, text, part),
            (Some(text), "startsWith", [part]) => self.test(Test::StartsWith, text, part),
            (Some(text), "matches", [pattern]) => self.matches(text, pattern),
            (Some(list), "all", [variable, body]) => self.quantify(Quantifier::All, list, variable, body),
            (Some(list), "exists", [variable, body]) => self.quantify(Quantifier::Exists, list, variable, body),
            (Some(list), "exists_one", [variable, body]) => self.quantify(Quantifier::ExistsOne, list, variable, body),
            (Some(target), _, [] | [_]) if Part::ALL.iter().any(|(known, _)| *known == name) => {
                self.part(target, name, at, arguments.first())
            }
            (None, _, _) if FUNCTIONS.contains(&name) => self.shape(at, name),
            (Some(_), _, _) if METHODS.contains(&name) => self.shape(at, name),
            (None, _, _) => self.refuse(suggest(Mistake::new(at, format!("no function `{name}`")), name, FUNCTIONS)),
            (Some(_), _, _) => self.refuse(suggest(Mistake::new(at, format!("no method `{name}`")), name, METHODS)),
        }
    }

    fn shape(&mut self, at: usize, name: &str) -> Option<Typed> {
        let written = match name {
            "duration" => "duration(\"10m\")",
            "int" => "int(\"42\")",
            "ip_in" => "ip_in(address, \"10.0.0.0/8\")",
            "size" => "size(text)",
            "timestamp" => "timestamp(\"2026-01-01T00:00:00Z\")",
            "all" | "exists" | "exists_one" => "[\"a\", \"b\"].exists(it, it == text)",
            "contains" | "endsWith" | "startsWith" | "matches" => "text.startsWith(\"a\")",
            _ => "time.getHours(\"Europe/Berlin\")",
        };
        let mistake = Mistake::new(at, format!("`{name}` does not come like this"));
        self.refuse(mistake.help(format!("write for example `{written}`")))
    }

    fn convert(&mut self, to: Conversion, written: &Expr) -> Option<Typed> {
        let from = self.expr(written)?;
        let of = match to {
            Conversion::Duration => Type::Duration,
            Conversion::Int => Type::Int,
            Conversion::Timestamp => Type::Timestamp,
        };
        match (to, &from.of) {
            (_, Type::Text) | (Conversion::Int, Type::Timestamp) => {}
            (_, same) if *same == of => return Some(from),
            (_, other) => {
                return self.refuse(Mistake::new(written.at, format!("expected a text, found {other}")));
            }
        }
        // What is written out is looked at now: a condition that can only fail is a mistake.
        if let Code::Constant(Constant::Text(text)) = &from.code {
            let made = match to {
                Conversion::Duration => moment::parse_duration(text).map(Constant::Duration),
                Conversion::Timestamp => moment::parse(text).map(Constant::Timestamp),
                Conversion::Int => text.parse().map(Constant::Int).map_err(|_| crate::Fault::Text("a number")),
            };
            return match made {
                Ok(constant) => Some(Typed::new(Code::Constant(constant), of, 1)),
                Err(fault) => {
                    let help = match to {
                        Conversion::Duration => "write for example `\"1h30m\"`, `\"90s\"` or `\"250ms\"`",
                        Conversion::Int => "write for example `\"42\"`",
                        Conversion::Timestamp => "write for example `\"2026-01-31T12:00:00Z\"`",
                    };
                    self.refuse(Mistake::new(written.at, fault.to_string()).help(help))
                }
            };
        }
        Some(Typed::new(Code::Convert(to, Box::new(from.code)), of, from.cost + 8))
    }

    fn size(&mut self, written: &Expr) -> Option<Typed> {
        let whole = self.expr(written)?;
        if !matches!(whole.of, Type::List(_) | Type::Text) {
            return self.refuse(Mistake::new(written.at, format!("{} has no size", whole.of)));
        }
        Some(Typed::new(Code::Size(Box::new(whole.code)), Type::Int, whole.cost + 8))
    }

    fn test(&mut self, test: Test, text: &Expr, part: &Expr) -> Option<Typed> {
        let (text, part) = (self.expecting(text, &Type::Text), self.expecting(part, &Type::Text));
        let (text, part) = text.zip(part)?;
        let cost = text.cost + part.cost + 4;
        Some(Typed::new(Code::Test(test, Box::new((text.code, part.code))), Type::Bool, cost))
    }

    fn matches(&mut self, text: &Expr, written: &Expr) -> Option<Typed> {
        let (text, pattern) = (self.expecting(text, &Type::Text), self.expecting(written, &Type::Text));
        let (text, pattern) = text.zip(pattern)?;
        let Code::Constant(Constant::Text(pattern)) = pattern.code else {
            let mistake = Mistake::new(written.at, "a pattern is written out");
            return self.refuse(mistake.help("a pattern that comes with a request could be any"));
        };
        // Patterns of this kind take time that grows with the text, and with nothing else.
        match RegexBuilder::new(&pattern).size_limit(PATTERN).dfa_size_limit(4 * PATTERN).nest_limit(32).build() {
            Ok(regex) => Some(Typed::new(Code::Matches(Box::new(text.code), regex), Type::Bool, text.cost + 64)),
            Err(error) => {
                let why = error.to_string();
                let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                self.refuse(Mistake::new(written.at, format!("this is not a pattern: {why}")))
            }
        }
    }

    fn network(&mut self, address: &Expr, written: &Expr) -> Option<Typed> {
        let (address, networks) = (self.expecting(address, &Type::Address), self.expr(written));
        let (address, networks) = address.zip(networks)?;
        let texts = match constant(&networks.code) {
            Some(Constant::Text(text)) => vec![text],
            Some(Constant::List(list)) => list.iter().filter_map(text_of).collect(),
            Some(_) | None => Vec::new(),
        };
        if texts.is_empty() {
            let mistake = Mistake::new(written.at, "networks are written out");
            return self.refuse(mistake.help("`\"10.0.0.0/8\"`, or a list of such"));
        }
        let mut parsed: Vec<Network> = Vec::with_capacity(texts.len());
        for text in texts {
            match text.parse() {
                Ok(network) => parsed.push(network),
                Err(error) => return self.refuse(Mistake::new(written.at, format!("{error}"))),
            }
        }
        let networks: Networks = parsed.into_iter().collect();
        Some(Typed::new(Code::Network(Box::new(address.code), networks), Type::Bool, address.cost + 8))
    }

    fn part(&mut self, target: &Expr, name: &str, at: usize, zone: Option<&Expr>) -> Option<Typed> {
        let (_, part) = *Part::ALL.iter().find(|(known, _)| *known == name)?;
        let whole = self.expr(target)?;
        let zone = match (zone, &whole.of) {
            (None, _) => Zone::Fixed(0),
            (Some(written), Type::Timestamp) => {
                let zone = self.expecting(written, &Type::Text)?;
                let Some(Constant::Text(zone)) = constant(&zone.code) else {
                    return self.refuse(Mistake::new(written.at, "a time zone is written out"));
                };
                match Zone::parse(&zone) {
                    Some(zone) => zone,
                    None => {
                        let mistake = Mistake::new(written.at, format!("`{zone}` is not a time zone"));
                        return self.refuse(mistake.help("write for example `Europe/Berlin`, `UTC` or `+02:00`"));
                    }
                }
            }
            (Some(written), _) => {
                return self.refuse(Mistake::new(written.at, format!("{} has no time zone", whole.of)));
            }
        };
        let fits = match whole.of {
            Type::Timestamp => true,
            Type::Duration => part.of_duration(0).is_some(),
            Type::Address | Type::Bool | Type::Int | Type::List(_) | Type::Text => false,
        };
        if !fits {
            return self.refuse(Mistake::new(at, format!("{} has no `{name}`", whole.of)));
        }
        Some(Typed::new(Code::Part(part, Box::new(whole.code), zone), Type::Int, whole.cost + 16))
    }

    fn quantify(&mut self, quantifier: Quantifier, list: &Expr, variable: &Expr, body: &Expr) -> Option<Typed> {
        let whole = self.expr(list)?;
        let Type::List(of) = whole.of else {
            return self.refuse(Mistake::new(list.at, format!("expected a list, found {}", whole.of)));
        };
        let ExprKind::Name(name) = &variable.kind else {
            return self.refuse(Mistake::new(variable.at, "a name for each element stands here"));
        };
        if self.variables.len() >= LOOPS {
            return self
                .refuse(Mistake::new(list.at, format!("at most {LOOPS} lists are gone through within each other")));
        }
        let slot = self.variables.len();
        self.variables.push((name.clone(), *of));
        let body = self.expecting(body, &Type::Bool);
        self.variables.pop();
        let body = body?;
        let cost = whole.most.saturating_mul(body.cost + 2).saturating_add(whole.cost + 1);
        Some(Typed::new(Code::Loop(quantifier, slot, Box::new((whole.code, body.code))), Type::Bool, cost))
    }
}

fn text_of(constant: &Constant) -> Option<Box<str>> {
    if let Constant::Text(text) = constant { Some(text.clone()) } else { None }
}

//! Names of facts, and what is asked of lists and maps.

use super::{Checker, Named, Typed};
use crate::code::Code;
use crate::declare::{Declared, Kind, Type};
use crate::fault::Mistake;
use crate::syntax::{Expr, ExprKind};
use crate::value::Constant;

impl Checker<'_> {
    /// A variable, a fact, or a text of a map by its name.
    pub(super) fn name(&mut self, expr: &Expr) -> Option<Typed> {
        if let ExprKind::Name(name) = &expr.kind
            && let Some(place) = self.variables.iter().rposition(|(known, _)| known == name)
        {
            let of = self.variables.get(place).map(|(_, of)| of.clone())?;
            return Some(Typed::new(Code::Variable(place), of, 1));
        }
        let Some(path) = expr.path().filter(|path| !self.is_variable(path)) else {
            let ExprKind::Select(inner, _, at) = &expr.kind else { return None };
            let inner = self.expr(inner)?;
            return self.refuse(Mistake::new(*at, format!("{} has no fields", inner.of)));
        };
        if let Some(Declared { path, fact, kind }) = self.environment.find(&path) {
            let (path, fact) = (path.clone(), *fact);
            return match kind {
                Kind::Value(of) => {
                    let of = of.clone();
                    self.named.insert((path, Named::Fact(fact)));
                    Some(Typed::new(Code::Fact(fact), of, 1))
                }
                Kind::Texts(most) => {
                    let most = *most as u64;
                    self.named.insert((path, Named::Fact(fact)));
                    Some(Typed { most, ..Typed::new(Code::Fact(fact), Type::List(Box::new(Type::Text)), 1) })
                }
                Kind::Fields(_) | Kind::Map(_) => {
                    let mistake = Mistake::new(expr.at, format!("`{path}` is not a value"));
                    self.refuse(mistake.help("name one of its fields"))
                }
            };
        }
        if let ExprKind::Select(inner, name, at) = &expr.kind
            && let Some((fact, key)) = self.key(inner, name, *at)?
        {
            return Some(Typed::new(Code::Entry(fact, Box::new(key)), Type::Text, 2));
        }
        self.unknown(expr, &path)
    }

    fn is_variable(&self, path: &str) -> bool {
        let first = path.split('.').next();
        self.variables.iter().any(|(known, _)| Some(known.as_str()) == first)
    }

    /// The map that an expression names, and a name in it. Nothing at all if the name cannot be in it.
    fn key(&mut self, map: &Expr, name: &str, at: usize) -> Option<Option<(usize, Code)>> {
        let Some(declared) = map.path().and_then(|path| self.environment.find(&path)) else { return Some(None) };
        let keys = match &declared.kind {
            Kind::Fields(_) => return self.field(declared, name, at).map(Some),
            Kind::Map(keys) => keys,
            Kind::Texts(_) | Kind::Value(_) => return Some(None),
        };
        if let Some(keys) = keys.as_ref().filter(|keys| !keys.iter().any(|key| key == name)) {
            let mistake = Mistake::new(at, format!("`{}` has no `{name}`", declared.path));
            let mistake = suggest(mistake, name, keys.iter().map(String::as_str));
            self.refuse(mistake);
            return None;
        }
        let (path, fact) = (format!("{}.{name}", declared.path), declared.fact);
        self.named.insert((path, Named::Entry(fact, name.to_owned())));
        Some(Some((fact, Code::Constant(Constant::Text(name.into())))))
    }

    /// A name that was written out, as it is looked for.
    fn field(&mut self, declared: &Declared, name: &str, at: usize) -> Option<(usize, Code)> {
        let Kind::Fields(may) = &declared.kind else { return None };
        if let Err(why) = may(name) {
            self.refuse(Mistake::new(at, why));
            return None;
        }
        let (name, fact) = (name.to_ascii_lowercase(), declared.fact);
        self.named.insert((format!("{}[{name:?}]", declared.path), Named::Entry(fact, name.clone())));
        Some((fact, Code::Constant(Constant::Text(name.into()))))
    }

    /// What is asked for by an expression that is a name among [`Kind::Fields`]. Nothing at all if it may not be.
    fn written_out(&mut self, map: &Expr, name: &Expr) -> Option<Option<(usize, Code)>> {
        let Some(declared) = map.path().filter(|path| !self.is_variable(path)) else { return Some(None) };
        let Some(declared) = self.environment.find(&declared) else { return Some(None) };
        let Kind::Fields(_) = &declared.kind else { return Some(None) };
        let key = self.expecting(name, &Type::Text)?;
        let Code::Constant(Constant::Text(written)) = &key.code else {
            let mistake = Mistake::new(name.at, format!("a name in `{}` is written out", declared.path));
            self.refuse(mistake.help(format!("for example `{}[\"x-reason\"]`", declared.path)));
            return None;
        };
        self.field(declared, written, name.at).map(Some)
    }

    fn unknown(&mut self, expr: &Expr, path: &str) -> Option<Typed> {
        if let Some(first) = self.environment.below(path).next() {
            let mistake = Mistake::new(expr.at, format!("`{path}` is not a value"));
            let mistake = mistake.help(format!("name one of its fields: `{path}.{first}`"));
            return self.refuse(mistake);
        }
        let (place, within, name) = if let ExprKind::Select(inner, name, at) = &expr.kind {
            (*at, inner.path().unwrap_or_default(), name.as_str())
        } else {
            (expr.at, String::new(), path)
        };
        if !within.is_empty() && self.environment.below(&within).next().is_none() {
            let ExprKind::Select(inner, ..) = &expr.kind else { return None };
            let inner = self.expr(inner)?; // what it stands in is unknown, or has no fields
            return self.refuse(Mistake::new(place, format!("{} has no fields", inner.of)));
        }
        let message = match within.as_str() {
            "" => format!("`{name}` is not known here"),
            within => format!("`{within}` has no `{name}`"),
        };
        let known: Vec<&str> = self.environment.below(&within).collect();
        let mistake = suggest(Mistake::new(place, message), name, known);
        self.refuse(mistake)
    }

    pub(super) fn index(&mut self, parts: &(Expr, Expr)) -> Option<Typed> {
        let (target, index) = parts;
        if let Some((fact, key)) = self.written_out(target, index)? {
            return Some(Typed::new(Code::Entry(fact, Box::new(key)), Type::Text, 2));
        }
        if let Some((path, fact, keys)) = self.map(target) {
            let key = self.expecting(index, &Type::Text)?;
            if let (Code::Constant(Constant::Text(name)), Some(_)) = (&key.code, &keys) {
                let (fact, key) = self.key(target, name, index.at)??;
                return Some(Typed::new(Code::Entry(fact, Box::new(key)), Type::Text, 2));
            }
            if let Code::Constant(Constant::Text(name)) = &key.code {
                self.named.insert((format!("{path}[{name:?}]"), Named::Entry(fact, name.to_string())));
            }
            return Some(Typed::new(Code::Entry(fact, Box::new(key.code)), Type::Text, key.cost + 2));
        }
        let (list, index) = (self.expr(target), self.expecting(index, &Type::Int));
        let (list, index) = list.zip(index)?;
        let Type::List(of) = list.of else {
            return self.refuse(Mistake::new(target.at, format!("{} has no elements", list.of)));
        };
        let cost = list.cost + index.cost + 1;
        Some(Typed::new(Code::Element(Box::new((list.code, index.code))), *of, cost))
    }

    /// A map of the facts: its name, its number, and its keys.
    fn map(&self, expr: &Expr) -> Option<(String, usize, Option<Vec<String>>)> {
        let declared = self.environment.find(&expr.path().filter(|path| !self.is_variable(path))?)?;
        match &declared.kind {
            Kind::Map(keys) => Some((declared.path.clone(), declared.fact, keys.clone())),
            Kind::Fields(_) | Kind::Texts(_) | Kind::Value(_) => None,
        }
    }

    pub(super) fn is_in(&mut self, at: usize, operands: &(Expr, Expr)) -> Option<Typed> {
        if let Some((fact, key)) = self.written_out(&operands.1, &operands.0)? {
            return Some(Typed::new(Code::HasEntry(fact, Box::new(key)), Type::Bool, 2));
        }
        if let Some((_, fact, _)) = self.map(&operands.1) {
            let key = self.expecting(&operands.0, &Type::Text)?;
            return Some(Typed::new(Code::HasEntry(fact, Box::new(key.code)), Type::Bool, key.cost + 2));
        }
        let (value, list) = self.both(operands)?;
        let Type::List(of) = &list.of else {
            let mistake = Mistake::new(operands.1.at, format!("expected a list or a map, found {}", list.of));
            return self.refuse(mistake);
        };
        if **of != value.of {
            let message = format!("{} is looked for, and each element is {of}", value.of);
            return self.refuse(Mistake::new(at, message));
        }
        let cost = value.cost + list.cost + list.most.saturating_mul(2) + 1;
        Some(Typed::new(Code::In(Box::new((value.code, list.code))), Type::Bool, cost))
    }

    /// `has(a.b)`
    pub(super) fn has(&mut self, at: usize, arguments: &[Expr]) -> Option<Typed> {
        let [Expr { kind: ExprKind::Select(inner, name, place), .. }] = arguments else {
            let mistake = Mistake::new(at, "`has` asks for a field");
            return self.refuse(mistake.help("write for example `has(a.b)`"));
        };
        if let Some((fact, key)) = self.key(inner, name, *place)? {
            return Some(Typed::new(Code::HasEntry(fact, Box::new(key)), Type::Bool, 2));
        }
        let [argument] = arguments else { return None };
        let typed = self.name(argument)?;
        let Code::Fact(fact) = typed.code else {
            return self.refuse(Mistake::new(at, "`has` asks for a field"));
        };
        Some(Typed::new(Code::HasFact(fact), Type::Bool, 1))
    }
}

/// The nearest of the names that are known, or all of them.
pub(super) fn suggest<'k>(mistake: Mistake, name: &str, known: impl IntoIterator<Item = &'k str>) -> Mistake {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.dedup();
    match terms::nearest(name, known.iter().copied()) {
        Some(near) => mistake.help(format!("did you mean `{near}`?")),
        None if known.is_empty() => mistake,
        None => mistake.help(format!("known here: `{}`", known.join("`, `"))),
    }
}

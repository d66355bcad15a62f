use std::cmp::Ordering;

use crate::check::LOOPS;
use crate::code::{Code, Conversion, Operator, Quantifier, Relation, Test};
use crate::fault::Fault;
use crate::moment;
use crate::program::Facts;
use crate::value::{Elements, List, Value};

/// What an expression is worked out with.
pub(crate) struct Scope<'a> {
    facts: &'a dyn Facts,
    variables: [Option<Value<'a>>; LOOPS],
}

impl<'a> Scope<'a> {
    pub(crate) fn new(facts: &'a dyn Facts) -> Self {
        Self { facts, variables: [None; LOOPS] }
    }

    /// Works out a part. Allocates nothing, and ends: every loop is over a list that is there.
    pub(crate) fn eval(&mut self, code: &'a Code) -> Result<Value<'a>, Fault> {
        Ok(match code {
            Code::All(operands) => Value::Bool(self.decided(operands, false)?),
            Code::Any(operands) => Value::Bool(self.decided(operands, true)?),
            Code::Arithmetic(operator, operands) => {
                let (left, right) = self.both(operands)?;
                arithmetic(*operator, left, right)?
            }
            Code::Choice(parts) => match self.truth(&parts.0)? {
                true => self.eval(&parts.1)?,
                false => self.eval(&parts.2)?,
            },
            Code::Compare(relation, operands) => {
                let (left, right) = self.both(operands)?;
                Value::Bool(self.compare(*relation, left, right)?)
            }
            Code::Constant(constant) => constant.value(),
            Code::Convert(to, from) => convert(*to, self.eval(from)?)?,
            Code::Element(parts) => {
                let (list, place) = (self.list(&parts.0)?, self.eval(&parts.1)?);
                let Value::Int(place) = place else { return Err(Fault::Broken) };
                let place = usize::try_from(place).map_err(|_| Fault::Index)?;
                self.element(list, place)?.ok_or(Fault::Index)?
            }
            Code::Entry(map, key) => {
                let key = self.text(key)?;
                Value::Text(self.facts.entry(*map, key)?.ok_or(Fault::Absent)?)
            }
            Code::Fact(fact) => self.facts.fact(*fact)?.ok_or(Fault::Absent)?,
            Code::HasEntry(map, key) => {
                let key = self.text(key)?;
                Value::Bool(self.facts.entry(*map, key)?.is_some())
            }
            Code::HasFact(fact) => Value::Bool(self.facts.fact(*fact)?.is_some()),
            Code::In(parts) => {
                let (value, list) = (self.eval(&parts.0)?, self.list(&parts.1)?);
                Value::Bool(self.holds(list, value)?)
            }
            Code::List(codes) => {
                for code in codes {
                    self.eval(code)?; // one that cannot be worked out keeps the list from being there
                }
                Value::List(List(Elements::Built(codes)))
            }
            Code::Loop(quantifier, slot, parts) => {
                let list = self.list(&parts.0)?;
                Value::Bool(self.quantify(*quantifier, *slot, list, &parts.1)?)
            }
            Code::Matches(text, pattern) => Value::Bool(pattern.is_match(self.text(text)?)),
            Code::Negative(number) => {
                let Value::Int(number) = self.eval(number)? else { return Err(Fault::Broken) };
                Value::Int(number.checked_neg().ok_or(Fault::Range)?)
            }
            Code::Network(address, networks) => {
                let Value::Address(address) = self.eval(address)? else { return Err(Fault::Broken) };
                Value::Bool(networks.contains(address))
            }
            Code::Not(truth) => Value::Bool(!self.truth(truth)?),
            Code::Part(part, whole, zone) => Value::Int(match self.eval(whole)? {
                Value::Timestamp(moment) => part.of(moment, zone)?,
                Value::Duration(span) => part.of_duration(span).ok_or(Fault::Broken)?,
                Value::Address(_) | Value::Bool(_) | Value::Int(_) | Value::List(_) | Value::Text(_) => {
                    return Err(Fault::Broken);
                }
            }),
            Code::Size(whole) => {
                let size = match self.eval(whole)? {
                    Value::Text(text) => text.chars().count(),
                    Value::List(list) => list.count(),
                    Value::Address(_) | Value::Bool(_) | Value::Duration(_) | Value::Int(_) | Value::Timestamp(_) => {
                        return Err(Fault::Broken);
                    }
                };
                Value::Int(i64::try_from(size).map_err(|_| Fault::Range)?)
            }
            Code::Test(test, parts) => {
                let (text, part) = (self.text(&parts.0)?, self.text(&parts.1)?);
                Value::Bool(match test {
                    Test::Contains => text.contains(part),
                    Test::EndsWith => text.ends_with(part),
                    Test::StartsWith => text.starts_with(part),
                })
            }
            Code::Variable(slot) => self.variables.get(*slot).copied().flatten().ok_or(Fault::Broken)?,
        })
    }

    /// `&&` and `||`: one operand that decides is enough, wherever it stands and whatever faults the others have. Without it
    /// a fault is the outcome.
    fn decided(&mut self, operands: &'a [Code], deciding: bool) -> Result<bool, Fault> {
        let mut fault = None;
        for operand in operands {
            match self.truth(operand) {
                Ok(truth) if truth == deciding => return Ok(deciding),
                Ok(_) => {}
                Err(found) => fault = fault.or(Some(found)),
            }
        }
        fault.map_or(Ok(!deciding), Err)
    }

    fn quantify(&mut self, by: Quantifier, slot: usize, list: List<'a>, body: &'a Code) -> Result<bool, Fault> {
        let (mut fault, mut found) = (None, 0_usize);
        for place in 0..list.count() {
            let element = self.element(list, place)?;
            *self.variables.get_mut(slot).ok_or(Fault::Broken)? = element;
            match (by, self.truth(body)) {
                (Quantifier::All, Ok(false)) => return Ok(false),
                (Quantifier::Exists, Ok(true)) => return Ok(true),
                (Quantifier::ExistsOne, Ok(true)) => found += 1,
                (Quantifier::ExistsOne, Err(fault)) => return Err(fault), // of how many it holds nobody can say then
                (_, Ok(_)) => {}
                (_, Err(here)) => fault = fault.or(Some(here)),
            }
        }
        match (by, fault) {
            (_, Some(fault)) => Err(fault),
            (Quantifier::All, None) => Ok(true),
            (Quantifier::Exists, None) => Ok(false),
            (Quantifier::ExistsOne, None) => Ok(found == 1),
        }
    }

    pub(crate) fn truth(&mut self, code: &'a Code) -> Result<bool, Fault> {
        if let Value::Bool(truth) = self.eval(code)? { Ok(truth) } else { Err(Fault::Broken) }
    }

    fn text(&mut self, code: &'a Code) -> Result<&'a str, Fault> {
        if let Value::Text(text) = self.eval(code)? { Ok(text) } else { Err(Fault::Broken) }
    }

    fn list(&mut self, code: &'a Code) -> Result<List<'a>, Fault> {
        if let Value::List(list) = self.eval(code)? { Ok(list) } else { Err(Fault::Broken) }
    }

    fn both(&mut self, operands: &'a (Code, Code)) -> Result<(Value<'a>, Value<'a>), Fault> {
        Ok((self.eval(&operands.0)?, self.eval(&operands.1)?))
    }

    fn element(&mut self, list: List<'a>, place: usize) -> Result<Option<Value<'a>>, Fault> {
        Ok(match list.0 {
            Elements::Built(codes) => match codes.get(place) {
                Some(code) => Some(self.eval(code)?),
                None => None,
            },
            Elements::Constants(constants) => constants.get(place).map(|constant| constant.value()),
            Elements::Texts(texts) => texts.text(place).map(Value::Text),
        })
    }

    fn holds(&mut self, list: List<'a>, value: Value<'a>) -> Result<bool, Fault> {
        for place in 0..list.count() {
            if let Some(element) = self.element(list, place)?
                && self.equal(element, value)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn compare(&mut self, relation: Relation, left: Value<'a>, right: Value<'a>) -> Result<bool, Fault> {
        Ok(match relation {
            Relation::Equal => self.equal(left, right)?,
            Relation::Unequal => !self.equal(left, right)?,
            Relation::Above => order(left, right)?.is_gt(),
            Relation::AtLeast => order(left, right)?.is_ge(),
            Relation::AtMost => order(left, right)?.is_le(),
            Relation::Below => order(left, right)?.is_lt(),
        })
    }

    fn equal(&mut self, left: Value<'a>, right: Value<'a>) -> Result<bool, Fault> {
        match (left, right) {
            (Value::Address(left), Value::Address(right)) => Ok(left.to_canonical() == right.to_canonical()),
            (Value::List(left), Value::List(right)) => {
                if left.count() != right.count() {
                    return Ok(false);
                }
                for place in 0..left.count() {
                    let (Some(one), Some(two)) = (self.element(left, place)?, self.element(right, place)?) else {
                        return Err(Fault::Broken);
                    };
                    if !self.equal(one, two)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (left, right) => order(left, right).map(Ordering::is_eq),
        }
    }
}

impl List<'_> {
    pub(crate) fn count(&self) -> usize {
        match self.0 {
            Elements::Built(codes) => codes.len(),
            Elements::Constants(constants) => constants.len(),
            Elements::Texts(texts) => texts.count(),
        }
    }
}

fn order(left: Value<'_>, right: Value<'_>) -> Result<Ordering, Fault> {
    match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => Ok(left.cmp(&right)),
        (Value::Duration(left), Value::Duration(right)) | (Value::Int(left), Value::Int(right)) => Ok(left.cmp(&right)),
        (Value::Text(left), Value::Text(right)) => Ok(left.cmp(right)),
        (Value::Timestamp(left), Value::Timestamp(right)) => Ok(left.cmp(&right)),
        _ => Err(Fault::Broken),
    }
}

fn arithmetic<'a>(operator: Operator, left: Value<'a>, right: Value<'a>) -> Result<Value<'a>, Fault> {
    let later = |moment: i128, span: i128| moment::in_range(moment + span).map(Value::Timestamp);
    match (operator, left, right) {
        (Operator::Divide | Operator::Rest, Value::Int(_), Value::Int(0)) => Err(Fault::Zero),
        (operator, Value::Int(left), Value::Int(right)) => {
            let result = match operator {
                Operator::Add => left.checked_add(right),
                Operator::Divide => left.checked_div(right),
                Operator::Multiply => left.checked_mul(right),
                Operator::Rest => left.checked_rem(right),
                Operator::Subtract => left.checked_sub(right),
            };
            result.map(Value::Int).ok_or(Fault::Range)
        }
        (Operator::Add, Value::Duration(left), Value::Duration(right)) => {
            left.checked_add(right).map(Value::Duration).ok_or(Fault::Range)
        }
        (Operator::Subtract, Value::Duration(left), Value::Duration(right)) => {
            left.checked_sub(right).map(Value::Duration).ok_or(Fault::Range)
        }
        (Operator::Add, Value::Timestamp(moment), Value::Duration(span))
        | (Operator::Add, Value::Duration(span), Value::Timestamp(moment)) => later(moment, i128::from(span)),
        (Operator::Subtract, Value::Timestamp(moment), Value::Duration(span)) => later(moment, -i128::from(span)),
        (Operator::Subtract, Value::Timestamp(left), Value::Timestamp(right)) => {
            i64::try_from(left - right).map(Value::Duration).map_err(|_| Fault::Range)
        }
        _ => Err(Fault::Broken),
    }
}

fn convert(to: Conversion, from: Value<'_>) -> Result<Value<'_>, Fault> {
    match (to, from) {
        (Conversion::Duration, Value::Text(text)) => moment::parse_duration(text).map(Value::Duration),
        (Conversion::Int, Value::Text(text)) => text.parse().map(Value::Int).map_err(|_| Fault::Text("a number")),
        (Conversion::Int, Value::Timestamp(moment)) => {
            i64::try_from(moment.div_euclid(1_000_000_000)).map(Value::Int).map_err(|_| Fault::Range)
        }
        (Conversion::Timestamp, Value::Text(text)) => moment::parse(text).map(Value::Timestamp),
        _ => Err(Fault::Broken),
    }
}

//! The same expressions, asked of an implementation that shares no code with ours.

use std::cell::RefCell;

use cel_interpreter::{Context, Program as Other, Value as OtherValue};
use chrono::{DateTime, Duration, FixedOffset};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{Given, Words, environment};
use crate::Program;

fn number() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (-20_i64..20).prop_map(|number| format!("({number})")),
        prop::sample::select(vec!["i", "j", "9223372036854775807", "(-9223372036854775808)"]).prop_map(str::to_owned),
        prop::sample::select(vec!["getHours", "getMinutes", "getSeconds", "getDayOfWeek", "getFullYear", "getMonth"])
            .prop_map(|part| format!("now.{part}()")),
        prop::sample::select(vec!["getHours", "getDayOfYear", "getDate", "getDayOfMonth", "getMinutes"])
            .prop_map(|part| format!("now.{part}('Europe/Berlin')")),
        text().prop_map(|text| format!("size({text})")),
        Just("size(list)".to_owned()),
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            (inner.clone(), prop::sample::select(vec!["+", "-", "*", "/", "%"]), inner.clone())
                .prop_map(|(a, mark, b)| format!("({a} {mark} {b})")),
            inner.prop_map(|a| format!("(-{a})")),
        ]
    })
}

fn text() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["s", "t", "'h'", "'hello'", "'lo'", "''", "'ÿ'", "list[0]", "list[5]", "map.a", "map.b"])
        .prop_map(str::to_owned)
}

fn span() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["span", "duration('90s')", "duration('1h30m')", "duration('-1.5s')", "(now - now)"])
        .prop_map(str::to_owned)
}

fn moment() -> impl Strategy<Value = String> {
    let leaf =
        prop::sample::select(vec!["now", "timestamp('2009-02-13T23:31:30Z')", "timestamp('2030-06-01T00:00:00Z')"]);
    (leaf, prop::option::of(span())).prop_map(|(moment, span)| match span {
        Some(span) => format!("({moment} + {span})"),
        None => moment.to_owned(),
    })
}

fn compared<S: Strategy<Value = String>>(of: fn() -> S) -> impl Strategy<Value = String> {
    let relation = prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    (of(), relation, of()).prop_map(|(a, relation, b)| format!("{a} {relation} {b}"))
}

/// An expression that is true, false or a fault.
fn truth() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        prop::sample::select(vec!["true", "false", "has(map.a)", "has(map.b)"]).prop_map(str::to_owned),
        compared(number),
        compared(text),
        compared(span),
        compared(moment),
        (text(), prop::sample::select(vec!["startsWith", "endsWith", "contains"]), text())
            .prop_map(|(a, test, b)| format!("{a}.{test}({b})")),
        (text(), prop::sample::select(vec!["^h", "l+o$", "h|x", "^.*$"]))
            .prop_map(|(a, re)| format!("{a}.matches('{re}')")),
        (text(), text(), text()).prop_map(|(a, b, c)| format!("{a} in [{b}, {c}]")),
        text().prop_map(|a| format!("{a} in list")),
        (prop::sample::select(vec!["exists", "all", "exists_one"]), text())
            .prop_map(|(macro_, b)| format!("list.{macro_}(it, it == {b})")),
        (prop::sample::select(vec!["exists", "all"]), -2_i64..3)
            .prop_map(|(macro_, b)| format!("[1, 2, i, j].{macro_}(it, 6 / (it - ({b})) > 1)")),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
        ]
    })
}

fn theirs(text: &str, given: &Given) -> Result<bool, String> {
    let program = Other::compile(text).map_err(|error| format!("{error}"))?;
    let mut context = Context::default();
    let seconds = i64::try_from(given.now.div_euclid(1_000_000_000)).unwrap();
    let rest = u32::try_from(given.now.rem_euclid(1_000_000_000)).unwrap();
    let now: DateTime<FixedOffset> = DateTime::from_timestamp(seconds, rest).unwrap().fixed_offset();
    context.add_variable("i", given.i).unwrap();
    context.add_variable("j", given.j).unwrap();
    context.add_variable("s", given.s).unwrap();
    context.add_variable("t", given.t).unwrap();
    context.add_variable("list", given.list.0.clone()).unwrap();
    context.add_variable_from_value("now", OtherValue::Timestamp(now));
    context.add_variable_from_value("span", OtherValue::Duration(Duration::nanoseconds(given.span)));
    context.add_variable("map", std::collections::HashMap::from([("a", "one")])).unwrap();
    match program.execute(&context) {
        Ok(OtherValue::Bool(truth)) => Ok(truth),
        Ok(other) => panic!("{text} is {other:?}"),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn others_understand_an_expression_as_we_do() {
    let numbers = (-10_i64..10, prop_oneof![-10_i64..10, Just(i64::MAX), Just(i64::MIN)]);
    let list = prop::collection::vec(prop::sample::select(vec!["h", "hello", "", "one"]), 0..4);
    let drawn = (truth(), numbers, list, 0_i64..4_000_000_000_000);
    let seen = RefCell::new([0_u32; 4]);
    let mut runner = TestRunner::new(Config { cases: 3_000, ..Config::default() });
    let outcome = runner.run(&drawn, |(text, (i, j), list, now)| {
        let given = Given { i, j, list: Words(list), now: i128::from(now) * 1_000_000, ..Given::default() };
        let Ok(program) = Program::compile(&text, &environment()) else {
            seen.borrow_mut()[3] += 1; // what can only fail is a mistake here and a fault there
            return Ok(());
        };
        let ours = program.holds(&given);
        let theirs = theirs(&text, &given);
        seen.borrow_mut()[match ours {
            Ok(true) => 0,
            Ok(false) => 1,
            Err(_) => 2,
        }] += 1;
        prop_assert_eq!(ours.ok(), theirs.clone().ok(), "{}: {:?} and {:?}", text, ours, theirs);
        Ok(())
    });
    outcome.unwrap();
    let [yes, no, fault, mistake] = *seen.borrow();
    assert!(
        yes > 300 && no > 300 && fault > 300 && mistake < 300,
        "{yes} true, {no} false, {fault} faults, {mistake} mistakes"
    );
}

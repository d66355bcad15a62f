use super::{Given, compiled, environment, worth};
use crate::{Fault, Program};

#[test]
fn what_is_not_there_is_a_fault_and_never_an_empty_text() {
    for (text, expected) in [
        ("given.none == ''", Err(Fault::Absent)),
        ("given.none != ''", Err(Fault::Absent)),
        ("has(given.none)", Ok(false)),
        ("given.odd == ''", Err(Fault::Unreadable)),
        ("!has(given.odd)", Err(Fault::Unreadable)),
        ("has(given.none) && given.none == 'x'", Ok(false)),
        ("given.none == 'x' && has(given.none)", Ok(false)),
        ("map.a == 'one'", Ok(true)),
        ("map['a'] == 'one'", Ok(true)),
        ("map.b == ''", Err(Fault::Absent)),
        ("map['b'] == ''", Err(Fault::Absent)),
        ("map[s] == ''", Err(Fault::Absent)),
        ("has(map.a) && !has(map.b)", Ok(true)),
        ("'a' in map && !('b' in map)", Ok(true)),
        ("has(given.keys.b)", Ok(false)),
        ("given.keys.b == ''", Err(Fault::Absent)),
        ("list[2] == ''", Err(Fault::Index)),
        ("[s, given.none].exists(word, word == 'hello')", Err(Fault::Absent)),
        ("s in [s, given.none]", Err(Fault::Absent)),
        ("int(s) > 0", Err(Fault::Text("a number"))),
        ("timestamp(s) > now", Err(Fault::Text("a time"))),
        ("duration(t) > span", Err(Fault::Text("a span of time"))),
    ] {
        assert_eq!(worth(text), expected, "{text}");
    }
}

#[test]
fn an_operand_that_decides_does_so_whatever_the_others_are() {
    let (yes, no, fault) = ("i == 7", "i == 8", "1 / (i - 7) == 0");
    for (a, is_a) in [(yes, Some(true)), (no, Some(false)), (fault, None)] {
        for (b, is_b) in [(yes, Some(true)), (no, Some(false)), (fault, None)] {
            let both = match (is_a, is_b) {
                (Some(false), _) | (_, Some(false)) => Ok(false),
                (Some(true), Some(true)) => Ok(true),
                (None, _) | (_, None) => Err(Fault::Zero),
            };
            let either = match (is_a, is_b) {
                (Some(true), _) | (_, Some(true)) => Ok(true),
                (Some(false), Some(false)) => Ok(false),
                (None, _) | (_, None) => Err(Fault::Zero),
            };
            assert_eq!(worth(&format!("{a} && {b}")), both, "{a} && {b}");
            assert_eq!(worth(&format!("{a} || {b}")), either, "{a} || {b}");
            assert_eq!(worth(&format!("[{a}, {b}].all(it, it)")), is_a.and(is_b).map_or(Err(Fault::Zero), |_| both));
        }
    }
}

#[test]
fn facts_of_every_type_can_be_asked() {
    for text in [
        "i == 7 && j == -3 && i + j == 4",
        "s == 'hello' && t == '' && size(s) == 5",
        "'clerk' in list && !('admin' in list) && list[0] == 'clerk' && size(list) == 2",
        "list.exists(role, role in ['admin', 'viewer'])",
        "list.all(role, list.exists(other, other == role))",
        "now.getHours('Europe/Berlin') == 0 && now.getHours() == 23",
        "now - duration('1s') < now && now > timestamp('2009-02-13T23:31:30Z')",
        "span == duration('90s') && span < duration('2m')",
        "ip_in(given.address, '10.0.0.0/8') && !ip_in(given.address, ['192.0.2.0/24', '::/0'])",
        "given.address == given.address",
        "[s, t][1] == '' && s in [t, s] && [i, j].exists(n, n < 0) && size([s, t]) == 2",
        "(i > 0 ? s : t) == 'hello'",
    ] {
        assert_eq!(worth(text), Ok(true), "{text}");
    }
}

#[test]
fn what_is_explained_are_the_operands_and_the_facts() {
    let program = compiled("has(given.none) && i > 6 || now.getHours('Europe/Berlin') > 1 / (i - 7)");
    let parts: Vec<String> = program
        .parts(&Given::default())
        .into_iter()
        .map(|part| match part.value {
            Ok(value) => format!("{} = {value}", part.text),
            Err(fault) => format!("{}: {fault}", part.text),
        })
        .collect();
    assert_eq!(
        parts,
        [
            "has(given.none) && i > 6 = false",
            "now.getHours('Europe/Berlin') > 1 / (i - 7): division by zero",
            "given.none: something that it asks for is not there",
            "i = 7",
            "now = 2009-02-13T23:31:30.123456789Z",
        ]
    );
    assert!(program.asks(0) && program.asks(8) && !program.asks(1));
    assert_eq!(compiled("map.a == map['c d']").entries(9).collect::<Vec<_>>(), ["a", "c d"]);
}

#[test]
fn what_costs_too_much_is_a_mistake_before_it_is_asked() {
    let nested = "list.all(a, list.all(b, list.all(c, a == b || b == c)))";
    let mistakes = Program::compile(nested, &environment()).unwrap_err();
    assert!(mistakes[0].message.contains("steps"), "{mistakes:?}");
    assert!(compiled("list.all(a, list.all(b, a == b))").cost() < 4_096);
    let deep = format!("{}i == 7{}", "(".repeat(60), ")".repeat(60));
    assert!(Program::compile(&deep, &environment()).unwrap_err()[0].message.contains("deep"));
    let long = format!("i == 7{}", " && i == 7".repeat(300));
    assert!(Program::compile(&long, &environment()).unwrap_err()[0].message.contains("bytes"));
    let left = format!("i {}== 7", "+ 1 ".repeat(60));
    assert!(Program::compile(&left, &environment()).unwrap_err()[0].message.contains("deep"));
    let wide = format!("i == 7{}", " && i == 7".repeat(150));
    assert_eq!(worth(&wide), Ok(true));
}

#[test]
fn fields_are_written_out_in_either_case_and_one_that_is_no_single_text_is_a_fault_even_of_has() {
    for (text, expected) in [
        ("fields['X-A'] == 'one'", Ok(true)),
        ("fields['x-b'] == ''", Err(Fault::Absent)),
        ("'X-a' in fields && !('x-b' in fields)", Ok(true)),
        ("has(fields.other)", Ok(false)),
        ("fields['x-twice'] == 'one'", Err(Fault::Unreadable)),
        ("'x-twice' in fields", Err(Fault::Unreadable)),
        ("!('x-twice' in fields)", Err(Fault::Unreadable)),
    ] {
        assert_eq!(worth(text), expected, "{text}");
    }
    for (text, expected) in [
        ("fields[s] == ''", "a name in `fields` is written out"),
        ("s in fields", "a name in `fields` is written out"),
        ("fields['secret'] == ''", "nobody reads this"),
        ("fields.secret == ''", "nobody reads this"),
        ("has(fields.secret)", "nobody reads this"),
        ("'secret' in fields", "nobody reads this"),
        ("fields == fields", "`fields` is not a value"),
    ] {
        let mistakes = Program::compile(text, &environment()).unwrap_err();
        assert_eq!(mistakes[0].message, expected, "{text}");
    }
    assert_eq!(compiled("fields['X-A'] == 'one'").entries(10).collect::<Vec<_>>(), ["x-a"]);
}

//! What the specification of CEL says that expressions are worth: facts of its conformance tests (cel-spec,
//! `tests/simple/testdata`), as far as they are about this part of the language. A value is asked for by `==`.

use super::worth;
use crate::{Environment, Fault, Program};

/// From `logic`, `comparisons`, `integer_math`, `string`, `macros`, `lists` and `timestamps`.
const TRUE: &[&str] = &[
    // logic
    "(true ? 1 : 2) == 1",
    "(false ? 'foo' : 'bar') == 'bar'",
    "true && true",
    "!(false && false)",
    "!(false && true)",
    "!(true && false)",
    "!(false && (2 / 0 > 3 ? false : true))",
    "!((2 / 0 > 3 ? false : true) && false)",
    "true || true",
    "!(false || false)",
    "false || true",
    "true || false",
    "true || (2 / 0 > 3 ? false : true)",
    "(2 / 0 > 3 ? false : true) || true",
    "!false",
    // integer_math
    "42 + 2 == 44",
    "42 + (-2) == 40",
    "-42 + (-2) == -44",
    "42 - 2 == 40",
    "42 - (-2) == 44",
    "-42 - (-2) == -40",
    "42 * 2 == 84",
    "42 * (-2) == -84",
    "-42 * (-2) == 84",
    "42 / 2 == 21",
    "-42 / 2 == -21",
    "-42 / (-2) == 21",
    "42 % 5 == 2",
    "42 % (-5) == 2",
    "-42 % (-5) == -2",
    "-(42) == -42",
    "-(0) == 0",
    "-(-42) == 42",
    "15 * 0 == 0",
    "-9223372036854775808 < 9223372036854775807",
    "0x55555555 == 1431655765",
    "-0x55555555 == -1431655765",
    // comparisons
    "1 < 2 && 2 <= 2 && 3 > 2 && 2 >= 2 && 1 != 2",
    "false < true && !(2 < 2) && !(2 > 2)",
    "'a' < 'b' && 'a' < 'aa' && 'Z' < 'a' && 'ä' > 'z'",
    "[1, 2] == [1, 2] && [1, 2] != [2, 1] && [1] != [1, 2]",
    "1 in [1, 2, 3] && !(4 in [1, 2, 3])",
    "'a' in ['b', 'a']",
    // lists
    "[7, 8, 9][0] == 7 && [7, 8, 9][2] == 9",
    "size([1, 2, 3]) == 3 && [1, 2, 3].size() == 3",
    // string
    "size('') == 0 && size('A') == 1 && size('ÿ') == 1 && size('four') == 4 && size('πέντε') == 5",
    "'foobar'.startsWith('foo') && !'foobar'.startsWith('bar') && !''.startsWith('foo')",
    "'foobar'.startsWith('') && ''.startsWith('') && 'завтра'.startsWith('за')",
    "'foobar'.endsWith('bar') && !'foobar'.endsWith('foo') && !''.endsWith('foo')",
    "'foobar'.endsWith('') && ''.endsWith('') && 'forté'.endsWith('té')",
    "'hubba'.matches('ubb') && !''.matches('foo|bar') && 'cows'.matches('') && ''.matches('')",
    "'abcd'.matches('bc') && 'grey'.matches('gr(a|e)y') && 'banana'.matches('ba(na)*')",
    "'mañana'.matches('a+ñ+a+')",
    "'hello'.contains('he') && 'hello'.contains('') && !'hello'.contains('ol')",
    "'abababc'.contains('ababc') && 'Straße'.contains('aß')",
    // parse
    r"'\x41\101\u0041\U00000041' == 'AAAA'",
    r#""\a\b\f\n\r\t\v\"\'\\\?" == '\a\b\f\n\r\t\v"\'\\?'"#,
    r#"r'\n' == '\\n' && R"\'" == '\\\''"#,
    "'''a\nb''' == 'a\\nb'",
    "1 + 2 * 3 == 7 && (1 + 2) * 3 == 9 && 7 - 2 - 1 == 4 && 8 / 4 / 2 == 1",
    "false ? true : false ? false : true",
    "!!true && --1 == 1 // nothing of this counts",
    // macros
    "[1, 2, 3].exists(e, e > 0) && [1, 2, 3].exists(e, e == 2) && ![1, 2, 3].exists(e, e > 3)",
    "[1, 2, 3].exists(e, 6 / (2 - e) == 6)",
    "[1, 2, 3].all(e, e > 0) && ![1, 2, 3].all(e, e == 2) && ![1, 2, 3].all(e, e == 17)",
    "![1, 2, 3].all(e, 6 / (2 - e) == 6)",
    "[7].exists_one(a, a == 7) && ![8].exists_one(a, a == 7) && ![1, 2, 3].exists_one(x, x > 20)",
    "[6, 7, 8].exists_one(foo, foo % 5 == 2) && ![0, 1, 2, 3, 4].exists_one(n, n % 2 == 1)",
    "!['foal', 'foo', 'four'].exists_one(n, n.startsWith('fo'))",
    // timestamps
    "int(timestamp('2009-02-13T23:31:30Z')) == 1234567890",
    "timestamp('2009-02-13T23:31:30Z').getDate() == 13",
    "timestamp('2009-02-13T23:31:30Z').getDayOfMonth() == 12",
    "timestamp('2009-02-13T23:31:30Z').getDayOfWeek() == 5",
    "timestamp('2009-02-13T23:31:30Z').getDayOfYear() == 43",
    "timestamp('2009-02-13T23:31:30Z').getFullYear() == 2009",
    "timestamp('2009-02-13T23:31:30Z').getHours() == 23",
    "timestamp('2009-02-13T23:31:20.123456789Z').getMilliseconds() == 123",
    "timestamp('2009-02-13T23:31:30Z').getMinutes() == 31",
    "timestamp('2009-02-13T23:31:30Z').getMonth() == 1",
    "timestamp('2009-02-13T23:31:30Z').getSeconds() == 30",
    "timestamp('2009-02-13T23:31:30Z').getDate('Australia/Sydney') == 14",
    "timestamp('2009-02-13T23:31:30Z').getDayOfMonth('US/Central') == 12",
    "timestamp('2009-02-13T23:31:30Z').getDayOfMonth('+11:00') == 13",
    "timestamp('2009-02-13T02:00:00Z').getDayOfMonth('-02:30') == 11",
    "timestamp('2009-02-13T02:00:00Z').getDayOfMonth('America/St_Johns') == 11",
    "timestamp('2009-02-13T23:31:30Z').getDayOfWeek('UTC') == 5",
    "timestamp('2009-02-13T23:31:30Z').getDayOfYear('US/Central') == 43",
    "timestamp('2009-02-13T23:31:30Z').getFullYear('-09:30') == 2009",
    "timestamp('2009-02-13T23:31:30Z').getHours('02:00') == 1",
    "timestamp('2009-02-13T23:31:30Z').getMinutes('Asia/Kathmandu') == 16",
    "timestamp('2009-02-13T23:31:30Z').getMonth('UTC') == 1",
    "timestamp('2009-02-13T23:31:30Z').getSeconds('-00:00') == 30",
    "timestamp('2009-02-13T23:31:30Z') == timestamp('2009-02-13T23:31:30Z')",
    "!(timestamp('2009-02-13T23:31:29Z') == timestamp('2009-02-13T23:31:30Z'))",
    "timestamp('2000-01-01T00:00:00Z') != timestamp('2001-01-01T00:00:00Z')",
    "duration('123s') == duration('123s') && duration('60s') != duration('3600s')",
    "timestamp('2009-02-13T23:00:00Z') + duration('240s') == timestamp('2009-02-13T23:04:00Z')",
    "duration('120s') + timestamp('2009-02-13T23:01:00Z') == timestamp('2009-02-13T23:03:00Z')",
    "duration('600s') + duration('50s') == duration('650s')",
    "timestamp('0001-01-01T00:00:01.000000001Z') + duration('-999999999ns') == timestamp('0001-01-01T00:00:00.000000002Z')",
    "timestamp('0001-01-01T00:00:01.999999999Z') + duration('999999999ns') == timestamp('0001-01-01T00:00:02.999999998Z')",
    "timestamp('2009-02-13T23:10:00Z') - duration('600s') == timestamp('2009-02-13T23:00:00Z')",
    "timestamp('2009-02-13T23:31:00Z') - timestamp('2009-02-13T23:29:00Z') == duration('120s')",
    "duration('900s') - duration('42s') == duration('858s')",
    "timestamp('2009-02-13T23:00:00Z') <= timestamp('2009-02-13T23:00:00Z')",
    "timestamp('2009-02-13T23:00:00Z') > timestamp('2009-02-13T22:59:59Z')",
    "duration('200s') <= duration('200s') && duration('300s') > duration('200s')",
    "duration('10000s').getHours() == 2 && duration('3730s').getMinutes() == 62",
    "duration('3730s').getSeconds() == 3730 && duration('123.321456789s').getMilliseconds() == 321",
    "duration('1h30m') == duration('90m') && duration('1.5h') == duration('5400s') && duration('-1.5s') == duration('-1500ms')",
    // conversions
    "int('987') == 987 && int('-3') == -3",
];

/// What has no value.
const FAULTS: &[(&str, Fault)] = &[
    ("2 / 0 > 4 ? true : false", Fault::Zero),
    ("true && 1/0 != 0", Fault::Zero),
    ("1/0 != 0 && true", Fault::Zero),
    ("false || 1/0 != 0", Fault::Zero),
    ("1/0 != 0 || false", Fault::Zero),
    ("42 % 0 == 0", Fault::Zero),
    ("15 / 0 == 0", Fault::Zero),
    ("[1, 2, 3].exists(e, e / 0 == 17)", Fault::Zero),
    ("[1, 2, 3].all(e, e / 0 != 17)", Fault::Zero),
    ("[3, 2, 1, 0].exists_one(n, 12 / n > 1)", Fault::Zero),
    ("9223372036854775807 + 1 == 0", Fault::Range),
    ("-9223372036854775808 - 1 == 0", Fault::Range),
    ("9223372036854775807 * 2 == 0", Fault::Range),
    ("-(-9223372036854775808) == 0", Fault::Range),
    ("-9223372036854775808 / -1 == 0", Fault::Range),
    ("-9223372036854775808 % -1 == 0", Fault::Range),
    ("[7, 8, 9][3] == 7", Fault::Index),
    ("[7, 8, 9][-1] == 7", Fault::Index),
    ("timestamp('0001-01-01T00:00:00Z') + duration('-1s') == now", Fault::Range),
    ("timestamp('9999-12-31T23:59:59Z') + duration('1s') == now", Fault::Range),
    ("timestamp('9999-12-31T23:59:59.999999999Z') + duration('1ns') == now", Fault::Range),
    ("timestamp('0001-01-01T00:00:00Z') + duration('-1ns') == now", Fault::Range),
    ("timestamp('9999-12-31T23:59:59Z') - timestamp('0001-01-01T00:00:00Z') == span", Fault::Range),
    ("timestamp('0001-01-01T00:00:00Z') - timestamp('9999-12-31T23:59:59Z') == span", Fault::Range),
    ("duration('2000000h') + duration('2000000h') == span", Fault::Range),
    ("duration('-2000000h') - duration('2000000h') == span", Fault::Range),
];

/// What would be a fault as often as it is asked, and so is a mistake of whoever writes it.
const NEVER: &[&str] = &[
    "timestamp('0000-01-01T00:00:00Z') < now",
    "timestamp('10000-01-01T00:00:00Z') < now",
    "duration('-320000000000s') < span",
    "duration('320000000000s') < span",
    "true ? 'cows' : 17",
    "('cows' ? false : true)",
    "'less filling' && 'tastes great'",
    "false && 32",
    "'horses' || true",
    "[1, 'foo', 3].exists(e, e != '1')",
    "42u + 2u == 44u",
    "1.5 < 2.0",
    "b'abc' == b'abc'",
    "null == null",
    "{'a': 1}.a == 1",
];

#[test]
fn expressions_are_worth_what_the_specification_says() {
    for text in TRUE {
        assert_eq!(worth(text), Ok(true), "{text}");
    }
    for (text, fault) in FAULTS {
        assert_eq!(worth(text), Err(*fault), "{text}");
    }
    for text in NEVER {
        assert!(Program::compile(text, &super::environment()).is_err(), "{text}");
    }
}

#[test]
fn nothing_is_true_without_facts() {
    assert!(Program::compile("i == 7", &Environment::default()).is_err());
}

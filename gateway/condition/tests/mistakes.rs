use super::environment;
use crate::Program;

/// Every mistake is said with its place, and what was probably meant.
#[test]
fn a_mistake_says_where_what_and_how_to_mend_it() {
    let table = [
        "",
        "i",
        "i == ",
        "i = 7",
        "i == 7 & true",
        "i == 7 and true",
        "i == '7'",
        "i > 0 && s",
        "ii == 7",
        "given.adress == given.address",
        "given == 1",
        "map == map",
        "s.length == 5",
        "given.keys.c == ''",
        "given.keys['c'] == ''",
        "list.exists(role, rol == 'a')",
        "list.exists(1, true)",
        "list.map(r, r) == list",
        "size(i) == 1",
        "length(s) == 5",
        "s.startswith('h')",
        "s.contains()",
        "s.matches(t)",
        "s.matches('(')",
        "s.matches('a{1000}{1000}')",
        "ip_in(given.address, '10.0.0.1/8')",
        "ip_in(given.address, s)",
        "ip_in(s, '10.0.0.0/8')",
        "now.getHours('Europe/Berlni') == 1",
        "now.getHours(s) == 1",
        "span.getMonth() == 1",
        "span.getHours('UTC') == 1",
        "now < '2026-01-01'",
        "now < timestamp('2026-01-01')",
        "span < duration('1 day')",
        "now + now == now",
        "-s == s",
        "!i",
        "i ? true : false",
        "true ? i : s",
        "s in s",
        "i in list",
        "[1, 'a'] == [1]",
        "[] == list",
        "has(i)",
        "has(list[0])",
        "i[0] == 1",
        "'abc",
        "'\\q' == s",
        "1.5 == i",
        "18446744073709551616 == i",
        "9223372036854775808 == i",
        "s == null",
        "i == 7 i",
        "ü == 1",
        "list.all(a, list.all(b, list.all(c, list.all(d, list.all(e, true)))))",
        "ii == 1 && jj == 2",
    ];
    let mut shown = String::new();
    for text in table {
        let mistakes = Program::compile(text, &environment()).map(|_| panic!("this compiles: {text}")).unwrap_err();
        for mistake in mistakes {
            let help = mistake.help.map(|help| format!(" ({help})")).unwrap_or_default();
            shown.push_str(&format!("{text}  @{} {}{help}\n", mistake.offset, mistake.message));
        }
    }
    insta::assert_snapshot!(shown, @r#"
  @0 expected a value, found the end
i  @0 expected true or false, found a number
i ==   @5 expected a value, found the end
i = 7  @2 `=` compares nothing (write `==`)
i == 7 & true  @7 `&` joins nothing (write `&&`)
i == 7 and true  @7 expected an operator or the end, found `and`
i == '7'  @2 `==` compares a number with a text (both sides must be of one type)
i > 0 && s  @9 expected true or false, found a text
ii == 7  @0 `ii` is not known here (did you mean `i`?)
given.adress == given.address  @6 `given` has no `adress` (did you mean `address`?)
given == 1  @0 `given` is not a value (name one of its fields: `given.address`)
map == map  @0 `map` is not a value (name one of its fields)
map == map  @7 `map` is not a value (name one of its fields)
s.length == 5  @2 a text has no fields
given.keys.c == ''  @11 `given.keys` has no `c` (did you mean `a`?)
given.keys['c'] == ''  @11 `given.keys` has no `c` (did you mean `a`?)
list.exists(role, rol == 'a')  @18 `rol` is not known here (known here: `i`, `j`, `s`, `t`, `list`, `now`, `span`, `given`, `map`, `given`, `fields`)
list.exists(1, true)  @12 a name for each element stands here
list.map(r, r) == list  @5 no method `map` (known here: `all`, `contains`, `endsWith`, `exists`, `exists_one`, `getDate`, `getDayOfMonth`, `getDayOfWeek`, `getDayOfYear`, `getFullYear`, `getHours`, `getMilliseconds`, `getMinutes`, `getMonth`, `getSeconds`, `matches`, `size`, `startsWith`)
size(i) == 1  @5 a number has no size
length(s) == 5  @0 no function `length` (known here: `duration`, `has`, `int`, `ip_in`, `size`, `timestamp`)
s.startswith('h')  @2 no method `startswith` (did you mean `startsWith`?)
s.contains()  @2 `contains` does not come like this (write for example `text.startsWith("a")`)
s.matches(t)  @10 a pattern is written out (a pattern that comes with a request could be any)
s.matches('(')  @10 this is not a pattern: unclosed group
s.matches('a{1000}{1000}')  @10 this is not a pattern: Compiled regex exceeds size limit of 65536 bytes.
ip_in(given.address, '10.0.0.1/8')  @21 `10.0.0.1/8` has bits behind its prefix; the network is `10.0.0.0/8`
ip_in(given.address, s)  @21 networks are written out (`"10.0.0.0/8"`, or a list of such)
ip_in(s, '10.0.0.0/8')  @6 expected an address, found a text
now.getHours('Europe/Berlni') == 1  @13 `Europe/Berlni` is not a time zone (write for example `Europe/Berlin`, `UTC` or `+02:00`)
now.getHours(s) == 1  @13 a time zone is written out
span.getMonth() == 1  @5 a span of time has no `getMonth`
span.getHours('UTC') == 1  @14 a span of time has no time zone
now < '2026-01-01'  @4 `<` compares a time with a text (both sides must be of one type)
now < timestamp('2026-01-01')  @16 a text does not say a time (write for example `"2026-01-31T12:00:00Z"`)
span < duration('1 day')  @16 a text does not say a span of time (write for example `"1h30m"`, `"90s"` or `"250ms"`)
now + now == now  @4 `+` does not take a time and a time
-s == s  @1 expected a number, found a text
!i  @1 expected true or false, found a number
i ? true : false  @0 expected true or false, found a number
true ? i : s  @11 one outcome is a number, the other a text (both must be of one type)
s in s  @5 expected a list or a map, found a text
i in list  @2 a number is looked for, and each element is a text
[1, 'a'] == [1]  @4 the first element is a number, this one a text (all elements must be of one type)
[] == list  @0 an empty list holds nothing
has(i)  @0 `has` asks for a field (write for example `has(a.b)`)
has(list[0])  @0 `has` asks for a field (write for example `has(a.b)`)
i[0] == 1  @0 a number has no elements
'abc  @0 this text has no closing quote
'\q' == s  @1 this escape is not known (write `\\` for a backslash)
1.5 == i  @0 numbers with a fraction are not part of this language
18446744073709551616 == i  @0 this number is too large
9223372036854775808 == i  @0 this number is too large
s == null  @5 expected a value, found `null`
i == 7 i  @7 expected an operator or the end, found `i`
ü == 1  @0 `ü` means nothing here
list.all(a, list.all(b, list.all(c, list.all(d, list.all(e, true)))))  @48 at most 4 lists are gone through within each other
ii == 1 && jj == 2  @0 `ii` is not known here (did you mean `i`?)
ii == 1 && jj == 2  @11 `jj` is not known here (did you mean `j`?)
"#);
}

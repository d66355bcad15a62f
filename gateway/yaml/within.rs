use super::Spot;

/// Where a character of a text value stands in its file: the one that is led by `offset` bytes of the value, which itself
/// begins at `spot` of `file`. The place of the value, if that cannot be told: of a value that is folded, or is an alias.
#[must_use]
pub fn within(file: &str, spot: Spot, value: &str, offset: usize) -> Spot {
    find(file, spot, value, offset).unwrap_or(spot)
}

fn find(file: &str, spot: Spot, value: &str, offset: usize) -> Option<Spot> {
    let line_index = usize::try_from(spot.line).ok()?.checked_sub(1)?;
    let line = file.lines().nth(line_index)?;
    let column = usize::try_from(spot.column).ok()?.checked_sub(1)?;
    let written: String = line.chars().skip(column).collect();
    let before = value.get(..offset)?;
    let right = |columns: usize| Some(Spot { column: spot.column.checked_add(u32::try_from(columns).ok()?)?, ..spot });
    match written.chars().next()? {
        '\'' if !value.contains('\n') => {
            let quotes = before.chars().filter(|c| *c == '\'').count(); // each is written twice
            let whole = value.replace('\'', "''");
            right(1 + before.chars().count() + quotes)
                .filter(|_| written.get(1..).is_some_and(|it| it.starts_with(&whole)))
        }
        '"' if !value.contains('\n') => escaped(written.get(1..)?, before).and_then(|columns| right(1 + columns)),
        '>' | '*' | '&' | '!' => None,
        _ if !value.contains('\n') => right(before.chars().count()).filter(|_| written.starts_with(value)),
        _ => {
            // Lines as they stand, in a block: each of them up to this one must be found again.
            let mut lines = file.lines().skip(line_index);
            let mut passed = 0;
            for line in before.split('\n') {
                let found = lines.next()?.get(column..).or(Some("").filter(|_| line.is_empty()))?;
                if !found.starts_with(line) {
                    return None;
                }
                passed += 1;
            }
            let column = column + 1 + before.rsplit('\n').next()?.chars().count();
            Some(Spot { line: spot.line.checked_add(passed - 1)?, column: u32::try_from(column).ok()? })
        }
    }
}

/// How many columns of a text between double quotes stand for this beginning of it. Nothing for escapes that are rare.
fn escaped(written: &str, before: &str) -> Option<usize> {
    let (mut written, mut columns) = (written.chars(), 0);
    for expected in before.chars() {
        let mut found = written.next()?;
        columns += 1;
        if found == '\\' {
            columns += 1;
            found = match written.next()? {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                plain @ ('"' | '\\' | '/') => plain,
                _ => return None,
            };
        }
        if found != expected {
            return None;
        }
    }
    Some(columns)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use terms::Findings;

    use super::*;
    use crate::{At, parse, read};

    #[test]
    fn a_character_of_a_value_is_found_in_each_style() {
        for text in [
            "a: one && two? == 'x'",
            "a: 'one ''n'' && two? == \"x\"'",
            r#"a: "one \"n\" && \\ two? == 'x'""#,
            "a: |\n    one &&\n    two?\n",
            "a: |-\n  two?",
            "b: { a: \"two?\" }",
            "a: ä ö two?",
        ] {
            let file: Arc<str> = "f.yaml".into();
            let mut findings = Findings::default();
            let node = parse(&file, text, &mut findings).unwrap();
            let value = text_of(&node, &file);
            let found = within(text, value.spot, &value.value, value.value.find("two").unwrap());
            let line = text.lines().nth(found.line as usize - 1).unwrap();
            let rest: String = line.chars().skip(found.column as usize - 1).collect();
            assert!(rest.starts_with("two?"), "{text}: {found:?} is at {rest}");
        }
    }

    #[test]
    fn a_value_whose_lines_are_folded_is_found_as_a_whole() {
        let spot = Spot { line: 1, column: 4 };
        assert_eq!(within("a: >\n  one\n  two\n", spot, "one two\n", 4), spot);
        assert_eq!(within("a: *x", spot, "one", 1), spot);
        assert_eq!(within("", spot, "one", 1), spot);
    }

    fn text_of(node: &crate::Node, file: &Arc<str>) -> At<String> {
        let crate::Kind::Map(pairs) = &node.kind else { panic!("a mapping") };
        let value = &pairs[0].1;
        if let crate::Kind::Map(_) = &value.kind {
            return text_of(value, file);
        }
        read(value, file, &mut Findings::default()).unwrap()
    }
}

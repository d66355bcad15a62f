use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::{Unformatted, format};

fn formatted(text: &str) -> Result<String, Unformatted> {
    format(&Arc::from("p.yaml"), text)
}

#[test]
fn a_file_is_laid_out_in_one_way() {
    for (text, expected) in [
        ("a: 1", "a: 1\n"),
        ("a: 1  \r\n\r\n\r\n", "a: 1\n"),
        ("\n\na: 1\nb: 2\n", "a: 1\n\nb: 2\n"),
        ("a:\n    b:\n        c: 1\n    d: 2\n", "a:\n  b:\n    c: 1\n  d: 2\n"),
        ("a:\n- b: 1\n  c: 2\n-   d: 3\n    e: 4\nf: 5\n", "a:\n  - b: 1\n    c: 2\n  - d: 3\n    e: 4\n\nf: 5\n"),
        ("a:\n   -  - 1\n      - 2\n", "a:\n  - - 1\n    - 2\n"),
        ("a: {b: 1,c: [ 1,2 ],d: { }}\n", "a: { b: 1, c: [1, 2], d: {} }\n"),
        ("a: ['x, {y}', \"z , [\" ,b]\n", "a: ['x, {y}', \"z , [\", b]\n"),
        ("a: it's {not} a \"flow\" , [at all]\n", "a: it's {not} a \"flow\" , [at all]\n"),
        (
            "a: # why\n    b: 1 # this\n    # and that\n    c: 2\n# after\nd: 3\n",
            "a: # why\n  b: 1 # this\n  # and that\n  c: 2\n\n# after\nd: 3\n",
        ),
        (
            "a:\n    when: |\n          x\n            y   \n\n          z\n    b: 1\n",
            "a:\n  when: |\n        x\n          y   \n\n        z\n  b: 1\n",
        ),
        ("a: \"x\n      y  z\"\nb: 1\n", "a: \"x\n      y  z\"\n\nb: 1\n"),
        ("a:\n    b: {c: 1,\n        d: 2}\n", "a:\n  b: { c: 1,\n      d: 2 }\n"),
        ("a: &x {b: 1}\nc: *x\n", "a: &x { b: 1 }\n\nc: *x\n"),
        (
            "a:\n    # first\n\n\n    # second\n    b: 1\n    # last\n",
            "a:\n  # first\n\n  # second\n  b: 1\n  # last\n",
        ),
        ("# of the file\n\n\n# of a\na: 1\n# of b\nb: 1\n", "# of the file\n\n# of a\na: 1\n\n# of b\nb: 1\n"),
    ] {
        let got = formatted(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(got, expected, "{text}");
        assert_eq!(formatted(&got).unwrap(), got);
    }
}

#[test]
fn what_cannot_be_read_or_would_change_is_left_alone() {
    assert!(matches!(formatted("a: [1"), Err(Unformatted::Unreadable(_))));
    assert!(matches!(formatted("a: 1\na: 2\n"), Err(Unformatted::Unreadable(_))), "what stands twice");
    for text in ["a:\n    b: |2\n        c\n", "a: \"x\n y\"\n"] {
        match formatted(text) {
            Ok(got) => assert_eq!(formatted(&got).unwrap(), got),
            Err(Unformatted::Unsure) => {}
            Err(Unformatted::Unreadable(findings)) => panic!("{findings}"),
        }
    }
}

fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|it| it == "yaml") {
            found.push(path);
        }
    }
}

#[test]
fn every_file_of_ours_can_be_laid_out() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    files(&top.join("policies"), &mut found);
    files(&top.join("config"), &mut found);
    assert!(found.len() > 5, "{found:?}");
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap();
        // Those of Prometheus have texts of kinds that are none of ours.
        match formatted(&text) {
            Ok(got) => {
                let comments = |text: &str| text.matches('#').count();
                assert_eq!(comments(&got), comments(&text), "{}", path.display());
            }
            Err(error) => assert!(path.to_string_lossy().contains("prometheus"), "{}: {error}", path.display()),
        }
    }
}

/// YAML as somebody in a hurry writes it: any steps, any spaces, comments anywhere.
fn written() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec!["a", "order:read", "'x y'", "\"q # {\"", "it's", "7", "true", "a b", "\"\""]);
    let leaf = word.clone().prop_map(|word| Tree::Word(word.to_owned()));
    let tree = leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Tree::List),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Tree::Map),
            prop::collection::vec(inner, 0..4).prop_map(Tree::Flow),
        ]
    });
    let maps = prop::collection::vec(tree, 1..5).prop_map(Tree::Map);
    (maps, prop::collection::vec(0_usize..7, 64)).prop_map(|(tree, dice)| {
        let mut writer = Writer { out: String::new(), dice, at: 0 };
        writer.block(&tree, 0);
        writer.out
    })
}

#[derive(Clone, Debug)]
enum Tree {
    Word(String),
    List(Vec<Self>),
    Map(Vec<Self>),
    Flow(Vec<Self>),
}

struct Writer {
    out: String,
    dice: Vec<usize>,
    at: usize,
}

impl Writer {
    fn roll(&mut self) -> usize {
        self.at += 1;
        self.dice[self.at % self.dice.len()]
    }

    fn end(&mut self) {
        match self.roll() {
            0 => self.out.push_str(" # why"),
            1 => self.out.push_str("   "),
            2 => self.out.push_str("\n\n"),
            _ => {}
        }
        self.out.push('\n');
    }

    fn block(&mut self, tree: &Tree, column: usize) {
        let (Tree::List(items) | Tree::Map(items)) = tree else { unreachable!() };
        for (at, item) in items.iter().enumerate() {
            if self.roll() == 0 {
                self.out.push_str(&format!("{:column$}# about it\n", ""));
            }
            self.out.push_str(&" ".repeat(column));
            let step = 1 + self.roll() % 4;
            match tree {
                Tree::Map(_) => self.out.push_str(&format!("k{at}:")),
                Tree::Flow(_) | Tree::List(_) | Tree::Word(_) => self.out.push('-'),
            }
            match item {
                Tree::List(_) | Tree::Map(_) => {
                    self.end();
                    self.block(item, column + step);
                }
                flat @ (Tree::Flow(_) | Tree::Word(_)) => {
                    self.out.push(' ');
                    self.flat(flat);
                    self.end();
                }
            }
        }
    }

    fn flat(&mut self, tree: &Tree) {
        match tree {
            Tree::Word(word) => self.out.push_str(word),
            Tree::List(items) | Tree::Map(items) | Tree::Flow(items) => {
                let map = self.roll().is_multiple_of(2);
                self.out.push(if map { '{' } else { '[' });
                for (at, item) in items.iter().enumerate() {
                    let comma = [",", ", ", ",  "][self.roll() % 3];
                    self.out.push_str(if at == 0 { comma.trim_start_matches(',') } else { comma });
                    if map {
                        self.out.push_str(&format!("k{at}: "));
                    }
                    self.flat(item);
                }
                let space = if self.roll().is_multiple_of(2) { " " } else { "" };
                self.out.push_str(space);
                self.out.push(if map { '}' } else { ']' });
            }
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_written_is_laid_out_and_means_the_same(text in written()) {
        // That it means the same is asserted in there.
        let once = match formatted(&text) {
            Ok(once) => once,
            Err(error) => return Err(TestCaseError::fail(format!("{error}\n{text}"))),
        };
        prop_assert_eq!(formatted(&once).unwrap(), once.clone());
        prop_assert_eq!(once.matches('#').count(), text.matches('#').count());
        for line in once.lines() {
            prop_assert_eq!(line.trim_end(), line);
            prop_assert_eq!((line.len() - line.trim_start().len()) % 2, 0, "{}", once);
        }
        prop_assert!(!once.contains("\n\n\n"));
    }
}

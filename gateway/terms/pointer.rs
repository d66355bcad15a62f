use std::str::FromStr;

/// A place in JSON (RFC 6901), with `*` for every element of a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pointer(Vec<Step>);

/// One step on the way to a place in JSON.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// Every element of a list.
    Each,
    /// The member of an object with this name, or the element of a list with this number.
    Key(Box<str>),
}

/// Why a text is no place in JSON.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidPointer {
    /// More steps than JSON may be deep here.
    #[error("a place in JSON has at most 16 steps")]
    Deep,
    /// A `~` that is neither `~0` nor `~1`.
    #[error("`~` is written `~0`, and a `/` inside of a name `~1`")]
    Escape,
    /// It does not begin with a slash.
    #[error("a place in JSON is written `/tenant/id` or `/items/*/tenant`")]
    Start,
}

impl Pointer {
    /// The way there.
    #[must_use]
    pub const fn steps(&self) -> &[Step] {
        self.0.as_slice()
    }
}

impl Step {
    /// The place in a list that this stands for, if it is written as RFC 6901 §4 says: without a leading zero.
    #[must_use]
    pub fn index(&self) -> Option<usize> {
        let Self::Key(key) = self else { return None };
        key.parse().ok().filter(|index: &usize| index.to_string() == **key)
    }
}

impl FromStr for Pointer {
    type Err = InvalidPointer;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let steps = text.strip_prefix('/').ok_or(InvalidPointer::Start)?.split('/').map(|step| {
            if step == "*" {
                return Ok(Step::Each);
            }
            let mut after = step.split('~').skip(1);
            if !after.all(|rest| rest.starts_with(['0', '1'])) {
                return Err(InvalidPointer::Escape);
            }
            Ok(Step::Key(step.replace("~1", "/").replace("~0", "~").into()))
        });
        let steps = steps.collect::<Result<Vec<_>, _>>()?;
        if steps.len() > 16 { Err(InvalidPointer::Deep) } else { Ok(Self(steps)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_written_as_the_standard_says() {
        for text in ["/tenant", "/a~0b~1c/*/0", "/"] {
            assert!(text.parse::<Pointer>().is_ok(), "{text}");
        }
        for text in ["", "tenant", "/a~2", "/a~", "#/tenant", "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q"] {
            assert!(text.parse::<Pointer>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_number_is_a_place_in_a_list_only_as_it_is_counted() {
        for (text, index) in [("/0", Some(0)), ("/12", Some(12)), ("/01", None), ("/-", None), ("/*", None)] {
            assert_eq!(text.parse::<Pointer>().unwrap().steps()[0].index(), index, "{text}");
        }
    }
}

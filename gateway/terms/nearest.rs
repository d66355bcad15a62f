/// The name that was probably meant: the closest of `known` to `written`, if any is close enough to suggest.
#[must_use]
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let tolerance = (written.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(written, name), name))
        .filter(|&(distance, _)| distance <= tolerance)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_is_guessed_and_a_stranger_is_not() {
        let roles = ["viewer", "editor", "billing_admin"];
        assert_eq!(nearest("viewr", roles), Some("viewer"));
        assert_eq!(nearest("billing_amdin", roles), Some("billing_admin"));
        assert_eq!(nearest("owner", roles), None);
    }
}

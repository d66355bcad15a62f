use futures::FutureExt;
use proptest::prelude::*;

use super::*;

/// Polls once: no wait is part of a verdict.
fn at_once(setup: &Setup, token: &str) -> Result<Arc<Caller>, TokenError> {
    let accepted = IssuerSet::from([id("main"), id("other")]);
    let verdict = setup.verifier.verify(token, &accepted);
    verdict.now_or_never().expect("a verdict waits for nothing")
}

static SHARED: LazyLock<Setup> = LazyLock::new(Setup::new);

proptest! {
    // The place where failures would be written down is a member of the workspace to cargo, and has no manifest.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_is_answered(text in any::<String>(), bytes in any::<Vec<u8>>(), more in any::<Vec<u8>>()) {
        let parts = format!("{}.{}.{}", encode(&bytes), encode(&more), encode(&bytes));
        let claimed = SHARED.main.sign_raw(br#"{"alg":"ES256"}"#, &more);
        for token in [text, parts, claimed] {
            prop_assert!(at_once(&SHARED, &token).is_err());
        }
    }

    #[test]
    fn no_other_text_than_the_signed_one_passes(place in any::<prop::sample::Index>(), with in "[A-Za-z0-9_.=-]", kind in 0..3) {
        static TOKEN: LazyLock<String> = LazyLock::new(|| SHARED.main.sign(&claims()));
        let mut text: Vec<char> = TOKEN.chars().collect();
        let at = place.index(text.len());
        let with = with.chars().next().unwrap();
        match kind {
            0 => text[at] = with,
            1 => text.insert(at, with),
            _ => drop(text.remove(at)),
        }
        let mutated: String = text.into_iter().collect();
        prop_assert_eq!(at_once(&SHARED, &mutated).is_ok(), mutated == *TOKEN);
    }
}

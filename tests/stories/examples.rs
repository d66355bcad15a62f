//! The example sets are what they tell people to be: tested to the last rule, without anything to lint, and laid out.

use std::path::Path;

use crate::harness::run;

#[test]
fn every_example_set_passes_its_tests_which_come_to_all_of_its_rules_and_there_is_nothing_to_lint() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sets: Vec<_> =
        std::fs::read_dir(top.join("config/examples")).unwrap().map(|it| it.unwrap().path()).collect();
    sets.sort();
    assert_eq!(sets.len(), 3, "{sets:?}");
    for set in sets {
        let (config, policies) = (set.join("cloister.yaml"), set.join("policies"));
        let (config, policies) = (config.to_str().unwrap(), policies.to_str().unwrap());
        let files = ["--config", config, "--policies", policies];
        let (code, said, error) = run(&[&["check"][..], &files].concat(), top);
        assert_eq!(code, 0, "{said}{error}");
        let (code, said, error) = run(&[&["test", "--coverage", "--min-coverage", "100"][..], &files].concat(), top);
        assert_eq!(code, 0, "{said}{error}");
        let (code, said, error) = run(&[&["lint"][..], &files].concat(), top);
        assert_eq!((code, error.contains("warning") || said.contains("warning:")), (0, false), "{said}{error}");
        let (code, said, error) = run(&["fmt", "--check", config, policies], top);
        assert_eq!(code, 0, "{said}{error}");
    }
}

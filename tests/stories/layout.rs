//! `cloister fmt` lays files out and changes nothing else.

use crate::harness::run;

const UNTIDY: &str = "# who\nroles:\n    viewer: {allow: [\"order:read\"]} # reads\n    clerk:\n    - x\ntenants:\n  acme: { status: active }   \n";
const TIDY: &str = "# who\nroles:\n  viewer: { allow: [\"order:read\"] } # reads\n  clerk:\n    - x\n\ntenants:\n  acme: { status: active }\n";

#[test]
fn files_are_laid_out_checked_and_compared_and_one_that_cannot_be_read_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (untidy, tidy, broken) = ("untidy.yaml", "sub/tidy.yaml", "broken.yaml");
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    write(untidy, UNTIDY);
    write(tidy, TIDY);
    let (code, said, error) = run(&["fmt", ".", "--check"], folder.path());
    assert_eq!((code, said.trim()), (1, "./untidy.yaml"), "{error}");
    let (code, said, _) = run(&["fmt", ".", "--diff"], folder.path());
    assert_eq!(code, 1);
    for line in ["-    viewer: {allow: [\"order:read\"]} # reads\n", "+  viewer: { allow: [\"order:read\"] } # reads\n"]
    {
        assert!(said.contains(line), "{said}");
    }
    assert_eq!(read(untidy), UNTIDY, "nothing has been changed yet");
    write(broken, "roles: [");
    let (code, _, error) = run(&["fmt", "."], folder.path());
    assert_eq!(code, 2);
    assert!(error.contains("broken.yaml:1:"), "{error}");
    assert_eq!((read(untidy).as_str(), read(broken).as_str()), (TIDY, "roles: ["), "the others are laid out");
    std::fs::remove_file(folder.path().join(broken)).unwrap();
    assert_eq!(run(&["fmt", ".", "--check"], folder.path()).0, 0);
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn the_files_that_come_with_it_are_laid_out() {
    let top = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let (code, said, error) = run(&["fmt", "--check", "policies", "config/cloister.yaml"], top);
    assert_eq!(code, 0, "{said}{error}");
}

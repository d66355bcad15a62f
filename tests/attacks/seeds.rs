//! What the fuzzers begin with are the attacks of the tables, so that a row that is added here is varied there, too.

use std::collections::BTreeMap;
use std::path::Path;

use super::{paths, smuggling1};

#[test]
fn the_fuzzers_begin_with_the_attacks_of_the_tables() {
    let heads = smuggling1::TABLE.iter().map(|(_, text, _)| smuggling1::expand(text, "e30.e30.AA"));
    compare("head", heads);
    compare("path", paths::TABLE.iter().map(|(target, _)| target.as_bytes().to_vec()));
}

/// Compares with the files of a corpus; with `CLOISTER_GOLDEN=write` in the environment, writes those that are missing.
#[expect(clippy::disallowed_methods, reason = "the switch of a test")]
fn compare(target: &str, seeds: impl Iterator<Item = Vec<u8>>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let seeds: BTreeMap<String, Vec<u8>> = seeds.map(|seed| (name(&seed), seed)).collect();
    let missing = seeds.iter().filter(|(name, seed)| std::fs::read(folder.join(name)).ok().as_ref() != Some(seed));
    if std::env::var("CLOISTER_GOLDEN").as_deref() == Ok("write") {
        std::fs::create_dir_all(&folder).unwrap();
        for (name, seed) in missing {
            std::fs::write(folder.join(name), seed).unwrap();
        }
        return;
    }
    let missing: Vec<_> = missing.map(|(_, seed)| String::from_utf8_lossy(seed).into_owned()).collect();
    assert!(missing.is_empty(), "{target} has not these seeds; run again with CLOISTER_GOLDEN=write: {missing:#?}");
}

/// FNV-1a of the content: a change of a row is a new file.
fn name(seed: &[u8]) -> String {
    let hash = seed
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

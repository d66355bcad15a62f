//! What other people made (../shared/vectors beside the repository). Where it is not there, these tests say so and show
//! nothing.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::*;

fn vectors(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors").join(folder);
    if !path.is_dir() {
        println!("not run: {} is not there", path.display());
        return None;
    }
    Some(path)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn hashes(texts: Option<Vec<String>>) -> Option<Vec<Hash>> {
    texts.unwrap_or_default().iter().map(|text| text.parse().ok()).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inclusion {
    leaf_idx: u64,
    tree_size: u64,
    root: Option<String>,
    leaf_hash: Option<String>,
    proof: Option<Vec<String>>,
    want_err: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Consistency {
    size1: u64,
    size2: u64,
    root1: Option<String>,
    root2: Option<String>,
    proof: Option<Vec<String>>,
    want_err: bool,
}

#[test]
fn proofs_of_others_are_judged_as_they_say() {
    let Some(folder) = vectors("merkle") else { return };
    // Some roots there are other bytes: what matters of them is only whether they are the same.
    let root_of = |text: Option<String>| text.map(|text| text.parse().unwrap_or_else(|_| leaf_hash(text.as_bytes())));
    let hash = |text: Option<String>| text.and_then(|text| text.parse::<Hash>().ok());
    let (mut good, mut bad) = (0, 0);
    for file in files(&folder.join("inclusion")) {
        let case: Inclusion = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let shown =
            hash(case.root).zip(hash(case.leaf_hash)).zip(hashes(case.proof)).is_some_and(|((root, leaf), proof)| {
                verify_inclusion(leaf, case.leaf_idx, case.tree_size, &proof, root).is_ok()
            });
        assert_eq!(shown, !case.want_err, "{}", file.display());
        *if shown { &mut good } else { &mut bad } += 1;
    }
    for file in files(&folder.join("consistency")) {
        let case: Consistency = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let shown = root_of(case.root1).zip(root_of(case.root2)).zip(hashes(case.proof)).is_some_and(
            |((first, second), proof)| verify_consistency((case.size1, first), (case.size2, second), &proof).is_ok(),
        );
        assert_eq!(shown, !case.want_err, "{}", file.display());
        *if shown { &mut good } else { &mut bad } += 1;
    }
    println!("{good} good and {bad} bad proofs");
    assert!(good > 5 && bad > 100, "{good} good, {bad} bad");
}

/// The tiles of a log in a folder.
struct Folder(PathBuf);

impl Tiles for Folder {
    type Error = std::io::Error;

    fn tile(&self, tile: Tile) -> Result<Option<Vec<Hash>>, std::io::Error> {
        match fs::read(self.0.join(tile.to_string())) {
            Ok(bytes) => Ok(tile.hashes(&bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[test]
fn a_log_that_others_keep_is_verified_from_its_entries_to_its_checkpoints() {
    let Some(folder) = vectors("tessera-log") else { return };
    let key = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx";
    let policy: TrustPolicy = format!("log {key}\nquorum none\n").parse().unwrap();
    let checkpoint = |name: &str| -> Note { fs::read_to_string(folder.join(name)).unwrap().parse().unwrap() };
    let newest = checkpoint("checkpoint");
    let last = policy.judge(&newest).unwrap().checkpoint;
    let bundle = Bundle::in_tree(0, last.size).unwrap();
    let bytes = fs::read(folder.join(bundle.to_string())).unwrap();
    let all = entries(bundle, &bytes).unwrap();
    let mut tree = Growth::default();
    all.iter().for_each(|entry| tree.push(leaf_hash(entry), |_, _| {}));
    assert_eq!(tree.root(), last.root);

    let tiles = Folder(folder.clone());
    assert_eq!(root(&tiles, last.size).unwrap(), last.root);
    let mut seen = 0;
    for number in 0..16 {
        let note = checkpoint(&format!("checkpoint.{number}"));
        let older = policy.judge(&note).unwrap().checkpoint;
        seen += 1;
        if older.size == 0 {
            assert_eq!(older.root, Hash::of_empty_tree());
            continue;
        }
        let proof = consistency(&tiles, older.size, last.size).unwrap();
        verify_consistency((older.size, older.root), (last.size, last.root), &proof).unwrap();
    }
    assert_eq!(seen, 16);
    for (index, entry) in (0..).zip(&all) {
        let proof = inclusion(&tiles, index, last.size).unwrap();
        let receipt = Receipt { extra: None, index, proof, checkpoint: newest.clone() };
        receipt.verify(entry, &policy).unwrap();
    }
}

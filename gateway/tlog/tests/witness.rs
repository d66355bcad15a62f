use super::*;

struct Asked {
    key: SigningKey,
    log: Log,
}

impl Asked {
    fn request(&self, old: u64, new: u64) -> AddCheckpoint {
        let root = root(&self.log.tiles, new).unwrap();
        let checkpoint = Checkpoint { origin: name("a.example/log"), size: new, root };
        let proof = if old == 0 || old >= new { Vec::new() } else { consistency(&self.log.tiles, old, new).unwrap() };
        AddCheckpoint { old, proof, checkpoint: self.key.sign(&checkpoint.to_string()) }
    }

    fn head(&self, size: u64) -> Option<Head> {
        (size > 0).then(|| Head { size, root: root(&self.log.tiles, size).unwrap() })
    }
}

fn asked() -> Asked {
    Asked { key: SigningKey::generate(name("a.example/log")).unwrap(), log: Log::of(1_000) }
}

#[test]
fn a_witness_signs_what_goes_on_from_what_it_has_seen_and_nothing_else() {
    let asked = asked();
    let judged = |request: &AddCheckpoint, seen: u64| {
        let request: AddCheckpoint = request.to_string().parse().unwrap();
        judge(&request, [asked.key.verifier()].into_iter(), |_| asked.head(seen)).map(|checkpoint| checkpoint.size)
    };
    for (old, new, seen, expected) in [
        (0, 1, 0, Ok(1)),
        (0, 1_000, 0, Ok(1_000)),
        (1, 1_000, 1, Ok(1_000)),
        (512, 700, 512, Ok(700)),
        (700, 700, 700, Ok(700)),
        (0, 700, 512, Err(NotWitnessed::Conflict(512))),
        (700, 800, 512, Err(NotWitnessed::Conflict(512))),
        (300, 800, 512, Err(NotWitnessed::Conflict(512))),
        (900, 800, 900, Err(NotWitnessed::Malformed)),
    ] {
        assert_eq!(judged(&asked.request(old, new), seen), expected, "from {old} to {new}, seen {seen}");
    }
    let mut short = asked.request(300, 800);
    short.proof.pop();
    assert_eq!(judged(&short, 300), Err(NotWitnessed::Inconsistent));
    let needless = AddCheckpoint { proof: vec![Hash::of_empty_tree()], ..asked.request(0, 800) };
    assert_eq!(judged(&needless, 0), Err(NotWitnessed::Inconsistent));
}

#[test]
fn a_log_that_shows_two_trees_is_found_out() {
    let asked = asked();
    let other = Head { size: 700, root: leaf_hash(b"another tree") };
    let judged = |request| judge(&request, [asked.key.verifier()].into_iter(), |_| Some(other));
    assert_eq!(judged(asked.request(700, 700)), Err(NotWitnessed::Fork(700)));
    assert_eq!(judged(asked.request(700, 800)), Err(NotWitnessed::Inconsistent));
}

#[test]
fn a_witness_knows_its_logs() {
    let (asked, stranger) = (asked(), SigningKey::generate(name("b.example/log")).unwrap());
    let impostor = SigningKey::generate(name("a.example/log")).unwrap();
    let request = asked.request(0, 10);
    for (key, expected) in [(&stranger, NotWitnessed::Unknown), (&impostor, NotWitnessed::Signature)] {
        assert_eq!(judge(&request, [key.verifier()].into_iter(), |_| None), Err(expected));
    }
    let statuses = [
        (NotWitnessed::Malformed, 400),
        (NotWitnessed::Signature, 403),
        (NotWitnessed::Unknown, 404),
        (NotWitnessed::Conflict(1), 409),
        (NotWitnessed::Fork(1), 409),
        (NotWitnessed::Inconsistent, 422),
    ];
    assert!(statuses.iter().all(|(why, status)| why.status() == *status));
}

#[test]
fn a_body_that_is_not_one_is_told_from_one() {
    let good = asked().request(300, 1_000).to_string();
    assert!(good.parse::<AddCheckpoint>().is_ok());
    let hash = Hash::of_empty_tree();
    for text in [
        String::new(),
        good.replacen("old 300", "old 0300", 1),
        good.replacen("old 300", "old  300", 1),
        good.replacen("old 300\n", "", 1),
        good.replacen("old 300", "old 300\nold 300", 1),
        good.replacen("old 300\n", &format!("old 300\n{}", format!("{hash}\n").repeat(65)), 1),
        good.replacen("\n\n", "\n", 1),
    ] {
        assert_eq!(text.parse::<AddCheckpoint>(), Err(InvalidRequest), "{text}");
    }
}

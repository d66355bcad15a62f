use super::*;

struct World {
    log: SigningKey,
    witnesses: Vec<SigningKey>,
    checkpoint: Note,
}

impl World {
    fn new() -> Self {
        let log = SigningKey::generate(name("a.example/log")).unwrap();
        let witness = |number| SigningKey::generate_witness(name(&format!("w{number}.example"))).unwrap();
        let tree = Log::of(300);
        let checkpoint = Checkpoint { origin: name("a.example/log"), size: 300, root: tree.tree.root() };
        let checkpoint = log.sign(&checkpoint.to_string());
        Self { log, witnesses: (0..4).map(witness).collect(), checkpoint }
    }

    /// A policy in which `L` and `W0` to `W3` stand for the keys.
    fn policy(&self, text: &str) -> Result<TrustPolicy, InvalidPolicy> {
        let text = text.replace("<L>", &self.log.verifier().to_string());
        let keys = (0..).zip(&self.witnesses);
        keys.fold(text, |text, (at, key)| text.replace(&format!("<W{at}>"), &key.verifier().to_string())).parse()
    }

    fn seen_by(&self, witnesses: &[usize]) -> Note {
        let mut note = self.checkpoint.clone();
        witnesses.iter().for_each(|at| note.add(self.witnesses[*at].cosign(&self.checkpoint, 1_679_315_147).unwrap()));
        note.to_string().parse().unwrap()
    }
}

const GROUPS: &str = "# an example\nlog <L>\n\nwitness a <W0>\n\twitness b <W1> https://w1.example/\nwitness c <W2>\n\
    group two 2 a b c\nwitness d <W3>\ngroup all all two d\nquorum all\n";

#[test]
fn as_many_witnesses_as_the_policy_says_must_have_seen_a_checkpoint() {
    let world = World::new();
    let policy = world.policy(GROUPS).unwrap();
    for (seen, is_enough) in [
        (&[][..], false),
        (&[0, 1], false),
        (&[3], false),
        (&[0, 3], false),
        (&[0, 1, 2], false),
        (&[0, 1, 3], true),
        (&[2, 1, 3], true),
        (&[0, 1, 2, 3], true),
        (&[0, 0, 3], false),
    ] {
        let judged = policy.judge(&world.seen_by(seen));
        assert_eq!(judged.is_ok(), is_enough, "{seen:?}");
        match judged {
            Ok(trusted) => {
                assert_eq!((trusted.checkpoint.size, trusted.by.len()), (300, seen.len() + 1));
                assert_eq!(trusted.by.iter().filter(|signed| signed.at == Some(1_679_315_147)).count(), seen.len());
            }
            Err(distrust) => assert_eq!(distrust, Distrust::Quorum),
        }
    }
    assert!(world.policy("log <L>\nquorum none").unwrap().judge(&world.checkpoint).is_ok());
    assert!(world.policy("log <L>\nwitness a <W0>\nquorum a").unwrap().judge(&world.seen_by(&[0])).is_ok());
    assert!(world.policy("log <L>\nwitness a <W0>\nquorum a").unwrap().judge(&world.seen_by(&[1])).is_err());
}

#[test]
fn what_a_witness_says_counts_only_for_what_it_has_seen() {
    let world = World::new();
    let policy = world.policy("log <L>\nwitness a <W0>\nquorum a").unwrap();
    let other = world.log.sign("a.example/log\n301\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n");
    let mut moved = world.checkpoint.clone();
    moved.add(world.witnesses[0].cosign(&other, 1).unwrap());
    assert_eq!(policy.judge(&moved).unwrap_err(), Distrust::Log(Untrusted::Forged(name("w0.example"))));
    // Its time is signed as well.
    let mut later = world.checkpoint.clone();
    let mut signature = world.witnesses[0].cosign(&world.checkpoint, 1).unwrap();
    signature.bytes[7] = 2;
    later.add(signature);
    assert_eq!(policy.judge(&later).unwrap_err(), Distrust::Log(Untrusted::Forged(name("w0.example"))));
    // A log's key cannot stand for a witness's.
    assert_eq!(world.log.cosign(&world.checkpoint, 1), Err(Unsignable::Kind));
}

#[test]
fn a_checkpoint_is_trusted_only_if_its_own_log_has_signed_it() {
    let world = World::new();
    let policy = world.policy(GROUPS).unwrap();
    let unsigned = world.witnesses[0].cosign(&world.checkpoint, 1).unwrap();
    let mut note = Note::unsigned(world.checkpoint.text());
    note.add(unsigned);
    assert_eq!(policy.judge(&note).unwrap_err(), Distrust::Log(Untrusted::Unknown));
    let other = SigningKey::generate(name("a.example/log")).unwrap().sign(world.checkpoint.text());
    assert_eq!(policy.judge(&other).unwrap_err(), Distrust::Log(Untrusted::Unknown));
    // A log of the policy does not speak for another.
    let foreign = world.log.sign("b.example/log\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n");
    assert_eq!(policy.judge(&foreign).unwrap_err(), Distrust::Log(Untrusted::Unknown));
    assert_eq!(policy.judge(&world.log.sign("a note\n")).unwrap_err(), Distrust::NoCheckpoint);
}

#[test]
fn a_receipt_shows_an_entry_and_nothing_else() {
    let (world, tree) = (World::new(), Log::of(300));
    let policy = world.policy("log <L>\nquorum none").unwrap();
    for extra in [None, Some(b"\x00beside".to_vec())] {
        let proof = inclusion(&tree.tiles, 299, 300).unwrap();
        let receipt = Receipt { extra, index: 299, proof, checkpoint: world.seen_by(&[0]) };
        let text = receipt.to_string();
        assert!(text.starts_with("c2sp.org/tlog-proof@v1\n"));
        let again: Receipt = text.parse().unwrap();
        assert_eq!(again, receipt);
        assert_eq!(again.verify(&entry(299), &policy).unwrap().checkpoint.size, 300);
        assert!(matches!(again.verify(&entry(298), &policy), Err(NotIncluded::Proof(Disproved::Root))));
        for other in [298, 300, u64::MAX] {
            assert!(Receipt { index: other, ..receipt.clone() }.verify(&entry(299), &policy).is_err());
        }
    }
    let receipt = Receipt {
        extra: None,
        index: 7,
        proof: inclusion(&tree.tiles, 7, 300).unwrap(),
        checkpoint: world.checkpoint.clone(),
    };
    let text = receipt.to_string();
    let shows = |text: &str| text.parse::<Receipt>().is_ok_and(|receipt| receipt.verify(&entry(7), &policy).is_ok());
    assert!(shows(&text));
    let cuts = text.char_indices().map(|(at, _)| text.split_at(at));
    assert!(cuts.into_iter().all(|(before, _)| !shows(before)));
    for text in ["", "c2sp.org/tlog-proof@v2\nindex 0\n\n", "c2sp.org/tlog-proof@v1\nindex 00\n\n"] {
        assert_eq!(text.parse::<Receipt>(), Err(InvalidReceipt));
    }
}

#[test]
fn a_policy_that_could_be_read_in_two_ways_is_refused_with_its_line() {
    let world = World::new();
    for (text, line) in [
        ("", 0),
        ("quorum none", 1),
        ("log <L>", 1),
        ("log <L>\nquorum a", 2),
        ("log <L>\nquorum none\nquorum none", 3),
        ("log <L>\nlog <L>\nquorum none", 2),
        ("log <W0>\nquorum none", 1),
        ("log <L>\nwitness a <L>\nquorum a", 2),
        ("log <L>\nwitness none <W0>\nquorum none", 2),
        ("log <L>\nwitness a <W0>\nwitness a <W1>\nquorum a", 3),
        ("log <L>\nwitness a <W0>\nwitness b <W0>\nquorum a", 3),
        ("log <L>\nwitness a <W0>\ngroup g 2 a\nquorum g", 3),
        ("log <L>\nwitness a <W0>\ngroup g 0 a\nquorum g", 3),
        ("log <L>\nwitness a <W0>\ngroup g 01 a\nquorum g", 3),
        ("log <L>\nwitness a <W0>\ngroup g all\nquorum g", 3),
        ("log <L>\nwitness a <W0>\ngroup g 2 a a\nquorum g", 3),
        ("log <L>\nwitness a <W0>\ngroup g any g\nquorum g", 3),
        ("log <L>\nwitness a <W0>\ngroup g any a\ngroup h any a\nquorum h", 4),
        ("log <L>\ngroup g any a\nwitness a <W0>\nquorum g", 2),
        ("log <L>\nquorum none\r", 2),
        ("log <L>\nquorum\u{a0}none", 2),
        ("log <L>\nLog <L>\nquorum none", 2),
    ] {
        let error = world.policy(text).unwrap_err();
        assert!(error.to_string().starts_with(&format!("line {line}: ")), "{text:?}: {error}");
    }
}

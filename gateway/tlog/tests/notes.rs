use proptest::prelude::*;

use super::*;

const TEXT: &str =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const VERIFIER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const SIGNER: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const LINE: &str =
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=";

fn peter() -> VerifierKey {
    VERIFIER.parse().unwrap()
}

#[test]
fn a_note_is_signed_and_verified_as_go_does_it() {
    let note: Note = format!("{TEXT}\n{LINE}\n").parse().unwrap();
    assert_eq!(note.text(), TEXT);
    let peter = peter();
    assert_eq!(note.verify([&peter].into_iter()).unwrap(), [Signed { key: &peter, at: None }]);
    let signer: SigningKey = SIGNER.parse().unwrap();
    assert_eq!(*signer.to_text(), SIGNER);
    assert_eq!(signer.verifier(), &peter);
    assert_eq!(signer.sign(TEXT).to_string(), format!("{TEXT}\n{LINE}\n"));
    assert!(!format!("{signer:?}").contains("AYEKFALVFGyN"));
}

#[test]
fn a_note_may_have_empty_lines_and_signatures_of_strangers() {
    let key = SigningKey::generate(name("a.example/log")).unwrap();
    let text = "one\n\n\u{2014} PeterNeumann AAAAAAAA\n\nthree\n";
    let mut note = key.sign(text);
    for stranger in 0..40 {
        note.add(SigningKey::generate(name(&format!("s{stranger}"))).unwrap().signature(text));
    }
    let note: Note = note.to_string().parse().unwrap();
    assert_eq!(note.text(), text);
    assert_eq!(note.verify([key.verifier(), &peter()].into_iter()).unwrap().len(), 1);
    assert_eq!(note.verify([&peter()].into_iter()), Err(Untrusted::Unknown));
}

#[test]
fn one_forged_signature_of_a_known_key_spoils_a_note() {
    let key = SigningKey::generate(name("a.example/log")).unwrap();
    let mut note = key.sign("text\n");
    let mut forged = key.signature("another text\n");
    note.signatures.push(forged.clone());
    assert_eq!(note.verify([key.verifier()].into_iter()), Err(Untrusted::Forged(name("a.example/log"))));
    // Another key of the same name is another key: passed over, not forged.
    forged.id = [0; 4];
    let mut note = key.sign("text\n");
    note.add(forged);
    assert_eq!(note.verify([key.verifier()].into_iter()).unwrap().len(), 1);
}

#[test]
fn what_is_not_a_note_is_told_from_one() {
    use InvalidNote::*;
    let large = format!("{}\n\n{LINE}\n", "x".repeat(1 << 20));
    let many = format!("x\n\n{}", format!("{LINE}\n").repeat(257));
    for (text, why) in [
        ("", Text),
        ("\n", Text),
        ("text\n", Text),
        ("text\n\n", Text),
        (&format!("\n{LINE}\n"), Text),
        (&format!("\n\n{LINE}\n"), Text),
        (&format!("text\n{LINE}\n"), Text),
        (&format!("text\n\n{LINE}"), Text),
        (&format!("text\n\n{LINE}\nmore\n"), Signature),
        (&format!("text\n\n{LINE} \n"), Signature),
        (&format!("text\n\n-{LINE}\n"), Signature),
        ("text\n\n— name\n", Signature),
        ("text\n\n— name AAAAAA==\n", Signature),
        ("text\n\n— name AAAAAAA\n", Signature),
        ("text\n\n— na+me AAAAAAAA\n", Signature),
        (&format!("te\rxt\n\n{LINE}\n"), Control),
        (&format!("te\0xt\n\n{LINE}\n"), Control),
        (&large, Large),
        (&many, Large),
    ] {
        assert_eq!(text.parse::<Note>(), Err(why), "{:?}", text.chars().take(40).collect::<String>());
    }
}

#[test]
fn a_key_with_a_part_that_was_changed_is_refused_and_not_repeated() {
    for (text, why) in [
        ("", InvalidKey::Form),
        ("PeterNeumann", InvalidKey::Form),
        ("PeterNeumann+c74f20a3", InvalidKey::Form),
        ("+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", InvalidKey::Form),
        ("PeterNeuman+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", InvalidKey::Id),
        ("PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", InvalidKey::Id),
        ("PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", InvalidKey::Form),
        ("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TX", InvalidKey::Id),
        ("PeterNeumann+c74f20a3+AhpcNQcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", InvalidKey::Kind),
        ("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10", InvalidKey::Form),
        (SIGNER, InvalidKey::Form),
    ] {
        assert_eq!(text.parse::<VerifierKey>(), Err(why), "{text}");
    }
    let error = SIGNER.replace("AYEK", "AYEL").parse::<SigningKey>().unwrap_err();
    assert_eq!(error, InvalidKey::Id);
    assert!(!error.to_string().contains("AYE"));
    assert!(VERIFIER.parse::<SigningKey>().is_err());
}

#[test]
fn a_checkpoint_is_three_lines_and_what_may_follow() {
    let root = Hash::of_empty_tree();
    let expected = Checkpoint { origin: name("a.example/log"), size: 7, root };
    assert_eq!(expected.to_string(), format!("a.example/log\n7\n{root}\n"));
    for (text, is_one) in [
        (format!("a.example/log\n7\n{root}\n"), true),
        (format!("a.example/log\n7\n{root}\nextension\nanother\n"), true),
        (format!("a.example/log\n7\n{root}\nextension\n\nanother\n"), false),
        (format!("a.example/log\n7\n{root}"), false),
        (format!("a.example/log\n07\n{root}\n"), false),
        (format!("a.example/log\n+7\n{root}\n"), false),
        (format!("a.example/log\n7 \n{root}\n"), false),
        (format!("a.example/log\n18446744073709551616\n{root}\n"), false),
        (format!("a log\n7\n{root}\n"), false),
        (format!("\n7\n{root}\n"), false),
        ("a.example/log\n7\n\n".to_owned(), false),
        ("a.example/log\n7\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuF==\n".to_owned(), false),
        ("a.example/log\n7\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=\n".to_owned(), false),
    ] {
        assert_eq!(text.parse::<Checkpoint>().is_ok_and(|found| found == expected), is_one, "{text:?}");
    }
}

proptest! {
    #[test]
    fn what_parses_prints_back_the_same(text in "[a-z\n— +=]{0,40}\n\n(— [a-z]{1,3} [A-Za-z0-9+/]{8}\n){0,3}") {
        if let Ok(note) = text.parse::<Note>() {
            prop_assert_eq!(note.to_string(), text);
        }
    }

    #[test]
    fn no_text_makes_the_parsers_fall(text in "\\PC{0,200}", lines in "[a-z0-9 +/=—\n@.]{0,200}") {
        for text in [&text, &lines] {
            drop((text.parse::<Note>(), text.parse::<Receipt>(), text.parse::<AddCheckpoint>()));
            drop((text.parse::<TrustPolicy>(), text.parse::<VerifierKey>(), text.parse::<Checkpoint>()));
            drop((text.parse::<Tile>(), text.parse::<Bundle>(), text.parse::<SigningKey>()));
        }
    }
}

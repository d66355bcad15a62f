//! What is wrong with the settings of classes is said with its place, before anything starts.

use super::{CLASSES, in_two_classes, of_globex};
use crate::harness::run;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_class_is_said_with_its_place_and_what_to_do() {
    let gateway = in_two_classes().start().await;
    let folder = gateway.folder.path();
    let (config, policies) = (folder.join("cloister.yaml"), folder.join("policies").display().to_string());
    let good = std::fs::read_to_string(&config).unwrap();
    let check = || {
        let (code, out, err) =
            run(&["check", "--config", &config.display().to_string(), "--policies", &policies], folder);
        (code, out + &err)
    };
    assert_eq!(check().0, 0);
    let many: Vec<_> = (0..9).map(|number| format!("c{number}: {{ keep: 5d }}")).collect();
    let many = many.join(", ");
    for (classes, findings) in [
        ("r6y: {}", &["key `keep` is missing"][..]),
        ("r6y: { keep: 1h }", &["records are kept for a day at least", "400d"]),
        ("r6y: { keep: for ever }", &["a time is a number and a unit"]),
        ("r6y: { keep: 5d, dsk: 1GiB }", &["unknown key `dsk`", "did you mean `disk`?"]),
        ("r6y: { keep: 5d, disk: much }", &["a size is a number and a unit"]),
        ("r6y: { keep: 5d }, R7: { keep: 5d }", &["a retention class is called by a lower-case letter"]),
        ("r6y: { keep: 5d }, default: { keep: 5d }", &["the default class is there without a word", "`retention`"]),
        (
            "r6y: { keep: 5d, plans: [gold] }, r7: { keep: 5d, plans: [gold] }",
            &["this plan is in another class already"],
        ),
        ("r6y: { keep: 5d }, r6y: { keep: 6d }", &["key `r6y` stands here twice"]),
        (&many, &["there are at most 8 classes"]),
    ] {
        let other = good.replace(CLASSES, &format!("retention: {{ classes: {{ {classes} }} }}"));
        std::fs::write(&config, &other).unwrap();
        let (code, said) = check();
        assert_eq!(code, 2, "{classes}: {said}");
        for finding in findings {
            assert!(said.contains("cloister.yaml:") && said.contains(finding), "{classes}, {finding}: {said}");
        }
    }
    std::fs::write(&config, &good).unwrap();
    // A tenant in a class that is not there is a mistake of the policies, and no reason to forget what is in force.
    gateway.reload(&of_globex("retention: r6z"));
    gateway.eventually("it was refused", || gateway.said().contains("retention class `r6z` is not configured"));
    let (code, said) = check();
    assert!(code == 2 && said.contains("policy.yaml:4:") && said.contains("did you mean `r6y`"), "{said}");
}

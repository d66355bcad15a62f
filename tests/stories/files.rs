//! What we ship as an example works as it is shipped.

use std::path::Path;

use crate::harness::{golden, run};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn the_example_configuration_and_policies_fit_together() {
    let (code, out, err) = run(&["check"], Path::new(ROOT));
    assert_eq!(code, 0, "{out}{err}");
    let (code, out, err) = run(&["test"], Path::new(ROOT));
    assert_eq!(code, 0, "{out}{err}");
}

#[test]
fn the_schemas_that_are_checked_in_are_those_of_the_program() {
    for (schema, file) in [
        ("config", "cloister.schema.json"),
        ("policy", "policy.schema.json"),
        ("record", "record.schema.json"),
        ("report", "report.schema.json"),
    ] {
        let (code, out, err) = run(&["schema", schema], Path::new(ROOT));
        assert_eq!(code, 0, "{err}");
        golden(&format!("../../config/{file}"), &out);
    }
}

#[test]
fn the_answers_table_is_what_reviewers_have_seen() {
    let mut table = String::from(
        "reason                                     status  code                  challenge  grpc  title\n",
    );
    for reason in terms::Reason::ALL {
        let gate::Answer { status, code, title, challenge, grpc } = gate::Answer::to(*reason);
        let challenge = format!("{challenge:?}").to_lowercase();
        table +=
            &format!("{:<42} {:<7} {code:<21} {challenge:<10} {grpc:<5} {title}\n", reason.as_str(), status.as_u16());
    }
    golden("answers.txt", &table);
}

#[test]
fn the_tour_through_the_demo_ends_well() {
    let arguments = ["demo", "--tour", "--bind", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let (code, out, err) = run(&arguments, Path::new(ROOT));
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("steps were as they must be") && out.contains("the log is whole"), "{out}");
    assert!(!out.contains("FAIL"), "{out}");
}

#[test]
fn help_texts_name_every_command_and_the_exit_codes() {
    let (code, out, _) = run(&["--help"], Path::new(ROOT));
    assert_eq!(code, 0);
    for word in ["run", "demo", "check", "test", "explain", "schema", "audit", "probe", "completions", "Exit codes"] {
        assert!(out.contains(word), "{word}: {out}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, _) = run(&["completions", shell], Path::new(ROOT));
        assert!(code == 0 && out.contains("cloister"), "{shell}");
    }
}

#[test]
fn an_explanation_names_the_rules_in_the_order_in_which_they_were_asked() {
    let arguments = ["explain", "GET", "http://acme.localhost/api/orders", "--tenant", "acme", "--roles", "viewer"];
    let (code, out, err) = run(&arguments, Path::new(ROOT));
    assert_eq!(code, 0, "{err}");
    let order: Vec<_> = ["route", "tenan", "authorise"].iter().map(|word| out.find(word)).collect();
    assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{out}");
    let denied = [
        "explain",
        "GET",
        "http://globex.localhost/api/orders",
        "--tenant",
        "acme",
        "--roles",
        "viewer",
        "--format",
        "json",
    ];
    let (code, out, _) = run(&denied, Path::new(ROOT));
    assert_eq!(code, 1);
    let explanation: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(explanation["reason"], "tenant.mismatch");
}

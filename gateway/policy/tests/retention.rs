//! In which log records of a tenant are: the class that it names, else the one of its plan.

use tenancy::TenantRow;
use terms::RetentionClass;

use crate::{Compiled, Known, KnownNames, Source, compile};

/// The classes `r400d` and `r6y`; plans `gold` and `silver` are in the latter.
fn known() -> Known {
    let [short, long] = [0, 1].map(|place| RetentionClass::other(place).unwrap());
    let mut classes = KnownNames::default();
    classes.insert("r400d".parse().unwrap(), short);
    classes.insert("r6y".parse().unwrap(), long);
    let of_plan = |plan: &str| (plan.parse().unwrap(), long);
    Known { classes, classes_of_plans: [of_plan("gold"), of_plan("silver")].into(), ..Known::default() }
}

fn compiled(text: &str, known: &Known) -> Result<Compiled, String> {
    compile(&[Source { path: "p.yaml", text }], known).map_err(|findings| findings.to_string())
}

#[test]
fn a_tenant_is_in_the_class_that_it_names_else_in_that_of_its_plan_else_in_the_default_one() {
    let (known, class) = (known(), |place| RetentionClass::other(place).unwrap());
    for (entry, expected) in [
        ("", RetentionClass::DEFAULT),
        (", plan: bronze", RetentionClass::DEFAULT),
        (", plan: gold", class(1)),
        (", plan: gold, retention: r400d", class(0)),
        (", plan: gold, retention: default", RetentionClass::DEFAULT),
        (", retention: r6y", class(1)),
    ] {
        let text = format!("tenants: {{ acme: {{ status: active{entry} }} }}");
        let registry = compiled(&text, &known).unwrap().policy.tenants().clone();
        assert_eq!(registry.retention("acme"), expected, "{entry}");
        assert_eq!(registry.retention("nobody"), RetentionClass::DEFAULT);
    }
}

#[test]
fn a_row_of_a_table_says_it_as_a_file_does() {
    let (known, class) = (known(), |place| RetentionClass::other(place).unwrap());
    let policy = compiled("tenants: {}", &known).unwrap().policy;
    let text = |text: &str| Some(text.to_owned());
    for (plan, retention, expected) in [
        (None, None, RetentionClass::DEFAULT),
        (text("gold"), None, class(1)),
        (text("gold"), text("r400d"), class(0)),
        (None, text("r6y"), class(1)),
    ] {
        let row = TenantRow { id: "acme".into(), status: "active".into(), plan, retention, ..TenantRow::default() };
        let (registry, findings) = policy.with_rows(&[row], &known);
        assert!(!findings.reject(), "{findings}");
        assert_eq!(registry.retention("acme"), expected);
    }
    let row = TenantRow { id: "acme".into(), status: "active".into(), retention: text("r6yy"), ..TenantRow::default() };
    let (registry, findings) = policy.with_rows(&[row], &known);
    assert!(
        findings.to_string().contains("retention class `r6yy` is not configured (did you mean `r6y`?)"),
        "{findings}"
    );
    assert_eq!(
        registry.get("acme").unwrap().status,
        tenancy::Status::Unreadable,
        "it is not kept for another time in silence"
    );
}

#[test]
fn a_class_that_is_not_configured_is_a_mistake_with_its_place_and_a_guess() {
    let text =
        "tenants:\n  acme: { status: active, retention: r6z }\n  globex: { status: active, retention: forever }\n";
    let said = compiled(text, &known()).unwrap_err();
    insta::assert_snapshot!(said, @r"
    p.yaml:2:38 retention class `r6z` is not configured (did you mean `r6y`?)
    p.yaml:3:40 retention class `forever` is not configured (the classes stand in cloister.yaml: `audit.retention.classes`)
    ");
    // Where the settings could not be read, nothing more is said of their names.
    let unread = Known { classes: KnownNames::unread(), ..Known::default() };
    assert!(!compiled(text, &unread).is_err_and(|said| said.contains("is not configured")));
}

use proptest::prelude::*;

use super::*;
use crate::Tenant;

/// acme and globex are active, initech is suspended; `ada` is an editor of acme in the directory.
fn world() -> (Registry, Members) {
    let tenant = |name: &str, status| Tenant::new(name.parse().unwrap(), status);
    let registry =
        [tenant("acme", Status::Active), tenant("globex", Status::Active), tenant("initech", Status::Suspended)];
    let members = [("acme", "ada"), ("initech", "ada")]
        .map(|(tenant, who)| (tenant.parse().unwrap(), who.parse().unwrap(), roles(&["editor"])));
    (registry.into_iter().collect(), members.into_iter().collect())
}

fn roles(names: &[&str]) -> Arc<[RoleName]> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// The tenant and the roles; or the reason and the tenant of the record.
type Got = Result<(String, Vec<String>), (Reason, Option<String>)>;

fn ask(members: MembershipSource, subject: &str, token: Option<&str>, named: &[(Source, Option<&str>)]) -> Got {
    let (registry, directory) = world();
    let identity = Identity {
        issuer: &"main".parse().unwrap(),
        subject: &subject.parse().unwrap(),
        tenant: token,
        roles: &roles(&["viewer"]),
        members,
        naming: crate::Naming::Foreign,
        confined_to: None,
        speaks_for: None,
        realm: None,
    };
    let named: Vec<_> = named.iter().map(|&(source, tenant)| Named { source, tenant }).collect();
    enter(&identity, &named, &registry, &directory)
        .map(|m| (m.tenant().to_string(), m.roles().iter().map(ToString::to_string).collect()))
        .map_err(|o| (o.reason(), o.tenant().map(ToString::to_string)))
}

#[test]
fn of_several_tenants_the_one_that_is_asked_for_counts_if_it_is_listed() {
    let (registry, _) = world();
    let choose = |listed: &[&str], asked| {
        choose(listed.iter().copied(), asked, &registry)
            .map_err(|outsider| (outsider.reason(), outsider.tenant().map(ToString::to_string).unwrap_or_default()))
    };
    let not_member = |tenant: &str| Err((Reason::TenantNotMember, tenant.to_owned()));
    let unknown = Err((Reason::TenantUnknown, String::new()));
    assert_eq!(choose(&["acme", "globex"], Some("globex")), Ok(1));
    assert_eq!(choose(&["acme", "globex"], Some("initech")), not_member("initech"));
    assert_eq!(choose(&["acme", "globex"], Some("nobody")), not_member(""));
    assert_eq!(choose(&["acme", "globex"], Some("ACME")), not_member(""));
    assert_eq!(choose(&["acme", "globex"], None), unknown);
    assert_eq!(choose(&["acme"], None), Ok(0));
    assert_eq!(choose(&["acme"], Some("globex")), not_member("globex"));
    assert_eq!(choose(&[], None), unknown);
    assert_eq!(choose(&[], Some("acme")), not_member("acme"));
}

#[test]
fn with_both_whom_one_of_them_knows_is_a_member_with_the_roles_of_both() {
    use MembershipSource::Union;
    let acme = |roles: &[&str]| Ok(("acme".to_owned(), roles.iter().map(ToString::to_string).collect::<Vec<_>>()));
    let host = [(Source::Host, Some("acme"))];
    assert_eq!(ask(Union, "ada", Some("acme"), &host), acme(&["viewer", "editor"]));
    assert_eq!(ask(Union, "ada", None, &host), acme(&["editor"]), "the directory alone");
    assert_eq!(ask(Union, "bob", Some("acme"), &host), acme(&["viewer"]), "the token alone");
    assert_eq!(ask(Union, "bob", None, &host), Err((Reason::TenantNotMember, Some("acme".into()))));
    let elsewhere = ask(Union, "ada", Some("globex"), &host);
    assert_eq!(elsewhere, Err((Reason::TenantMismatch, Some("globex".into()))), "it must agree where it names one");
}

#[test]
fn a_caller_gets_in_only_where_every_source_agrees() {
    use MembershipSource::{Claims, Directory};
    use Reason::{TenantMismatch, TenantNotMember, TenantSuspended, TenantUnknown};
    use Source::{Header, Host, Path, Token};
    let acme = || Some("acme".to_owned());
    let viewer = Ok(("acme".to_owned(), vec!["viewer".to_owned()]));
    let editor = Ok(("acme".to_owned(), vec!["editor".to_owned()]));
    type Row<'a> = (MembershipSource, &'a str, Option<&'a str>, &'a [(Source, Option<&'a str>)], Got);
    let rows: &[Row<'_>] = &[
        (Claims, "ada", Some("acme"), &[(Token, Some("acme")), (Host, Some("acme"))], viewer.clone()),
        (Claims, "ada", Some("acme"), &[], viewer.clone()),
        (Claims, "ada", Some("acme"), &[(Host, Some("globex"))], Err((TenantMismatch, acme()))),
        (Claims, "ada", Some("acme"), &[(Host, Some("acme")), (Path, Some("globex"))], Err((TenantMismatch, acme()))),
        (Claims, "ada", Some("acme"), &[(Host, Some("ACME"))], Err((TenantMismatch, acme()))),
        (Claims, "ada", Some("acme"), &[(Header, None)], Err((TenantMismatch, acme()))),
        (Claims, "ada", Some("nobody"), &[(Host, Some("acme"))], Err((TenantMismatch, None))),
        (Claims, "ada", None, &[(Host, Some("acme"))], Err((TenantMismatch, None))),
        (Claims, "ada", None, &[(Token, None)], Err((TenantUnknown, None))),
        (Claims, "ada", Some("nobody"), &[(Host, Some("nobody"))], Err((TenantUnknown, None))),
        (Claims, "ada", Some(""), &[], Err((TenantUnknown, None))),
        (Claims, "ada", Some("initech"), &[], Err((TenantSuspended, Some("initech".to_owned())))),
        (Directory, "ada", None, &[(Host, Some("acme"))], editor.clone()),
        (Directory, "ada", Some("acme"), &[(Host, Some("acme"))], editor),
        (Directory, "ada", Some("globex"), &[(Host, Some("acme"))], Err((TenantMismatch, Some("globex".to_owned())))),
        (Directory, "ada", None, &[(Host, Some("globex"))], Err((TenantNotMember, Some("globex".to_owned())))),
        (Directory, "bob", None, &[(Host, Some("acme"))], Err((TenantNotMember, acme()))),
        (Directory, "ada", None, &[(Host, Some("initech"))], Err((TenantSuspended, Some("initech".to_owned())))),
        (Directory, "ada", None, &[], Err((TenantUnknown, None))),
    ];
    for (members, subject, token, named, expected) in rows {
        let got = ask(*members, subject, *token, named);
        assert_eq!(&got, expected, "{members:?} {subject} {token:?} {named:?}");
    }
}

#[test]
fn two_registrations_of_one_tenant_never_lift_a_suspension() {
    let tenant = |status| Tenant::new("acme".parse().unwrap(), status);
    for order in [[Status::Active, Status::Suspended], [Status::Suspended, Status::Active]] {
        let registry: Registry = order.map(tenant).into_iter().collect();
        assert_eq!(registry.get("acme").unwrap().status, Status::Suspended);
    }
}

proptest! {
    /// Whatever is named where: who gets in, gets into the one tenant that everything named.
    #[test]
    fn nobody_enters_a_tenant_that_some_source_does_not_name(
        token in proptest::option::of("acme|globex|initech|x"),
        named in prop::collection::vec((0..4usize, proptest::option::of("acme|globex|initech|x")), 0..4),
        directory: bool,
    ) {
        let sources = [Source::Token, Source::Host, Source::Path, Source::Header];
        let members = if directory { MembershipSource::Directory } else { MembershipSource::Claims };
        let named: Vec<_> = named.iter().map(|(which, name)| (sources[*which], name.as_deref())).collect();
        if let Ok((tenant, _)) = ask(members, "ada", token.as_deref(), &named) {
            prop_assert!(named.iter().all(|(_, name)| *name == Some(tenant.as_str())));
            prop_assert!(token.as_deref().is_none_or(|name| name == tenant));
            prop_assert!(token.is_some() || directory);
            prop_assert_ne!(tenant, "initech");
        }
    }
}

#[test]
fn a_certificate_keeps_its_holder_to_the_tenants_of_its_authority() {
    let (registry, directory) = world();
    let only = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<HashSet<TenantId>>();
    for (token, tenants, expected) in [
        ("acme", &["acme"][..], Ok("acme")),
        ("acme", &["globex", "acme"], Ok("acme")),
        ("acme", &["globex"], Err(Reason::TenantMismatch)),
        ("globex", &["acme"], Err(Reason::TenantMismatch)),
        ("acme", &[], Err(Reason::TenantMismatch)),
        ("nobody", &["acme"], Err(Reason::TenantMismatch)),
    ] {
        let identity = Identity {
            issuer: &"main".parse().unwrap(),
            subject: &"ada".parse().unwrap(),
            tenant: Some(token),
            roles: &roles(&["viewer"]),
            members: MembershipSource::Claims,
            naming: crate::Naming::Foreign,
            confined_to: Some(&only(tenants)),
            speaks_for: None,
            realm: None,
        };
        let entered = enter(&identity, &[], &registry, &directory);
        let entered = entered.as_ref().map(|membership| membership.tenant().as_str()).map_err(Outsider::reason);
        assert_eq!(entered, expected, "{token} {tenants:?}");
        assert_eq!(confine(&[Some(token), None], &only(tenants)).map_err(|it| it.reason()), expected.map(|_| ()));
    }
    assert_eq!(confine(&[None, None], &only(&[])), Ok(()));
}

#[test]
fn the_issuer_of_one_tenant_speaks_for_no_other() {
    let (registry, directory) = world();
    let all = ["acme", "globex"].map(|name| name.parse().unwrap()).into_iter().collect::<HashSet<TenantId>>();
    for (realm, tenant, members, expected) in [
        ("acme", "acme", MembershipSource::Claims, Ok(())),
        ("acme", "globex", MembershipSource::Claims, Err(Reason::TenantIssuer)),
        ("acme", "globex", MembershipSource::Directory, Err(Reason::TenantIssuer)),
        ("nobody", "acme", MembershipSource::Claims, Err(Reason::TenantIssuer)),
    ] {
        let identity = Identity {
            issuer: &"main".parse().unwrap(),
            subject: &"ada".parse().unwrap(),
            tenant: Some(tenant),
            roles: &roles(&[]),
            members,
            naming: crate::Naming::Foreign,
            confined_to: None,
            speaks_for: Some(&all),
            realm: Some(&realm.parse().unwrap()),
        };
        let named = [Named { source: Source::Host, tenant: Some(tenant) }];
        let entered = enter(&identity, &named, &registry, &directory);
        assert_eq!(entered.map(drop).map_err(|it| it.reason()), expected, "{realm} {tenant}");
    }
}

/// An issuer vouches for its own customers, however well it signs, and a tenant says whom it trusts.
#[test]
fn an_issuer_speaks_only_for_the_tenants_that_it_may_and_that_let_it() {
    let only = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<HashSet<TenantId>>();
    let lets = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<Box<[IssuerId]>>();
    let refused = Err((Reason::TenantIssuer, Some("acme".to_owned())));
    for (source, speaks_for, issuers, expected) in [
        (MembershipSource::Claims, None, None, Ok(())),
        (MembershipSource::Claims, Some(only(&["acme"])), Some(lets(&["other", "main"])), Ok(())),
        (MembershipSource::Claims, Some(only(&["globex"])), None, refused.clone()),
        (MembershipSource::Claims, Some(only(&[])), None, refused.clone()),
        (MembershipSource::Claims, None, Some(lets(&["other"])), refused.clone()),
        (MembershipSource::Claims, Some(only(&["acme"])), Some(lets(&["other"])), refused.clone()),
        (MembershipSource::Directory, Some(only(&["globex"])), None, refused.clone()),
        (MembershipSource::Directory, None, Some(lets(&[])), refused.clone()),
    ] {
        let (_, directory) = world();
        let acme = Tenant { issuers, ..world().0.get("acme").unwrap().clone() };
        let identity = Identity {
            issuer: &"main".parse().unwrap(),
            subject: &"ada".parse().unwrap(),
            tenant: Some("acme"),
            roles: &roles(&[]),
            members: source,
            naming: crate::Naming::Foreign,
            confined_to: None,
            speaks_for: speaks_for.as_ref(),
            realm: None,
        };
        let entered = enter(&identity, &[], &[acme].into_iter().collect(), &directory);
        let told = entered.map(drop).map_err(|it| (it.reason(), it.tenant().map(ToString::to_string)));
        assert_eq!(told, expected, "{source:?} {speaks_for:?}");
    }
}

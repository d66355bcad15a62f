use std::net::Ipv6Addr;
use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;
use terms::{Reason, RequestId, RoleName};

use super::*;
use crate::{Decision, Digest, Echo, End, LogKey, Protocol, Row, WithoutStore};

#[test]
fn the_longest_record_fits_a_slot() {
    let name = "x".repeat(64);
    let folder = tempfile::tempdir().unwrap();
    let key = LogKey::read_or_make(folder.path()).unwrap();
    let tenant = "t".repeat(63).parse().unwrap();
    let (issuer, route, upstream) = (name.parse().unwrap(), name.parse().unwrap(), name.parse().unwrap());
    let limit = name.parse().unwrap();
    let roles: Vec<RoleName> = vec![name.parse().unwrap(); 6];
    let longest = Reason::ALL.iter().max_by_key(|reason| reason.as_str().len()).unwrap();
    let wide = "\u{7f}\"\u{1F600}".repeat(300);
    let entry = Entry {
        tenant: Some(&tenant),
        subject: Some(key.pseudonym(&issuer, &"s".repeat(255).parse().unwrap())),
        issuer: Some(&issuer),
        roles: Some(&roles),
        key: Some("ABCDEFabcdef"),
        personal: Some(Personal { key: "AAAAAAAA", sealed: &[0xff; PERSONAL_MAX] }),
        client: Some(Ipv6Addr::from(u128::MAX).into()),
        method: Some(&wide),
        host: Some(&wide),
        protocol: Some(Protocol::Http11),
        route: Some(&route),
        limit: Some(&limit),
        limit_store: Some(WithoutStore::LocalShare),
        rule: Some(&wide),
        policy: Some(Digest::from([0xff; 32])),
        upstream: Some(&upstream),
        deciding: Some(Duration::MAX),
        trace: Some(u128::MAX),
        shadow: Some(Shadow { would: Some(*longest) }),
        ..Entry::new(RequestId::from(u128::MAX), UNIX_EPOCH, Decision::Allow, *longest)
    };
    let outcome = Outcome {
        status: Some(u16::MAX),
        reason: Some(*longest),
        attempts: u8::MAX,
        bytes_in: u64::MAX,
        bytes_out: u64::MAX,
        took: Duration::MAX,
        end: End::UpstreamFailed,
        echo: Some(Echo::Unreadable),
    };
    let mut line = Line::new();
    let cut = prefix(&mut line, &name, Stage::Decided, &entry);
    assert!(line.len() <= PREFIX_MAX, "{}", line.len());
    line.truncate(cut);
    suffix(&mut line, &outcome);
    assert!(line.len() - cut <= SUFFIX_MAX, "{}", line.len() - cut);
    assert!(line.as_bytes().is_ascii());
}

/// Who reads a record must not take some of the roles for all of them.
#[test]
fn roles_are_on_record_whole_or_not_at_all() {
    let said = |roles: &[String], host: &str| {
        let roles: Vec<RoleName> = roles.iter().map(|role| role.parse().unwrap()).collect();
        let entry = Entry {
            roles: Some(&roles),
            host: Some(host),
            rule: Some(host),
            ..Entry::new(RequestId::from(1), UNIX_EPOCH, Decision::Deny, Reason::PolicyDenied)
        };
        let mut line = Line::new();
        prefix(&mut line, "edge-1", Stage::Final, &entry);
        assert!(line.len() <= PREFIX_MAX);
        suffix(&mut line, &Outcome::default());
        Row::parse(line.as_bytes()).unwrap().roles
    };
    let name = |length: usize| "r".repeat(length);
    assert_eq!(said(&[], "h").as_deref(), Some(""));
    assert_eq!(said(&["clerk".into(), "billing:admin".into()], "h").as_deref(), Some("clerk billing:admin"));
    let most = [vec![name(64); 6], vec![name(9)]].concat();
    assert_eq!(said(&most, "h"), Some(most.join(" ")));
    assert_eq!(said(&[vec![name(64); 6], vec![name(10)]].concat(), "h"), None);
}

proptest! {
    #[test]
    fn whatever_a_client_sends_the_record_parses_and_says_it(
        method in any::<String>(),
        host in any::<String>(),
        rule in any::<String>(),
        client in any::<IpAddr>(),
        bits in any::<u128>(),
    ) {
        let entry = Entry {
            client: Some(client),
            method: Some(&method),
            host: Some(&host),
            rule: Some(&rule),
            ..Entry::new(RequestId::from(bits), UNIX_EPOCH, Decision::Deny, Reason::RequestUnparsed)
        };
        let mut line = Line::new();
        prefix(&mut line, "edge-1", Stage::Final, &entry);
        suffix(&mut line, &Outcome { end: End::Unparsed, ..Outcome::default() });
        let row = Row::parse(line.as_bytes()).unwrap();
        prop_assert_eq!(row.request_id(), Some(RequestId::from(bits)));
        prop_assert!(method.starts_with(row.method.as_deref().unwrap()));
        prop_assert!(host.starts_with(row.host.as_deref().unwrap()));
        prop_assert!(rule.starts_with(row.rule.as_deref().unwrap()));
        prop_assert!(!row.ip.unwrap().contains(&client.to_string()) || client.to_string().ends_with(".0")
            || client.to_string().ends_with("::"));
    }
}

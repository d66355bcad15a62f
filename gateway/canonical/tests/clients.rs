use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use terms::Network;

use crate::{Client, ForwardedField, Proxies, Scheme};

const FOR: &str = "x-forwarded-for";

fn proxies(field: ForwardedField) -> Proxies {
    let trusted = ["10.0.0.0/8", "fd00::/8", "127.0.0.1"].iter().map(|text| text.parse::<Network>().unwrap()).collect();
    Proxies { trusted, field }
}

fn fields(fields: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    map
}

fn via(client: &Client) -> String {
    client.via.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_client_is_the_first_from_the_right_who_is_not_believed() {
    let hundred = vec!["198.51.100.9"; 100].join(", ");
    let hundred_of_ours = vec!["10.0.0.9"; 100].join(",");
    for (peer, values, address, by) in [
        // Nobody is believed who is not listed.
        ("192.0.2.1", &["203.0.113.7"][..], "192.0.2.1", ""),
        ("::ffff:192.0.2.1", &["203.0.113.7"], "192.0.2.1", ""),
        ("192.0.2.1", &[], "192.0.2.1", ""),
        ("11.0.0.1", &["203.0.113.7"], "11.0.0.1", ""),
        // One proxy.
        ("10.0.0.1", &[], "10.0.0.1", ""),
        ("10.0.0.1", &["203.0.113.7"], "203.0.113.7", "10.0.0.1"),
        ("::ffff:10.0.0.1", &["203.0.113.7"], "203.0.113.7", "10.0.0.1"),
        ("fd00::1", &["2001:db8::7"], "2001:db8::7", "fd00::1"),
        ("10.0.0.1", &["::ffff:203.0.113.7"], "203.0.113.7", "10.0.0.1"),
        ("10.0.0.1", &["203.0.113.7:4711"], "203.0.113.7", "10.0.0.1"),
        ("10.0.0.1", &["[2001:db8::7]:4711"], "2001:db8::7", "10.0.0.1"),
        ("10.0.0.1", &["[2001:db8::7]"], "2001:db8::7", "10.0.0.1"),
        ("10.0.0.1", &["\t 203.0.113.7 \t"], "203.0.113.7", "10.0.0.1"),
        // What the client wrote itself stands to the left, and counts for nothing.
        ("10.0.0.1", &["127.0.0.1, 203.0.113.7"], "203.0.113.7", "10.0.0.1"),
        ("10.0.0.1", &["\"evil, 203.0.113.7"], "203.0.113.7", "10.0.0.1"),
        ("10.0.0.1", &["10.0.0.2", "203.0.113.7"], "203.0.113.7", "10.0.0.1"),
        ("10.0.0.1", &[&hundred, "203.0.113.7"], "203.0.113.7", "10.0.0.1"),
        ("10.0.0.1", &[&hundred], "198.51.100.9", "10.0.0.1"),
        // Several proxies, in one field and in several.
        ("10.0.0.1", &["203.0.113.7, 10.0.0.3, 10.0.0.2"], "203.0.113.7", "10.0.0.3 10.0.0.2 10.0.0.1"),
        ("10.0.0.1", &["203.0.113.7", "10.0.0.3,10.0.0.2"], "203.0.113.7", "10.0.0.3 10.0.0.2 10.0.0.1"),
        ("10.0.0.1", &["198.51.100.9, 203.0.113.7, 10.0.0.2"], "203.0.113.7", "10.0.0.2 10.0.0.1"),
        ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3", "10.0.0.2 10.0.0.1"),
        // What cannot be read ends the walk at the last who is believed.
        ("10.0.0.1", &["unknown"], "10.0.0.1", ""),
        ("10.0.0.1", &["203.0.113.7, unknown, 10.0.0.2"], "10.0.0.2", "10.0.0.1"),
        ("10.0.0.1", &["203.0.113.7, _hidden"], "10.0.0.1", ""),
        ("10.0.0.1", &["203.0.113.7,"], "10.0.0.1", ""),
        ("10.0.0.1", &["203.0.113.7, ,10.0.0.2"], "10.0.0.2", "10.0.0.1"),
        ("10.0.0.1", &[""], "10.0.0.1", ""),
        ("10.0.0.1", &["203.0.113.7", ""], "10.0.0.1", ""),
        ("10.0.0.1", &["203.0.113.007"], "10.0.0.1", ""),
        ("10.0.0.1", &["203.0.113"], "10.0.0.1", ""),
        ("10.0.0.1", &["3405803783"], "10.0.0.1", ""),
        ("10.0.0.1", &["203.0.113.7:"], "10.0.0.1", ""),
        ("10.0.0.1", &["203.0.113.7:65536"], "10.0.0.1", ""),
        ("10.0.0.1", &["203.0.113.7:+1"], "10.0.0.1", ""),
        ("10.0.0.1", &["[203.0.113.7]"], "10.0.0.1", ""),
        ("10.0.0.1", &["[2001:db8::7"], "10.0.0.1", ""),
        ("10.0.0.1", &["[2001:db8::7]4711"], "10.0.0.1", ""),
        ("10.0.0.1", &["fe80::1%eth0"], "10.0.0.1", ""),
        ("10.0.0.1", &["\"203.0.113.7\""], "10.0.0.1", ""),
        ("10.0.0.1", &["203.0.113.7 10.0.0.2"], "10.0.0.1", ""),
        ("10.0.0.1", &["caf\u{e9}"], "10.0.0.1", ""),
        ("10.0.0.1", &["for=203.0.113.7"], "10.0.0.1", ""),
    ] {
        let fields = fields(&values.iter().map(|value| (FOR, *value)).collect::<Vec<_>>());
        let client = Client::find(peer.parse().unwrap(), &fields, &proxies(ForwardedField::XForwardedFor));
        assert_eq!((client.address.to_string().as_str(), via(&client).as_str()), (address, by), "{peer} {values:?}");
    }
    let endless = fields(&[(FOR, &hundred_of_ours)]);
    let client = Client::find("10.0.0.1".parse().unwrap(), &endless, &proxies(ForwardedField::XForwardedFor));
    assert_eq!((client.address.to_string(), client.via.len()), ("10.0.0.9".into(), 32));
}

#[test]
fn forwarded_says_the_same_in_its_own_words() {
    let (http, https) = (Some(Scheme::Http), Some(Scheme::Https));
    for (values, address, by, scheme) in [
        (&["for=203.0.113.7"][..], "203.0.113.7", "10.0.0.1", None),
        (&["For=203.0.113.7;Proto=https"], "203.0.113.7", "10.0.0.1", https),
        (&["proto=http ; for=203.0.113.7;by=10.0.0.1;host=a.test"], "203.0.113.7", "10.0.0.1", http),
        (&["for=\"203.0.113.7:4711\""], "203.0.113.7", "10.0.0.1", None),
        (&["for=\"203.0.113.7:_port\""], "203.0.113.7", "10.0.0.1", None),
        (&["for=\"[2001:db8::7]\""], "2001:db8::7", "10.0.0.1", None),
        (&["for=\"[2001:db8::7]:4711\""], "2001:db8::7", "10.0.0.1", None),
        (&["for=\"[::ffff:203.0.113.7]\""], "203.0.113.7", "10.0.0.1", None),
        // The scheme is the one of the hop that names the client.
        (&["for=203.0.113.7;proto=https, for=10.0.0.2;proto=http"], "203.0.113.7", "10.0.0.2 10.0.0.1", https),
        (&["for=203.0.113.7;proto=https", "for=10.0.0.2"], "203.0.113.7", "10.0.0.2 10.0.0.1", https),
        // A client cannot hide what a proxy appends, whatever it opens.
        (&["for=\"evil, for=203.0.113.7"], "203.0.113.7", "10.0.0.1", None),
        (&["for=\"evil, for=\"[2001:db8::7]:1\""], "2001:db8::7", "10.0.0.1", None),
        (&["for=127.0.0.1;x=\"a,b\", for=203.0.113.7;x=\"a,b\""], "203.0.113.7", "10.0.0.1", None),
        // What cannot be read ends the walk.
        (&["for=unknown"], "10.0.0.1", "", None),
        (&["for=_hidden"], "10.0.0.1", "", None),
        (&["for=2001:db8::7"], "10.0.0.1", "", None),
        (&["for=203.0.113.7;for=198.51.100.9"], "10.0.0.1", "", None),
        (&["for=203.0.113.7;proto=http;proto=https"], "10.0.0.1", "", None),
        (&["by=203.0.113.7"], "10.0.0.1", "", None),
        (&["for=203.0.113.7;"], "10.0.0.1", "", None),
        (&["for=\"203.0.113.7"], "10.0.0.1", "", None),
        (&["for =203.0.113.7"], "10.0.0.1", "", None),
        (&["203.0.113.7"], "10.0.0.1", "", None),
        (&["for=203.0.113.7, , for=10.0.0.2"], "10.0.0.2", "10.0.0.1", None),
        (&["for=203.0.113.7;proto=ftp"], "203.0.113.7", "10.0.0.1", None),
    ] {
        let named: Vec<_> = values.iter().map(|value| ("forwarded", *value)).collect();
        let client = Client::find("10.0.0.1".parse().unwrap(), &fields(&named), &proxies(ForwardedField::Forwarded));
        let found = (client.address.to_string(), via(&client), client.scheme);
        assert_eq!(found, (address.into(), by.into(), scheme), "{values:?}");
    }
}

#[test]
fn only_the_field_that_is_set_and_only_a_believed_proxy_is_heard() {
    let both = [(FOR, "203.0.113.7"), ("forwarded", "for=198.51.100.9;proto=https"), ("x-forwarded-proto", "http")];
    for (peer, field, address, scheme) in [
        ("10.0.0.1", ForwardedField::XForwardedFor, "203.0.113.7", Some(Scheme::Http)),
        ("10.0.0.1", ForwardedField::Forwarded, "198.51.100.9", Some(Scheme::Https)),
        ("192.0.2.1", ForwardedField::XForwardedFor, "192.0.2.1", None),
        ("192.0.2.1", ForwardedField::Forwarded, "192.0.2.1", None),
    ] {
        let client = Client::find(peer.parse().unwrap(), &fields(&both), &proxies(field));
        assert_eq!((client.address.to_string().as_str(), client.scheme), (address, scheme), "{peer} {field:?}");
    }
    for values in [&["https,http"][..], &["https", "https"], &["HTTPS"], &[""], &["wss"]] {
        let named: Vec<_> = values.iter().map(|value| ("x-forwarded-proto", *value)).collect();
        let proxies = proxies(ForwardedField::XForwardedFor);
        assert_eq!(Client::find("10.0.0.1".parse().unwrap(), &fields(&named), &proxies).scheme, None, "{values:?}");
    }
}

proptest! {
    /// Whatever a client writes in front, what a proxy appends to it decides.
    #[test]
    fn no_client_can_choose_its_address(forged in "[ -~]{0,60}", same_line in any::<bool>(), kind in any::<bool>()) {
        let (field, name, genuine) = if kind {
            (ForwardedField::Forwarded, "forwarded", "for=\"203.0.113.7:4711\";proto=https")
        } else {
            (ForwardedField::XForwardedFor, FOR, "203.0.113.7")
        };
        let line = format!("{forged}, {genuine}");
        let named = if same_line { vec![(name, line.as_str())] } else { vec![(name, forged.as_str()), (name, genuine)] };
        let client = Client::find("10.0.0.1".parse().unwrap(), &fields(&named), &proxies(field));
        prop_assert_eq!(client.address.to_string(), "203.0.113.7");
    }
}

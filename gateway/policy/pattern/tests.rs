use super::*;

#[test]
fn a_path_pattern_prints_back_the_same_or_says_what_is_wrong() {
    for text in ["/", "/**", "/a", "/a/", "/a/{id}/b", "/files/**", "/{tenant}/x/**", "/café", "/a b", "/a:b@c"] {
        assert_eq!(PathPattern::parse(text).map(|path| path.to_string()), Ok(text.to_owned()));
    }
    let deep = "/a".repeat(33);
    for (text, expected) in [
        ("", InvalidPattern::Start),
        ("a", InvalidPattern::Start),
        ("a/**", InvalidPattern::Start),
        ("//", InvalidPattern::Empty),
        ("/a//b", InvalidPattern::Empty),
        ("/a//**", InvalidPattern::Empty),
        ("/a/../b", InvalidPattern::Dots),
        ("/a*", InvalidPattern::Star),
        ("/**/b", InvalidPattern::Star),
        ("/{id", InvalidPattern::Parameter),
        ("/x{id}", InvalidPattern::Parameter),
        ("/{}", InvalidPattern::Parameter),
        ("/{Id}", InvalidPattern::Parameter),
        ("/{a}/{a}", InvalidPattern::Repeated),
        ("/a?b", InvalidPattern::Word),
        ("/a;b", InvalidPattern::Word),
        ("/a\u{7f}", InvalidPattern::Word),
        ("/a\\b", InvalidPattern::Word),
        ("/ a", InvalidPattern::Word),
        ("/%2F", InvalidPattern::Escape),
        ("/%41", InvalidPattern::Escape),
        ("/%c3", InvalidPattern::Escape),
        ("/%", InvalidPattern::Escape),
        (deep.as_str(), InvalidPattern::Deep),
    ] {
        assert_eq!(PathPattern::parse(text), Err(expected), "{text}");
    }
}

#[test]
fn a_host_pattern_prints_back_the_same_or_is_refused() {
    for text in ["*", "api.example.com", "{tenant}.example.com", "{tenant}.localhost", "127.0.0.1", "[::1]"] {
        assert_eq!(HostPattern::parse(text).map(|host| host.to_string()), Ok(text.to_owned()));
    }
    for text in
        ["", "API.example.com", "a..b", "a.b.", "*.example.com", "{tenant}", "{tenant}.", "x.{tenant}.y", "a:80"]
    {
        assert_eq!(HostPattern::parse(text), Err(InvalidPattern::Host), "{text}");
    }
}

#[test]
fn a_pattern_matches_whole_segments_and_a_slash_at_the_end_means_something() {
    for (pattern, path, matches) in [
        ("/", "/", true),
        ("/", "/a", false),
        ("/a", "/a", true),
        ("/a", "/a/", false),
        ("/a/", "/a/", true),
        ("/a/{id}", "/a/1", true),
        ("/a/{id}", "/a/", false),
        ("/a/{id}", "/a/1/", false),
        ("/a/{id}", "/a/1/b", false),
        ("/a/**", "/a", true),
        ("/a/**", "/a/", true),
        ("/a/**", "/a/b/c", true),
        ("/a/**", "/ab", false),
        ("/**", "/", true),
        ("/**", "*", false),
    ] {
        assert_eq!(PathPattern::parse(pattern).unwrap().matches(path), matches, "{pattern} {path}");
    }
}

#[test]
fn the_tenant_is_the_whole_first_label() {
    let host = HostPattern::parse("{tenant}.example.com").unwrap();
    assert_eq!(host.matches("acme.example.com"), Some(Some("acme")));
    for other in ["example.com", ".example.com", "a.b.example.com", "acme.example.org"] {
        assert_eq!(host.matches(other), None, "{other}");
    }
}

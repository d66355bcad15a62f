/// Whether a request's field name is ours alone, in whatever spelling: letters of any case, and any signs between them.
///
/// Backends that read fields from CGI-like variables see `X_Tenant_Id` and `X.Tenant.Id` as `X-Tenant-Id`, so only the
/// letters and digits of a name count. Ours are `X-Tenant…`, `X-Cloister…`, `X-User`, `X-User-Id`, `X-Role`, `X-Roles`,
/// `Signature`, `Signature-Input`, and all that begins as `Client-Cert` does (RFC 9440: whoever ends TLS takes it off), as
/// `X-Client-Cert`, `X-Forwarded-Client-Cert`, `X-SSL` and `SSL-Client`. A client's own signature goes as well: it was made for other bytes than ours.
#[must_use]
pub fn reserved(name: &str) -> bool {
    const LONGEST: usize = "xforwardedclientcert".len();
    let mut letters = [0; LONGEST + 1]; // one more, so that a longer name differs
    let mut count = 0;
    for byte in name.bytes().filter(u8::is_ascii_alphanumeric) {
        let byte = byte.to_ascii_lowercase();
        // Most names end here: nothing of ours starts otherwise.
        if count == 0 && !matches!(byte, b'c' | b's' | b'x') {
            return false;
        }
        let Some(slot) = letters.get_mut(count) else { break };
        *slot = byte;
        count += 1;
    }
    let letters = letters.get(..count).unwrap_or_default();
    letters.starts_with(b"xtenant")
        || letters.starts_with(b"xcloister")
        || letters.starts_with(b"clientcert")
        || letters.starts_with(b"xclientcert")
        || letters.starts_with(b"xforwardedclientcert")
        || letters.starts_with(b"xssl")
        || letters.starts_with(b"sslclient")
        || matches!(letters, b"signature" | b"signatureinput" | b"xrole" | b"xroles" | b"xuser" | b"xuserid")
}

/// Whether two names of fields are one for a backend that makes variables of them: only letters and digits count.
///
/// Without an allocation: this is asked of every field of every request.
#[must_use]
pub fn same_field(one: &str, other: &str) -> bool {
    letters(one).eq(letters(other))
}

fn letters(name: &str) -> impl Iterator<Item = u8> {
    name.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_lowercase())
}

/// Whether a response's field name is ours alone: `X-Cloister…` in whatever spelling. A backend does not speak for the
/// gateway.
#[must_use]
pub fn reserved_in_response(name: &str) -> bool {
    letters(name).take(b"xcloister".len()).eq(b"xcloister".iter().copied())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OURS: [&str; 15] = [
        "X-Tenant-Id",
        "X-User-Id",
        "X-Roles",
        "X-Cloister-Assertion",
        "X-Cloister-Anything",
        "Signature",
        "Signature-Input",
        "X-Tenant",
        "X-Tenant-Name",
        "Client-Cert",
        "Client-Cert-Chain",
        "X-Client-Cert",
        "X-Forwarded-Client-Cert",
        "X-SSL-Client-S-DN",
        "SSL-Client-Verify",
    ];

    #[test]
    fn names_that_are_not_ours_pass() {
        for name in [
            "accept-signature",
            "authorization",
            "content-digest",
            "host",
            "",
            "-",
            "s",
            "x",
            "signature-input-2",
            "signature-agent",
            "x-forwarded-for",
            "x-request-id",
            "x-role-hint",
            "x-user-agent",
            "x-userid-hash",
            "tenant-id",
        ] {
            assert!(!reserved(name), "{name}");
        }
    }

    #[test]
    fn what_we_inject_is_reserved() {
        for name in ["x-tenant-id", "x-user-id", "x-roles", "x-cloister-assertion", "signature-input", "signature"] {
            assert!(reserved(name), "{name}");
        }
        assert!(reserved_in_response("X_Cloister-Assertion") && !reserved_in_response("x-tenant-id"));
    }

    proptest! {
        #[test]
        fn every_spelling_of_ours_is_reserved(
            place in 0..OURS.len(),
            upper in any::<u64>(),
            sign in prop::sample::select(vec!["-", "_", ".", "", "--", "_-", " ", "~"]),
        ) {
            let name: String = OURS[place].chars().enumerate().map(|(i, c)| match c {
                '-' => sign.to_owned(),
                c if upper >> i & 1 == 1 => c.to_ascii_uppercase().to_string(),
                c => c.to_ascii_lowercase().to_string(),
            }).collect();
            prop_assert!(reserved(&name), "{}", name);
            // Stripping is idempotent: the spelling that a backend makes of it is reserved as well.
            prop_assert!(reserved(&name.to_ascii_uppercase().replace(['-', '.'], "_")));
        }

        #[test]
        fn spelling_never_changes_the_verdict(name in "[A-Za-z0-9_.-]{0,24}") {
            prop_assert_eq!(reserved(&name), reserved(&name.to_lowercase().replace('_', "-")));
        }
    }
}

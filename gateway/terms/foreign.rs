/// Whether this is a field by which other proxies tell their backends who asks (by certificate, name or group) or which
/// host was asked for. A backend that once stood behind such a proxy believes it still; from us it gets what we have
/// verified, and nothing that a client says of itself.
#[must_use]
pub fn is_foreign(name: &str) -> bool {
    // Most names end here.
    matches!(name.as_bytes().first(), Some(b'c' | b'r' | b's' | b'x'))
        && (HOSTS.contains(&name) || FAMILIES.iter().any(|family| name.starts_with(family)))
}

const HOSTS: [&str; 3] = ["x-host", "x-http-host-override", "x-original-host"];

/// RFC 9440, Authelia, nginx and Apache, IIS, load balancers of AWS, oauth2-proxy, Grafana and others.
const FAMILIES: [&str; 16] = [
    "client-cert",
    "remote-email",
    "remote-group",
    "remote-name",
    "remote-user",
    "ssl-client-",
    "x-amzn-mtls-",
    "x-amzn-oidc-",
    "x-arr-clientcert",
    "x-auth-request-",
    "x-authenticated-",
    "x-auth-user",
    "x-client-cert",
    "x-remote-",
    "x-ssl-client-",
    "x-webauth-",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_other_proxies_say_is_known_and_what_applications_say_is_not() {
        for name in ["client-cert-chain", "remote-user", "ssl-client-verify", "x-remote-user", "x-host"] {
            assert!(is_foreign(name), "{name}");
        }
        for name in ["cookie", "content-type", "referer", "sec-fetch-mode", "x-requested-with", "x-api-key", ""] {
            assert!(!is_foreign(name), "{name}");
        }
    }
}

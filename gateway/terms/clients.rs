use std::fmt;
use std::net::IpAddr;

use crate::Networks;

/// From which addresses clients may come. By default from everywhere.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Clients {
    allow: Option<Networks>,
    deny: Networks,
}

impl Clients {
    /// Clients from `allow`, from everywhere if there is no such list, but never from `deny`.
    #[must_use]
    pub const fn new(allow: Option<Networks>, deny: Networks) -> Self {
        Self { allow, deny }
    }

    /// Whether a client may come from this address. A deny wins.
    #[must_use]
    pub fn admit(&self, address: IpAddr) -> bool {
        self.allow.as_ref().is_none_or(|allow| allow.contains(address)) && !self.deny.contains(address)
    }

    /// Whether they may come from everywhere.
    #[must_use]
    pub fn are_everybody(&self) -> bool {
        self.allow.is_none() && self.deny.is_empty()
    }
}

impl fmt::Display for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.allow {
            None => f.write_str("everywhere")?,
            Some(allow) => write!(f, "{allow}")?,
        }
        if self.deny.is_empty() { Ok(()) } else { write!(f, " without {}", self.deny) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Network;

    fn networks(texts: &[&str]) -> Networks {
        texts.iter().map(|text| text.parse::<Network>().unwrap()).collect()
    }

    #[test]
    fn a_deny_wins_and_what_is_not_on_an_allow_list_is_denied() {
        let (inner, outer, all) = (networks(&["192.0.2.0/25"]), networks(&["192.0.2.0/24"]), networks(&["0.0.0.0/0"]));
        for (allow, deny, address, admitted) in [
            (None, Networks::default(), "192.0.2.1", true),
            (None, outer.clone(), "192.0.2.1", false),
            (None, outer.clone(), "::ffff:192.0.2.1", false),
            (None, outer.clone(), "192.0.3.1", true),
            (Some(outer.clone()), Networks::default(), "192.0.2.1", true),
            (Some(outer.clone()), Networks::default(), "192.0.3.1", false),
            (Some(outer.clone()), Networks::default(), "2001:db8::1", false),
            (Some(outer.clone()), inner.clone(), "192.0.2.1", false),
            (Some(outer.clone()), inner.clone(), "192.0.2.129", true),
            (Some(inner.clone()), outer, "192.0.2.1", false),
            (Some(inner), all, "192.0.2.1", false),
            (Some(Networks::default()), Networks::default(), "192.0.2.1", false),
        ] {
            let clients = Clients::new(allow, deny);
            assert_eq!(clients.admit(address.parse().unwrap()), admitted, "{clients:?} {address}");
        }
        assert!(Clients::default().are_everybody());
        assert!(!Clients::new(Some(Networks::default()), Networks::default()).are_everybody());
    }
}

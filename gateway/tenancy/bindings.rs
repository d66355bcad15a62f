use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use terms::RoleName;

/// What each of the names is worth that the tokens of a tenant have for roles. A name that is not here is worth nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Bindings(BTreeMap<RoleName, Arc<[RoleName]>>);

impl Bindings {
    /// The roles of somebody with these names, each once.
    #[must_use]
    pub fn roles(&self, names: &[RoleName]) -> Arc<[RoleName]> {
        let mut bound = names.iter().filter_map(|name| self.0.get(name));
        match (bound.next(), bound.next()) {
            (None, _) => Arc::default(),
            (Some(only), None) => Arc::clone(only),
            // Put together for each request: which names a token has is not known before.
            (Some(first), Some(second)) => {
                let mut roles: Vec<RoleName> = Vec::with_capacity(first.len() + second.len());
                for role in first.iter().chain(second.iter()).chain(bound.flat_map(|roles| roles.iter())) {
                    if !roles.contains(role) {
                        roles.push(role.clone());
                    }
                }
                roles.into()
            }
        }
    }

    /// What one name is worth, if it is bound.
    #[must_use]
    pub fn of(&self, name: &str) -> Option<&Arc<[RoleName]>> {
        self.0.iter().find(|(known, _)| known.as_str() == name).map(|(_, roles)| roles)
    }

    /// Every role that some name is bound to.
    pub fn all(&self) -> impl Iterator<Item = &RoleName> {
        self.0.values().flat_map(|roles| roles.iter())
    }
}

impl FromIterator<(RoleName, Arc<[RoleName]>)> for Bindings {
    fn from_iter<I: IntoIterator<Item = (RoleName, Arc<[RoleName]>)>>(bound: I) -> Self {
        Self(bound.into_iter().collect())
    }
}

/// `admins: tenant_admin; staff: viewer clerk`
impl fmt::Display for Bindings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, roles)) in self.0.iter().enumerate() {
            let roles: Vec<&str> = roles.iter().map(RoleName::as_str).collect();
            write!(f, "{}{name}: {}", if at == 0 { "" } else { "; " }, roles.join(" "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_worth_what_it_is_bound_to_and_any_other_nothing() {
        let roles =
            |names: &str| names.split_whitespace().map(|name| name.parse().unwrap()).collect::<Arc<[RoleName]>>();
        let bound = [("admins", "owner clerk"), ("staff", "clerk viewer"), ("none", "")];
        let bindings: Bindings = bound.iter().map(|(name, to)| (name.parse().unwrap(), roles(to))).collect();
        for (names, expected) in [
            ("", ""),
            ("admins", "owner clerk"),
            ("staff admins", "clerk viewer owner"),
            ("admins staff admins", "owner clerk viewer"),
            ("owner", ""),
            ("owner staff Admins", "clerk viewer"),
            ("none", ""),
        ] {
            assert_eq!(bindings.roles(&roles(names)), roles(expected), "{names}");
        }
        assert_eq!(bindings.to_string(), "admins: owner clerk; none: ; staff: clerk viewer");
    }
}

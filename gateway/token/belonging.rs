use std::sync::Arc;

use terms::RoleName;

use crate::caller::role_names;
use crate::claims::{Claims, NameAndWords};
use crate::{ClaimPlace, TokenError};

/// One of several tenants that a token lists: its bearer belongs to each, and acts for one of them at a time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Belonging {
    /// The tenant, as text: `tenancy` decides whether that is one.
    pub tenant: Box<str>,
    /// What the bearer is there; what it is everywhere, if the token does not tell tenants apart.
    pub roles: Option<Arc<[RoleName]>>,
}

/// Nobody belongs to more.
const MOST: usize = 64;
const LONGEST: usize = 255;

impl Belonging {
    /// Reads a list of names, or an object from names to roles.
    pub(crate) fn read(claims: &Claims, place: &ClaimPlace) -> Result<Box<[Self]>, TokenError> {
        let error = "the tenants are neither a list of at most 64 texts nor an object from such texts to roles";
        let listed = claims.belongings_at(place, error)?;
        // FAIL CLOSED: which of two entries for one tenant is meant nobody can say.
        let twice = |index: usize, name: &str| listed.iter().take(index).any(|(known, _)| *known == name);
        let wrong = |(index, (name, _)): (usize, &NameAndWords<'_>)| name.len() > LONGEST || twice(index, name);
        if listed.len() > MOST || listed.iter().enumerate().any(wrong) {
            return Err(TokenError::Claims(error));
        }
        let belonging = |(name, roles): &NameAndWords<'_>| {
            let roles = roles.as_ref().map(|roles| role_names(roles).map(|(roles, _)| roles)).transpose()?;
            Ok(Self { tenant: (*name).into(), roles })
        };
        listed.iter().map(belonging).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_lists_tenants_or_says_what_its_bearer_is_in_each() {
        let many: Vec<_> = (0..65).map(|number| format!("\"t{number}\"")).collect();
        for (json, expected) in [
            (r#"["acme","globex"]"#.to_owned(), Some("acme: -; globex: -")),
            (r#"[]"#.to_owned(), Some("")),
            (
                r#"{"acme":["viewer","clerk"],"globex":"auditor clerk","initech":[]}"#.to_owned(),
                Some("acme: viewer,clerk; globex: auditor,clerk; initech: "),
            ),
            (r#"{"acme":["no role"]}"#.to_owned(), Some("acme: ")),
            (r#""acme""#.to_owned(), Some("acme: -")),
            (r#"["acme","acme"]"#.to_owned(), None),
            (r#"["acme",7]"#.to_owned(), None),
            (r#"{"acme":{"viewer":true}}"#.to_owned(), None),
            (r#"{"acme":null}"#.to_owned(), None),
            ("7".to_owned(), None),
            (format!("[{}]", many.join(",")), None),
            (format!("[\"{}\"]", "t".repeat(256)), None),
        ] {
            let claims = Claims::parse(format!(r#"{{"orgs":{json}}}"#).as_bytes()).unwrap();
            let read = Belonging::read(&claims, &"orgs".parse().unwrap()).ok().map(|all| {
                let told = all.iter().map(|Belonging { tenant, roles }| {
                    let roles = roles
                        .as_ref()
                        .map(|roles| roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(","));
                    format!("{tenant}: {}", roles.unwrap_or_else(|| "-".into()))
                });
                told.collect::<Vec<_>>().join("; ")
            });
            assert_eq!(read.as_deref(), expected, "{json}");
        }
        let claims = Claims::parse(br#"{"orgs":[{"id":"acme"},{"id":"globex"}]}"#).unwrap();
        assert_eq!(Belonging::read(&claims, &"/orgs/*/id".parse().unwrap()).unwrap().len(), 2);
        assert_eq!(Belonging::read(&claims, &"nothing".parse().unwrap()).unwrap().len(), 0);
    }
}

use terms::{Grant, Permission};

/// The places of the permissions that a grant is about, of all of them, sorted. Ten thousand grants meet ten thousand permissions:
/// what names its resource is looked up.
pub(super) fn covered(grant: &Grant, permissions: &[Permission]) -> Vec<usize> {
    // Permissions of one resource stand together: they begin alike, up to the colon.
    let named = grant.as_str().split_once(':').filter(|(resource, _)| *resource != "*");
    let range = named.map_or(0..permissions.len(), |(resource, _)| {
        let first = format!("{resource}:");
        let start = permissions.partition_point(|permission| permission.as_str() < &*first);
        let count = permissions.iter().skip(start).take_while(|it| it.as_str().starts_with(&first)).count();
        start..start + count
    });
    let places = permissions.iter().enumerate().skip(range.start).take(range.len());
    places.filter(|(_, asked)| grant.covers(asked)).map(|(place, _)| place).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// However names begin alike: `a`, `a-b`, `a_b`, `a1` sort around each other's colons.
        #[test]
        fn what_is_looked_up_is_what_a_look_at_all_finds(
            resources in prop::collection::btree_set("[ab][ab1_-]{0,2}", 1..12),
            verbs in prop::collection::btree_set("[ab]{1,2}", 1..3),
            grant in "(\\*|[ab][ab1_-]{0,2}):(\\*|[ab]{1,2})",
        ) {
            let mut permissions: Vec<Permission> = Vec::new();
            for resource in &resources {
                permissions.extend(verbs.iter().map(|verb| format!("{resource}:{verb}").parse::<Permission>().unwrap()));
            }
            permissions.sort();
            let grant: Grant = grant.parse().unwrap();
            let all = permissions.iter().enumerate().filter(|(_, asked)| grant.covers(asked));
            prop_assert_eq!(covered(&grant, &permissions), all.map(|(place, _)| place).collect::<Vec<_>>());
        }
    }
}

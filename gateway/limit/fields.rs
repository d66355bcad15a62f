use crate::quota::Limit;
use crate::standing::{Standing, whole_seconds};
use crate::{Level, Limits};

/// The fields of draft-ietf-httpapi-ratelimit-headers-10. Neither tells what the key is (`pk`): that would say how
/// others are counted.
impl Limits {
    /// The value of `RateLimit-Policy`: what each limit of the route promises, as the policy file states it.
    ///
    /// A burst that differs from the rate's own number is told in `cloister-burst`: paced evenly, all of `q` fits into
    /// `w`, but only so many fit at once.
    #[must_use]
    pub fn policy_field(&self, standing: &Standing) -> String {
        joined(standing.levels().iter().filter_map(|level| self.policy_item(level.limit)))
    }

    /// The value of `RateLimit`: where the asker stands in the tightest limit. `t` is when there is more to spend.
    #[must_use]
    pub fn standing_field(&self, standing: &Standing) -> String {
        let item = |level: &Level| {
            let Level { limit, remaining, next, .. } = level;
            self.limit(*limit).map(|limit| format!("\"{}\";r={remaining};t={}", limit.id, whole_seconds(*next)))
        };
        standing.tightest().and_then(item).unwrap_or_default()
    }
}

/// One item of `RateLimit-Policy`. A limit's name has no character that a Structured Field string would escape.
pub(crate) fn policy_item(limit: &Limit) -> String {
    let Limit { id, rate, burst, .. } = limit;
    let item = format!("\"{id}\";q={};w={}", rate.count, whole_seconds(rate.per));
    if *burst == rate.count { item } else { format!("{item};cloister-burst={burst}") }
}

fn joined<'a>(items: impl Iterator<Item = &'a str>) -> String {
    let mut field = String::new();
    for item in items {
        if !field.is_empty() {
            field.push_str(", ");
        }
        field.push_str(item);
    }
    field
}

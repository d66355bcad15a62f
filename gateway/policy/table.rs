use std::collections::HashMap;
use std::sync::Arc;

use crate::method::Methods;
use crate::pattern::{HostPattern, PathPattern, Segment};
use crate::route::Route;

/// A request's route, and where in the request a tenant is named. Points into the policy and into the request.
#[derive(Clone, Copy, Debug)]
pub struct Matched<'p, 'r> {
    /// The route.
    pub route: &'p Arc<Route>,
    /// The first label of the host, if the route calls it `{tenant}`.
    pub tenant_in_host: Option<&'r str>,
    /// The segment of the path that the route calls `{tenant}`.
    pub tenant_in_path: Option<&'r str>,
}

/// All routes, by host and then segment by segment. A look-up allocates nothing and takes no lock.
#[derive(Debug, Default)]
pub(crate) struct Table {
    exact: HashMap<Arc<str>, Branch>,
    /// By what follows the first label.
    tenant: HashMap<Arc<str>, Branch>,
    any: Branch,
}

/// What may follow one segment.
#[derive(Debug, Default)]
struct Branch {
    /// Sorted by word. A sorted list, not a hash map: nothing an attacker sends makes it slower.
    literals: Vec<(Arc<str>, Self)>,
    parameter: Option<Box<Self>>,
    /// Routes whose template ends here.
    ends: Vec<Leaf>,
    /// Routes whose template ends here with `/**`.
    rests: Vec<Leaf>,
}

#[derive(Debug)]
struct Leaf {
    methods: Option<Methods>,
    route: Arc<Route>,
}

/// Two routes that match a common request equally closely: the one that was there, and a method that both take.
#[derive(Debug)]
pub(crate) struct Ambiguous {
    pub(crate) with: Arc<Route>,
    pub(crate) method: Option<&'static str>,
}

impl Table {
    /// The closest match.
    pub(crate) fn find<'r>(&self, host: &'r str, path: &'r str, method: &str) -> Option<Matched<'_, 'r>> {
        let left = path.strip_prefix('/')?;
        let exact = || self.exact.get(host)?.find(Some(left), method).map(|leaf| (leaf, None));
        let tenant = || {
            let (label, rest) = host.split_once('.').filter(|(label, _)| !label.is_empty())?;
            let leaf = self.tenant.get(rest)?.find(Some(left), method)?;
            Some((leaf, Some(label)))
        };
        let any = || self.any.find(Some(left), method).map(|leaf| (leaf, None));
        let (leaf, tenant_in_host) = exact().or_else(tenant).or_else(any)?;
        let tenant_in_path = leaf.route.tenant_segment.and_then(|place| left.split('/').nth(place));
        Some(Matched { route: &leaf.route, tenant_in_host, tenant_in_path })
    }

    /// Adds a route.
    pub(crate) fn insert(&mut self, route: &Arc<Route>) -> Result<(), Ambiguous> {
        let branch = match &route.pattern.host {
            HostPattern::Any => &mut self.any,
            HostPattern::Exact(name) => self.exact.entry(Arc::clone(name)).or_default(),
            HostPattern::Tenant(rest) => self.tenant.entry(Arc::clone(rest)).or_default(),
        };
        branch.insert(&route.pattern.path, route)
    }
}

impl Branch {
    /// The closest match below. `left` is what follows the last slash that was passed; `None` if the path has ended.
    fn find(&self, left: Option<&str>, method: &str) -> Option<&Leaf> {
        let deeper = match left {
            None => pick(&self.ends, method),
            Some(left) => {
                let (segment, left) = match left.split_once('/') {
                    Some((segment, left)) => (segment, Some(left)),
                    None => (left, None),
                };
                let literal = || self.literal(segment)?.find(left, method);
                let parameter = || match segment {
                    "" => None,
                    _ => self.parameter.as_deref()?.find(left, method),
                };
                literal().or_else(parameter)
            }
        };
        deeper.or_else(|| pick(&self.rests, method))
    }

    fn literal(&self, segment: &str) -> Option<&Self> {
        let place = self.literals.binary_search_by(|(word, _)| (**word).cmp(segment)).ok()?;
        self.literals.get(place).map(|(_, branch)| branch)
    }

    fn insert(&mut self, path: &PathPattern, route: &Arc<Route>) -> Result<(), Ambiguous> {
        let mut branch = self;
        for segment in &path.segments {
            branch = match segment {
                Segment::Literal(word) => branch.literal_mut(word),
                Segment::Parameter(_) => branch.parameter.get_or_insert_default(),
            };
        }
        let leaves = if path.rest { &mut branch.rests } else { &mut branch.ends };
        let methods = route.pattern.methods;
        let clash = leaves.iter().find_map(|leaf| match (leaf.methods, methods) {
            (None, None) => Some((leaf, None)),
            (Some(one), Some(two)) => one.common(two).next().map(|method| (leaf, Some(method))),
            (None, Some(_)) | (Some(_), None) => None,
        });
        if let Some((leaf, method)) = clash {
            return Err(Ambiguous { with: Arc::clone(&leaf.route), method });
        }
        leaves.push(Leaf { methods, route: Arc::clone(route) });
        leaves.sort_by_key(|leaf| leaf.methods.is_none()); // INVARIANT: those that list their methods come first
        Ok(())
    }

    #[expect(clippy::indexing_slicing, reason = "the place was found, or made, on the line before")]
    fn literal_mut(&mut self, word: &Arc<str>) -> &mut Self {
        let place = match self.literals.binary_search_by(|(known, _)| known.cmp(word)) {
            Ok(place) => place,
            Err(place) => {
                self.literals.insert(place, (Arc::clone(word), Self::default()));
                place
            }
        };
        &mut self.literals[place].1
    }
}

fn pick<'p>(leaves: &'p [Leaf], method: &str) -> Option<&'p Leaf> {
    leaves.iter().find(|leaf| leaf.methods.is_none_or(|methods| methods.has(method)))
}

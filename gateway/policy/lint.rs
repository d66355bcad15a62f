//! What is allowed to be written, and hardly ever meant.

use std::collections::{BTreeSet, HashSet};

use tenancy::Bindings;
use terms::{Finding, Findings, Permission, Place, RoleName};

use crate::compare::samples;
use crate::method::METHODS;
use crate::policy::Policy;
use crate::role::{Clause, Role};
use crate::route::{Access, Mode, Route};

impl Policy {
    /// What is worth a second look, each with its place. Nothing of it keeps the files from being used.
    #[must_use]
    pub fn lint(&self) -> Findings {
        let mut findings = Findings::default();
        self.unreachable_routes(&mut findings);
        for route in &self.routes {
            self.look_at_route(route, &mut findings);
        }
        let own = self.own_roles.values().flat_map(|roles| roles.iter());
        for (name, role) in self.roles.iter().chain(own) {
            self.look_at_role(name, role, &mut findings);
            self.look_at_glass(name, role, &mut findings);
        }
        self.unused_roles(&mut findings);
        findings
    }

    /// Routes that no request gets, since closer ones take all of them.
    fn unreachable_routes(&self, findings: &mut Findings) {
        let mut reached = HashSet::new();
        for sample in samples(self, self) {
            let methods = METHODS.into_iter().chain(["OTHER"]);
            let found = methods.filter_map(|method| self.route(&sample.host, &sample.path, method));
            reached.extend(found.map(|matched| matched.route.id.clone()));
        }
        for route in self.routes.iter().filter(|route| !reached.contains(&route.id)) {
            let message = format!("no request gets route `{}`: closer routes take all of them", route.id);
            findings.push(Finding::warning(route.place.clone(), message));
        }
    }

    fn look_at_route(&self, route: &Route, findings: &mut Findings) {
        let mut warn = |message: String, help: &str| {
            findings.push(Finding::warning(route.place.clone(), message).help(help));
        };
        match &route.access {
            Access::Public => {
                if route.limits.is_empty() {
                    let message = format!("route `{}` is public and has no limit", route.id);
                    warn(message, "a limit with the key `client_ip` keeps one client from using all of the backend");
                }
                return;
            }
            Access::Guarded { .. } | Access::Services { .. } => {}
        }
        let asked: BTreeSet<usize> = METHODS
            .iter()
            .filter(|method| route.pattern.takes(method))
            .filter_map(|method| route.asks.of(method))
            .chain(route.asks.other)
            .collect();
        let lets = |role: &Role, asked: usize| role.allows.has(asked) || role.glass.has(asked);
        let has = |role: &Role| asked.iter().any(|asked| lets(role, *asked) && !role.denies.always(*asked));
        let own = self.own_roles.values().flat_map(|roles| roles.values());
        if !self.roles.values().chain(own).any(has) {
            let message = format!("nobody may use route `{}`: no role has what it asks for", route.id);
            warn(message, "give it to a role, or take the route away");
        }
        if route.mode == Mode::Shadow {
            let message = format!("route `{}` is in shadow: what its roles deny passes", route.id);
            warn(message, "records with `mode: shadow` say whom `mode: enforce` would refuse");
        }
    }

    fn look_at_role(&self, name: &RoleName, role: &Role, findings: &mut Findings) {
        for Clause { grant, place, proviso } in &role.written.allow {
            let mut warn = |message: String, help: &str| {
                findings.push(Finding::warning(place.clone(), message).help(help));
            };
            if grant.as_str() == "*:*" && proviso.is_nothing() {
                let message = format!("role `{name}` may do everything, also what routes will ask for one day");
                warn(message, "name the resources: `order:*`");
                continue;
            }
            let covered: Vec<(usize, &Permission)> =
                self.permissions.iter().enumerate().filter(|(_, asked)| grant.covers(asked)).collect();
            if covered.is_empty() {
                continue; // no route asks for it, which is said at each load
            }
            if covered.iter().all(|(asked, _)| role.denies.always(*asked)) {
                let message = format!("`{grant}` never counts: role `{name}` denies it, itself or by what it inherits");
                warn(message, "take one of the two away");
            } else if let Some(by) = self.inherited(role, place, &covered) {
                warn(format!("role `{name}` has `{grant}` already, from `{by}`"), "it can go");
            }
        }
    }

    /// What may be done by whoever says why is for what is not allowed anyway.
    fn look_at_glass(&self, name: &RoleName, role: &Role, findings: &mut Findings) {
        for Clause { grant, place, .. } in &role.written.glass {
            let mut warn = |message: String, help: &str| {
                findings.push(Finding::warning(place.clone(), message).help(help));
            };
            let covered = self.permissions.iter().enumerate().filter(|(_, asked)| grant.covers(asked));
            let covered: Vec<usize> = covered.map(|(at, _)| at).collect();
            if grant.as_str() == "*:*" {
                warn(
                    format!("whoever has role `{name}` may do everything by saying why"),
                    "name the resources: `patient:read`",
                );
            } else if covered.is_empty() {
                // no route asks for it, which is said at each load
            } else if covered.iter().all(|asked| role.denies.always(*asked)) {
                warn(
                    format!("`{grant}` never counts: role `{name}` denies it, and a deny wins"),
                    "take one of the two away",
                );
            } else if covered.iter().all(|asked| role.allows.always(*asked)) {
                warn(
                    format!("role `{name}` has `{grant}` anyway, so nobody needs to break a glass for it"),
                    "it can go",
                );
            }
        }
    }

    /// The role from which another one inherits all of this, whatever it counts on.
    fn inherited<'r>(&self, role: &'r Role, here: &Place, covered: &[(usize, &Permission)]) -> Option<&'r RoleName> {
        let (_, ancestors) = role.lineage.split_first()?;
        ancestors.iter().find(|ancestor| {
            let gives = |asked: &Permission| {
                let clauses = self.roles.get(ancestor.as_str()).map_or(&[][..], |role| &role.written.allow);
                clauses.iter().any(|it| it.place != *here && it.grant.covers(asked) && it.proviso.is_nothing())
            };
            covered.iter().all(|(_, asked)| gives(asked))
        })
    }

    /// Roles that nothing in the files mentions. A token may name them, so this is worth a look and no more.
    fn unused_roles(&self, findings: &mut Findings) {
        let inherited = self.roles.values().flat_map(|role| role.lineage.iter().skip(1));
        let own = self.own_roles.values().flat_map(|roles| roles.values());
        let by_own = own.flat_map(|role| role.lineage.iter().skip(1));
        let members = self.members.iter().flat_map(|(.., roles)| roles.iter());
        let services = self.services.iter().flat_map(|service| service.roles.iter());
        let tested = self.cases.iter().filter_map(|case| case.question.asker.as_ref());
        let tested = tested.flat_map(|asker| asker.roles.iter());
        let bound = self.tenants.iter().filter_map(|tenant| tenant.bindings.as_ref()).flat_map(Bindings::all);
        let used: HashSet<&RoleName> =
            inherited.chain(bound).chain(by_own).chain(members).chain(services).chain(tested).collect();
        for (name, role) in self.roles.iter().filter(|(name, _)| !used.contains(name)) {
            let message = format!("no member, service, test or other role mentions role `{name}`");
            let finding = Finding::warning(role.written.place.clone(), message);
            findings.push(finding.help("if tokens name it, a test shows what it is for"));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Known, Source, compile};

    fn lint(text: &str) -> String {
        let known = Known {
            issuers: [("dev".parse().unwrap(), tenancy::MembershipSource::Claims)].into(),
            upstreams: ["orders".parse().unwrap()].into(),
            ..Known::default()
        };
        match compile(&[Source { path: "p.yaml", text }], &known) {
            Ok(compiled) => compiled.policy.lint().to_string(),
            Err(findings) => panic!("{findings}"),
        }
    }

    const SOUND: &str = r#"
tenants: { acme: { status: active } }
roles:
  viewer: { allow: ["order:read"] }
  clerk: { inherits: [viewer], allow: ["order:write"] }
limits: { ip: { rate: 10/s, burst: 10, key: [client_ip] } }
routes:
  - { id: health, match: { host: "*", path: /healthz }, upstream: orders, auth: none, limits: [ip] }
  - { id: orders, match: { host: "*", path: "/orders/**" }, upstream: orders, auth: { issuers: [dev], tenant_from: [token] }, allow: { GET: "order:read", "*": "order:write" } }
  - { id: export, match: { host: "*", path: "/orders/export", methods: [GET] }, upstream: orders, auth: { issuers: [dev], tenant_from: [token] }, allow: { GET: "order:read" } }
tests:
  - { as: { tenant: acme, roles: [clerk] }, do: GET https://a.test/orders, expect: allow }
"#;

    #[test]
    fn what_is_hardly_ever_meant_is_said_with_its_place() {
        assert_eq!(lint(SOUND), "", "and nothing else is");
        for (from, to, expected) in [
            (", limits: [ip] }", " }", "p.yaml:8: route `health` is public and has no limit"),
            (r#"["order:write"] }"#, r#"["order:write", "*:*"] }"#, "p.yaml:5: role `clerk` may do everything"),
            (
                r#"["order:write"] }"#,
                r#"["order:write", "order:read"] }"#,
                "p.yaml:5: role `clerk` has `order:read` already, from `viewer`",
            ),
            (
                r#"["order:write"] }"#,
                r#"["order:write"], deny: ["order:write"] }"#,
                "p.yaml:5: `order:write` never counts",
            ),
            (
                "roles: [clerk] }, do",
                "roles: [viewer] }, do",
                "p.yaml:5: no member, service, test or other role mentions role `clerk`",
            ),
            (
                "methods: [GET] }, upstream: orders, auth: { issuers: [dev], tenant_from: [token] }, allow: { GET: \"order:read\" } }",
                "methods: [GET] }, upstream: orders, auth: { issuers: [dev], tenant_from: [token] }, allow: { GET: \"order:export\" } }",
                "p.yaml:10: nobody may use route `export`",
            ),
            ("\"order:write\" } }", "\"order:write\" }, mode: shadow }", "p.yaml:9: route `orders` is in shadow"),
        ] {
            assert!(SOUND.contains(from), "{from}");
            let said = lint(&SOUND.replacen(from, to, 1));
            let (place, text) = expected.split_once(' ').unwrap();
            assert!(said.lines().any(|it| it.starts_with(place) && it.contains(text)), "{expected}: {said}");
        }
    }

    #[test]
    fn a_route_is_out_of_reach_when_closer_ones_together_take_all_of_its_paths() {
        let auth = "upstream: orders, auth: none, limits: [ip]";
        let route =
            |id: &str, path: &str| format!("  - {{ id: {id}, match: {{ host: \"*\", path: \"{path}\" }}, {auth} }}\n");
        let with = |routes: &[(&str, &str)]| {
            let routes: String = routes.iter().map(|(id, path)| route(id, path)).collect();
            lint(&SOUND.replace("tests:", &format!("{routes}tests:")))
        };
        let all = [("below", "/f/**"), ("itself", "/f"), ("slash", "/f/"), ("deeper", "/f/{x}/**")];
        assert!(with(&all).contains("no request gets route `below`: closer routes take all of them"), "{}", with(&all));
        for left in 1..all.len() {
            let some: Vec<_> = all.iter().enumerate().filter(|(at, _)| *at != left).map(|(_, route)| *route).collect();
            assert_eq!(with(&some), "", "without {:?}", all[left]);
        }
    }
}

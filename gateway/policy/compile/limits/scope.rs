use std::sync::Arc;

use terms::{Finding, Findings};

use crate::file::{LimitEntry, ScopeWord};
use crate::known::Counting;
use crate::limit::LimitScope;

const NO_STORE: &str = "say `redis: { limits: { gateways: 2 } }` in cloister.yaml, or take it away";

/// Where a limit is counted. What cannot be in force is a mistake: a limit that says what becomes of requests without its store
/// has one.
pub(super) fn read(file: &Arc<str>, entry: &LimitEntry, counting: Counting, findings: &mut Findings) -> LimitScope {
    let scope = entry.scope.as_ref().and_then(|scope| scope.value.0.map(|word| (word, scope.spot)));
    let on_loss = entry.on_store_loss.as_ref().and_then(|it| it.value.0.map(|word| (word, it.spot)));
    match (counting, scope, on_loss) {
        (_, Some((ScopeWord::Gateway, _)), None) => LimitScope::Gateway,
        (_, Some((ScopeWord::Gateway, _)), Some((_, spot))) => {
            let finding =
                Finding::error(spot.place(file), "a limit that each gateway counts for itself stands in no store");
            findings.push(finding.help("take `on_store_loss` or `scope: gateway` away"));
            LimitScope::Gateway
        }
        (Counting::Alone, None, None) => LimitScope::Gateway,
        (Counting::Alone, scope, on_loss) => {
            let spots = scope.map(|(_, spot)| spot).into_iter().chain(on_loss.map(|(_, spot)| spot));
            for spot in spots {
                let finding = Finding::error(spot.place(file), "no store is named in which gateways share limits");
                findings.push(finding.help(NO_STORE));
            }
            LimitScope::Gateway
        }
        (Counting::Together(_), _, on_loss) => LimitScope::Shared(on_loss.map(|(word, _)| word).unwrap_or_default()),
    }
}

/// Whether it says of itself that gateways share it.
pub(super) fn is_asked_for(entry: &LimitEntry) -> bool {
    let scope = entry.scope.as_ref().and_then(|scope| scope.value.0);
    matches!(scope, Some(ScopeWord::Shared)) || entry.on_store_loss.is_some()
}

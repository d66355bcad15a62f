//! The list of all background tasks.

use std::sync::Arc;
use std::time::Duration;

use directory::Directory;
use gate::Rules;
use notify::RecursiveMode;
use proxy::{Prober, Proxy};
use relay::Relay;
use tally::Tally;
use terms::Live;
use token::Verifier;
use upstream::{Resolver, Upstream};
use vault::Vault;

use crate::audit_uses::AuditUses;
use crate::background::Task;
use crate::cosigning::Cosigning;
use crate::following::{self, Following};
use crate::known_keys::KnownKeys;
use crate::life::Stage;
use crate::logs::TenantLogs;
use crate::persons::Persons;
use crate::quotas::Quotas;
use crate::reckoning::Reckoning;
use crate::renew::{self, Renewal};
use crate::revoking::Revoking;
use crate::rules::Reloader;
use crate::signing::{self, Rings};
use crate::upgrade::Old;
use crate::watch_files::{self, Watched};
use crate::{asking, membership, watch_store};

/// What the background tasks work on.
pub(crate) struct Works {
    pub(crate) admin: admin::Bound,
    pub(crate) tokens: Arc<Verifier>,
    pub(crate) reloader: Arc<Reloader>,
    pub(crate) renewal: Renewal,
    pub(crate) upstreams: Vec<Arc<Upstream>>,
    pub(crate) resolver: Option<Resolver>,
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) revoking: Arc<Revoking>,
    pub(crate) known_keys: Arc<KnownKeys>,
    pub(crate) quotas: Arc<Quotas>,
    pub(crate) rules: Arc<Live<Rules>>,
    pub(crate) persons: Arc<Persons>,
    pub(crate) relay: Option<Arc<Relay>>,
    pub(crate) tally: Option<Tally>,
    pub(crate) directory: Option<Directory>,
    pub(crate) keys: Rings,
    pub(crate) following: Arc<Following>,
    pub(crate) vault: Option<(Arc<Vault>, Duration)>,
    pub(crate) cosigning: Vec<Cosigning>,
    pub(crate) reckoning: Arc<Reckoning>,
    pub(crate) logs: TenantLogs,
    pub(crate) grace: Duration,
    pub(crate) old: Arc<Old>,
}

/// Every background task there is, beside those of `assemble` that tell others how it goes.
pub(crate) fn tasks(works: Works) -> Vec<Task> {
    let Works {
        admin,
        tokens,
        reloader,
        renewal,
        upstreams,
        resolver,
        proxy,
        revoking,
        known_keys,
        quotas,
        rules,
        persons,
        relay,
        tally,
        directory,
        keys,
        following,
        vault,
        cosigning,
        reckoning,
        logs,
        grace,
        old,
    } = works;
    let policies = Watched {
        what: "policies",
        folders: vec![reloader.folder.clone()],
        mode: RecursiveMode::Recursive,
        every: None,
    };
    let uses = Arc::new(AuditUses::new(Arc::clone(revoking.store()), logs.clone()));
    let life = old.life.clone();
    let named = upstreams.clone();
    let prober = upstreams.iter().any(|upstream| upstream.check().is_some()).then(|| Prober::new(Arc::clone(&proxy)));
    let (mut taken, upgrade, supervisor) = (old.taken.subscribe(), Arc::clone(&old), Arc::clone(&old.supervisor));
    let beside = Arc::clone(&following);
    let vault =
        vault.map(|(vault, refresh)| Task::new("vault", move |shutdown| asking::run(vault, refresh, beside, shutdown)));
    let cosigning = cosigning.into_iter().map(|asking| Task::new("witnesses", move |shutdown| asking.run(shutdown)));
    let (journal, writing) = (Arc::clone(logs.first()), Arc::clone(logs.first()));
    let relay = relay.map(|relay| Task::new("relay", move |shutdown| relay.run(shutdown)));
    // What requests owe to the store is known when the last of them has ended.
    let tally = tally.map(|tally| Task::lasting("limits", move |shutdown| tally.run(shutdown)));
    let (tenants, taking) = (directory.clone().filter(Directory::knows_tenants), Arc::clone(&reloader));
    let tenants =
        tenants.map(|directory| Task::new("tenants", move |shutdown| membership::take(directory, taking, shutdown)));
    let directory = directory.map(|directory| Task::new("directory", move |shutdown| directory.run(shutdown)));
    let tasks = vec![
        Task::new("issuers", move |shutdown| tokens.run(shutdown)),
        Task::lasting("admin", move |shutdown| async move {
            // Who asks from now on is to be answered by the process that has taken over.
            let end = async {
                tokio::select! {
                    () = shutdown => {}
                    _ = taken.wait_for(|taken| *taken) => {}
                }
            };
            if let Err(error) = admin.serve(end).await {
                tracing::error!(error = terms::chain(&error), "the admin listener ended");
            }
        }),
        Task::new("keys", move |shutdown| signing::tend(keys, journal, shutdown)),
        Task::new("names", move |shutdown| upstream::keep_resolved(named, resolver, shutdown)),
        Task::new("health", move |shutdown| upstream::keep_checked(upstreams, prober, shutdown)),
        Task::new("policies", move |shutdown| {
            watch_files::run(policies, shutdown, move |by| {
                supervisor.reloading();
                reloader.reload(by);
                supervisor.ready("serving");
            })
        }),
        Task::lasting("streams", move |shutdown| async move {
            tokio::select! {
                () = proxy.watch_streams(life.reaches(Stage::Draining), grace) => {}
                () = shutdown => {} // the last of them has ended before its time
            }
        }),
        Task::new("secrets", move |shutdown| following::run(following, shutdown)),
        Task::new("quotas", move |shutdown| quotas.run(rules, shutdown)),
        Task::new("store", move |shutdown| watch_store::run(revoking, known_keys, uses, shutdown)),
        Task::new("subjects", move |shutdown| persons.run(shutdown)),
        Task::new("certificates", move |shutdown| renew::run(renewal, shutdown)),
        Task::new("time", move |shutdown| reckoning.run(writing, shutdown)),
        Task::new("upgrade", move |shutdown| upgrade.run(shutdown)),
    ];
    tasks.into_iter().chain(relay).chain(tally).chain(directory).chain(tenants).chain(vault).chain(cosigning).collect()
}

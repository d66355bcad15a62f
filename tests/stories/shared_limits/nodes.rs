//! Several servers of Redis, of which one is lost under load.

use std::time::Duration;

use super::losses::{Load, plenty, serves, until_lost};
use super::{counts, did, gateways, status};
use crate::harness::{Gateway, RedisServers, Watched, say};

/// Between two requests of one client: a few hundred in each story.
const PAUSE: Duration = Duration::from_millis(40);

fn settings(place: &str) -> String {
    format!("redis: {{ {place}, limits: {{ gateways: 2, timeout: 20ms }} }}\n")
}

/// Everything that a limit was asked about and that was refused, was refused for the store, by the limit that says so.
fn only_the_store_refuses(all: &[Gateway]) {
    for gateway in all {
        let records = gateway.records(&["--decision", "deny"]);
        let refused = records.finals().into_iter().filter(|record| record["reason"] != "auth.invalid.signature");
        let refused: Vec<_> = refused.map(|record| [&record["reason"], &record["limit_store"]]).collect();
        assert!(!refused.is_empty());
        assert!(refused.iter().all(|of| *of == ["limit.unavailable", "deny"]), "{refused:?}");
    }
}

/// How many scripts a server has run.
fn judged(port: u16) -> u64 {
    let known = say(port, "INFO commandstats");
    let calls = known.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls=")?.split(',').next());
    calls.and_then(|calls| calls.parse().ok()).unwrap_or(0)
}

/// Under load the Sentinels name another master, which is asked from then on.
async fn after_the_master(is: &str, back: Option<&str>) {
    let mut watched = Watched::start();
    let all = gateways(2, &settings(&watched.sentinels()), &plenty()).await;
    let shares = || all.iter().map(|gateway| did(gateway, "local_share")).sum::<f64>();
    let before = shares();
    let load = Load::slowly_on(&all, PAUSE);
    watched.servers.signal(watched.master, is);
    until_lost(&all);
    all[0].eventually("the replica is the master", || say(watched.replica, "ROLE").contains("master"));
    all.iter().for_each(counts);
    if let Some(back) = back {
        watched.servers.signal(watched.master, back);
        all[0].eventually("the old master follows", || say(watched.master, "ROLE").contains("slave"));
    }
    serves(&all).await;
    let asked = judged(watched.replica);
    all[0].eventually("it is asked there", || judged(watched.replica) > asked + 30);
    let answers = load.ends(is).await;
    println!("{answers} answers");
    assert!(shares() > before, "nobody went by a share");
    only_the_store_refuses(&all);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_master_is_killed_the_one_that_sentinels_name_is_asked_without_a_restart() {
    after_the_master("KILL", None).await;
}

/// Two tenants, whose budgets are on two nodes of three.
#[tokio::test(flavor = "multi_thread")]
async fn when_a_node_of_a_cluster_is_lost_the_tenants_of_the_others_go_on() {
    let slot = |tenant: &str| {
        let (servers, ports) = RedisServers::cluster(&[0]);
        let answer = say(ports[0], &format!("CLUSTER KEYSLOT {tenant}"));
        drop(servers);
        answer.trim().trim_start_matches(':').parse::<u16>().unwrap()
    };
    let (acme, globex) = (slot("acme"), slot("globex"));
    let (less, more) = (acme.min(globex), acme.max(globex));
    let (mut servers, ports) = RedisServers::cluster(&[0, less + 1, more + 1]);
    let lost = if acme < globex { ports[1] } else { ports[0] };
    let flights = "limits:\n  flights: { concurrency: 20, key: [tenant], on_store_loss: deny }\n";
    let policies = plenty().replacen("limits:\n", flights, 1).replace("limits: [deny]", "limits: [deny, flights]");
    let seeds: Vec<_> = ports.iter().map(|port| format!("\"redis://127.0.0.1:{port}\"")).collect();
    let all = gateways(2, &settings(&format!("cluster: [{}]", seeds.join(", "))), &policies).await;
    let gateway = &all[0];
    let (ours, theirs) = (gateway.token("acme", "ada", &["viewer"]), gateway.token("globex", "gil", &["viewer"]));
    for (tenant, token) in [("acme", &ours), ("globex", &theirs)] {
        assert_eq!(status(gateway, tenant, "/deny", token).await, 200);
    }
    servers.signal(lost, "KILL");
    let mut served = 0;
    for _ in 0..100 {
        for _ in 0..2 {
            assert_eq!(
                status(gateway, "globex", "/deny", &theirs).await,
                503,
                "nobody else counts for the node that is lost"
            );
            assert_eq!(status(gateway, "globex", "/share", &theirs).await, 200);
        }
        // On a busy machine one answer may be late, but not each.
        for _ in 0..3 {
            match status(gateway, "acme", "/deny", &ours).await {
                200 => {
                    served += 1;
                    break;
                }
                status => assert_eq!(status, 503, "places are given back, though others' cannot be"),
            }
        }
    }
    assert!(served >= 90, "who counts elsewhere was served {served} times of 100");
    only_the_store_refuses(&all[..1]);
}

mod slow {
    use super::*;

    /// It still believes that it is the master when it wakes up.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_master_that_was_away_and_comes_back_is_not_asked_any_more() {
        after_the_master("STOP", Some("CONT")).await;
    }
}

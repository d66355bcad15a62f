//! Somebody is killed in the middle of an upgrade, under load.

use std::collections::HashSet;

use super::*;

/// After how many more answers somebody is killed: somewhere between the first word and the last.
const PLACES: [u64; 6] = [0, 5, 20, 60, 150, 400];

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_killed_with_kill_9_every_answer_has_its_one_record() {
    for victim in ["old", "new"] {
        for place in PLACES {
            let mut gateway = Gateway::test().shutdown("idle: 500ms").start().await;
            let token = gateway.token("acme", "ada", &["clerk"]);
            let load = Load::start(gateway.address, &token, "/orders/1", &[Manner::Keeps; 4]);
            gateway.eventually("there is load", || load.answered() > 200);
            let mut next = gateway.successor();
            gateway.process().signal("QUIT");
            next.await_line(|line| line["message"] == "taking over");
            let count = load.answered();
            gateway.eventually("it goes on", || load.answered() >= count + place);
            if victim == "new" {
                next.signal("KILL");
                next.wait();
                // Who has handed over already drains and ends; who has not goes on.
                let said = gateway.process().said();
                if !said.contains("another process has taken over") {
                    let count = load.answered();
                    gateway.eventually("the old one serves", || load.answered() > count + 100);
                    gateway.process().signal("TERM");
                }
                gateway.process().wait();
            } else {
                gateway.process().signal("KILL");
                gateway.process().wait();
                gateway.succeed(next);
                let count = load.answered();
                gateway.eventually("the new one serves", || load.answered() > count + 100);
                gateway.process().signal("TERM");
                gateway.process().wait();
            }
            let answered = load.give_up();
            gateway.start_again(); // what was not brought into the log is in it now
            let finals = finals(&gateway);
            let recorded: HashSet<&str> = finals.iter().filter_map(|record| record["id"].as_str()).collect();
            for id in &answered {
                assert!(recorded.contains(id.as_str()), "{victim} at {place}: {id} was answered and has no record");
            }
        }
    }
}

/// Every request of a few seconds, over kept and new connections, while the process is replaced three times.
#[tokio::test(flavor = "multi_thread")]
async fn three_upgrades_in_a_row_under_load_let_no_request_fail() {
    let mut gateway = Gateway::test().shutdown("idle: 2s").start().await;
    let token = gateway.token("acme", "ada", &["clerk"]);
    let manners = [[Manner::Keeps; 12].as_slice(), &[Manner::Renews; 4]].concat();
    let load = Load::start(gateway.address, &token, "/orders/1", &manners);
    for _ in 0..3 {
        let count = load.answered();
        gateway.eventually("there is load", || load.answered() > count + 1_000);
        let mut old = gateway.upgrade();
        assert!(old.wait().success(), "{}", old.said());
    }
    let answered = load.end();
    gateway.process().signal("TERM");
    assert!(gateway.process().wait().success());
    assert_eq!(finals(&gateway).len() as u64, answered);
}

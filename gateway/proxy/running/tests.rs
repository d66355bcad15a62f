use std::future::pending;
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;

use super::*;

/// A request that was ended, as it leaves: with a context in a stage that has a record to be written.
fn context() -> Context {
    let reason = Reason::RouteUnknown;
    let arrival = gate::Arrival {
        id: terms::RequestId::new(1, 2),
        client: std::net::Ipv4Addr::LOCALHOST.into(),
        protocol: None,
        trace: 0,
        at: std::time::UNIX_EPOCH,
        started: Instant::now(),
        scheme: canonical::Scheme::Http,
        channel: gate::Channel::Plain,
    };
    let mut context = Context::default();
    (context.stage, context.sent) = (Stage::Refused { arrival, reason, route: None }, 7);
    context
}

/// What a request that waits for ever comes to, if `then` is done in it first.
async fn ended(then: impl FnOnce(&Running) + Send) -> (Option<Reason>, u64) {
    let mut left = (None, 0);
    let waits = async {
        let _context = context();
        RUNNING.with(then);
        pending::<Option<()>>().await
    };
    let done = run(Box::pin(waits), |context, why| left = (Some(why), context.sent));
    assert_eq!(tokio::time::timeout(Duration::from_secs(10), done).await, Ok(None));
    left
}

#[tokio::test]
async fn the_deadline_that_comes_first_ends_a_request_that_waits() {
    let now = Instant::now();
    let (soon, late) = (now + Duration::from_millis(20), now + Duration::from_secs(60));
    for (body, whole, why) in [
        (Some(soon), None, Reason::RequestTimeout),
        (None, Some(soon), Reason::UpstreamTimeout),
        (Some(late), Some(soon), Reason::UpstreamTimeout),
        (Some(soon), Some(late), Reason::RequestTimeout),
        (Some(now), Some(late), Reason::RequestTimeout),
    ] {
        let then = |running: &Running| {
            running.set(Deadline::Body, body);
            running.set(Deadline::Whole, whole);
        };
        assert_eq!(ended(then).await, (Some(why), 7));
    }
}

#[tokio::test]
async fn a_deadline_can_be_moved_both_ways_and_lifted_while_the_alarm_is_set() {
    for (first, then, at_least) in [(30, 90, 90), (60_000, 40, 40)] {
        let started = Instant::now();
        let at = |milliseconds| Some(started + Duration::from_millis(milliseconds));
        let waits = async {
            let _context = context();
            RUNNING.with(|running| running.set(Deadline::Body, at(first)));
            tokio::time::sleep(Duration::from_millis(5)).await;
            RUNNING.with(|running| running.set(Deadline::Body, at(then)));
            pending::<Option<()>>().await
        };
        let done = tokio::time::timeout(Duration::from_secs(10), run(Box::pin(waits), |_, _| {}));
        assert_eq!(done.await, Ok(None));
        assert!(started.elapsed() >= Duration::from_millis(at_least), "{first} {then}");
    }
    let waits = async {
        let _context = context();
        RUNNING.with(|running| running.set(Deadline::Body, Some(Instant::now() + Duration::from_millis(30))));
        tokio::time::sleep(Duration::from_millis(5)).await;
        RUNNING.with(|running| running.set(Deadline::Body, None));
        tokio::time::sleep(Duration::from_millis(60)).await;
        Some(())
    };
    assert_eq!(run(Box::pin(waits), |_, _| panic!("nothing ends it")).await, Some(()));
}

#[tokio::test]
async fn somebody_else_ends_a_request_and_the_first_reason_stands() {
    let stream = Arc::new(Stream::for_test());
    let theirs = Arc::clone(&stream);
    #[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
    let other = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        theirs.end(Reason::TenantSuspended);
        theirs.end(Reason::Internal);
    });
    assert_eq!(ended(|running| running.stream.set(stream).unwrap()).await, (Some(Reason::TenantSuspended), 7));
    other.await.unwrap();
}

#[tokio::test]
async fn a_request_that_is_over_or_breaks_is_left_alone() {
    // Its record is complete: what comes behind that, such as the rest of a body that is read away, is nobody's to cut.
    let over = async {
        RUNNING.with(|running| running.set(Deadline::Whole, Some(Instant::now())));
        super::over();
        tokio::time::sleep(Duration::from_millis(20)).await;
        Some(())
    };
    assert_eq!(run(Box::pin(over), |_, _| panic!("it is over")).await, Some(()));

    // A panic goes its way, and does not look like something that we ended.
    let broken = async {
        let _context = context();
        RUNNING.with(|running| running.set(Deadline::Whole, Some(Instant::now() + Duration::from_secs(60))));
        panic!("on purpose")
    };
    let broken = run::<()>(Box::pin(broken), |_, _| panic!("it was not ended"));
    #[expect(clippy::disallowed_methods, reason = "it ends with its test's runtime")]
    let told = tokio::spawn(broken).await.unwrap_err().into_panic();
    assert_eq!(told.downcast_ref(), Some(&"on purpose"));
}

#[tokio::test]
async fn who_waits_too_long_for_an_answer_is_woken_by_the_end_of_the_connection_and_not_dropped() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut connection = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let waits = async {
        let _context = context();
        let (at, wire) = (Instant::now() + Duration::from_millis(20), connection.as_raw_fd());
        RUNNING.with(|running| {
            running.backend.set(Some(wire));
            running.set(Deadline::FirstByte, Some(at));
        });
        let read = connection.read(&mut [0]).await;
        RUNNING.with(|running| assert!(running.hung_up.get() && running.first().is_none()));
        read.ok()
    };
    assert_eq!(run(Box::pin(waits), |_, _| panic!("it is not dropped")).await, Some(0));
    // What shares its connection with others has none that could be ended.
    let then = |running: &Running| running.set(Deadline::FirstByte, Some(Instant::now()));
    assert_eq!(ended(then).await, (Some(Reason::UpstreamTimeout), 7));
}

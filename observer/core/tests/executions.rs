//! Stories of executions that share threads: goroutines, contexts of asyncio tasks.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use observer_abi::runtime::{GO, PINNED, PUBLISHED, PYTHON, TOKIO};
use observer_core::judged::{Judged, Reason, SubjectId, Tier, Verdict};
use world::{Socket, Told, World, request, response, tell_explaining, traceparent};

const SHOP: u32 = 10;
const LOOP: u32 = 10;
const SECOND: u64 = 1_000_000_000;

/// Two connections to a server whose one thread serves both, one to a downstream, and its log.
struct Shop {
    w: World,
    a: Socket,
    b: Socket,
    client: Socket,
    out: Socket,
}

fn shop() -> Shop {
    let mut w = World::new();
    let (a, b) = w.serves_both(SHOP, true);
    let client = w.tcp(SHOP, 6000, 90, true);
    let out = w.stdout(SHOP);
    Shop {
        w,
        a,
        b,
        client,
        out,
    }
}

impl Shop {
    /// Both requests are read, in a context that belongs to none of them.
    fn read_both(&mut self, runtime: u8) {
        self.w.run(LOOP, runtime, 1);
        self.w.reads_both([LOOP, LOOP], (self.a, self.b));
    }

    fn call(&mut self) {
        self.w.calls(LOOP, self.client, "/out");
    }

    /// What runs on the loop from now on answers.
    fn answers(&mut self, runtime: u8, execution: u64, socket: Socket) {
        self.w.run(LOOP, runtime, execution);
        self.w.write(LOOP, socket, response());
    }

    fn told(mut self) -> Told {
        self.w.sleep(3 * SECOND);
        self.w.tick();
        self.w.told()
    }
}

fn call_of(told: &Told) -> (Option<&'static str>, Option<Tier>, Option<Reason>) {
    let call = told.call("/out");
    let path = ["/a", "/b"]
        .into_iter()
        .find(|path| call.request == Some(told.served(path).id));
    let attribution = call.attribution.as_ref().unwrap();
    (path, attribution.tier, attribution.reason.clone())
}

#[test]
fn the_execution_that_answers_owned_the_request() {
    for runtime in [GO, PYTHON] {
        let mut s = shop();
        s.read_both(runtime);
        s.w.run(LOOP, runtime, 21);
        s.call();
        s.w.write(LOOP, s.out, "said by a\n");
        s.w.run(LOOP, runtime, 22);
        s.w.write(LOOP, s.out, "said by b\n");
        s.w.write(LOOP, s.b, response());
        s.answers(runtime, 21, s.a);
        let told = s.told();
        assert_eq!(call_of(&told), (Some("/a"), Some(Tier::Execution), None));
        assert_eq!(told.call("/out").verdict, Some(Verdict::Dropped));
        for (line, path) in [("said by a", "/a"), ("said by b", "/b")] {
            assert_eq!(
                told.line(line).request,
                Some(told.served(path).id),
                "{line}"
            );
        }
    }
}

#[test]
fn one_that_answers_requests_which_overlap_proves_nothing() {
    let mut s = shop();
    s.read_both(PYTHON);
    s.call();
    s.w.write(LOOP, s.b, response());
    s.w.write(LOOP, s.a, response());
    let told = s.told();
    assert_eq!(call_of(&told), (None, None, Some(Reason::SharedExecution)));
}

#[test]
fn work_before_the_request_was_read_is_not_for_it() {
    let mut s = shop();
    s.w.run(LOOP, PYTHON, 21);
    s.w.read(LOOP, s.b, request("/b", &traceparent(2, 2)));
    s.call();
    s.w.read(LOOP, s.a, request("/a", &traceparent(1, 1)));
    s.w.write(LOOP, s.a, response());
    s.answers(PYTHON, 22, s.b);
    assert_eq!(call_of(&s.told()).0, None);
}

#[test]
fn one_that_was_begun_for_the_request_works_for_it() {
    let mut s = shop();
    s.read_both(PYTHON);
    s.w.branch(SHOP, LOOP, PYTHON, 21, 31);
    s.w.branch(SHOP, LOOP, PYTHON, 31, 32);
    s.w.run(LOOP, PYTHON, 32);
    s.call();
    s.answers(PYTHON, 21, s.a);
    s.answers(PYTHON, 22, s.b);
    let told = s.told();
    assert_eq!(call_of(&told), (Some("/a"), Some(Tier::Execution), None));
}

#[test]
fn one_that_outlives_the_request_serves_the_process() {
    let mut s = shop();
    s.read_both(PYTHON);
    s.w.branch(SHOP, LOOP, PYTHON, 21, 31);
    s.w.run(LOOP, PYTHON, 31);
    s.call();
    s.answers(PYTHON, 21, s.a);
    s.w.run(LOOP, PYTHON, 31);
    s.w.write(LOOP, s.out, "still here\n");
    s.answers(PYTHON, 22, s.b);
    let told = s.told();
    assert_eq!(call_of(&told), (None, None, Some(Reason::OutlivedRequest)));
    assert_eq!(told.line("still here").request, None);
}

#[test]
fn an_identity_that_is_given_out_again_is_another_execution() {
    let mut s = shop();
    s.read_both(PYTHON);
    s.w.run(LOOP, PYTHON, 31);
    s.call();
    s.w.branch(SHOP, LOOP, PYTHON, 1, 31);
    s.answers(PYTHON, 31, s.a);
    s.answers(PYTHON, 22, s.b);
    assert_eq!(call_of(&s.told()).0, None);
}

#[test]
fn a_pooled_connection_serves_who_took_it() {
    let mut s = shop();
    s.read_both(GO);
    // Handler of /a connects, so that the writer of the connection descends from it.
    s.w.branch(SHOP, LOOP, GO, 21, 50);
    s.w.run(LOOP, GO, 22);
    s.w.take(LOOP, s.client);
    s.w.run(LOOP, GO, 50);
    s.call();
    s.answers(GO, 22, s.b);
    s.answers(GO, 21, s.a);
    assert_eq!(
        call_of(&s.told()),
        (Some("/b"), Some(Tier::Execution), None)
    );
}

#[test]
fn without_the_taking_the_writer_of_a_pooled_connection_tells_nothing() {
    let mut s = shop();
    s.read_both(GO);
    s.w.branch(SHOP, LOOP, GO, 21, 50);
    s.w.run(LOOP, GO, 50);
    s.call();
    s.answers(GO, 22, s.b);
    s.answers(GO, 21, s.a);
    assert_eq!(call_of(&s.told()).0, None);
}

#[test]
fn an_attribution_is_explained() {
    let mut s = shop();
    s.read_both(PYTHON);
    s.w.run(LOOP, PYTHON, 21);
    s.call();
    s.w.write(LOOP, s.a, response());
    s.answers(PYTHON, 22, s.b);
    s.w.sleep(3 * SECOND);
    s.w.tick();
    let call = s.w.told().call("/out").id;
    let told = tell_explaining(&s.w.inputs, 0, Some(SubjectId(call.0)));
    let story = told
        .0
        .iter()
        .find_map(|judged| match judged {
            Judged::Explanation(story) => Some(story),
            _ => None,
        })
        .unwrap();
    assert_eq!(story.of, call.to_string());
    assert_eq!(story.execution.as_deref(), Some("context 21"));
    let candidates: Vec<_> = story.candidates.iter().map(|c| c.request).collect();
    assert_eq!(
        candidates,
        [told.served("/a").id, told.served("/b").id],
        "both were in flight"
    );
    let named: Vec<_> = story.evidence.iter().map(|e| e.request).collect();
    let own = Some(told.served("/a").id);
    let others = named.iter().enumerate().filter(|(kind, _)| *kind != 1);
    assert_eq!(named[1], own, "the execution's");
    assert!(others.into_iter().all(|(_, request)| request.is_none()));
    assert_eq!(story.request, Some(told.served("/a").id));
}

/// Forty pairs of requests. What calls carries the context of /b; it is context 21, which answers /a, or one that
/// 21 began.
fn leaking(child: bool) -> Told {
    let mut w = World::new();
    let (a, b) = w.serves_both(SHOP, true);
    let client = w.tcp(SHOP, 6000, 90, true);
    let call = |w: &mut World, path: &str, headers: &str| {
        w.write(LOOP, client, request(path, headers));
        w.read(LOOP, client, response());
    };
    for n in 0..40_u64 {
        let (one, other) = (2 * n + 1, 2 * n + 2);
        w.run(LOOP, PYTHON, 1);
        w.read(LOOP, a, request(&format!("/a/{n}"), &traceparent(one, 1)));
        w.read(LOOP, b, request(&format!("/b/{n}"), &traceparent(other, 1)));
        w.run(LOOP, PYTHON, 21);
        if child {
            w.branch(SHOP, LOOP, PYTHON, 21, 31);
            w.run(LOOP, PYTHON, 31);
        }
        call(&mut w, &format!("/ids/{n}"), &traceparent(other, 9));
        call(&mut w, &format!("/bare/{n}"), "");
        w.run(LOOP, PYTHON, 21);
        w.write(LOOP, a, response());
        w.run(LOOP, PYTHON, 22);
        w.write(LOOP, b, response());
        w.sleep(2 * SECOND);
        w.tick();
    }
    w.told()
}

#[test]
fn a_leak_is_the_ids_fault_where_the_execution_wrote_the_response() {
    let told = leaking(false);
    let last = told.call("/ids/39");
    assert_eq!(last.verdict, Some(Verdict::Crossed));
    assert_eq!(last.request, Some(told.served("/a/39").id));
    assert_eq!(told.call("/bare/39").verdict, Some(Verdict::Dropped));
}

#[test]
fn other_evidence_that_disagrees_with_trace_ids_is_no_longer_believed() {
    let told = leaking(true);
    assert_eq!(told.call("/bare/0").verdict, Some(Verdict::Dropped));
    for path in ["/bare/39", "/ids/39"] {
        let last = told.call(path);
        assert_eq!(last.verdict, Some(Verdict::Inconclusive), "{path}");
        let reason = last.attribution.as_ref().unwrap().reason.clone();
        assert!(
            matches!(reason, Some(Reason::Distrusted { disagreed, compared }) if disagreed == compared),
            "{path}: {reason:?}"
        );
    }
}

/// The task of a connection writes a call for whoever handed it over and is handed the response.
#[test]
fn the_task_that_hands_a_call_over_and_is_answered_has_asked() {
    let [a, b, connection] = [11, 12, 20];
    for answered in [a, b] {
        let mut s = shop();
        s.w.run(LOOP, TOKIO, a);
        s.w.read(LOOP, s.a, request("/a", &traceparent(1, 1)));
        s.w.run(LOOP, TOKIO, b);
        s.w.read(LOOP, s.b, request("/b", &traceparent(2, 2)));
        s.w.nudge(SHOP, LOOP, TOKIO, b, connection);
        s.w.run(LOOP, TOKIO, connection);
        s.call();
        s.w.nudge(SHOP, LOOP, TOKIO, connection, answered);
        s.answers(TOKIO, b, s.b);
        s.answers(TOKIO, a, s.a);
        let (request, tier, _) = call_of(&s.told());
        if answered == b {
            assert_eq!((request, tier), (Some("/b"), Some(Tier::Execution)));
        } else {
            assert_eq!((request, tier), (None, None));
        }
    }
}

#[test]
fn a_thread_that_publishes_its_trace_names_the_request() {
    for (published, expected) in [(1, Some("/a")), (2, Some("/b")), (3, None)] {
        let mut s = shop();
        s.w.run(LOOP, PUBLISHED, 0);
        s.w.reads_both([LOOP, LOOP], (s.a, s.b));
        s.w.run(LOOP, PUBLISHED, published);
        s.call();
        s.w.write(LOOP, s.b, response());
        s.w.write(LOOP, s.a, response());
        let (request, tier, _) = call_of(&s.told());
        assert_eq!(request, expected);
        assert_eq!(tier, expected.map(|_| Tier::Declared));
    }
}

#[test]
fn a_trace_that_two_requests_came_in_with_names_none() {
    let mut s = shop();
    s.w.read(LOOP, s.a, request("/a", &traceparent(1, 1)));
    s.w.read(LOOP, s.b, request("/b", &traceparent(1, 2)));
    s.w.run(LOOP, PUBLISHED, 1);
    s.call();
    s.w.write(LOOP, s.b, response());
    s.w.write(LOOP, s.a, response());
    assert_eq!(call_of(&s.told()).0, None);
}

#[test]
fn a_context_that_nobody_detached_says_nothing_after_its_request() {
    let mut s = shop();
    s.w.run(LOOP, PUBLISHED, 1);
    s.w.reads_both([LOOP, LOOP], (s.a, s.b));
    s.w.write(LOOP, s.a, response());
    s.call();
    s.w.write(LOOP, s.b, response());
    assert_eq!(call_of(&s.told()).0, None);
}

/// Rounds of two requests each that overlap, of whose answers another observer tells the traces `told`; then the thread
/// `caller` makes a call in the trace of `/a`.
fn pinned(rounds: u32, told: impl Fn(u32) -> [u64; 2], caller: u32) -> Told {
    let mut s = shop();
    for round in 0..rounds {
        let [a, b] = told(round);
        s.w.run(LOOP, PINNED, 0);
        s.w.read(LOOP, s.a, request("/x", &traceparent(1, 1)));
        s.w.read(LOOP, s.b, request("/y", &traceparent(2, 2)));
        s.answers(PINNED, b, s.b);
        s.answers(PINNED, a, s.a);
    }
    s.w.run(LOOP, PINNED, 0);
    s.w.read(LOOP, s.a, request("/a", &traceparent(3, 3)));
    s.w.read(LOOP, s.b, request("/b", &traceparent(4, 4)));
    s.w.run(caller, PINNED, 3);
    s.w.calls(caller, s.client, "/out");
    s.answers(PINNED, 4, s.b);
    s.answers(PINNED, 3, s.a);
    s.told()
}

#[test]
fn what_another_observer_tells_counts_once_it_was_right_of_answers() {
    let right = |_| [1, 2];
    let told = pinned(10, right, LOOP);
    assert_eq!(call_of(&told).0, Some("/a"));
    assert_eq!(call_of(&told).1, Some(Tier::Declared));
    assert_eq!(call_of(&pinned(8, right, LOOP)).0, None, "too few answers");
}

#[test]
fn what_another_observer_tells_is_not_believed_where_it_was_wrong() {
    // The trace of the request that was read last, whichever is answered.
    assert_eq!(call_of(&pinned(40, |_| [2, 2], LOOP)).0, None);
    assert_eq!(call_of(&pinned(40, |_| [1, 1], LOOP)).0, None);
    let mostly = |round| if round % 8 == 0 { [1, 1] } else { [1, 2] };
    assert_eq!(call_of(&pinned(80, mostly, LOOP)).0, None);
    assert_eq!(
        call_of(&pinned(40, |_| [1, 0], LOOP)).0,
        None,
        "nothing was told of answers"
    );
}

#[test]
fn what_another_observer_tells_of_a_thread_that_never_answered_is_not_believed() {
    assert_eq!(call_of(&pinned(40, |_| [1, 2], LOOP + 1)).0, None);
}

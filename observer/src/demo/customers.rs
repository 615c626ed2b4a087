//! The shop's customers.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use super::http;

/// Customers who come one after the other, so that what is shown of them is easy to read.
const FIRST: u32 = 3;
/// Time between those.
const PAUSE: Duration = Duration::from_millis(400);
/// How many come at once afterwards.
const AT_ONCE: u32 = 4;
/// Time between two customers of one of those queues.
const HURRY: Duration = Duration::from_millis(150);

/// Makes `count` requests, fewer if `stop` is raised; gives how many were answered.
pub(super) fn come(gateway: SocketAddr, count: u32, stop: &AtomicBool) -> u32 {
    let served = AtomicU32::new(0);
    let visit = |number: u32| {
        let target = format!("/checkout/{number}");
        let answer = http::call(gateway, "gateway", "GET", &target, Some(&context(number)));
        if answer.is_ok_and(|status| status == 200) {
            served.fetch_add(1, Ordering::Relaxed);
        }
    };
    for number in 1..=count.min(FIRST) {
        visit(number);
        pause(PAUSE, stop);
    }
    thread::scope(|scope| {
        for queue in 0..AT_ONCE {
            let visit = &visit;
            scope.spawn(move || {
                let numbers = (FIRST + 1 + queue..=count).step_by(AT_ONCE as usize);
                for number in numbers {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    visit(number);
                    pause(HURRY, stop);
                }
            });
        }
    });
    served.into_inner()
}

/// Sleeps, unless the demo is over.
fn pause(time: Duration, stop: &AtomicBool) {
    if !stop.load(Ordering::Relaxed) {
        thread::sleep(time);
    }
}

/// The context that a customer's browser sends: of its own trace each.
fn context(number: u32) -> String {
    let mixed = u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    format!("00-{mixed:032x}-{:016x}-01", u64::from(number) | 1 << 63)
}

//! How large the futures are that connections consist of.
//!
//! An idle connection is its future and little else, so their size is the memory of thousands of open
//! tunnels, and what is moved and cleared for every connection. It grows unnoticed: a value that lives
//! across an `.await`, or is handed by value from one `async fn` to the next, is kept in each of them.
//!
//! When one of these fails: take what is large by reference instead of by value, end its life before the
//! `.await`, or box a part of the way that is seldom gone (`Box::pin(rare()).await`). To see what a future
//! holds: `RUSTC_BOOTSTRAP=1 cargo rustc --release -p egret-proxy --lib -- -Zprint-type-sizes`. A bound may
//! be raised, with the figure for idle tunnels of `bench/run --scenario idle` in the commit.

use crate::tunnel::{self, Tunnel};
use crate::{forward, inlet, relay};

/// The size of what an `async fn` of so many arguments returns.
macro_rules! size_of_future {
    ($name:ident, $($argument:ident),+) => {
        fn $name<$($argument,)+ Output>(_: impl FnOnce($($argument),+) -> Output) -> usize {
            size_of::<Output>()
        }
    };
}

size_of_future!(of_two, A, B);
size_of_future!(of_three, A, B, C);
size_of_future!(of_four, A, B, C, D);

#[track_caller]
fn assert_at_most(what: &str, bound: usize, size: usize) {
    assert!(size <= bound, "{what} takes {size} bytes, and {bound} is the bound");
    assert!(size > bound / 2, "{what} takes only {size} bytes: lower the bound of {bound}");
}

#[test]
fn a_connection_takes_little_memory() {
    assert_at_most("a connection that makes requests", 3620, of_four(inlet::serve));
    assert_at_most("a connection that is a tunnel", 1170, size_of::<Tunnel>());
}

#[test]
fn what_a_connection_spends_on_a_request_is_small() {
    assert_at_most("a forwarded request", 1600, of_three(forward::serve));
    assert_at_most("opening a tunnel", 1050, of_two(tunnel::open_http1));
    assert_at_most("relaying", 560, of_three(relay::run));
}

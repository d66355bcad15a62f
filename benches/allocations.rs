//! Counts what a thread allocates, over the allocator that the program uses.
#![expect(unsafe_code, reason = "an allocator is unsafe by its trait; this one hands every call on as it came")]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// How many allocations this thread makes while `work` runs, those that grow included.
pub(crate) fn during<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let before = COUNT.get();
    let result = work();
    (COUNT.get() - before, result)
}

/// Says what was counted, beside the times.
#[expect(clippy::print_stdout, reason = "it prints what it measures")]
pub(crate) fn print(name: &str, count: u64) {
    println!("{name:<23} {count} allocations");
}

struct Counting;

fn count() {
    COUNT.set(COUNT.get() + 1);
}

// SAFETY: what MiMalloc promises, since nothing is changed on the way. Counting neither allocates nor panics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the promises of `alloc`.
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the promises of `alloc_zeroed`.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the promises of `dealloc`.
        unsafe { MiMalloc.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the promises of `realloc`.
        unsafe { MiMalloc.realloc(pointer, layout, size) }
    }
}

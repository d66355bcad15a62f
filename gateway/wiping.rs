//! Memory that is given back is empty, whoever it was that had it.
//!
//! Our own secrets clear themselves (`secrets`, `zeroize`). What libraries copy does not: buffers of connections in which
//! a token or a password came, values of Vault on their way through a JSON parser, the login of a database client. They
//! all come from here and go back to here, so here is the one place that can promise for all of them that a secret which
//! is not in use any more is not in memory any more either: for whoever reads a core, a page that was swapped out, or past
//! the end of a buffer.

#![expect(unsafe_code, reason = "an allocator hands out raw memory: that is what `GlobalAlloc` is")]

use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;

use mimalloc::MiMalloc;

/// Requests allocate small things and free them soon, on the same thread: what mimalloc is made for.
pub(crate) struct Wiping;

// SAFETY: every call goes to mimalloc as it came, so what `GlobalAlloc` asks of an allocator is what mimalloc gives. The
// only thing done beside is to write zeros into a block before it is given back, while it is still ours alone.
unsafe impl GlobalAlloc for Wiping {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are the same.
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are the same.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller gives back a block of this layout, which nobody uses any more.
        unsafe {
            block.write_bytes(0, layout.size());
            MiMalloc.dealloc(black_box(block), layout); // hidden, or the zeros would be left out as of no use
        }
    }

    // `realloc` is the one that stands in the trait: a new block, a copy, and `dealloc` of the old one. That of mimalloc
    // would leave behind what was there.
}

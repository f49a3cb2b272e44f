//! The mark of the old space, in steps.
//!
//! Invariant between steps: an old object with `FLAG_MARK` is either in `stack`, in `partial`, or all old objects that it refers to
//! are marked, except through stores since the last minor collection, whose owners are remembered (see `barrier`). Young objects
//! are never marked: a minor collection visits all of them that live.
//!
//! A big buffer is scanned in pieces; its owner waits in `partial` with the position. Moving elements inside it remembers all of
//! it, so nothing slips past the position.
//!
//! Contract: marked objects are alive or at least not swept; bundles met are in this heap's table, or kept by what is.

use super::table::BundleTable;
use crate::object::size::{buffer_of, object_bytes};
use crate::object::trace::{buffered_values, inline_values, is_leaf};
use crate::object::*;
use crate::prefetch::prefetch;
use crate::value::Value;
use std::time::Instant;

/// So many values of a buffer are scanned at once: about 10 µs of work.
const PIECE_VALUES: usize = if cfg!(test) { 64 } else { 4096 };
/// How far ahead of its check an object is fetched: on a big heap nearly each is a cache miss.
const AHEAD: usize = 8;
/// So many objects are scanned between two looks at the clock.
const OBJECTS_PER_LOOK: usize = if cfg!(test) { 4 } else { 128 };

pub(crate) struct Marking {
    /// Marked, not yet scanned.
    stack: Vec<*mut Header>,
    /// Owners of big buffers, and the position up to which they are scanned.
    partial: Vec<(*mut Header, usize)>,
    /// Objects met that are on their way into the cache, to be marked if they are not; null: none. Empty between steps.
    ahead: [*mut Header; AHEAD],
    ahead_next: usize,
    /// Bytes of marked objects.
    pub(crate) bytes: usize,
}

impl Marking {
    pub(crate) fn new() -> Marking {
        Marking {
            stack: Vec::new(),
            partial: Vec::new(),
            ahead: [std::ptr::null_mut(); AHEAD],
            ahead_next: 0,
            bytes: 0,
        }
    }

    /// Marks an old object that has no mark yet.
    ///
    /// # Safety
    /// See the head of the file.
    #[inline(always)]
    pub(crate) unsafe fn mark(&mut self, object: *mut Header) {
        // SAFETY: the caller's.
        unsafe {
            (*object).flags |= FLAG_MARK;
            if is_leaf((*object).kind) {
                self.bytes += object_bytes(object);
            } else {
                self.stack.push(object);
            }
        }
    }

    /// Scans until nothing is left (true), or `at_least` bytes are marked and the deadline has passed. (The deadline alone would let
    /// the heap grow without bound where other programs take most of the time.)
    ///
    /// # Safety
    /// See the head of the file.
    pub(crate) unsafe fn step(
        &mut self,
        bundles: &mut BundleTable,
        at_least: usize,
        deadline: Option<Instant>,
    ) -> bool {
        let enough = self.bytes.saturating_add(at_least);
        loop {
            for _ in 0..OBJECTS_PER_LOOK {
                // SAFETY: objects in `stack` and owners in `partial` are marked, so not swept.
                unsafe {
                    if let Some(object) = self.stack.pop() {
                        self.scan(object, bundles);
                    } else if self.empty_ahead() {
                        continue;
                    } else if let Some((owner, from)) = self.partial.pop() {
                        self.scan_piece(owner, from, bundles);
                        break;
                    } else {
                        return true;
                    }
                }
            }
            if self.bytes >= enough && deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                // Young objects move before the next step.
                // SAFETY: as above.
                unsafe { self.empty_ahead() };
                return false;
            }
        }
    }

    unsafe fn scan(&mut self, object: *mut Header, bundles: &mut BundleTable) {
        // SAFETY: a marked object, whole.
        unsafe {
            self.bytes += object_bytes(object);
            inline_values(object, |first, count| self.visit(first, count, bundles));
            match (*object).kind {
                Kind::List => {
                    self.mark_buffer((*object.cast::<List>()).items.cast());
                    self.scan_piece(object, 0, bundles);
                }
                Kind::Map | Kind::Set => {
                    let map = object.cast::<Map>();
                    self.mark_buffer((*map).entries.cast());
                    self.mark_buffer((*map).index.cast());
                    self.mark_buffer((*map).next_index.cast());
                    self.scan_piece(object, 0, bundles);
                }
                _ => {}
            }
        }
    }

    unsafe fn scan_piece(&mut self, owner: *mut Header, from: usize, bundles: &mut BundleTable) {
        // SAFETY: a marked owner; its count of values is read anew, since it may have shrunk.
        unsafe {
            let (first, count) = buffered_values(owner);
            if from >= count {
                return;
            }
            let piece = (count - from).min(PIECE_VALUES);
            if from + piece < count {
                self.partial.push((owner, from + piece));
            }
            self.visit(first.add(from), piece, bundles);
        }
    }

    #[inline(always)]
    unsafe fn visit(&mut self, first: *mut Value, count: usize, bundles: &mut BundleTable) {
        // SAFETY: values of a live object.
        unsafe {
            for i in 0..count {
                let value = first.add(i).read();
                if value.is_local() {
                    let object = value.as_object();
                    prefetch::<1, _>(object);
                    let at = self.ahead_next;
                    self.ahead_next = (at + 1) % AHEAD;
                    let arrived = std::mem::replace(&mut self.ahead[at], object);
                    self.mark_if_old(arrived);
                } else if value.is_shared() {
                    bundles.meet(value.as_object());
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn mark_if_old(&mut self, object: *mut Header) {
        // SAFETY: null, or an object that was met in this step.
        unsafe {
            if !object.is_null() && (*object).flags & (FLAG_OLD | FLAG_MARK) == FLAG_OLD {
                self.mark(object);
            }
        }
    }

    /// Marks what is still on its way; true: there was something to scan.
    unsafe fn empty_ahead(&mut self) -> bool {
        let before = self.stack.len();
        for at in 0..AHEAD {
            let object = std::mem::replace(&mut self.ahead[at], std::ptr::null_mut());
            // SAFETY: met in this step.
            unsafe { self.mark_if_old(object) };
        }
        self.stack.len() > before
    }

    /// Marks the buffer of a marked owner; it holds nothing by itself.
    unsafe fn mark_buffer(&mut self, data: *mut u8) {
        if data.is_null() {
            return;
        }
        // SAFETY: as above.
        unsafe {
            let buffer: *mut Header = buffer_of(data).cast();
            if (*buffer).flags & (FLAG_OLD | FLAG_MARK) == FLAG_OLD {
                (*buffer).flags |= FLAG_MARK;
                self.bytes += object_bytes(buffer);
            }
        }
    }
}

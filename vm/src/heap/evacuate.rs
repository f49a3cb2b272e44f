//! Copying collections: what is alive moves, the rest is left behind.
//!
//! Invariant while one runs: an object of the from-space is either whole or a `Forward`; every object in `work` lies in the
//! to-space (or is large), is whole, and its values still lead to the from-space.

use super::large::LargeSpace;
use super::nursery::{ChunkPool, NURSERY_BYTES, Space};
use super::{Collect, FIRST_TRIGGER_BYTES, Heap, Roots};
use crate::object::size::{buffer_data, buffer_of, object_bytes};
use crate::object::trace::{buffered_values, inline_values};
use crate::object::*;
use crate::value::Value;
use std::time::Instant;

struct Evacuation<'heap> {
    to: Space,
    bump: *mut u8,
    bump_end: *mut u8,
    pool: &'heap mut ChunkPool,
    large: &'heap mut LargeSpace,
    bundles: &'heap mut super::bundle::BundleTable,
    work: &'heap mut Vec<*mut Header>,
}

impl Heap {
    /// Collects. All live values of the thread are among `roots`; they are rewritten where objects moved.
    pub fn collect(&mut self, roots: &mut dyn Roots, how: Collect) {
        let bump = self.bump;
        let Some(inner) = self.inner.as_deref_mut() else {
            return;
        };
        let start = Instant::now();
        let poison = how == Collect::Stress && cfg!(debug_assertions);
        inner.young.retire(bump);
        inner.bundles.begin_epoch();
        let mut evacuation = Evacuation {
            to: Space::default(),
            bump: std::ptr::null_mut(),
            bump_end: std::ptr::null_mut(),
            pool: &mut inner.pool,
            large: &mut inner.large,
            bundles: &mut inner.bundles,
            work: &mut inner.work,
        };
        roots.visit(&mut |first, count| {
            // SAFETY: roots are live values.
            unsafe { evacuation.visit(first, count) }
        });
        // SAFETY: what is in `work` is whole.
        unsafe { evacuation.run() };
        let (mut to, bump, bump_end) = (evacuation.to, evacuation.bump, evacuation.bump_end);
        std::mem::swap(&mut inner.young, &mut to);
        inner.hosts.after_moving(|object| {
            // SAFETY: the from-space is still there.
            unsafe {
                if (*object).kind == Kind::Forward {
                    Some((*object.cast::<Forward>()).to)
                } else {
                    None
                }
            }
        });
        to.clear(&mut inner.pool, poison);
        inner.large.sweep_young();
        inner.large.new_bytes = 0;
        inner.bundles.prune();
        let survived = inner.young.used(bump);
        inner.trigger = survived + (2 * survived).clamp(FIRST_TRIGGER_BYTES, NURSERY_BYTES);
        inner.stats.minor += 1;
        inner.stats.full += (how != Collect::Minor) as u64;
        inner.stats.survived_bytes += survived as u64;
        let pause = start.elapsed().as_nanos() as u64;
        inner.stats.pause_ns += pause;
        inner.stats.longest_pause_ns = inner.stats.longest_pause_ns.max(pause);
        self.bump = bump;
        self.bump_end = bump_end;
        self.collect_wanted = false;
        self.is_over_limit = self.used_bytes() > self.limit;
    }
}

impl LargeSpace {
    /// Frees the young objects that were not reached; the others stay young.
    fn sweep_young(&mut self) {
        let young = std::mem::take(&mut self.young);
        for index in young {
            let object = self.entries[index as usize].object;
            // SAFETY: listed objects are alive until they are freed here.
            unsafe {
                if (*object).has(FLAG_MARK) {
                    (*object).flags &= !FLAG_MARK;
                    self.young.push(index);
                } else {
                    self.free(index);
                }
            }
        }
    }
}

impl Evacuation<'_> {
    /// Moves what these values lead to.
    unsafe fn visit(&mut self, first: *mut Value, count: usize) {
        // SAFETY: the values are live; headers are whole or forwarded.
        unsafe {
            for i in 0..count {
                let slot = first.add(i);
                let value = slot.read();
                if value.is_local() {
                    let object = value.as_object();
                    if (*object).kind == Kind::Forward {
                        slot.write(Value::local((*object.cast::<Forward>()).to));
                    } else if (*object).has(FLAG_LARGE) {
                        if !(*object).has(FLAG_MARK) {
                            (*object).flags |= FLAG_MARK;
                            self.work.push(object);
                        }
                    } else {
                        let copy = self.copy(object);
                        self.work.push(copy);
                        slot.write(Value::local(copy));
                    }
                } else if value.is_shared() {
                    self.bundles.meet(value.as_object());
                }
            }
        }
    }

    /// Moves one object and leaves a `Forward`.
    unsafe fn copy(&mut self, object: *mut Header) -> *mut Header {
        // SAFETY: the object is whole; it is at least as big as a `Forward`.
        unsafe {
            let bytes = object_bytes(object);
            let copy = self.place(bytes);
            std::ptr::copy_nonoverlapping(object.cast::<u64>(), copy.cast(), bytes / 8);
            object.cast::<Forward>().write(Forward {
                header: Header::new(Kind::Forward, 0, 0),
                to: copy,
            });
            copy
        }
    }

    fn place(&mut self, bytes: usize) -> *mut Header {
        if self.bump_end as usize - (self.bump as usize) < bytes {
            self.to.retire(self.bump);
            let chunk = self.to.next_chunk_bytes().max(bytes);
            (self.bump, self.bump_end) = self.to.add_chunk(self.pool, chunk);
        }
        let place = self.bump;
        self.bump = self.bump.wrapping_add(bytes);
        place.cast()
    }

    unsafe fn run(&mut self) {
        // SAFETY: objects in `work` are whole.
        unsafe {
            while let Some(object) = self.work.pop() {
                match (*object).kind {
                    Kind::List => {
                        let list = object.cast::<List>();
                        (*list).items = self.move_buffer((*list).items.cast()).cast();
                    }
                    Kind::Map | Kind::Set => {
                        let map = object.cast::<Map>();
                        (*map).entries = self.move_buffer((*map).entries.cast()).cast();
                        (*map).index = self.move_buffer((*map).index.cast()).cast();
                    }
                    _ => {}
                }
                inline_values(object, |first, count| self.visit(first, count));
                let (first, count) = buffered_values(object);
                self.visit(first, count);
            }
        }
    }

    /// Moves a buffer; its owner is scanned once, so it cannot have moved yet.
    unsafe fn move_buffer(&mut self, data: *mut u8) -> *mut u8 {
        if data.is_null() {
            return data;
        }
        // SAFETY: the owner's buffer, whole.
        unsafe {
            let buffer: *mut Header = buffer_of(data).cast();
            debug_assert!((*buffer).kind != Kind::Forward, "a buffer with two owners");
            if (*buffer).has(FLAG_LARGE) {
                (*buffer).flags |= FLAG_MARK;
                return data;
            }
            buffer_data(self.copy(buffer).cast())
        }
    }
}

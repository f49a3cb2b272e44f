//! Rust objects that scripts hold: a table of boxes, each dropped when the object that names it dies.
//!
//! Objects do not tell when they die, so the table knows the object of each entry and asks after a collection. Entries whose
//! object is still young are listed apart: a minor collection looks only at them.

use crate::object::*;
use std::any::Any;

struct Entry {
    /// Null: a free entry.
    object: *mut Header,
    value: Option<Box<dyn Any + Send>>,
}

/// The heap's host objects.
#[derive(Default)]
pub struct HostTable {
    entries: Vec<Entry>,
    free: Vec<u32>,
    young: Vec<u32>,
}

impl HostTable {
    pub(crate) fn insert(&mut self, object: *mut Header, value: Box<dyn Any + Send>) -> u64 {
        let entry = Entry {
            object,
            value: Some(value),
        };
        let index = match self.free.pop() {
            Some(index) => {
                self.entries[index as usize] = entry;
                index
            }
            None => {
                self.entries.push(entry);
                (self.entries.len() - 1) as u32
            }
        };
        self.young.push(index);
        index as u64
    }
    /// The Rust object of a `HostObject`, if it has not been taken.
    pub fn get(&self, index: u64) -> Option<&(dyn Any + Send)> {
        self.entries.get(index as usize)?.value.as_deref()
    }
    /// The object of an entry; null if there is none.
    pub(crate) fn object_of(&self, index: u64) -> *mut Header {
        let entry = self.entries.get(index as usize);
        entry.map_or(std::ptr::null_mut(), |entry| entry.object)
    }
    /// As `get`, to change it.
    pub fn get_mut(&mut self, index: u64) -> Option<&mut (dyn Any + Send)> {
        self.entries.get_mut(index as usize)?.value.as_deref_mut()
    }
    /// Takes the Rust object out, for example because it was closed.
    pub fn take(&mut self, index: u64) -> Option<Box<dyn Any + Send>> {
        self.entries.get_mut(index as usize)?.value.take()
    }
    /// Puts a Rust object (back) into the entry.
    pub fn put(&mut self, index: u64, value: Box<dyn Any + Send>) {
        if let Some(entry) = self.entries.get_mut(index as usize) {
            entry.value = Some(value);
        }
    }
    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// After objects moved: follows the young ones, drops what died. `find` says where a young object is now.
    pub(crate) fn after_moving(
        &mut self,
        mut find: impl FnMut(*mut Header) -> Option<*mut Header>,
    ) {
        let mut kept = 0;
        for at in 0..self.young.len() {
            let index = self.young[at];
            let entry = &mut self.entries[index as usize];
            match find(entry.object) {
                Some(object) => {
                    entry.object = object;
                    // SAFETY: `find` returns live objects.
                    if unsafe { !(*object).has(FLAG_OLD) } {
                        self.young[kept] = index;
                        kept += 1;
                    }
                }
                None => {
                    *entry = Entry {
                        object: std::ptr::null_mut(),
                        value: None,
                    };
                    self.free.push(index);
                }
            }
        }
        self.young.truncate(kept);
    }

    /// At the end of a mark, before anything is swept: drops what belongs to old objects that were not reached.
    pub(crate) fn after_marking(&mut self) {
        for (index, entry) in self.entries.iter_mut().enumerate() {
            // SAFETY: an entry's object is alive or, if old, at least not swept yet.
            let is_dead = !entry.object.is_null()
                && unsafe { (*entry.object).flags & (FLAG_OLD | FLAG_MARK) == FLAG_OLD };
            if is_dead {
                *entry = Entry {
                    object: std::ptr::null_mut(),
                    value: None,
                };
                self.free.push(index as u32);
            }
        }
    }
}

//! The old space: size-class blocks whose objects never move.
//!
//! | block of 32 KiB, aligned to its size | |
//! | --- | --- |
//! | `Block` (64 bytes) | class, region, first free run |
//! | cells | objects, or free runs |
//!
//! A *free run* is a row of free cells: its first word is a header of kind `Forward` with the run's bytes in `type_id`, its second
//! word the next run of the block. Promotion bumps through the runs of one block at a time.
//!
//! A mark ends with `begin_sweep`: all blocks count as unswept. They are swept when their class needs room, and a few in each
//! step until all are. Sweeping makes runs of what has no mark and clears the marks. Blocks that are wholly free go back to their
//! region; regions that are wholly free go back to the system, one a step, if there are many free blocks.
//!
//! Invariants: in a swept block no object is marked unless a mark is running; a class bumps only in swept blocks; `blocks[..swept]`
//! of a class are swept. Between cursor and end of a class's current run lies no header.
//!
//! Contract: objects passed in lie in this space; nobody reaches an unmarked object when a mark ends.

use crate::account;
use crate::object::*;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};

pub(crate) const BLOCK_BYTES: usize = 32 * 1024;
const BLOCK_HEAD_BYTES: usize = 64;
const CELLS_BYTES: usize = BLOCK_BYTES - BLOCK_HEAD_BYTES;
/// Regions begin small, so that a heap that has just left its nursery behind does not take a megabyte.
const SMALL_REGION_BLOCKS: usize = 8;
const LARGE_REGION_BLOCKS: usize = 32;

/// Cell sizes: exact to 128 bytes, then in steps of at most a quarter; the last ones are what 7, 8, 10 … cells leave of a block.
const CLASS_BYTES: [usize; 35] = [
    16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120, 128, 144, 160, 192, 224, 256, 320,
    384, 448, 512, 640, 768, 1016, 1256, 1360, 1632, 2040, 2720, 3264, 3632, 4080,
];
pub(crate) const CLASSES: usize = CLASS_BYTES.len();

/// Size in words -> class.
const CLASS_OF: [u8; super::MAX_SMALL_BYTES / 8 + 1] = {
    let mut table = [0; super::MAX_SMALL_BYTES / 8 + 1];
    let mut class = 0;
    let mut words = 0;
    while words < table.len() {
        while CLASS_BYTES[class] < words * 8 {
            class += 1;
        }
        table[words] = class as u8;
        words += 1;
    }
    table
};

/// First words of a block.
#[repr(C)]
pub(crate) struct Block {
    class: u32,
    /// Index in `regions`.
    region: u32,
    first_run: *mut FreeRun,
}

/// A row of free cells.
#[repr(C)]
struct FreeRun {
    header: Header,
    next: *mut FreeRun,
}

struct Region {
    /// Null: given back.
    base: *mut u8,
    blocks: usize,
    /// Set bit: this block belongs to no class.
    free: u32,
}

impl Region {
    fn is_unused(&self) -> bool {
        !self.base.is_null() && self.free.count_ones() as usize == self.blocks
    }
    fn contains(&self, address: *const u8) -> bool {
        let offset = (address as usize).wrapping_sub(self.base as usize);
        !self.base.is_null() && offset < self.blocks * BLOCK_BYTES
    }
}

struct Class {
    cursor: *mut u8,
    end: *mut u8,
    next_run: *mut FreeRun,
    bytes: usize,
    blocks: Vec<*mut Block>,
    /// How many of `blocks` are swept.
    swept: usize,
    /// Swept blocks with free runs.
    partial: Vec<*mut Block>,
}

pub(crate) struct OldSpace {
    classes: [Class; CLASSES],
    regions: Vec<Region>,
    /// Regions before this one have no free block.
    first_free: usize,
    free_blocks: usize,
    /// Bytes of blocks that belong to a class.
    pub(crate) block_bytes: usize,
    /// Where the sweep goes on: classes before this one are swept.
    sweep_class: usize,
}

impl OldSpace {
    pub(crate) fn new() -> OldSpace {
        OldSpace {
            classes: std::array::from_fn(|class| Class {
                cursor: std::ptr::null_mut(),
                end: std::ptr::null_mut(),
                next_run: std::ptr::null_mut(),
                bytes: CLASS_BYTES[class],
                blocks: Vec::new(),
                swept: 0,
                partial: Vec::new(),
            }),
            regions: Vec::new(),
            first_free: 0,
            free_blocks: 0,
            block_bytes: 0,
            sweep_class: CLASSES,
        }
    }

    /// Room for an object of `bytes` (a multiple of 8, at most `MAX_SMALL_BYTES`).
    #[inline(always)]
    pub(crate) fn alloc(&mut self, bytes: usize) -> *mut Header {
        let index = CLASS_OF[bytes / 8] as usize;
        let class = &mut self.classes[index];
        if class.end as usize - (class.cursor as usize) < class.bytes {
            self.next_run(index);
        }
        let class = &mut self.classes[index];
        let cell = class.cursor;
        class.cursor = cell.wrapping_add(class.bytes);
        cell.cast()
    }

    /// Gives a class a run with at least one cell.
    #[cold]
    #[inline(never)]
    fn next_run(&mut self, index: usize) {
        // SAFETY: blocks and runs are as the head of the file says.
        unsafe {
            let class = &mut self.classes[index];
            if class.next_run.is_null() {
                let first = match class.partial.pop() {
                    Some(block) => (*block).first_run,
                    None => self.sweep_for(index),
                };
                self.classes[index].next_run = first;
            }
            let class = &mut self.classes[index];
            let run = class.next_run;
            class.next_run = (*run).next;
            class.cursor = run.cast();
            class.end = class.cursor.add((*run).header.type_id as usize);
        }
    }

    /// Sweeps blocks of a class until one has room; takes a fresh one if none has.
    unsafe fn sweep_for(&mut self, index: usize) -> *mut FreeRun {
        let class = &mut self.classes[index];
        while class.swept < class.blocks.len() {
            let block = class.blocks[class.swept];
            class.swept += 1;
            // SAFETY: a block of this class, not swept since the last mark.
            unsafe {
                sweep(block, class.bytes);
                if !(*block).first_run.is_null() {
                    return (*block).first_run;
                }
            }
        }
        let block = self.take_block();
        // SAFETY: a block of ours that holds nothing.
        unsafe {
            (*block).class = index as u32;
            let class = &mut self.classes[index];
            (*block).first_run = free_run(
                block.cast::<u8>().add(BLOCK_HEAD_BYTES),
                CELLS_BYTES / class.bytes * class.bytes,
            );
            class.blocks.push(block);
            class.swept += 1;
            (*block).first_run
        }
    }

    fn take_block(&mut self) -> *mut Block {
        if self.free_blocks == 0 {
            self.add_region();
        }
        // The first region with room: so the last ones become free.
        while self.regions[self.first_free].free == 0 {
            self.first_free += 1;
        }
        let region = &mut self.regions[self.first_free];
        let at = region.free.trailing_zeros() as usize;
        region.free &= region.free - 1;
        self.free_blocks -= 1;
        self.block_bytes += BLOCK_BYTES;
        account::add(BLOCK_BYTES);
        let block: *mut Block = region.base.wrapping_add(at * BLOCK_BYTES).cast();
        // SAFETY: inside the region, and nobody's.
        unsafe {
            block.write(Block {
                class: 0,
                region: self.first_free as u32,
                first_run: std::ptr::null_mut(),
            });
        }
        block
    }

    /// A block holds nothing any more.
    unsafe fn give_block(&mut self, block: *mut Block) {
        // SAFETY: a block of ours.
        let index = unsafe { (*block).region } as usize;
        let region = &mut self.regions[index];
        region.free |= 1 << ((block as usize - region.base as usize) / BLOCK_BYTES);
        self.first_free = self.first_free.min(index);
        self.free_blocks += 1;
        self.block_bytes -= BLOCK_BYTES;
        account::subtract(BLOCK_BYTES);
    }

    fn add_region(&mut self) {
        let blocks = if self.block_bytes < LARGE_REGION_BLOCKS * BLOCK_BYTES {
            SMALL_REGION_BLOCKS
        } else {
            LARGE_REGION_BLOCKS
        };
        let layout = region_layout(blocks);
        // SAFETY: the size is not 0.
        let base = unsafe { alloc(layout) };
        if base.is_null() {
            handle_alloc_error(layout);
        }
        let region = Region {
            base,
            blocks,
            free: (!0u32) >> (u32::BITS as usize - blocks),
        };
        self.free_blocks += blocks;
        let index = match self.regions.iter().position(|r| r.base.is_null()) {
            Some(index) => {
                self.regions[index] = region;
                index
            }
            None => {
                self.regions.push(region);
                self.regions.len() - 1
            }
        };
        self.first_free = self.first_free.min(index);
    }

    /// A mark has ended: everything without a mark is free.
    pub(crate) fn begin_sweep(&mut self) {
        debug_assert!(self.is_swept());
        for class in &mut self.classes {
            let rest = class.end as usize - class.cursor as usize;
            if rest > 0 {
                // SAFETY: what is left of the current run is free.
                unsafe { free_run(class.cursor, rest) };
            }
            class.cursor = std::ptr::null_mut();
            class.end = std::ptr::null_mut();
            class.next_run = std::ptr::null_mut();
            class.swept = 0;
            class.partial.clear();
        }
        self.sweep_class = 0;
    }

    /// Takes over all blocks of another space, which is swept. No object moves.
    pub(crate) fn take_over(&mut self, other: &mut OldSpace) {
        debug_assert!(other.is_swept());
        let first_region = self.regions.len() as u32;
        self.regions.append(&mut other.regions);
        self.free_blocks += other.free_blocks;
        self.block_bytes += std::mem::take(&mut other.block_bytes);
        for (ours, theirs) in self.classes.iter_mut().zip(&mut other.classes) {
            // What is left of their current run becomes a run again; of the block's other runs only those behind it are free.
            if theirs.cursor < theirs.end {
                let block = (theirs.cursor as usize & !(BLOCK_BYTES - 1)) as *mut Block;
                // SAFETY: free cells of a block of theirs.
                unsafe {
                    let rest = theirs.end as usize - theirs.cursor as usize;
                    let run = free_run(theirs.cursor, rest);
                    (*run).next = theirs.next_run;
                    (*block).first_run = run;
                }
                ours.partial.push(block);
            } else if !theirs.next_run.is_null() {
                let block = (theirs.next_run as usize & !(BLOCK_BYTES - 1)) as *mut Block;
                // SAFETY: a block of theirs.
                unsafe { (*block).first_run = theirs.next_run };
                ours.partial.push(block);
            }
            ours.partial.append(&mut theirs.partial);
            for block in theirs.blocks.drain(..) {
                // SAFETY: a block of theirs, whose region is ours now.
                unsafe { (*block).region += first_region };
                // They count as swept, in front of those that are not.
                ours.blocks.push(block);
                let last = ours.blocks.len() - 1;
                ours.blocks.swap(ours.swept, last);
                ours.swept += 1;
            }
        }
    }

    /// Whether nothing is left of the last sweep.
    pub(crate) fn is_swept(&self) -> bool {
        self.sweep_class == CLASSES
    }

    /// Sweeps one block or gives one region back; false: there is nothing left to do.
    pub(crate) fn sweep_step(&mut self) -> bool {
        while self.sweep_class < CLASSES {
            let class = &mut self.classes[self.sweep_class];
            if class.swept == class.blocks.len() {
                self.sweep_class += 1;
                continue;
            }
            let block = class.blocks[class.swept];
            // SAFETY: a block of this class, not swept since the last mark.
            unsafe {
                let live = sweep(block, class.bytes);
                if live == 0 {
                    class.blocks.swap_remove(class.swept);
                    self.give_block(block);
                } else {
                    class.swept += 1;
                    if !(*block).first_run.is_null() {
                        class.partial.push(block);
                    }
                }
            }
            return true;
        }
        self.release_region()
    }

    /// Gives a region back that is not used at all, if much is unused; false: there is none.
    fn release_region(&mut self) -> bool {
        let keep = (self.block_bytes / 4).max(SMALL_REGION_BLOCKS * BLOCK_BYTES);
        if self.free_blocks * BLOCK_BYTES <= keep {
            return false;
        }
        let Some(index) = self.regions.iter().rposition(Region::is_unused) else {
            return false;
        };
        let region = &mut self.regions[index];
        // SAFETY: allocated in `add_region`; none of its blocks is used.
        unsafe { dealloc(region.base, region_layout(region.blocks)) };
        region.base = std::ptr::null_mut();
        region.free = 0;
        self.free_blocks -= region.blocks;
        true
    }

    /// For the verifier: whether an object could begin here.
    pub(crate) fn is_cell(&self, address: *const u8) -> bool {
        let block: *const Block = (address as usize & !(BLOCK_BYTES - 1)) as *const Block;
        let is_used = self.regions.iter().any(|region| {
            region.contains(address)
                && region.free >> ((block as usize - region.base as usize) / BLOCK_BYTES) & 1 == 0
        });
        if !is_used {
            return false;
        }
        // SAFETY: a block of ours that belongs to a class.
        let class = &self.classes[unsafe { (*block).class } as usize];
        let offset = (address as usize - block as usize).wrapping_sub(BLOCK_HEAD_BYTES);
        offset < CELLS_BYTES
            && offset.is_multiple_of(class.bytes)
            && !(class.cursor..class.end).contains(&address.cast_mut())
    }
}

impl Drop for OldSpace {
    fn drop(&mut self) {
        account::subtract(self.block_bytes);
        for region in &self.regions {
            if !region.base.is_null() {
                // SAFETY: allocated in `add_region`; the heap goes.
                unsafe { dealloc(region.base, region_layout(region.blocks)) };
            }
        }
    }
}

fn region_layout(blocks: usize) -> Layout {
    Layout::from_size_align(blocks * BLOCK_BYTES, BLOCK_BYTES).expect("a region's size is small")
}

/// Writes a run over free cells.
unsafe fn free_run(start: *mut u8, bytes: usize) -> *mut FreeRun {
    let run: *mut FreeRun = start.cast();
    let mut header = Header::new(Kind::Forward, bytes as u32, 0);
    header.flags = FLAG_OLD;
    // SAFETY: the cells are free, and at least 16 bytes.
    unsafe {
        run.write(FreeRun {
            header,
            next: std::ptr::null_mut(),
        });
    }
    run
}

/// Makes runs of what has no mark, clears the marks, and returns how many objects live.
unsafe fn sweep(block: *mut Block, bytes: usize) -> usize {
    // SAFETY: a block of cells of `bytes`, all of them objects or in runs.
    unsafe {
        let mut at = block.cast::<u8>().add(BLOCK_HEAD_BYTES);
        let end = at.add(CELLS_BYTES / bytes * bytes);
        let mut link = &raw mut (*block).first_run;
        let mut run: *mut u8 = std::ptr::null_mut();
        let mut live = 0;
        while at < end {
            let header: *mut Header = at.cast();
            if (*header).kind == Kind::Forward {
                if run.is_null() {
                    run = at;
                }
                at = at.add((*header).type_id as usize);
                continue;
            }
            if (*header).has(FLAG_MARK) {
                (*header).flags &= !FLAG_MARK;
                live += 1;
                if !run.is_null() {
                    let free = free_run(run, at as usize - run as usize);
                    link.write(free);
                    link = &raw mut (*free).next;
                    run = std::ptr::null_mut();
                }
            } else {
                if run.is_null() {
                    run = at;
                }
                if cfg!(debug_assertions) {
                    std::ptr::write_bytes(at, super::POISON, bytes);
                }
            }
            at = at.add(bytes);
        }
        if !run.is_null() {
            let free = free_run(run, end as usize - run as usize);
            link.write(free);
            link = &raw mut (*free).next;
        }
        link.write(std::ptr::null_mut());
        live
    }
}

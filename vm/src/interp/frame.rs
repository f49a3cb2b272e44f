//! Frames inside a register stack, and the return word.
//!
//! Return word (`base[-1]`): `pc:48 | distance:8 | destination:8` (low to high). `pc` is the caller's next instruction, `distance` is `a` of
//! the call window, so that the caller's base is `base - distance - 2`; the result goes to the caller's register `destination`. As registers are
//! below 248, a return word never looks like a pointer value. 0 ends a task's stack: its first frame is that of the stub `[Exit]`.
//!
//! Code words lie at multiples of 8, so the low bits of `pc` are free for marks. A push writes the word anew, hence a frame whose word carries
//! a mark has been there ever since it was marked, and so have all below it, which ran no instruction meanwhile: their registers are what they
//! were. Returning strips the marks with the same mask that takes `pc` out of the word, so they cost a return nothing.
//!
//! - `SEEN`: a collection has visited the registers of all frames below this one. What they lead to is old by now (if the heap has an old space),
//!   and marked (if it was seen while the running mark ran), so a minor collection reads the stack down to the first such frame only.
//! - `COUNTED`: the depth of this frame stands in `Stack::counted`.

use crate::bytecode::Word;
use crate::module::Proto;
use crate::object::Closure;
use crate::value::Value;

/// Marks of a return word; see the head of the file. (Bit 0 is kept free for native code.)
pub(crate) const SEEN: u64 = 2;
pub(crate) const COUNTED: u64 = 4;

const PC_MASK: u64 = ((1 << 48) - 1) & !(SEEN | COUNTED);

/// A resumed generator lies so far below the base of its frame: above that, any register may belong to a call's window.
pub(crate) const GENERATOR_BELOW: usize = 3;

#[inline(always)]
pub(crate) fn return_word(pc: *const u64, distance: usize, destination: usize) -> u64 {
    pc as u64 | (distance as u64) << 48 | (destination as u64) << 56
}
/// The return word of a call instruction: its `a` and `b`, one behind the other, are the distance and the destination.
#[inline(always)]
pub(crate) fn call_return_word(pc: *const u64, w: Word) -> u64 {
    pc as u64 | (w.0 >> 8) << 48
}
#[inline(always)]
pub(crate) fn return_pc(word: u64) -> *const u64 {
    (word & PC_MASK) as *const u64
}
#[inline(always)]
pub(crate) fn return_distance(word: u64) -> usize {
    (word >> 48) as u8 as usize
}
#[inline(always)]
pub(crate) fn return_destination(word: u64) -> usize {
    (word >> 56) as usize
}

/// The prototype of the frame at `base`.
///
/// # Safety
/// `base` must be a frame's base on a live stack.
#[inline(always)]
pub(crate) unsafe fn proto(base: *mut Value) -> *const Proto {
    // SAFETY: `base[-2]` of a frame is its closure.
    unsafe { (*(*base.sub(2)).as_object().cast::<Closure>()).proto() }
}
/// Constant 0 of the frame at `base`.
///
/// # Safety
/// As for `proto`.
#[inline(always)]
pub(crate) unsafe fn constants(base: *mut Value) -> *const Value {
    // SAFETY: `base[-2]` of a frame is its closure.
    unsafe { (*(*base.sub(2)).as_object().cast::<Closure>()).consts }
}
/// The return word of the frame at `base`.
///
/// # Safety
/// As for `proto`.
#[inline(always)]
pub(crate) unsafe fn ret(base: *mut Value) -> u64 {
    // SAFETY: `base[-1]` of a frame is its return word.
    unsafe { (*base.sub(1)).bits() }
}

/// Sets a mark in the return word of the frame at `base`; the stub at the bottom of a stack bears none.
///
/// # Safety
/// As for `proto`.
#[inline(always)]
pub(crate) unsafe fn set_mark(base: *mut Value, mark: u64) {
    // SAFETY: as for `ret`.
    unsafe {
        let word = ret(base);
        if word != 0 {
            *base.sub(1) = Value::from_bits(word | mark);
        }
    }
}

/// One frame, as walkers see it.
#[derive(Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) proto: *const Proto,
    pub(crate) base: *mut Value,
    /// The word after the running (or calling) instruction.
    pub(crate) pc: *const u64,
}

impl Frame {
    /// Index of a word inside the running instruction.
    pub(crate) fn word(&self) -> u32 {
        // SAFETY: `pc` points into (or just behind) the prototype's code.
        let after = unsafe { self.pc.offset_from((*self.proto).code_start) };
        (after - 1).max(0) as u32
    }
}

/// Walks frames from the top down, the stub of the task last.
pub(crate) struct Frames {
    next: Option<(*mut Value, *const u64)>,
}

impl Frames {
    /// # Safety
    /// `base` and `pc` must be those of the top frame of a live stack that stays as it is while this is used.
    pub(crate) unsafe fn new(base: *mut Value, pc: *const u64) -> Frames {
        Frames {
            next: Some((base, pc)),
        }
    }
}

impl Iterator for Frames {
    type Item = Frame;
    fn next(&mut self) -> Option<Frame> {
        let (base, pc) = self.next.take()?;
        // SAFETY: promised to `new`; each return word leads to the caller's frame.
        unsafe {
            let ret = ret(base);
            if ret != 0 {
                self.next = Some((base.sub(return_distance(ret) + 2), return_pc(ret)));
            }
            Some(Frame {
                proto: proto(base),
                base,
                pc,
            })
        }
    }
}

//! Which values an object refers to.
//!
//! Contract of every function here: the pointer leads to a whole, initialised object. What lies in a buffer is reached through
//! its owner, which alone knows how much of it is in use.

use super::*;

/// Calls `run(first, count)` for each run of values that lie *inside* the object (not in its buffers).
///
/// # Safety
/// See the head of the file.
#[inline(always)]
pub(crate) unsafe fn inline_values(object: *mut Header, mut run: impl FnMut(*mut Value, usize)) {
    // SAFETY: the kind says which layout it is.
    unsafe {
        let aux = (*object).aux as usize;
        match (*object).kind {
            Kind::Struct | Kind::Variant => run(object.cast::<Instance>().add(1).cast(), aux),
            Kind::Tuple => {
                let tuple = object.cast::<Tuple>();
                run(tuple.add(1).cast(), (*tuple).len as usize)
            }
            Kind::Cell => run(&raw mut (*object.cast::<Cell>()).value, 1),
            Kind::Type => run(&raw mut (*object.cast::<TypeObject>()).env, 1),
            Kind::Closure => run(object.cast::<Closure>().add(1).cast(), aux),
            Kind::BoundMethod => run(&raw mut (*object.cast::<BoundMethod>()).receiver, 2),
            Kind::Range => run(&raw mut (*object.cast::<Range>()).start, 3),
            Kind::Iter => {
                let iter = object.cast::<Iter>();
                run(&raw mut (*iter).source, 1);
                run(&raw mut (*iter).extra, 1)
            }
            Kind::Task => run(
                &raw mut (*object.cast::<TaskObject>()).result,
                // The name follows.
                1 + (aux & TaskObject::NAMED as usize != 0) as usize,
            ),
            Kind::Generator => {
                let generator = object.cast::<Generator>();
                run(&raw mut (*generator).closure, 1);
                run(generator.add(1).cast(), aux)
            }
            Kind::Int64
            | Kind::BigInt
            | Kind::Duration
            | Kind::Str
            | Kind::Bytes
            | Kind::List
            | Kind::Map
            | Kind::Set
            | Kind::Native
            | Kind::Module
            | Kind::Handle
            | Kind::Trace
            | Kind::Host
            | Kind::ValueBuffer
            | Kind::RawBuffer => {}
            Kind::Forward => debug_assert!(false, "traced an object that has moved"),
        }
    }
}

/// The values in the object's buffer: `(first, count)`, `(null, 0)` if it has none.
///
/// # Safety
/// See the head of the file.
#[inline(always)]
pub(crate) unsafe fn buffered_values(object: *mut Header) -> (*mut Value, usize) {
    // SAFETY: the kind says which layout it is.
    unsafe {
        match (*object).kind {
            Kind::List => {
                let list = object.cast::<List>();
                ((*list).items, (*list).len as usize)
            }
            Kind::Map | Kind::Set => {
                let map = object.cast::<Map>();
                ((*map).entries.cast(), (*map).used as usize * 2)
            }
            _ => (std::ptr::null_mut(), 0),
        }
    }
}

/// Calls `run(first, count)` for each run of values that the object holds, in itself or in its buffer.
///
/// # Safety
/// See the head of the file.
#[inline(always)]
pub(crate) unsafe fn all_values(object: *mut Header, mut run: impl FnMut(*mut Value, usize)) {
    // SAFETY: as the callees demand.
    unsafe {
        inline_values(object, &mut run);
        let (first, count) = buffered_values(object);
        if count > 0 {
            run(first, count);
        }
    }
}

/// Whether objects of this kind hold no values at all.
#[inline(always)]
pub(crate) fn is_leaf(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Int64
            | Kind::BigInt
            | Kind::Duration
            | Kind::Str
            | Kind::Bytes
            | Kind::Native
            | Kind::Module
            | Kind::Handle
            | Kind::Trace
            | Kind::Host
            | Kind::ValueBuffer
            | Kind::RawBuffer
    )
}

//! How many bytes an object takes: needed by whoever walks or moves objects.
//!
//! Contract of every function here: the pointer leads to a whole, initialised object.

use super::*;
use std::mem::size_of;

/// No object is smaller: a moved one leaves a header and a pointer behind.
pub const MIN_OBJECT_BYTES: usize = 16;

/// The bytes an object of `bytes` really takes.
#[inline(always)]
pub const fn object_room(bytes: usize) -> usize {
    let bytes = align_up(bytes);
    if bytes < MIN_OBJECT_BYTES {
        MIN_OBJECT_BYTES
    } else {
        bytes
    }
}

/// Bytes between the end of a `Str` and its text when the text is not ASCII: the `StrIndex` and its table.
#[inline]
pub const fn str_index_bytes(chars: usize) -> usize {
    size_of::<StrIndex>() + align_up(chars.div_ceil(64) * 4)
}

/// Size of a whole object, header included, as the heap laid it out.
///
/// # Safety
/// See the head of the file. A `Forward` has no size.
#[inline(always)]
pub(crate) unsafe fn object_bytes(object: *const Header) -> usize {
    // SAFETY: the kind in the header says which layout it is; the object is initialised.
    unsafe {
        let word = size_of::<Value>();
        match (*object).kind {
            Kind::Struct | Kind::Variant => {
                object_room(size_of::<Instance>() + (*object).aux as usize * word)
            }
            Kind::Int64 | Kind::Duration => size_of::<Int64>(),
            Kind::Cell => size_of::<Cell>(),
            Kind::Native => size_of::<NativeFunction>(),
            Kind::Type => size_of::<TypeObject>(),
            Kind::Module => size_of::<ModuleObject>(),
            Kind::Task => {
                let is_named = (*object).aux & TaskObject::NAMED != 0;
                size_of::<TaskObject>() + if is_named { word } else { 0 }
            }
            Kind::Handle => size_of::<Handle>(),
            Kind::Host => size_of::<HostObject>(),
            Kind::BigInt => {
                size_of::<BigIntObject>() + (*object.cast::<BigIntObject>()).limbs as usize * 8
            }
            Kind::Str => {
                let str = object.cast::<Str>();
                let mut bytes = size_of::<Str>() + (*str).len as usize;
                if !(*object).has(FLAG_ASCII) {
                    let index = str.add(1).cast::<StrIndex>();
                    bytes += str_index_bytes((*index).chars as usize);
                }
                align_up(bytes)
            }
            Kind::Bytes => align_up(size_of::<Bytes>() + (*object.cast::<Bytes>()).len as usize),
            Kind::Tuple => size_of::<Tuple>() + (*object.cast::<Tuple>()).len as usize * word,
            Kind::Range => size_of::<Range>(),
            Kind::List => size_of::<List>(),
            Kind::Map | Kind::Set => size_of::<Map>(),
            Kind::Closure => size_of::<Closure>() + (*object).aux as usize * word,
            Kind::BoundMethod => size_of::<BoundMethod>(),
            Kind::Generator => {
                size_of::<Generator>() + (*object.cast::<Generator>()).capacity as usize * word
            }
            Kind::Iter => size_of::<Iter>(),
            Kind::Trace => size_of::<Trace>() + (*object.cast::<Trace>()).len as usize * 2 * word,
            Kind::ValueBuffer | Kind::RawBuffer => {
                align_up(size_of::<Buffer>() + (*object.cast::<Buffer>()).bytes as usize)
            }
            Kind::Forward => {
                debug_assert!(false, "a moved object has no size");
                MIN_OBJECT_BYTES
            }
        }
    }
}

/// The buffer object whose data begins at `data`.
///
/// # Safety
/// `data` was returned by `alloc_buffer` or `grow_buffer`, or is a list's or map's non-null buffer pointer.
#[inline(always)]
pub(crate) unsafe fn buffer_of(data: *mut u8) -> *mut Buffer {
    // SAFETY: data begins right behind the `Buffer`.
    unsafe { data.sub(size_of::<Buffer>()).cast() }
}

/// The data of a buffer object.
///
/// # Safety
/// `buffer` is a buffer object.
#[inline(always)]
pub(crate) unsafe fn buffer_data(buffer: *mut Buffer) -> *mut u8 {
    // SAFETY: as above.
    unsafe { buffer.add(1).cast() }
}

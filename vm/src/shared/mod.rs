//! What threads share by reference: channels and the other thread-safe builtins, and the messages that travel between threads.
//!
//! A shared object is named by a *handle* (`object::Handle`), which lies in a bundle that owns it: so heaps and messages that hold a handle
//! count as they do for frozen values.

pub mod atomic;
pub mod broadcast;
pub mod channel;
mod messages;
pub mod once;
pub mod permits;
pub mod queue;
pub mod scoped;
pub mod select;
pub mod shared_map;
pub(crate) mod support;
pub mod thread_local;

use crate::account;
use crate::heap::parcel::Parcel;
use crate::heap::{GraphError, Heap, bundle};
use crate::io::{Job, SourceState};
use crate::object::{FIRST_USER_TYPE, Handle, Header, Kind, type_id};
use crate::sched::capture::Places;
use crate::sched::wait::WaitList;
use crate::sync::Lock;
use crate::value::Value;
use broadcast::{BroadcastState, SlotState, Subscription};
use channel::ChannelState;
use once::OnceState;
use permits::{GateState, MutexState, SemaphoreState};
use queue::QueueState;
use shared_map::SharedMapState;
use std::any::Any;
use std::sync::atomic::{AtomicU32, Ordering};

/// The state of a shared object, behind its lock.
pub(crate) enum ObjectState {
    Channel(ChannelState),
    Semaphore(SemaphoreState),
    Mutex(MutexState),
    /// Latch and barrier.
    Gate(GateState),
    /// Also a `Scoped`'s default and what a `ThreadLocal` begins with.
    Atomic(Message),
    Broadcast(BroadcastState),
    Slot(SlotState),
    Subscriber(Subscription),
    Once(OnceState),
    Map(SharedMapState),
    Queue(QueueState),
    Source(SourceState),
    Job(Job),
    Places(Places),
    /// What a native module made. It stays here, and nobody changes it.
    Opaque(Box<dyn Any + Send + Sync>),
}

impl ObjectState {
    /// The lists of waiting tasks, by number.
    pub(crate) fn list(&mut self, number: u8) -> Option<&mut WaitList> {
        match self {
            ObjectState::Channel(channel) => Some(if number == 0 {
                &mut channel.receivers
            } else {
                &mut channel.senders
            }),
            ObjectState::Semaphore(semaphore) => Some(&mut semaphore.waiting),
            ObjectState::Mutex(mutex) => Some(&mut mutex.waiting),
            ObjectState::Gate(gate) => Some(&mut gate.waiting),
            ObjectState::Broadcast(broadcast) => Some(&mut broadcast.senders),
            ObjectState::Slot(slot) => Some(&mut slot.receivers),
            ObjectState::Once(once) => Some(&mut once.waiting),
            ObjectState::Queue(queue) => Some(&mut queue.receivers),
            ObjectState::Source(source) => Some(if number == 0 {
                &mut source.readers
            } else {
                &mut source.writers
            }),
            ObjectState::Job(job) => Some(&mut job.waiting),
            ObjectState::Places(places) => Some(&mut places.waiting),
            ObjectState::Atomic(_)
            | ObjectState::Subscriber(_)
            | ObjectState::Map(_)
            | ObjectState::Opaque(_) => None,
        }
    }
    /// What it holds, and who waits for it.
    pub(crate) fn contents(
        &self,
        message: &mut dyn FnMut(&Message),
        list: &mut dyn FnMut(&WaitList),
    ) {
        match self {
            ObjectState::Channel(channel) => {
                channel.queue.iter().for_each(message);
                list(&channel.receivers);
                list(&channel.senders);
            }
            ObjectState::Semaphore(semaphore) => list(&semaphore.waiting),
            ObjectState::Mutex(mutex) => list(&mutex.waiting),
            ObjectState::Gate(gate) => list(&gate.waiting),
            ObjectState::Atomic(value) => message(value),
            ObjectState::Broadcast(broadcast) => {
                broadcast.slots().for_each(message);
                list(&broadcast.senders);
            }
            ObjectState::Slot(slot) => {
                slot.messages().for_each(message);
                list(&slot.receivers);
            }
            ObjectState::Subscriber(subscription) => subscription.parts().for_each(message),
            ObjectState::Once(once) => {
                once.result().into_iter().for_each(message);
                list(&once.waiting);
            }
            ObjectState::Map(map) => map.messages().for_each(message),
            ObjectState::Queue(queue) => list(&queue.receivers),
            ObjectState::Source(source) => {
                list(&source.readers);
                list(&source.writers);
            }
            ObjectState::Job(job) => list(&job.waiting),
            ObjectState::Places(places) => list(&places.waiting),
            ObjectState::Opaque(_) => {}
        }
    }
    /// A waiter was taken out of a list unclaimed.
    pub(crate) fn has_left(&mut self) {
        match self {
            ObjectState::Gate(gate) => gate.has_left(),
            ObjectState::Source(source) => source.has_left(),
            ObjectState::Job(job) => job.has_left(),
            _ => {}
        }
    }
}

/// Something that threads share by reference.
pub(crate) struct SharedObject {
    pub(crate) state: Lock<ObjectState>,
    /// See `number`; 0: nobody has asked for it.
    number: AtomicU32,
}

// SAFETY: its state is used under its lock, as `sched::wait` says; tasks in it that do not wait are only compared.
unsafe impl Send for SharedObject {}
// SAFETY: as above.
unsafe impl Sync for SharedObject {}

impl SharedObject {
    pub(crate) fn new(state: Lock<ObjectState>) -> SharedObject {
        SharedObject {
            state,
            number: AtomicU32::new(0),
        }
    }
    /// A number by which it is hashed: its address would be another one in the next run, even of the same schedule.
    pub(crate) fn number(&self) -> u32 {
        let number = self.number.load(Ordering::Relaxed);
        if number != 0 {
            return number;
        }
        let new = account::next_number().max(1);
        let set = self
            .number
            .compare_exchange(0, new, Ordering::Relaxed, Ordering::Relaxed);
        set.map_or_else(|other| other, |_| new)
    }
    /// What one takes, with its handle.
    pub(crate) const BYTES: usize = size_of::<SharedObject>() + 64;

    /// What a native module made, if it is of this type.
    pub(crate) fn opaque<T: Any + Sync>(&self) -> Option<&T> {
        let state = self.state.lock();
        let ObjectState::Opaque(object) = &*state else {
            return None;
        };
        let found: *const T = object.downcast_ref()?;
        // SAFETY: boxed, and neither replaced nor changed as long as this object lives; others read it at the same time.
        Some(unsafe { &*found })
    }
    /// Makes one, and a handle of it with one reference, which is the caller's.
    pub(crate) fn handle(type_id: u32, state: ObjectState) -> Value {
        let object = Box::new(SharedObject::new(Lock::new(state)));
        account::add(size_of::<SharedObject>());
        let target: *const SharedObject = &*object;
        bundle::new_handle(type_id, target.cast(), bundle::Payload::Object(object))
    }
}

impl Drop for SharedObject {
    fn drop(&mut self) {
        account::subtract(size_of::<SharedObject>());
    }
}

/// What a native module made, behind a handle of its own type.
pub(crate) fn opaque_of<T: Any + Sync>(handle: Value) -> Option<&'static T> {
    let id = handle.is_kind(Kind::Handle).then(|| handle.type_id())?;
    // Built-in handles may lead to something else.
    let object = (id >= FIRST_USER_TYPE).then(|| object_of(handle, id))??;
    object.opaque()
}

/// The object behind a handle that is no thread's.
/// What is in a task's `locks`: a mutex or a `Once`.
pub(crate) fn held_by_task(handle: Value) -> Option<&'static SharedObject> {
    let object = object_of(handle, crate::object::type_id::MUTEX);
    object.or_else(|| object_of(handle, crate::object::type_id::ONCE))
}
pub(crate) fn object_of(handle: Value, type_id: u32) -> Option<&'static SharedObject> {
    debug_assert!(type_id != type_id::THREAD);
    if !handle.is_kind(Kind::Handle) {
        return None;
    }
    // SAFETY: the layout of a handle; what it names lives as long as its bundle, which the caller's heap holds while it uses this.
    unsafe {
        let handle = handle.as_object().cast::<Handle>();
        ((*handle).header.type_id == type_id).then(|| &*(*handle).target.cast::<SharedObject>())
    }
}

/// A value under way between threads: shared, and counted; or a parcel: a mutable graph in a heap of its own, which the receiver takes over.
#[repr(transparent)]
pub(crate) struct Message(Value);

// SAFETY: shared values are immutable and counted atomically; a parcel has one owner.
unsafe impl Send for Message {}

impl Message {
    /// No message.
    pub(crate) const NONE: Message = Message(Value::UNSET);

    /// Takes a reference to what the value leads to; it is no local object.
    #[inline]
    pub(crate) fn shared(value: Value) -> Message {
        debug_assert!(!value.is_local());
        if value.is_shared() {
            // SAFETY: the value is alive.
            unsafe {
                if let Some(head) = bundle::bundle_of(value.as_object()) {
                    bundle::retain_for_message(head);
                }
            }
        }
        Message(value)
    }
    /// Takes over the caller's reference.
    pub(crate) fn owned(value: Value) -> Message {
        debug_assert!(value.is_shared());
        Message(value)
    }
    /// The result of a thread that has ended. What is local in it is handed over with the heap, of which nothing is left then. Refused is what leads to something that
    /// is bound to its thread: the heap stays as it is.
    #[inline]
    pub(crate) fn parcel(heap: &mut Heap, value: Value) -> Result<Message, GraphError> {
        match value.is_local() {
            true => Message::whole_heap(heap, value),
            false => Ok(Message::shared(value)),
        }
    }
    #[inline(never)]
    fn whole_heap(heap: &mut Heap, value: Value) -> Result<Message, GraphError> {
        let whole = std::mem::replace(heap, Heap::new(0));
        match Parcel::of_thread(whole, value) {
            Ok(parcel) => Ok(Message::of_parcel(parcel)),
            Err((whole, refused)) => {
                *heap = whole;
                Err(refused)
            }
        }
    }
    /// A copy that `Heap::copy_out` made.
    pub(crate) fn copied(heap: Heap, value: Value) -> Message {
        if !value.is_local() {
            return Message::shared(value);
        }
        Message::of_parcel(Parcel::new(heap, value))
    }
    fn of_parcel(parcel: Parcel) -> Message {
        account::add(size_of::<Parcel>());
        // The tag of a local object can stand for nothing else here.
        Message(Value::local(
            Box::into_raw(Box::new(parcel)).cast::<Header>(),
        ))
    }
    #[inline]
    pub(crate) fn take(&mut self) -> Message {
        std::mem::replace(self, Message::NONE)
    }
    /// The message as a number, which owns what the message did.
    #[inline]
    pub(crate) fn into_bits(self) -> u64 {
        let bits = self.0.bits();
        std::mem::forget(self);
        bits
    }
    /// # Safety
    /// From `into_bits`, once.
    #[inline]
    pub(crate) unsafe fn from_bits(bits: u64) -> Message {
        Message(Value::from_bits(bits))
    }
    #[inline]
    pub(crate) fn is_parcel(&self) -> bool {
        self.0.is_local()
    }
    /// Another reference to the same value; `None` for a parcel.
    #[inline]
    pub(crate) fn again(&self) -> Option<Message> {
        (!self.is_parcel()).then(|| Message::shared(self.0))
    }
    /// The value itself, which the receiver's heap must adopt before the message is gone; `None` for a parcel.
    #[inline]
    pub(crate) fn peek(&self) -> Option<Value> {
        (!self.is_parcel()).then_some(self.0)
    }
    /// The value itself, also of a parcel, to be looked at where it is.
    pub(crate) fn inside(&self) -> Value {
        if !self.is_parcel() {
            return self.0;
        }
        // SAFETY: made by `of_parcel`, and owned by this message.
        unsafe { (*self.0.as_object().cast::<Parcel>()).value() }
    }
    /// The value in the receiver's heap. If that has no room, the message comes back.
    #[inline]
    pub(crate) fn deliver(self, heap: &mut Heap) -> Result<Value, Message> {
        if !self.0.is_local() {
            // The message's reference becomes the heap's.
            return Ok(heap.adopt_owned(std::mem::ManuallyDrop::new(self).0));
        }
        self.deliver_parcel(heap)
    }
    /// The same for a heap that holds nothing yet.
    #[inline]
    pub(crate) fn deliver_first(self, heap: &mut Heap) -> Result<Value, Message> {
        if !self.0.is_local() {
            return Ok(heap.adopt_new(std::mem::ManuallyDrop::new(self).0));
        }
        self.deliver_parcel(heap)
    }
    #[inline(never)]
    fn deliver_parcel(self, heap: &mut Heap) -> Result<Value, Message> {
        let address = std::mem::ManuallyDrop::new(self).0.as_object();
        // SAFETY: made by `of_parcel`, and owned by this message.
        let parcel = unsafe { Box::from_raw(address.cast::<Parcel>()) };
        account::subtract(size_of::<Parcel>());
        parcel.deliver(heap).map_err(Message::of_parcel)
    }
}

impl Drop for Message {
    #[inline]
    fn drop(&mut self) {
        if self.0.is_local() {
            // SAFETY: made by `of_parcel`, and owned by this message.
            drop(unsafe { Box::from_raw(self.0.as_object().cast::<Parcel>()) });
            account::subtract(size_of::<Parcel>());
        } else if self.0.is_shared() {
            // SAFETY: the reference was counted in `shared`.
            unsafe {
                if let Some(head) = bundle::bundle_of(self.0.as_object()) {
                    bundle::release(head);
                }
            }
        }
    }
}

//! `process`: other programs. A child's end is told by the system (a descriptor of the process, on Linux), its pipes are streams.
//!
//! | file | |
//! | --- | --- |
//! | `child` | starting a program, waiting for its end, signals |
//! | `pipe` | the ends of pipes: reading and writing |
//! | `reaper` | children that nobody waits for |
//! | `signal` | signals by name, and those that come to this process |
//! | `descriptor` | descriptors that the reactor watches |
//!
//! **No child is left a zombie**: `wait` reaps it, and one whose handle is gone goes to the reaper.

mod child;
mod descriptor;
mod pipe;
mod reaper;
pub(super) mod signal;

use heddle_vm::native::NativeModule;
use heddle_vm::natives;

pub(super) static MODULE: NativeModule = NativeModule {
    name: "process",
    functions: natives! {
        blocking "process.__start" (program, args, env, cwd, input, output, errors) => child::start;
        plain "process.__streams" (child) => child::streams;
        plain "process.__pid" (child) => child::pid;
        suspending "process.__wait" (child) => child::wait;
        plain "process.__signal" (child, signal) => child::signal;
        plain "process.__text" (bytes, program) => child::text;

        /// The bytes that come next, at most `n` (64 KiB), waiting for at least one; nil at the end. Throws IoError.
        suspending "PipeReader.read" (self, "n?") => pipe::read;
        /// Exactly `n` bytes. Throws IoError if the pipe ends before.
        suspending "PipeReader.read_exact" (self, n) => pipe::read_exact;
        /// The bytes up to the end. Throws IoError.
        suspending "PipeReader.read_all" (self) => pipe::read_all;
        /// The next line without its end, or nil at the end. Throws IoError, ValueError if it is no UTF-8.
        suspending "PipeReader.read_line" (self) => pipe::read_line;
        /// The next line of a loop, which ends at the end of the pipe. Throws IoError, ValueError if it is no UTF-8.
        suspending "PipeReader.next" (self) => pipe::next;
        /// The pipe itself: loops over its lines.
        plain "PipeReader.iter" (self) => pipe::itself;
        /// The pipe itself: loops over its lines.
        plain "PipeReader.lines" (self) => pipe::itself;
        /// Closes it; who waits for it gets an IoError. Closing it again does nothing.
        plain "PipeReader.close" (self) => pipe::close_reader;

        /// Writes text or bytes, all of it. Throws IoError.
        suspending "PipeWriter.write" (self, data) => pipe::write;
        /// Closes it: the other side sees the end. Closing it again does nothing.
        plain "PipeWriter.close" (self) => pipe::close_writer;
    },
    constants: |_| {},
    source: Some(heddle_source!("process")),
};

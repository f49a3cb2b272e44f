//! `fs`: files and folders. Every error is an `IoError` that names the path.
//!
//! | file | |
//! | --- | --- |
//! | `paths` | what takes a path and is done with it: reading and writing whole files, folders, links, metadata |
//! | `file` | open files, which tasks and threads of the system may use in turn |
//! | `glob` | names with wildcards |

mod file;
mod glob;
mod paths;

use heddle_vm::native::NativeModule;
use heddle_vm::natives;

pub(super) static MODULE: NativeModule = NativeModule {
    name: "fs",
    functions: natives! {
        /// The text of a file. Throws IoError, ValueError if it is no UTF-8.
        blocking "fs.read" (path) => paths::read;
        /// The bytes of a file. Throws IoError.
        blocking "fs.read_bytes" (path) => paths::read_bytes;
        /// Makes a file of text or bytes; replaces one that is there. Throws IoError.
        blocking "fs.write" (path, data) => paths::write;
        /// Like write, but whoever reads the file sees all of the old one or all of the new one, even if the machine fails meanwhile. Throws IoError.
        blocking "fs.write_atomic" (path, data) => paths::write_atomic;
        /// Adds text or bytes to the end of a file, made if it is not there. Throws IoError.
        blocking "fs.append" (path, data) => paths::append;
        /// A list of the lines of a file, without their ends. Throws IoError, ValueError if it is no UTF-8.
        blocking "fs.lines" (path) => paths::lines;
        /// Whether there is a file or folder at the path.
        blocking "fs.exists" (path) => paths::exists;
        /// Whether the path is that of a file.
        blocking "fs.is_file" (path) => paths::is_file;
        /// Whether the path is that of a folder.
        blocking "fs.is_dir" (path) => paths::is_dir;
        /// Whether the path is that of a symbolic link.
        blocking "fs.is_link" (path) => paths::is_link;
        /// The number of bytes of a file. Throws IoError.
        blocking "fs.size" (path) => paths::size;
        /// When a file was last changed, in seconds since 1970. Throws IoError.
        blocking "fs.modified" (path) => paths::modified;
        blocking "fs.__metadata" (path, follow) => paths::metadata;
        /// Changes who may read, write and execute it: `0o644`. Throws IoError.
        blocking "fs.set_mode" (path, mode) => paths::set_mode;
        /// Removes a file or an empty folder. Throws IoError.
        blocking "fs.remove" (path) => paths::remove;
        /// Removes a file, or a folder with all that is in it. Throws IoError.
        blocking "fs.remove_all" (path) => paths::remove_all;
        /// A sorted list of the names in a folder. Throws IoError.
        blocking "fs.list" (path) => paths::list;
        blocking "fs.__walk_step" (path) => paths::walk_step;
        /// A sorted list of the paths that match a pattern: `*` and `?` stand for parts of a name, `[a-z]` for one character, `**` for any folders. Throws IoError, ValueError.
        blocking "fs.glob" (pattern) => glob::glob;
        /// Makes a folder, and those above it, unless it is there. Throws IoError.
        blocking "fs.mkdir" (path) => paths::mkdir;
        /// Copies a file. Throws IoError.
        blocking "fs.copy" (from, to) => paths::copy;
        /// Moves a file or folder; replaces a file that is there. Throws IoError.
        blocking "fs.rename" (from, to) => paths::rename;
        /// Makes a symbolic link at `path` that leads to `target`. Throws IoError.
        blocking "fs.symlink" (target, path) => paths::symlink;
        /// Makes `path` another name of the file `target`. Throws IoError.
        blocking "fs.hard_link" (target, path) => paths::hard_link;
        /// Where a symbolic link leads. Throws IoError.
        blocking "fs.read_link" (path) => paths::read_link;
        /// The path without `.`, `..` and links. Throws IoError.
        blocking "fs.absolute" (path) => paths::absolute;
        /// Makes an empty file with a name of its own among the temporary ones, only for this user, and gives its path; `suffix` is the name's end. Throws IoError.
        blocking "fs.temp_file" ("suffix?") => |ctx| paths::temporary(ctx, false);
        /// Makes an empty folder with a name of its own among the temporary files, only for this user, and gives its path. Throws IoError.
        blocking "fs.temp_dir" ("suffix?") => |ctx| paths::temporary(ctx, true);
        /// Opens a file: mode "r" reads (default), "w" makes it new, "a" adds to it, "x" makes it and fails if it is there; with "+" both. Throws IoError, ValueError.
        blocking "fs.open" (path, "mode?") => file::open;

        /// The path that it was opened with.
        plain property "File.path" (self) => file::path;
        /// The next `n` bytes as text, fewer only at the end; without `n`, the rest. Throws IoError, ValueError if it is no UTF-8.
        blocking "File.read" (self, "n?") => file::read;
        /// The next `n` bytes, fewer only at the end; without `n`, the rest. Throws IoError.
        blocking "File.read_bytes" (self, "n?") => file::read_bytes;
        /// The next line without its end, or nil at the end. Throws IoError, ValueError if it is no UTF-8.
        blocking "File.read_line" (self) => file::read_line;
        /// The next line, or StopIteration at the end: a file may be iterated. Throws IoError, ValueError if it is no UTF-8.
        blocking "File.next" (self) => file::next;
        /// The lines that are left, lazily: the file itself.
        plain "File.lines" (self) => file::itself;
        /// Writes text or bytes. Throws IoError.
        blocking "File.write" (self, data) => file::write;
        /// Hands what was written to the system. Throws IoError.
        blocking "File.flush" (self) => file::flush;
        /// Waits until what was written is on the disk. Throws IoError.
        blocking "File.sync" (self) => file::sync;
        /// Makes the file so many bytes long, cutting off or adding zeros. Throws IoError.
        blocking "File.truncate" (self, size) => file::truncate;
        /// Goes to a position in bytes; a negative one counts from the end. Throws IoError.
        blocking "File.seek" (self, position) => file::seek;
        /// The position in bytes. Throws IoError.
        blocking "File.tell" (self) => file::tell;
        /// Closes the file; closing it again does nothing. Throws IoError.
        blocking "File.close" (self) => file::close;
    },
    constants: |_| {},
    source: Some(heddle_source!("fs")),
};

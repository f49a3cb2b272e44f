//! What takes a path and is done with it.

use crate::support::{data_arg, io_error, new_bytes, new_str};
use heddle_vm::Value;
use heddle_vm::native::{Ctx, NativeResult, Trap};
use heddle_vm::thread::Outside;
use heddle_vm::types::ErrorKind;
use std::cell::RefCell;
use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Why a file cannot be read.
pub(super) enum Failed {
    Io(io::Error),
    /// No UTF-8 from this byte on.
    NoText(usize),
    /// What does not fit the program's memory.
    TooLong,
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Failed {
        Failed::Io(error)
    }
}

pub(super) fn throw(ctx: &mut Ctx, path: &str, failed: &Failed) -> Trap {
    let (kind, message) = match failed {
        Failed::Io(error) => return io_error(ctx, path, error),
        Failed::NoText(at) => (
            ErrorKind::Value,
            format!("{}: {path} is no UTF-8 at byte {at}", ctx.name()),
        ),
        Failed::TooLong => (
            ErrorKind::Limit,
            format!("{}: {path} does not fit the memory", ctx.name()),
        ),
    };
    ctx.throw(kind, message)
}

pub(super) fn text_of(bytes: Vec<u8>) -> Result<String, Failed> {
    String::from_utf8(bytes).map_err(|error| Failed::NoText(error.utf8_error().valid_up_to()))
}

/// Works on the path that is the first argument.
fn on_path<T: Send + 'static>(
    ctx: &mut Ctx,
    work: impl FnOnce(&str) -> io::Result<T> + Send + 'static,
    finish: impl FnOnce(&mut Ctx, T) -> NativeResult + Send + 'static,
) -> NativeResult {
    let path = ctx.str_arg(0)?.to_string();
    ctx.block(
        move || {
            let done = work(&path);
            (path, done)
        },
        move |ctx, (path, done)| match done {
            Ok(done) => finish(ctx, done),
            Err(error) => Err(io_error(ctx, &path, &error)),
        },
    )
}

/// Changes something at the path.
fn change(
    ctx: &mut Ctx,
    work: impl FnOnce(&str) -> io::Result<()> + Send + 'static,
) -> NativeResult {
    on_path(ctx, work, |ctx, ()| ctx.nil())
}

fn on_two_paths(ctx: &mut Ctx, work: fn(&str, &str) -> io::Result<()>) -> NativeResult {
    let (from, to) = (ctx.str_arg(0)?.to_string(), ctx.str_arg(1)?.to_string());
    ctx.block(
        move || {
            let done = work(&from, &to);
            (from, to, done)
        },
        |ctx, (from, to, done)| match done {
            Ok(()) => ctx.nil(),
            Err(error) => Err(io_error(ctx, &format!("{from} to {to}"), &error)),
        },
    )
}

// --- whole files

/// Bytes read at once.
const BLOCK: usize = 64 * 1024;

thread_local! {
    /// What was just read lies here first: then a small file's bytes are taken in one piece of the right size.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; BLOCK].into());
}

/// A file may be longer than its size says, even endless: at `limit` reading stops.
fn read_whole(path: &str, limit: usize) -> Result<Vec<u8>, Failed> {
    let mut file = fs::File::open(path)?;
    let (mut bytes, is_all) = SCRATCH.with_borrow_mut(|scratch| {
        let mut filled = 0;
        while filled < scratch.len() {
            match file.read(&mut scratch[filled..]) {
                Ok(0) => return Ok((scratch[..filled].to_vec(), true)),
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok((scratch[..filled].to_vec(), false))
    })?;
    if !is_all {
        let size = file.metadata().map_or(0, |metadata| metadata.len());
        let more = (size as usize).min(limit).saturating_sub(bytes.len());
        bytes.try_reserve(more + 1).map_err(|_| Failed::TooLong)?;
        let most = limit.saturating_sub(bytes.len()) as u64;
        file.take(most).read_to_end(&mut bytes)?;
    }
    if bytes.len() >= limit {
        return Err(Failed::TooLong);
    }
    Ok(bytes)
}

/// Reads the file, and makes of its bytes what `finish` takes.
fn read_file<T: Send + 'static>(
    ctx: &mut Ctx,
    make: fn(Vec<u8>) -> Result<T, Failed>,
    finish: fn(&mut Ctx, T) -> NativeResult,
) -> NativeResult {
    ctx.note_outside(Outside::Files);
    let path = ctx.str_arg(0)?.to_string();
    let limit = ctx.heap().limit();
    ctx.block(
        move || {
            let made = read_whole(&path, limit).and_then(make);
            (path, made)
        },
        move |ctx, (path, made)| match made {
            Ok(made) => finish(ctx, made),
            Err(failed) => Err(throw(ctx, &path, &failed)),
        },
    )
}

pub(super) fn read(ctx: &mut Ctx) -> NativeResult {
    read_file(ctx, text_of, |ctx, text| new_str(ctx, &text))
}
pub(super) fn read_bytes(ctx: &mut Ctx) -> NativeResult {
    read_file(ctx, Ok, |ctx, bytes| new_bytes(ctx, &bytes))
}
pub(super) fn lines(ctx: &mut Ctx) -> NativeResult {
    read_file(ctx, text_of, |ctx, text| {
        let lines: Vec<&str> = text.lines().collect();
        list_of(ctx, &lines)
    })
}
fn list_of<S: AsRef<str>>(ctx: &mut Ctx, texts: &[S]) -> NativeResult {
    let bytes: usize = texts.iter().map(|text| text.as_ref().len() + 40).sum();
    ctx.reserve(bytes)?;
    let texts: Vec<Value> = texts.iter().map(|text| ctx.str(text.as_ref())).collect();
    ctx.list(&texts)
}

pub(super) fn write(ctx: &mut Ctx) -> NativeResult {
    let data = data_arg(ctx, 1)?;
    change(ctx, move |path| fs::write(path, data))
}
pub(super) fn append(ctx: &mut Ctx) -> NativeResult {
    let data = data_arg(ctx, 1)?;
    change(ctx, move |path| {
        let mut file = OpenOptions::new().append(true).create(true).open(path)?;
        file.write_all(&data)
    })
}
pub(super) fn write_atomic(ctx: &mut Ctx) -> NativeResult {
    let data = data_arg(ctx, 1)?;
    change(ctx, move |path| replace(Path::new(path), &data))
}

/// Writes beside the file, and then puts that in its place.
fn replace(path: &Path, data: &[u8]) -> io::Result<()> {
    // What a link leads to is replaced, not the link.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let name = target
        .file_name()
        .ok_or_else(|| io::Error::from(io::ErrorKind::IsADirectory))?;
    let beside = format!(".{}.", name.to_string_lossy());
    let (temporary, mut file) = with_own_name(folder, &beside, ".tmp", |path| {
        OpenOptions::new().write(true).create_new(true).open(path)
    })?;
    let done = (|| {
        file.write_all(data)?;
        if let Ok(old) = fs::metadata(&target) {
            file.set_permissions(old.permissions())?;
        }
        file.sync_all()?;
        fs::rename(&temporary, &target)
    })();
    if done.is_err() {
        let _ = fs::remove_file(&temporary);
        return done;
    }
    // That the name leads to the new file is on the disk when the folder is; not every system can say so.
    if let Ok(folder) = fs::File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok(())
}

// --- names of their own

/// Makes something whose name nothing else has.
fn with_own_name<T>(
    folder: &Path,
    prefix: &str,
    suffix: &str,
    mut make: impl FnMut(&Path) -> io::Result<T>,
) -> io::Result<(PathBuf, T)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let time = SystemTime::now().duration_since(UNIX_EPOCH);
        let time = time.map_or(0, |since| since.subsec_nanos());
        // Always as long: what a program does with the name takes the same fuel each time.
        let path = folder.join(format!(
            "{prefix}{:08x}-{number:04x}{time:08x}{suffix}",
            std::process::id()
        ));
        match make(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|made| (path, made)),
        }
    }
}

pub(super) fn temporary(ctx: &mut Ctx, is_folder: bool) -> NativeResult {
    ctx.note_outside(Outside::Files);
    let suffix = ctx.opt_str_arg(0)?.unwrap_or("").to_string();
    if suffix.contains(['/', '\0']) {
        let message = format!("{}: suffix must be no path, got {suffix:?}", ctx.name());
        return Err(ctx.throw(ErrorKind::Value, message));
    }
    ctx.block(
        move || {
            let folder = std::env::temp_dir();
            let made = with_own_name(&folder, "heddle-", &suffix, |path| {
                make_own(path, is_folder)
            });
            made.map(|(path, ())| path.to_string_lossy().into_owned())
                .map_err(|error| (folder.to_string_lossy().into_owned(), error))
        },
        |ctx, made| match made {
            Ok(path) => new_str(ctx, &path),
            Err((folder, error)) => Err(io_error(ctx, &folder, &error)),
        },
    )
}
fn make_own(path: &Path, is_folder: bool) -> io::Result<()> {
    if is_folder {
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        return builder.create(path);
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(|_| ())
}

// --- what is there

fn ask(ctx: &mut Ctx, holds: fn(&str) -> bool) -> NativeResult {
    ctx.note_outside(Outside::Files);
    on_path(
        ctx,
        move |path| Ok(holds(path)),
        |_, answer| Ok(Value::bool(answer)),
    )
}
pub(super) fn exists(ctx: &mut Ctx) -> NativeResult {
    ask(ctx, |path| fs::exists(path).unwrap_or(false))
}
pub(super) fn is_file(ctx: &mut Ctx) -> NativeResult {
    ask(ctx, |path| fs::metadata(path).is_ok_and(|m| m.is_file()))
}
pub(super) fn is_dir(ctx: &mut Ctx) -> NativeResult {
    ask(ctx, |path| fs::metadata(path).is_ok_and(|m| m.is_dir()))
}
pub(super) fn is_link(ctx: &mut Ctx) -> NativeResult {
    ask(ctx, |path| {
        fs::symlink_metadata(path).is_ok_and(|m| m.is_symlink())
    })
}
pub(super) fn size(ctx: &mut Ctx) -> NativeResult {
    ctx.note_outside(Outside::Files);
    let size = |path: &str| Ok(fs::metadata(path)?.len());
    on_path(ctx, size, |ctx, size| Ok(ctx.int(size as i64)))
}

/// Seconds since 1970.
fn seconds(time: SystemTime) -> f64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}
pub(super) fn modified(ctx: &mut Ctx) -> NativeResult {
    ctx.note_outside(Outside::Files);
    let modified = |path: &str| fs::metadata(path)?.modified().map(seconds);
    on_path(ctx, modified, |_, time| Ok(Value::float(time)))
}

#[cfg(unix)]
fn mode(metadata: &Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::mode(metadata) & 0o7777
}
#[cfg(not(unix))]
fn mode(metadata: &Metadata) -> u32 {
    if metadata.permissions().readonly() {
        0o444
    } else {
        0o644
    }
}
fn kind(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    if kind.is_file() {
        "file"
    } else if kind.is_dir() {
        "dir"
    } else if kind.is_symlink() {
        "link"
    } else {
        "other"
    }
}

/// A tuple in the order of the fields of `Metadata`.
pub(super) fn metadata(ctx: &mut Ctx) -> NativeResult {
    ctx.note_outside(Outside::Files);
    let follows = ctx.arg(1).is_truthy();
    let ask = move |path: &str| {
        if follows {
            fs::metadata(path)
        } else {
            fs::symlink_metadata(path)
        }
    };
    on_path(ctx, ask, |ctx, metadata| {
        ctx.reserve(512)?;
        let time =
            |time: io::Result<SystemTime>| time.map_or(Value::NIL, |t| Value::float(seconds(t)));
        let parts = [
            ctx.str(kind(&metadata)),
            ctx.int(metadata.len() as i64),
            ctx.int(mode(&metadata).into()),
            time(metadata.modified()),
            time(metadata.accessed()),
            time(metadata.created()),
        ];
        ctx.tuple(&parts)
    })
}

pub(super) fn set_mode(ctx: &mut Ctx) -> NativeResult {
    let mode = ctx.int_arg(1)?;
    let mode = match u32::try_from(mode) {
        Ok(mode) if mode <= 0o7777 => mode,
        _ => {
            let message = format!("fs.set_mode: mode must be from 0 to 0o7777, got {mode}");
            return Err(ctx.throw(ErrorKind::Value, message));
        }
    };
    change(ctx, move |path| {
        #[cfg(unix)]
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
        #[cfg(not(unix))]
        let permissions = {
            let mut permissions = fs::metadata(path)?.permissions();
            permissions.set_readonly(mode & 0o200 == 0);
            permissions
        };
        fs::set_permissions(path, permissions)
    })
}

fn names_in(path: &str) -> io::Result<Vec<(String, bool)>> {
    let mut names: Vec<(String, bool)> = fs::read_dir(path)?
        .map(|entry| {
            let entry = entry?;
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            Ok((entry.file_name().to_string_lossy().into_owned(), is_folder))
        })
        .collect::<io::Result<_>>()?;
    names.sort_unstable();
    Ok(names)
}
pub(super) fn list(ctx: &mut Ctx) -> NativeResult {
    ctx.note_outside(Outside::Files);
    on_path(ctx, names_in, |ctx, names| {
        let names: Vec<String> = names.into_iter().map(|(name, _)| name).collect();
        list_of(ctx, &names)
    })
}
/// Two lists: the names in a folder, and whether each is a folder itself (links do not count).
pub(super) fn walk_step(ctx: &mut Ctx) -> NativeResult {
    ctx.note_outside(Outside::Files);
    on_path(ctx, names_in, |ctx, names| {
        let (names, are_folders): (Vec<String>, Vec<Value>) = names
            .into_iter()
            .map(|(name, is_folder)| (name, Value::bool(is_folder)))
            .unzip();
        ctx.reserve(names.iter().map(|name| name.len() + 64).sum())?;
        let names = list_of(ctx, &names)?;
        let are_folders = ctx.list(&are_folders)?;
        ctx.tuple(&[names, are_folders])
    })
}

// --- changes

pub(super) fn remove(ctx: &mut Ctx) -> NativeResult {
    change(ctx, |path| {
        if fs::symlink_metadata(path)?.is_dir() {
            fs::remove_dir(path)
        } else {
            fs::remove_file(path)
        }
    })
}
pub(super) fn remove_all(ctx: &mut Ctx) -> NativeResult {
    change(ctx, |path| {
        if fs::symlink_metadata(path)?.is_dir() {
            fs::remove_dir_all(path)
        } else {
            fs::remove_file(path)
        }
    })
}
pub(super) fn mkdir(ctx: &mut Ctx) -> NativeResult {
    change(ctx, |path| fs::create_dir_all(path))
}
pub(super) fn copy(ctx: &mut Ctx) -> NativeResult {
    on_two_paths(ctx, |from, to| fs::copy(from, to).map(|_| ()))
}
pub(super) fn rename(ctx: &mut Ctx) -> NativeResult {
    on_two_paths(ctx, |from, to| fs::rename(from, to))
}
pub(super) fn symlink(ctx: &mut Ctx) -> NativeResult {
    on_two_paths(ctx, |target, path| {
        #[cfg(unix)]
        return std::os::unix::fs::symlink(target, path);
        #[cfg(windows)]
        return std::os::windows::fs::symlink_file(target, path);
        #[cfg(not(any(unix, windows)))]
        return Err(io::Error::from(io::ErrorKind::Unsupported));
    })
}
pub(super) fn hard_link(ctx: &mut Ctx) -> NativeResult {
    on_two_paths(ctx, |target, path| fs::hard_link(target, path))
}
pub(super) fn read_link(ctx: &mut Ctx) -> NativeResult {
    ctx.note_outside(Outside::Files);
    let target = |path: &str| fs::read_link(path);
    on_path(ctx, target, |ctx, target| {
        new_str(ctx, &target.to_string_lossy())
    })
}
pub(super) fn absolute(ctx: &mut Ctx) -> NativeResult {
    ctx.note_outside(Outside::Files);
    let full = |path: &str| fs::canonicalize(path);
    on_path(ctx, full, |ctx, full| new_str(ctx, &full.to_string_lossy()))
}

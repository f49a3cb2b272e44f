//! `os`: the process and its surroundings.

use crate::support::{io_error, new_str};
use heddle_vm::native::{Ctx, ModuleBuilder, NativeModule, NativeResult};
use heddle_vm::thread::Outside;
use heddle_vm::{Value, natives};

pub(super) static MODULE: NativeModule = NativeModule {
    name: "os",
    functions: natives! {
        plain "os.__args" () => args;
        /// The environment variable of this name, or `default` (nil); without a name, a map of all.
        plain "os.env" ("name?", "default?") => env;
        /// Ends the program at once, with this exit code (0).
        plain "os.exit" ("code?") => exit;
        /// The number of this process.
        plain "os.pid" () => |ctx| { ctx.note_outside(Outside::Process); Ok(ctx.int(i64::from(std::process::id()))) };
        /// The folder for temporary files.
        plain "os.temp_dir" () => |ctx| { ctx.note_outside(Outside::Env); let dir = std::env::temp_dir(); new_str(ctx, &dir.to_string_lossy()) };
        /// The folder that paths are relative to: at first, that in which the program was started. Throws IoError.
        plain "os.cwd" () => cwd;
        /// Changes the folder that paths are relative to, for the whole process. Throws IoError.
        blocking "os.chdir" (path) => chdir;
        /// The user's home folder, or nil.
        plain "os.home_dir" () => home_dir;
        /// The name of the user whom this process runs as, or nil if it has none.
        blocking "os.user" () => user;
        /// The name of this machine.
        plain "os.hostname" () => hostname;
        /// How many processors this process may use.
        plain "os.cpu_count" () => cpu_count;
        /// The same as cpu_count.
        plain "os.cpus" () => cpu_count;
        plain "os.__signals" (names) => signals;

        /// The name of the next signal that comes, waiting for one.
        suspending "Signals.next" (self) => next_signal;
        /// The signals themselves: loops over them.
        plain "Signals.iter" (self) => signals_themselves;
    },
    constants,
    source: Some(heddle_source!("os")),
};

fn constants(module: &mut ModuleBuilder) {
    module.str("platform", std::env::consts::OS);
    module.str("arch", std::env::consts::ARCH);
}

fn args(ctx: &mut Ctx) -> NativeResult {
    let args = ctx.script_args().to_vec();
    let args: Vec<Value> = args.iter().map(|arg| ctx.str(arg)).collect();
    ctx.list(&args)
}

fn env(ctx: &mut Ctx) -> NativeResult {
    ctx.note_outside(Outside::Env);
    match ctx.opt_str_arg(0)? {
        None => {
            let map = ctx.map()?;
            for (name, value) in std::env::vars_os() {
                let name = ctx.str(&name.to_string_lossy());
                let value = ctx.str(&value.to_string_lossy());
                ctx.map_set(map, name, value)?;
            }
            Ok(map)
        }
        // Names that no variable can have are refused by some systems and answered by others.
        Some(name) if name.is_empty() || name.contains(['=', '\0']) => Ok(ctx.arg_or_nil(1)),
        Some(name) => match std::env::var_os(name) {
            Some(value) => new_str(ctx, &value.to_string_lossy()),
            None => Ok(ctx.arg_or_nil(1)),
        },
    }
}

fn exit(ctx: &mut Ctx) -> NativeResult {
    let code = ctx.opt_int_arg(0)?.unwrap_or(0);
    Err(ctx.exit(code as i32))
}

fn cwd(ctx: &mut Ctx) -> NativeResult {
    ctx.note_outside(Outside::Env);
    match std::env::current_dir() {
        Ok(dir) => new_str(ctx, &dir.to_string_lossy()),
        Err(e) => Err(io_error(ctx, "", &e)),
    }
}

fn home_dir(ctx: &mut Ctx) -> NativeResult {
    ctx.note_outside(Outside::Env);
    match std::env::home_dir() {
        Some(dir) => new_str(ctx, &dir.to_string_lossy()),
        None => Ok(Value::NIL),
    }
}

fn cpu_count(ctx: &mut Ctx) -> NativeResult {
    ctx.note_outside(Outside::Process);
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(ctx.int(count as i64))
}

fn chdir(ctx: &mut Ctx) -> NativeResult {
    let path = ctx.str_arg(0)?.to_string();
    ctx.block(
        move || {
            let done = std::env::set_current_dir(&path);
            (path, done)
        },
        |ctx, (path, done)| match done {
            Ok(()) => ctx.nil(),
            Err(error) => Err(io_error(ctx, &path, &error)),
        },
    )
}

#[cfg(unix)]
fn hostname(ctx: &mut Ctx) -> NativeResult {
    ctx.note_outside(Outside::Process);
    let name = rustix::system::uname();
    new_str(ctx, &name.nodename().to_string_lossy())
}
#[cfg(not(unix))]
fn hostname(ctx: &mut Ctx) -> NativeResult {
    ctx.note_outside(Outside::Process);
    let name = std::env::var("COMPUTERNAME").unwrap_or_else(|_| "localhost".into());
    new_str(ctx, &name)
}

/// The user's name: by number in the list of users, else what the environment says.
fn user(ctx: &mut Ctx) -> NativeResult {
    ctx.note_outside(Outside::Env);
    ctx.block(
        || {
            #[cfg(unix)]
            {
                let id = rustix::process::geteuid().as_raw();
                let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
                if let Some(name) = user_of(&users, id) {
                    return Some(name.to_string());
                }
            }
            ["USER", "LOGNAME", "USERNAME"]
                .iter()
                .find_map(|name| std::env::var(name).ok())
        },
        |ctx, name| match name {
            Some(name) => new_str(ctx, &name),
            None => ctx.nil(),
        },
    )
}
/// `name:password:number:…`, a line for each.
#[cfg(unix)]
fn user_of(users: &str, id: u32) -> Option<&str> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then_some(name)
    })
}

#[cfg(target_os = "linux")]
use super::process::signal::{
    itself as signals_themselves, listen as signals, next as next_signal,
};
#[cfg(not(target_os = "linux"))]
fn signals(ctx: &mut Ctx) -> NativeResult {
    let message = "os.signals: this system has none that a program can wait for";
    Err(ctx.throw(heddle_vm::types::ErrorKind::Io, message))
}
#[cfg(not(target_os = "linux"))]
use signals as next_signal;
#[cfg(not(target_os = "linux"))]
use signals as signals_themselves;

#[cfg(all(test, unix))]
mod tests {
    use super::user_of;

    #[test]
    fn a_user_is_found_by_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!(user_of(users, 1000), Some("ann"));
        assert_eq!(user_of(users, 7), None);
    }
}

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
        /// The folder in which the program was started. Throws IoError.
        plain "os.cwd" () => cwd;
        /// The user's home folder, or nil.
        plain "os.home_dir" () => home_dir;
        /// How many processors this process may use.
        plain "os.cpus" () => |ctx| { ctx.note_outside(Outside::Process); let n = std::thread::available_parallelism().map_or(1, usize::from); Ok(ctx.int(n as i64)) };
    },
    constants,
    source: Some("## The arguments of the program, after its name.\npub const args = __args()\n"),
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

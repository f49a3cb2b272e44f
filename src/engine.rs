//! An engine: the library loaded, one thread of the language with its heap, and the modules that were loaded into it.

use crate::convert::{FromValue, IntoArgs, IntoValue, Scope};
use crate::coverage::FileCoverage;
use crate::error::{Error, Finding};
use crate::function::{BlockingFunction, HostFunction};
use crate::handle::Handle;
use crate::loader::{Loader, Mode, Program, Source};
use heddle_vm::bytecode::ModuleRef;
use heddle_vm::native::{HostCode, HostCtx};
use heddle_vm::thread::{self, Thread};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32};

pub use heddle_vm::io::{FaultLevel, Policy as BlockingPolicy};
pub use heddle_vm::thread::{Outside, Schedule, ScheduleTrace, Stress, Threadlets, TracePinned};

/// How an [`Engine`] is made.
///
/// ```
/// let mut engine = heddle::Engine::builder().memory_limit(64 << 20).depth_limit(1000).build();
/// let overflow = engine.run_str("deep", "fn f(n) { 1 + f(n + 1) }\nf(0)").unwrap_err();
/// assert_eq!(overflow.kind(), "StackOverflow");
/// ```
#[derive(Default)]
pub struct EngineBuilder {
    options: thread::Options,
    fuel: Option<u64>,
    functions: Vec<Registered>,
    counts_lines: bool,
}

/// Name, parameters, code.
type Registered = (String, Vec<String>, HostCode);

fn boxed<S, F: HostFunction<S>>(name: &str, function: F) -> Registered {
    let text = name.to_string();
    let call = move |ctx: &mut HostCtx<'_>| function.call(ctx, &text);
    (name.into(), F::params(), HostCode::Inline(Box::new(call)))
}
fn boxed_blocking<S, F: BlockingFunction<S>>(name: &str, function: F) -> Registered {
    let text: Arc<str> = name.into();
    let function = Arc::new(function);
    let begin = move |ctx: &mut HostCtx<'_>| function.clone().begin(ctx, &text);
    (
        name.into(),
        F::params(),
        HostCode::Blocking(Box::new(begin)),
    )
}

impl EngineBuilder {
    /// Bytes that objects and call stacks may take; beyond them scripts get a `LimitError`.
    pub fn memory_limit(mut self, bytes: usize) -> EngineBuilder {
        self.options.memory = bytes;
        self
    }
    /// How deep calls may nest; beyond it scripts get a `StackOverflow`. A million unless set.
    /// At least 32.
    pub fn depth_limit(mut self, frames: usize) -> EngineBuilder {
        self.options.depth = frames;
        self
    }
    /// The most OS threads that run threads of scripts at a time, at least 1, and no more than [`MOST_CARRIERS`](crate::MOST_CARRIERS); one for each processor unless set. A program without threads
    /// uses the one that calls it.
    pub fn carriers(mut self, most: usize) -> EngineBuilder {
        self.options.carriers = most.max(1);
        self
    }
    /// The most OS threads that run threads of scripts, with those that are held by blocking calls under [`BlockingPolicy::Capture`]. 64 unless set.
    pub fn max_carriers(mut self, most: usize) -> EngineBuilder {
        self.options.max_carriers = most.max(1);
        self
    }
    /// What becomes of calls that hold an OS thread, as of files, in a program with other tasks. Offloaded unless set.
    ///
    /// ```
    /// use heddle::{BlockingPolicy, Engine};
    /// let mut engine = Engine::builder().blocking(BlockingPolicy::Error).build();
    /// let error = engine.run_str("plugin", "import fs\nfs.read(\"/etc/hosts\")").unwrap_err();
    /// assert_eq!(error.kind(), "BlockingError");
    /// ```
    pub fn blocking(mut self, policy: BlockingPolicy) -> EngineBuilder {
        self.options.blocking = policy;
        self
    }
    /// When threadlets become tasks of their own; when they wait, unless set. For tests of code that runs in two ways.
    pub fn threadlets(mut self, mode: Threadlets) -> EngineBuilder {
        self.options.threadlets = mode;
        self
    }
    /// Shows, on standard error, the stack of each task that waits while a function of the host lies below it.
    pub fn trace_pinned(mut self, how: TracePinned) -> EngineBuilder {
        self.options.trace_pinned = how;
        self
    }
    /// An exception from [`BlockingPolicy::Error`]: this function, `fs.read`, or all of a module or type, `fs.*`; everywhere, or in files whose path ends with `file`. The same as `blocking.allow` in a script.
    pub fn allow_blocking(mut self, function: &str, file: Option<&str>) -> EngineBuilder {
        let exception = (function.into(), file.map(Into::into));
        self.options.allowed.push(exception);
        self
    }
    /// The most OS threads that make blocking calls under [`BlockingPolicy::Offload`]. 64 unless set; they start when they are needed and end when they are not.
    pub fn max_workers(mut self, most: usize) -> EngineBuilder {
        self.options.max_workers = most.max(1);
        self
    }
    /// Calls `tell` with a report whenever a native function that is not known to block has held an OS thread for longer than `after`, while there are other threads or tasks: once for each function and
    /// place of a script. `blocking.held()` counts them.
    pub fn blocking_warn(mut self, after: std::time::Duration, tell: fn(&str)) -> EngineBuilder {
        self.options.blocking_warn = Some(heddle_vm::thread::BlockingWarn { after, tell });
        self
    }
    /// Calls `tell` once, when there are more than 10,000 tasks or threads, or their objects take more than 16 MB: a program may want to set its memory up for that.
    pub fn on_large(mut self, tell: fn()) -> EngineBuilder {
        self.options.on_large = Some(tell);
        self
    }
    /// Calls `trim` on each OS thread that runs scripts when it has nothing to do and the scripts' memory has become much less than it was (at most ten times a second), and
    /// once when the library has been compiled, which takes more memory than an engine keeps: the program's allocator may be asked there to give back what it keeps.
    pub fn on_shrunk(mut self, trim: fn()) -> EngineBuilder {
        self.options.on_shrunk = Some(trim);
        self
    }
    /// Calls and turns of loops that scripts may make in all; past it the running one ends with a `LimitError` that it cannot catch.
    ///
    /// ```
    /// let mut engine = heddle::Engine::builder().fuel_limit(1_000_000).build();
    /// let error = engine.run_str("endless", "loop { try { loop { } } catch e { } }").unwrap_err();
    /// assert_eq!(error.kind(), "LimitError");
    /// ```
    pub fn fuel_limit(mut self, fuel: u64) -> EngineBuilder {
        self.fuel = Some(fuel);
        self
    }
    /// Strains the machinery, for tests of the engine itself.
    pub fn stress(mut self, stress: Stress) -> EngineBuilder {
        self.options.stress = stress;
        self
    }
    /// By what the scheduler goes. With a seed the same program does the same each time: one OS thread runs everything, all that the scheduler leaves open and all
    /// random numbers come from the seed, and a virtual clock lets sleeps take no time. For tests: see [`Engine::schedule_trace`].
    ///
    /// ```
    /// use heddle::{Engine, Schedule};
    /// let run = || {
    ///     let mut engine = Engine::builder().schedule(Schedule::Seed(7)).build();
    ///     let order: Vec<i64> = engine.eval(
    ///         "let sent = Channel(9)\nfor i in 0..9 { thread { sent.send(i) } }\nlet order = []\nfor i in 0..9 { order.push(sent.recv()) }\norder",
    ///     )?;
    ///     Ok::<_, heddle::Error>((order, engine.schedule_trace()))
    /// };
    /// assert_eq!(run()?, run()?);
    /// # Ok::<(), heddle::Error>(())
    /// ```
    pub fn schedule(mut self, schedule: Schedule) -> EngineBuilder {
        self.options.schedule = schedule;
        self
    }
    /// Lets calls on sockets answer what the system seldom answers, by the seed of the schedule. For tests.
    pub fn faults(mut self, faults: FaultLevel) -> EngineBuilder {
        self.options.faults = faults;
        self
    }
    /// Calls and turns of loops after which another thread may get its turn; at most the usual 20,000. For tests of the engine itself.
    pub fn slice(mut self, fuel: usize) -> EngineBuilder {
        self.options.slice = Some(fuel);
        self
    }
    /// Measures how long scripts run without a safepoint: see [`Engine::stretches`].
    pub fn trace_safepoints(mut self, is_on: bool) -> EngineBuilder {
        self.options.trace_safepoints = is_on;
        self
    }
    /// Counts how often each line of scripts is run: see [`Engine::coverage`]. Code that does not count is the same as ever.
    pub fn count_lines(mut self, is_on: bool) -> EngineBuilder {
        self.counts_lines = is_on;
        self
    }
    /// What scripts see as `os.args`.
    pub fn script_args(
        mut self,
        args: impl IntoIterator<Item = impl Into<String>>,
    ) -> EngineBuilder {
        self.options.script_args = args.into_iter().map(Into::into).collect();
        self
    }
    /// Where `print` writes; the process's standard output, buffered, unless set.
    pub fn output(mut self, output: impl Write + Send + 'static) -> EngineBuilder {
        self.options.output = Box::new(output);
        self
    }
    /// A function that scripts can call; see [`Engine::register`].
    pub fn function<S>(mut self, name: &str, function: impl HostFunction<S>) -> EngineBuilder {
        self.functions.push(boxed(name, function));
        self
    }
    /// A function that scripts can call and that blocks: reads files, asks a database. See [`Engine::register_blocking`].
    ///
    /// ```
    /// use heddle::{BlockingPolicy, Engine};
    /// let mut engine = Engine::builder()
    ///     .blocking_function("disk.size", |path: String| std::fs::metadata(path).map(|m| m.len() as i64))
    ///     .blocking(BlockingPolicy::Error)
    ///     .build();
    /// let error = engine.run_str("plugin", "import disk\ndisk.size('/')").unwrap_err();
    /// assert_eq!(error.kind(), "BlockingError");
    /// ```
    pub fn blocking_function<S>(
        mut self,
        name: &str,
        function: impl BlockingFunction<S>,
    ) -> EngineBuilder {
        self.functions.push(boxed_blocking(name, function));
        self
    }
    /// Makes the engine.
    pub fn build(self) -> Engine {
        Engine::with(self)
    }
}

/// Runs scripts. Engines share nothing with each other.
///
/// ```
/// let mut engine = heddle::Engine::new();
/// engine.run_str("greeting", "print('hello')")?;
/// # Ok::<(), heddle::Error>(())
/// ```
pub struct Engine {
    pub(crate) thread: Box<Thread>,
    pub(crate) loader: Loader,
    /// Makes keys of modules that are no files.
    unnamed: u64,
}

/// A module that an [`Engine`] has loaded and run.
#[derive(Clone)]
pub struct Module {
    linked: Arc<heddle_vm::module::Module>,
    /// The one it is linked to, and which its code belongs to.
    engine: Arc<heddle_vm::Engine>,
    warnings: Vec<Finding>,
}

impl Module {
    /// What importing files call it.
    pub fn name(&self) -> &str {
        &self.linked.name
    }
    /// What the compiler found besides errors, in it and in what it imports.
    pub fn warnings(&self) -> &[Finding] {
        &self.warnings
    }
    /// The names of its `test` blocks, if it was loaded with them.
    pub fn tests(&self) -> impl Iterator<Item = &str> {
        self.linked.tests.iter().map(|(name, _)| name.as_str())
    }
}

impl Default for Engine {
    fn default() -> Engine {
        Engine::new()
    }
}

impl Engine {
    /// An engine without limits that prints to standard output.
    pub fn new() -> Engine {
        Engine::builder().build()
    }
    /// For engines with limits, arguments or an output of their own.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    fn with(builder: EngineBuilder) -> Engine {
        let engine = match builder.options.schedule {
            Schedule::Ordinary => heddle_vm::Engine::new(),
            Schedule::Seed(seed) => heddle_vm::Engine::with_hash_seed(seed),
        };
        let prelude = heddle_stdlib::prelude();
        for natives in prelude.natives {
            engine.add_prelude_natives(natives);
        }
        let code = heddle_stdlib::compiled_prelude();
        let module = engine.link(&code, &[], true).expect("the prelude links");
        let EngineBuilder {
            options,
            fuel,
            functions,
            counts_lines,
        } = builder;
        let mut thread = Thread::new(engine.clone(), options);
        if thread.run_module(&module).is_err() {
            let error = thread.thrown();
            panic!(
                "the prelude fails: {}",
                heddle_vm::error::report(&mut thread, error)
            );
        }
        if let Some(fuel) = fuel {
            thread.set_fuel_limit(fuel);
        }
        engine.add_prelude_module(&module);
        for (to, from, names) in prelude.aliases {
            engine.alias_methods(to, from, names);
        }
        let is_public = |name: &String| !name.contains("__") && !name.contains(['\0', ' ']);
        let mut prelude_names = engine.prelude_names();
        prelude_names.retain(is_public);
        let mut this = Engine {
            thread,
            loader: Loader {
                engine,
                prelude_names,
                natives: heddle_stdlib::modules(),
                host_modules: BTreeMap::new(),
                loaded: HashMap::new(),
                counts_lines,
            },
            unnamed: 0,
        };
        for (name, params, function) in functions {
            this.add_function(&name, &params, function);
        }
        this
    }

    /// Makes a Rust closure a function that scripts loaded from now on can call. `module.name` is found by `import module`, a name
    /// without a point everywhere. What takes arguments and results is told by [`HostFunction`].
    ///
    /// ```
    /// let mut engine = heddle::Engine::new();
    /// engine.register("host.add", |a: i64, b: i64| a + b);
    /// engine.register("half", |n: i64| if n % 2 == 0 { Ok(n / 2) } else { Err(format!("{n} is odd")) });
    /// assert_eq!(engine.eval::<i64>("import host; half(host.add(3, 7))")?, 5);
    /// assert_eq!(engine.eval::<String>("try { half(3) } catch e { e.message }")?, "3 is odd");
    /// # Ok::<(), heddle::Error>(())
    /// ```
    ///
    /// # Panics
    /// If the module is one of the standard library's, or was imported already.
    pub fn register<S>(&mut self, name: &str, function: impl HostFunction<S>) {
        let (name, params, function) = boxed(name, function);
        self.add_function(&name, &params, function);
    }

    /// Like [`Engine::register`] for a function that blocks: holds its OS thread while it waits for the system. What becomes of its calls is told by the policy (see
    /// [`EngineBuilder::blocking`]): ordinarily an OS thread beside the scripts' makes them while their tasks are parked, so arguments and result must be `Send`, and there is no [`Context`](crate::Context).
    pub fn register_blocking<S>(&mut self, name: &str, function: impl BlockingFunction<S>) {
        let (name, params, code) = boxed_blocking(name, function);
        self.add_function(&name, &params, code);
    }

    fn add_function(&mut self, name: &str, params: &[String], code: HostCode) {
        let value = self.loader.engine.host_function(name, params, code);
        match name.split_once('.') {
            Some((module, function)) => {
                let is_standard = self.loader.natives.iter().any(|m| m.name == module);
                let is_loaded = self
                    .loader
                    .loaded
                    .contains_key(&ModuleRef::Std(module.into()));
                assert!(!is_standard, "{name}: {module} is a standard module");
                assert!(!is_loaded, "{name}: {module} was imported already");
                let functions = self.loader.host_modules.entry(module.into()).or_default();
                functions.retain(|(known, _)| known != function);
                functions.push((function.into(), value));
            }
            None => {
                self.loader.engine.define(name, value);
                self.loader.prelude_names.push(name.into());
            }
        }
    }

    /// Loads and runs a text as a module; imports in it are relative to the current folder. `name` is shown in messages.
    pub fn load_str(&mut self, name: &str, source: &str) -> Result<Module, Error> {
        let (key, source) = self.text(name, source.as_bytes());
        self.load(key, source, false).map(|(module, _)| module)
    }
    /// Loads and runs a file.
    pub fn load_file(&mut self, path: impl AsRef<Path>) -> Result<Module, Error> {
        let (key, source) = file(path.as_ref())?;
        self.load(key, source, false).map(|(module, _)| module)
    }
    /// Runs a text and gives the value of its last statement.
    pub fn eval<T: FromValue>(&mut self, source: &str) -> Result<T, Error> {
        let (key, source) = self.text("<string>", source.as_bytes());
        let (_, value) = self.load(key, source, false)?;
        self.taken(value, "the result")
    }
    /// Calls a `pub` function of a module.
    ///
    /// ```
    /// let mut engine = heddle::Engine::new();
    /// let module = engine.load_str("greet", "pub fn greet(name, times = 1) { \"hi {name} \" * times }")?;
    /// let text: String = engine.call(&module, "greet", ("Ada", 2))?;
    /// assert_eq!(text, "hi Ada hi Ada ");
    /// # Ok::<(), heddle::Error>(())
    /// ```
    pub fn call<R: FromValue>(
        &mut self,
        module: &Module,
        name: &str,
        args: impl IntoArgs,
    ) -> Result<R, Error> {
        self.thread.collect_if_due();
        let function = self.export(module, name)?;
        self.call_value(function, args, name)
    }
    /// Calls a function that a script has given to the host.
    pub fn call_handle<R: FromValue>(
        &mut self,
        function: &Handle,
        args: impl IntoArgs,
    ) -> Result<R, Error> {
        const NAME: &str = "the function";
        self.thread.collect_if_due();
        let value = function.into_value(&mut Scope(self.thread.values()));
        let value = value.map_err(|refused| refused.into_error(NAME))?;
        self.call_value(value, args, NAME)
    }
    /// The value of a `pub` name of a module.
    ///
    /// ```
    /// let mut engine = heddle::Engine::new();
    /// let module = engine.load_str("settings", "pub let size = (80, 25)")?;
    /// assert_eq!(engine.get::<(u32, u32)>(&module, "size")?, (80, 25));
    /// # Ok::<(), heddle::Error>(())
    /// ```
    pub fn get<T: FromValue>(&mut self, module: &Module, name: &str) -> Result<T, Error> {
        let value = self.export(module, name)?;
        self.taken(value, name)
    }

    /// Values and symbols of one engine mean nothing in another.
    fn check_owner(&self, module: &Module) -> Result<(), Error> {
        if Arc::ptr_eq(&module.engine, &self.loader.engine) {
            return Ok(());
        }
        let message = format!("module {} belongs to another engine", module.name());
        Err(Error::new("ValueError", message))
    }
    fn export(&mut self, module: &Module, name: &str) -> Result<heddle_vm::Value, Error> {
        self.check_owner(module)?;
        if let Some(value) = self.thread.exported(&module.linked, name) {
            return Ok(value);
        }
        let names = self.thread.export_names(&module.linked);
        let near = heddle_vm::error::nearest(name, names.iter().map(String::as_str));
        let hint = near.map_or_else(String::new, |n| format!("; did you mean '{n}'?"));
        let module = module.name();
        Err(Error::new(
            "NameError",
            format!("module {module} exports no '{name}'{hint}"),
        ))
    }
    /// Nothing may be collected between the making of `function` and this.
    fn call_value<R: FromValue>(
        &mut self,
        function: heddle_vm::Value,
        args: impl IntoArgs,
        name: &str,
    ) -> Result<R, Error> {
        let args = args.into_args(&mut Scope(self.thread.values()));
        let args = args.map_err(|refused| refused.into_error(name))?;
        match self.thread.run(function, &args) {
            Ok(value) => self.taken(value, format_args!("the result of {name}")),
            Err(failure) => Err(Error::failure(&mut self.thread, failure)),
        }
    }
    /// A value as Rust's.
    fn taken<T: FromValue>(
        &mut self,
        value: heddle_vm::Value,
        what: impl std::fmt::Display,
    ) -> Result<T, Error> {
        let taken = T::from_value(value, &mut Scope(self.thread.values()));
        taken.map_err(|refused| refused.into_error(&what.to_string()))
    }

    /// Runs a text; as `load_str`, for programs that export nothing.
    pub fn run_str(&mut self, name: &str, source: &str) -> Result<(), Error> {
        self.run_bytes(name, source.as_bytes())
    }
    /// Runs a file; as `load_file`, for programs that export nothing.
    pub fn run_file(&mut self, path: impl AsRef<Path>) -> Result<(), Error> {
        self.load_file(path).map(|_| ())
    }
    /// Runs a text that need not be UTF-8 (which is then the error).
    pub fn run_bytes(&mut self, name: &str, source: &[u8]) -> Result<(), Error> {
        let (key, source) = self.text(name, source);
        self.load(key, source, false).map(|_| ())
    }
    /// Links and runs bytecode without imports, whoever made it: for fuzzing.
    #[doc(hidden)]
    pub fn run_code(&mut self, code: &heddle_vm::bytecode::ModuleCode) -> Result<(), Error> {
        let linked = self.loader.engine.link(code, &[], false);
        let linked = linked.map_err(|e| Error::new("LinkError", e.to_string()))?;
        match self.thread.run_module(&linked) {
            Ok(_) => Ok(()),
            Err(failure) => Err(Error::failure(&mut self.thread, failure)),
        }
    }
    /// Loads and runs a file, keeping its `test` blocks for [`Engine::run_test`]. Examples between fences in its `##` comments are tests, too.
    pub fn load_tests(&mut self, path: impl AsRef<Path>) -> Result<Module, Error> {
        let (key, mut source) = file(path.as_ref())?;
        if source.fault.is_none()
            && let Some(whole) = heddle_compiler::examples::with_examples(&source.text)
        {
            source.text = whole.into();
        }
        self.load(key, source, true).map(|(module, _)| module)
    }
    /// Runs a `test` block: the `index`-th of [`Module::tests`].
    ///
    /// # Panics
    /// If there are not so many.
    pub fn run_test(&mut self, module: &Module, index: usize) -> Result<(), Error> {
        self.check_owner(module)?;
        match self.thread.run_test(&module.linked, index) {
            Ok(_) => Ok(()),
            Err(failure) => Err(Error::failure(&mut self.thread, failure)),
        }
    }
    /// Compiles a file and what it imports, without running anything; gives the warnings.
    pub fn check_file(&self, path: impl AsRef<Path>) -> Result<Vec<Finding>, Error> {
        let (key, source) = file(path.as_ref())?;
        self.loader.check(
            key,
            source,
            Mode {
                is_test: true,
                ..Mode::default()
            },
        )
    }
    /// As [`Engine::check_file`], for a text.
    pub fn check_bytes(&mut self, name: &str, source: &[u8]) -> Result<Vec<Finding>, Error> {
        let (key, source) = self.text(name, source);
        self.loader.check(
            key,
            source,
            Mode {
                is_test: true,
                ..Mode::default()
            },
        )
    }

    /// The bytecode of a file as text.
    pub fn disassemble_file(&self, path: impl AsRef<Path>) -> Result<String, Error> {
        let (key, source) = file(path.as_ref())?;
        let code = self.loader.compile_alone(key, source)?;
        Ok(heddle_vm::bytecode::dis::listing(&code))
    }

    /// Fuel from now on, as [`EngineBuilder::fuel_limit`]: for a next script after one that had used it up.
    pub fn set_fuel_limit(&mut self, fuel: u64) {
        self.thread.set_fuel_limit(fuel);
    }
    /// A flag that makes whatever runs throw `Cancelled` soon after it is set; it clears itself. For signal handlers.
    pub fn interrupt_flag(&self) -> Arc<AtomicBool> {
        self.loader.engine.interrupt_flag()
    }
    /// The number of a file descriptor to which whoever has set the [`interrupt_flag`](Engine::interrupt_flag) writes, by [`ring`](crate::ring): a script that waits for the network looks at
    /// nothing else.
    pub fn interrupt_pipe(&self) -> Arc<AtomicI32> {
        self.loader.engine.interrupt_pipe()
    }
    /// Detached tasks and threads of what ran last that waited for what nothing can reach, a line for each.
    pub fn leaks_at_exit(&self) -> Vec<String> {
        self.thread.leaks_at_exit()
    }
    /// The longest stretches without a safepoint, as text, if they are measured.
    pub fn stretches(&self) -> Option<String> {
        self.thread.stretches().map(ToString::to_string)
    }
    /// What was chosen so far under a seed, if the engine was made with one: runs with the same trace were the same. And what makes the
    /// run not repeatable.
    pub fn schedule_trace(&self) -> Option<ScheduleTrace> {
        self.thread.schedule_trace()
    }
    /// How often each line was run so far in the texts that were loaded, if the engine was made to [count](EngineBuilder::count_lines); `test` blocks themselves are left out.
    ///
    /// ```
    /// let mut engine = heddle::Engine::builder().count_lines(true).build();
    /// engine.run_str("shop", "fn price(n) {\n    if n > 9 {\n        return n * 0.9\n    }\n    n\n}\nprice(1)\nprice(2)")?;
    /// let shop = &engine.coverage()[0];
    /// assert_eq!(shop.lines, [(1, 2), (2, 2), (3, 0), (5, 2), (7, 1), (8, 1)]);
    /// assert_eq!((shop.functions[0].name.as_str(), shop.functions[0].count), ("price", 2));
    /// # Ok::<(), heddle::Error>(())
    /// ```
    pub fn coverage(&self) -> Vec<FileCoverage> {
        crate::coverage::of(&self.loader.engine)
    }
    /// The operations that stand in the code that is loaded, those among them into which the VM has turned others: for tests.
    #[doc(hidden)]
    pub fn operations(&self) -> Vec<heddle_vm::bytecode::Op> {
        self.loader.engine.operations_in_code()
    }
    /// How often a thread went to another OS thread because its slice was over, under [`Stress::Migrate`].
    pub fn carrier_changes(&self) -> u64 {
        self.thread.carrier_changes()
    }
    /// Counters of the collector, for measurements.
    pub fn heap_stats(&mut self) -> heddle_vm::heap::HeapStats {
        self.thread.heap().stats()
    }
    /// Writes out what scripts have printed.
    pub fn flush(&mut self) -> std::io::Result<()> {
        self.thread.flush()
    }

    pub(crate) fn text(&mut self, name: &str, source: &[u8]) -> (ModuleRef, Source) {
        self.unnamed += 1;
        let key = ModuleRef::File(format!("<{name}:{}>", self.unnamed).into());
        (
            key,
            Source::from_bytes(source.to_vec(), name, PathBuf::new()),
        )
    }

    /// Loads a program, runs its modules, gives the main one and its last value.
    pub(crate) fn load(
        &mut self,
        key: ModuleRef,
        source: Source,
        is_test: bool,
    ) -> Result<(Module, heddle_vm::Value), Error> {
        let mode = Mode {
            is_test,
            ..Mode::default()
        };
        let program = self.loader.load(key, source, mode)?;
        self.run_program(program)
    }
    /// What the script's own function of that name in the prelude makes of a value; for `repr` and `type`.
    pub(crate) fn apply_prelude(
        &mut self,
        function: &str,
        value: heddle_vm::Value,
    ) -> Result<String, Error> {
        let function = self.loader.engine.prelude_value(function);
        let function = function.expect("the prelude has it");
        match self.thread.run(function, &[value]) {
            Ok(text) => Ok(self
                .thread
                .values()
                .as_str(text)
                .unwrap_or_default()
                .to_string()),
            Err(failure) => Err(Error::failure(&mut self.thread, failure)),
        }
    }
    pub(crate) fn run_program(
        &mut self,
        program: Program,
    ) -> Result<(Module, heddle_vm::Value), Error> {
        let Program { modules, warnings } = program;
        let bodies: Vec<_> = modules.iter().map(|(_, linked)| linked.clone()).collect();
        let (_, linked) = modules.last().expect("a program has a main module");
        let linked = linked.clone();
        let outcome = self.thread.run_modules(&bodies).map_err(|(failure, done)| {
            for (key, _) in modules.iter().skip(done) {
                self.loader.forget(key);
            }
            failure
        });
        match outcome {
            Ok(value) => {
                let engine = self.loader.engine.clone();
                Ok((
                    Module {
                        linked,
                        engine,
                        warnings,
                    },
                    value,
                ))
            }
            Err(failure) => Err(Error::failure(&mut self.thread, failure)),
        }
    }
}

fn file(path: &Path) -> Result<(ModuleRef, Source), Error> {
    let shown = path.to_string_lossy();
    let read = || {
        let key = path.canonicalize()?;
        Ok((key, Source::read(path, &shown)?))
    };
    match read() {
        Ok((key, source)) => Ok((ModuleRef::File(key.to_string_lossy().into()), source)),
        Err(error) => Err(Error::io(&shown, error)),
    }
}

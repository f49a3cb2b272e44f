//! The instruction set: one table from which everything else is derived (enum, encoder, decoder,
//! disassembler, verifier, dispatch). A new instruction is one row here, one emit, one handler.
//!
//! A word is 64 bits: `op:8 | a:8 | b:8 | c:8 | imm:32` (low to high, `imm` signed). `R[x]` is a register of the running
//! frame, `K[i]` a constant of its prototype, `G[i]` a write-once global slot of its module, `V[i]` a
//! variable of the owning thread, `S[i]` a symbol.
//! Jumps are relative to the *next instruction word* (after a cache word, where the op has one).
//! A *window* at `a` is: `R[a]` callee, `R[a+1]` free for the return word, `R[a+2..]` arguments.

/// What an operand field means; the verifier and the disassembler go by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// Unused; must be 0.
    None,
    /// A register that is written.
    Dst,
    /// A register that is read.
    Src,
    /// A register that is read and written.
    Upd,
    /// First of a call window; the argument count is in `c`.
    Window,
    /// First of a run of registers that are read; the count is in `c`.
    Run,
    /// First of three registers of a generic loop (`IterNew`, `ForNext`).
    Loop3,
    /// First of two registers of a counting loop (`ForPrep`, `ForLoop`).
    Loop2,
    /// Two registers that are written, `x` and `x + 1`.
    Dst2,
    /// A small unsigned number; its meaning is in the row's text.
    Num,
    /// (imm) a signed number.
    Int,
    /// (imm) a constant.
    Const,
    /// (b and c together, `b | c << 8`) a constant.
    Const16,
    /// (b and c together) a signed 16-bit number.
    Int16,
    /// (imm) a write-once global of the module.
    Global,
    /// (imm) a variable of the module.
    Var,
    /// (imm) a capture of the running closure.
    Capture,
    /// (imm) a symbol of the module.
    Sym,
    /// (imm) a relative jump.
    Jump,
    /// (imm) a counter of the module.
    Counter,
    /// The high half of a 16-bit pair whose kind stands in the other field.
    Pair,
}

/// Calls `$m!` with the whole table. Row: `Name [a b c imm] cache "meaning"`, `cache` being the number of cache words behind it.
#[macro_export]
macro_rules! for_each_op {
    ($m:ident) => {
        $m! {
            // --- moves and loads
            Nop [None None None None] 0 "nothing",
            Move [Dst Src None None] 0 "R[a] := R[b]",
            LoadK [Dst None None Const] 0 "R[a] := K[imm]",
            LoadImport [Dst None None Const] 0 "R[a] := K[imm], NameError if the import has no such name; becomes LoadK",
            LoadInt [Dst None None Int] 0 "R[a] := imm",
            LoadNil [Dst Num None None] 0 "R[a] … R[a+b] := nil",
            LoadBool [Dst Num None None] 0 "R[a] := b != 0",
            LoadUnset [Dst None None None] 0 "R[a] := unset (an argument that was not given)",
            GetGlobal [Dst None None Global] 0 "R[a] := G[imm], NameError if not yet set",
            SetGlobal [Src None None Global] 0 "G[imm] := R[a]",
            GetVar [Dst None None Var] 0 "R[a] := V[imm]; unset: run its initialiser, else NameError/ShareError",
            SetVar [Src None None Var] 0 "V[imm] := R[a]",
            GetImportVar [Dst None None Const] 0 "R[a] := the variable that K[imm] (import of a `var`) names",
            SetImportVar [Src None None Const] 0 "the variable that K[imm] (import of a `var`) names := R[a] (the REPL)",
            GetCapture [Dst None None Capture] 0 "R[a] := captures[imm]",
            GetCaptureCell [Dst None None Capture] 0 "R[a] := captures[imm].cell; NameError if unset",
            SetCaptureCell [Src None None Capture] 0 "captures[imm].cell := R[a]",
            NewCell [Dst Src None None] 0 "R[a] := cell(R[b])",
            GetCell [Dst Src None None] 0 "R[a] := R[b].cell; NameError if unset",
            SetCell [Src Src None None] 0 "R[a].cell := R[b]",
            FixCell [Src Src None None] 0 "R[a].cell := R[b], which nothing changes any more",
            CheckSet [Src None None Sym] 0 "NameError `S[imm] is used before it is set` if R[a] is unset",
            Closure [Dst None None Const] 0 "R[a] := closure of prototype K[imm], captures as its prototype lists them",

            // --- arithmetic
            Add [Dst Src Src None] 0 "R[a] := R[b] + R[c]",
            Sub [Dst Src Src None] 0 "R[a] := R[b] - R[c]",
            Mul [Dst Src Src None] 0 "R[a] := R[b] * R[c]",
            Div [Dst Src Src None] 0 "R[a] := R[b] / R[c]",
            FloorDiv [Dst Src Src None] 0 "R[a] := R[b] // R[c]",
            Mod [Dst Src Src None] 0 "R[a] := R[b] % R[c]",
            Pow [Dst Src Src None] 0 "R[a] := R[b] ** R[c]",
            BitAnd [Dst Src Src None] 0 "R[a] := R[b] & R[c]",
            BitOr [Dst Src Src None] 0 "R[a] := R[b] | R[c]",
            BitXor [Dst Src Src None] 0 "R[a] := R[b] ^ R[c]",
            Shl [Dst Src Src None] 0 "R[a] := R[b] << R[c]",
            Shr [Dst Src Src None] 0 "R[a] := R[b] >> R[c]",
            AddI [Dst Src None Int] 0 "R[a] := R[b] + imm",
            SubI [Dst Src None Int] 0 "R[a] := R[b] - imm",
            MulI [Dst Src None Int] 0 "R[a] := R[b] * imm",
            FloorDivI [Dst Src None Int] 0 "R[a] := R[b] // imm (imm > 0)",
            ModI [Dst Src None Int] 0 "R[a] := R[b] % imm (imm > 0)",
            DivI [Dst Src None Int] 0 "R[a] := R[b] / imm",
            AddK [Dst Src None Const] 0 "R[a] := R[b] + K[imm]",
            SubK [Dst Src None Const] 0 "R[a] := R[b] - K[imm]",
            MulK [Dst Src None Const] 0 "R[a] := R[b] * K[imm]",
            DivK [Dst Src None Const] 0 "R[a] := R[b] / K[imm]",
            RSubK [Dst Src None Const] 0 "R[a] := K[imm] - R[b]",
            RMulK [Dst Src None Const] 0 "R[a] := K[imm] * R[b]",
            RDivK [Dst Src None Const] 0 "R[a] := K[imm] / R[b]",
            AddF [Dst Src Src None] 0 "Add, expecting floats (the VM turns Add into it)",
            SubF [Dst Src Src None] 0 "Sub, expecting floats",
            MulF [Dst Src Src None] 0 "Mul, expecting floats",
            DivF [Dst Src Src None] 0 "Div, expecting floats",
            AddM [Dst Src Src None] 0 "Add, expecting a float and an int",
            SubM [Dst Src Src None] 0 "Sub, expecting a float and an int",
            MulM [Dst Src Src None] 0 "Mul, expecting a float and an int",
            DivM [Dst Src Src None] 0 "Div, expecting a float and an int",
            Neg [Dst Src None None] 0 "R[a] := -R[b]",
            BitNot [Dst Src None None] 0 "R[a] := ~R[b]",
            Not [Dst Src None None] 0 "R[a] := not R[b]",

            // --- strings
            ToStr [Dst Src None None] 0 "R[a] := R[b] if Concat can write it itself, else str(R[b])",
            Format [Dst Src None Const] 0 "R[a] := R[b] formatted by the spec K[imm]",
            Concat [Dst Run Num None] 0 "R[a] := the texts of R[b] … R[b+c-1] joined",

            // --- comparison and tests
            Eq [Dst Src Src None] 0 "R[a] := R[b] == R[c]",
            Ne [Dst Src Src None] 0 "R[a] := R[b] != R[c]",
            Lt [Dst Src Src None] 0 "R[a] := R[b] < R[c]",
            Le [Dst Src Src None] 0 "R[a] := R[b] <= R[c]",
            In [Dst Src Src None] 0 "R[a] := R[b] in R[c]",
            Is [Dst Src Src None] 0 "R[a] := R[b] is R[c] (a type, enum, variant, trait or nil)",

            // --- jumps
            Jump [None None None Jump] 0 "pc += imm (forward only)",
            Loop [None None None Jump] 0 "pc += imm (backward: counts fuel)",
            JumpIf [Src None None Jump] 0 "if R[a]: pc += imm",
            JumpIfNot [Src None None Jump] 0 "if not R[a]: pc += imm",
            JumpIfNil [Src None None Jump] 0 "if R[a] is nil: pc += imm",
            JumpIfNotNil [Src None None Jump] 0 "if R[a] is not nil: pc += imm",
            JumpIfSet [Src None None Jump] 0 "if R[a] is not unset: pc += imm",
            JLt [Src Src None Jump] 0 "if R[a] < R[b]: pc += imm",
            JLe [Src Src None Jump] 0 "if R[a] <= R[b]: pc += imm",
            JNLt [Src Src None Jump] 0 "if not (R[a] < R[b]): pc += imm",
            JNLe [Src Src None Jump] 0 "if not (R[a] <= R[b]): pc += imm",
            JEq [Src Src None Jump] 0 "if R[a] == R[b]: pc += imm",
            JNe [Src Src None Jump] 0 "if R[a] != R[b]: pc += imm",
            JLtI [Src Int16 Pair Jump] 0 "if R[a] < bc: pc += imm",
            JLeI [Src Int16 Pair Jump] 0 "if R[a] <= bc: pc += imm",
            JGtI [Src Int16 Pair Jump] 0 "if R[a] > bc: pc += imm",
            JGeI [Src Int16 Pair Jump] 0 "if R[a] >= bc: pc += imm",
            JNLtI [Src Int16 Pair Jump] 0 "if not (R[a] < bc): pc += imm",
            JNLeI [Src Int16 Pair Jump] 0 "if not (R[a] <= bc): pc += imm",
            JNGtI [Src Int16 Pair Jump] 0 "if not (R[a] > bc): pc += imm",
            JNGeI [Src Int16 Pair Jump] 0 "if not (R[a] >= bc): pc += imm",
            JEqI [Src Int16 Pair Jump] 0 "if R[a] == bc: pc += imm",
            JNeI [Src Int16 Pair Jump] 0 "if R[a] != bc: pc += imm",
            JNotType [Src Const16 Pair Jump] 0 "if R[a] is no instance of the struct type, enum or variant K[bc]: pc += imm",
            JNotKind [Src Num Num Jump] 0 "if R[a] is not: b = 0 tuple, 1 list, 2 map: pc += imm",
            JNotLen [Src Num Num Jump] 0 "if the tuple or list R[a] has not b elements (c = 0: exactly, 1: at least): pc += imm",
            JNotIn [Src Const16 Pair Jump] 0 "if R[a] is no whole number in the range K[bc]: pc += imm",
            JNoKey [Src Upd None Jump] 0 "if the map R[a] has no key R[b]: pc += imm, else R[b] := its value",

            // --- calls
            Call [Window Dst Num None] 0 "R[b] := R[a](c arguments)",
            CallK [Window Dst Num Const] 0 "R[b] := K[imm](c arguments); K[imm] is put into R[a]",
            CallFn [Window Dst Num Const] 0 "CallK of a closure with exactly c parameters, neither rest nor generator",
            CallNear [Window Dst Num Int] 0 "(the VM turns CallFn and CallK into it) CallFn of the function whose code lies imm words from here",
            CallNative [Window Dst Num Const] 0 "(the VM turns CallK into it) CallK of a native that takes these arguments as they are",
            CallGlobal [Window Dst Num Global] 0 "R[b] := G[imm](c arguments)",
            CallNamed [Window Dst Num Const] 0 "Call, K[imm] (Names) naming the last of the c arguments",
            Invoke [Window Dst Num Sym] 1 "R[b] := R[a+2].S[imm](c arguments, the receiver counted)",
            InvokeT [Window Dst Num Sym] 1 "(the VM turns Invoke into it) Invoke where several types meet: by the thread's table",
            InvokePush [Window Dst Num Sym] 1 "(the VM turns Invoke into it) Invoke, expecting push of a list",
            InvokeNative [Window Dst Num Sym] 1 "(the VM turns Invoke into it) Invoke, expecting a native that takes these arguments as they are",
            InvokeCopy [Window Dst Num Sym] 1 "Invoke whose second word says which of the arguments (bit 0: the first behind the receiver) were written `copy(x)`: natives that cross copy them for the receiver, anything else gets copies",
            InvokeNamed [Window Dst Num Const] 0 "Invoke, K[imm] (Names): method, then names of the last arguments",
            Return [Src None None None] 0 "return R[a]",
            ReturnNil [None None None None] 0 "return nil",
            ReturnJump [Src None None None] 0 "(prelude only) return to a fused compare-and-jump, finishing it with R[a]",
            ReturnEnd [None None None None] 0 "(prelude only) return to a ForNext, ending its loop; elsewhere throw StopIteration",
            CheckArg [Src None None Const] 0 "TypeError `missing argument K[imm]` if R[a] is unset",

            // --- generators and loops
            GenBegin [None None None None] 0 "first word of a generator function: make the generator, return it",
            Yield [Dst Src Num None] 0 "hand R[b] to the consumer (c registers are live); R[a] := nil on resuming",
            GenReturn [None None None None] 0 "the generator is exhausted",
            IterNew [Loop3 Src None None] 0 "R[a..a+2] := loop state over R[b]",
            ForNext [Loop3 Dst None Jump] 0 "R[b] := next of R[a..a+2], at the end pc += imm",
            ForNext2 [Loop3 Dst2 None Jump] 0 "R[b], R[b+1] := next pair (map: key and value; else a value of two parts), at the end pc += imm",
            IterClose [Loop3 None None None] 0 "a loop is left early: close the generator in R[a]",
            ForPrep [Loop2 Num None Jump] 0 "counting loop: R[a] start, R[a+1] end (b = 1: inclusive), must be ints; empty: pc += imm",
            ForLoop [Loop2 None None Jump] 0 "R[a] += 1; if R[a] < R[a+1]: pc += imm (backward, counts fuel)",

            // --- objects
            NewList [Dst Run Num None] 0 "R[a] := [R[b] … R[b+c-1]]",
            ListAppend [Src Run Num None] 0 "append R[b] … R[b+c-1] to the list R[a]",
            ListToTuple [Dst Src None None] 0 "R[a] := tuple of the list R[b]",
            NewTuple [Dst Run Num None] 0 "R[a] := (R[b] … R[b+c-1])",
            NewMap [Dst None None Int] 0 "R[a] := {} with room for imm entries",
            MapInsert [Src Src Src None] 0 "R[a][R[b]] := R[c] (literal of a map)",
            NewRange [Dst Src Src Int] 0 "R[a] := R[b] .. R[c], imm = 1: inclusive; nil ends only for indexing",
            NewStruct [Dst Run Num Const] 0 "R[a] := instance of the struct or variant type K[imm] with c fields R[b] …",
            GetField [Dst Src None Sym] 1 "R[a] := R[b].S[imm]",
            SetField [Src Src None Sym] 1 "R[a].S[imm] := R[b]",
            GetFieldT [Dst Src None Sym] 1 "(the VM turns GetField into it) GetField where several types meet",
            SetFieldT [Src Src None Sym] 1 "(the VM turns SetField into it) SetField where several types meet",
            GetSlot [Dst Src Num None] 0 "R[a] := field c of the struct or variant R[b]",
            GetIndex [Dst Src Src None] 0 "R[a] := R[b][R[c]]",
            SetIndex [Src Src Src None] 0 "R[a][R[b]] := R[c]",
            GetIndexI [Dst Src None Int] 0 "R[a] := R[b][imm]",
            NewType [Dst Run Num Const] 0 "R[a] := the local type K[imm] with what its declaration captures now, R[b] … (c values): closures of its methods that capture, of constructors that do, local types it is based on",
            Unpack [Src Dst Num Num] 0 "R[b] … := parts of R[a], exactly c; MatchError otherwise; imm = 1 takes only tuples, 2 only lists, 0 both",
            UnpackFields [Src Upd Num Const] 0 "R[b] … := the first c fields of R[a] in the order of the type R[b], without those that K[imm] (Names) names; TypeError if it has fewer",
            UnpackAllFields [Src Upd Num None] 0 "R[b] … := the fields of R[a] in the order of the type R[b], exactly c (of an error: at most); TypeError otherwise",
            SliceRest [Dst Src Num Int] 0 "R[a] := list of R[b] (tuple or list) without its first c and last imm elements",

            // --- errors and defer
            Throw [Src None None None] 0 "throw R[a]",
            Rethrow [Src None None None] 0 "throw R[a] again, keeping its trace",
            MatchFail [Src None None None] 0 "throw MatchError: no arm matches R[a]",
            AssertFail [Src Src Src Const] 0 "throw AssertError: condition text K[imm], values R[a] and R[b], message R[c] (unset: none)",
            DeferPush [Upd Src None None] 0 "push closure R[b] on the defer list R[a] (nil: make it)",
            DeferPop [Upd Dst None Jump] 0 "R[b] := last closure of the defer list R[a], removed; none left: pc += imm",

            // --- tasks
            Spawn [Window Dst Num Int] 0 "R[b] := handle of what runs R[a](c arguments), b = a: nobody wants that; R[a+2+c]: its name or nil; imm: 0 spawn, 1 thread, and from bit 2 which arguments a thread gets copies of",
            LoadSlot [Dst None None Const] 0 "(the VM turns LoadImport into it) R[a] := the global slot at address K[imm]",
            Exit [Src None None None] 0 "(the VM's own stubs only) leave the loop with R[a]",
            TaskYield [Dst None None None] 0 "let other tasks run; R[a] := nil",
            Threadlet [Window Loop3 Num None] 0 "R[a] := R[a](c arguments) as a threadlet with the state R[b..b+2]; ThreadletEnd follows",
            ThreadletEnd [Dst Loop3 Src None] 0 "R[a] := handle of the threadlet with the state R[b..b+2], which gave R[c]",
            ThreadletFail [Dst Loop3 Src None] 0 "R[a] := handle of the threadlet with the state R[b..b+2], which threw R[c]; or R[c] goes on",

            // --- coverage
            Count [None None None Counter] 0 "counter imm of the module += 1 (only in code made to be counted)",
        }
    };
}

macro_rules! define_ops {
    ($($name:ident [$a:ident $b:ident $c:ident $imm:ident] $cache:literal $doc:literal),* $(,)?) => {
        /// An instruction's operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Op {
            $(#[doc = $doc] $name),*
        }

        impl Op {
            /// All operations in numeric order.
            pub const ALL: &'static [Op] = &[$(Op::$name),*];

            /// What the four operand fields mean.
            pub fn operands(self) -> [Operand; 4] {
                match self { $(Op::$name => [Operand::$a, Operand::$b, Operand::$c, Operand::$imm]),* }
            }
            /// How many inline-cache words follow the instruction.
            #[inline]
            pub fn cache_words(self) -> usize {
                match self { $(Op::$name => $cache),* }
            }
            /// The operation's name, as the disassembler prints it.
            pub fn name(self) -> &'static str {
                match self { $(Op::$name => stringify!($name)),* }
            }
            /// The meaning in one line.
            pub fn meaning(self) -> &'static str {
                match self { $(Op::$name => $doc),* }
            }
        }
    };
}
for_each_op!(define_ops);

impl Op {
    /// The operation of a number, if there is one.
    pub fn from_u8(byte: u8) -> Option<Op> {
        Op::ALL.get(byte as usize).copied()
    }
}

/// One instruction word, decoded by shifts.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Word(pub u64);

impl Word {
    /// Encodes an instruction.
    pub fn new(op: Op, a: u8, b: u8, c: u8, imm: i32) -> Word {
        Word(
            op as u64
                | (a as u64) << 8
                | (b as u64) << 16
                | (c as u64) << 24
                | (imm as u32 as u64) << 32,
        )
    }
    /// Encodes an instruction whose `b` and `c` are one 16-bit number.
    pub fn with_pair(op: Op, a: u8, pair: u16, imm: i32) -> Word {
        Word::new(op, a, pair as u8, (pair >> 8) as u8, imm)
    }
    #[inline(always)]
    pub fn op_byte(self) -> u8 {
        self.0 as u8
    }
    /// The operation; `None` for a word that is no instruction.
    pub fn op(self) -> Option<Op> {
        Op::from_u8(self.op_byte())
    }
    #[inline(always)]
    pub fn a(self) -> usize {
        (self.0 >> 8) as u8 as usize
    }
    #[inline(always)]
    pub fn b(self) -> usize {
        (self.0 >> 16) as u8 as usize
    }
    #[inline(always)]
    pub fn c(self) -> usize {
        (self.0 >> 24) as u8 as usize
    }
    #[inline(always)]
    pub fn imm(self) -> i32 {
        (self.0 >> 32) as i32
    }
    /// `b` and `c` as one unsigned number.
    #[inline(always)]
    pub fn pair(self) -> u16 {
        (self.0 >> 16) as u16
    }
    /// The same instruction with another operation (quickening).
    #[inline(always)]
    pub fn with_op(self, op: Op) -> Word {
        Word((self.0 & !0xff) | op as u64)
    }
    /// The same instruction with another immediate (patching of jumps, relocation at load).
    pub fn with_imm(self, imm: i32) -> Word {
        Word((self.0 & 0xffff_ffff) | (imm as u32 as u64) << 32)
    }
}

/// What `Spawn` starts, in the two low bits of its number.
pub mod start {
    /// A task of the running thread.
    pub const SPAWN: u32 = 0;
    /// A thread.
    pub const THREAD: u32 = 1;
}

/// So many arguments of a call can be marked as written `copy(x)`; further ones are copied by an ordinary call.
pub const MAX_COPIED: usize = 30;

/// The highest number of registers a frame may have: distances must fit the return word (see `interp/frame.rs`).
pub const MAX_REGISTERS: usize = 248;

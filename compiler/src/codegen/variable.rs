//! Reading, setting and declaring variables, wherever they live.

use super::Generator;
use super::function::{Dest, Place};
use crate::ast::{ExprId, Span};
use crate::resolve::{BindingId, BindingKind, Target};
use heddle_bytecode::{Const, Op};

impl Generator<'_> {
    /// Whether a variable lives in a cell: captured and assigned, or captured before it is set.
    pub(super) fn is_cell(&self, id: BindingId) -> bool {
        let binding = self.res.binding(id);
        !binding.is_root && binding.is_captured && (binding.is_assigned || binding.is_early)
    }

    pub(super) fn place(&self, id: BindingId) -> Place {
        if let Some(&place) = self.f.places.get(&id) {
            return place;
        }
        if let Some(&place) = self.root_places.get(&id) {
            return place;
        }
        let position = self
            .res
            .captures(self.f.owner)
            .position(|captured| captured == id);
        match position {
            Some(index) if self.is_cell(id) => Place::CaptureCell(index as u32),
            Some(index) => Place::Capture(index as u32),
            None => {
                let name = self.ast.name(self.res.binding(id).name);
                unreachable!("`{name}` has no place here")
            }
        }
    }

    /// What a name means as a constant: functions without captures, types, modules, prelude names.
    pub(super) fn constant_of(&mut self, target: Target, name: &str) -> Option<Const> {
        match target {
            Target::None => None,
            Target::Prelude => Some(Const::Prelude(name.into())),
            Target::Repl {
                module,
                is_var: false,
            } => Some(Const::Import {
                module,
                name: name.into(),
            }),
            Target::Repl { is_var: true, .. } => None,
            Target::Binding(id) => {
                let binding = self.res.binding(id);
                match binding.kind {
                    BindingKind::Fn(function) if binding.is_static => {
                        Some(Const::Fn(self.proto_of(function)))
                    }
                    BindingKind::Type(index) if binding.is_static => Some(Const::Type(index)),
                    BindingKind::Module(module) => Some(Const::Module(module)),
                    BindingKind::Import { module, name } => Some(Const::Import {
                        module,
                        name: self.ast.name(name).into(),
                    }),
                    _ => None,
                }
            }
        }
    }

    /// The register in which a name's value lies already.
    pub(super) fn register_of(&self, id: ExprId) -> Option<u8> {
        if let Some(register) = self.hoisted_constant(id) {
            return Some(register);
        }
        let Target::Binding(binding) = self.res.target(id) else {
            return None;
        };
        if self.f.loaded.contains(&binding) {
            return self.f.reserved.get(&binding).copied();
        }
        match self.f.places.get(&binding) {
            Some(&Place::Register(register)) if !self.f.unset.contains(&binding) => Some(register),
            _ => None,
        }
    }

    /// Whether a name's register may get another value from an assignment within `span`.
    pub(super) fn may_change(&self, id: ExprId, span: Span) -> bool {
        let Target::Binding(binding) = self.res.target(id) else {
            return false;
        };
        self.res.binding(binding).is_assigned && self.res.may_assign(span)
    }

    /// Reads a name into a register.
    pub(super) fn load_name(&mut self, id: ExprId, dst: u8) {
        let span = self.ast.expr(id).span;
        let target = self.res.target(id);
        let crate::ast::ExprKind::Name(name) = self.ast.expr(id).kind else {
            unreachable!("only names are loaded by name")
        };
        let ast = self.ast;
        let name = ast.name(name);
        match self.constant_of(target, name) {
            Some(constant @ Const::Import { .. }) => {
                let index = self.f.constant(constant);
                self.emit(span, Op::LoadImport, dst, 0, 0, index);
            }
            Some(constant) => self.load_const(span, dst, constant),
            None => match target {
                Target::Binding(binding) => self.load_binding(binding, span, dst),
                Target::Repl { module, .. } => {
                    let index = self.f.constant(Const::Import {
                        module,
                        name: name.into(),
                    });
                    self.emit(span, Op::GetImportVar, dst, 0, 0, index);
                }
                Target::None | Target::Prelude => {
                    self.emit(span, Op::LoadNil, dst, 0, 0, 0);
                }
            },
        }
    }

    pub(super) fn load_binding(&mut self, id: BindingId, span: Span, dst: u8) {
        match self.place(id) {
            Place::Register(register) => {
                if self.f.unset.contains(&id) {
                    let name = self.symbol_of(self.res.binding(id).name);
                    self.emit(span, Op::CheckSet, register, 0, 0, name as i32);
                }
                self.move_to(span, dst, register);
            }
            Place::Cell(register) => {
                self.emit(span, Op::GetCell, dst, register, 0, 0);
            }
            Place::Capture(index) => {
                self.emit(span, Op::GetCapture, dst, 0, 0, index as i32);
            }
            Place::CaptureCell(index) => {
                self.emit(span, Op::GetCaptureCell, dst, 0, 0, index as i32);
            }
            Place::Global(index) => {
                // Outside loops it pays to keep a copy: what follows may be a loop.
                if self.f.loops.is_empty()
                    && let Some(register) = self.load_reserved(id, span)
                {
                    self.move_to(span, dst, register);
                } else {
                    self.emit(span, Op::GetGlobal, dst, 0, 0, index as i32);
                }
            }
            Place::Var(index) => {
                self.emit(span, Op::GetVar, dst, 0, 0, index as i32);
            }
        }
    }

    /// Assigns to a variable that exists.
    pub(super) fn store_binding(&mut self, id: BindingId, span: Span, src: u8) {
        match self.place(id) {
            Place::Register(register) => self.move_to(span, register, src),
            Place::Cell(register) => {
                self.emit(span, Op::SetCell, register, src, 0, 0);
            }
            Place::CaptureCell(index) => {
                self.emit(span, Op::SetCaptureCell, src, 0, 0, index as i32);
            }
            Place::Global(index) => {
                self.emit(span, Op::SetGlobal, src, 0, 0, index as i32);
            }
            Place::Var(index) => {
                self.emit(span, Op::SetVar, src, 0, 0, index as i32);
            }
            Place::Capture(_) => unreachable!("assigned captures live in cells"),
        }
    }

    /// Assigns to a name: a variable of this module or one of an earlier input of the REPL.
    pub(super) fn store_name(&mut self, id: ExprId, src: u8) {
        let span = self.ast.expr(id).span;
        match self.res.target(id) {
            Target::Binding(binding) => self.store_binding(binding, span, src),
            Target::Repl { module, .. } => {
                let crate::ast::ExprKind::Name(name) = self.ast.expr(id).kind else {
                    return;
                };
                let name = self.ast.name(name).into();
                let index = self.f.constant(Const::Import { module, name });
                self.emit(span, Op::SetImportVar, src, 0, 0, index);
            }
            Target::None | Target::Prelude => {}
        }
    }

    /// Takes a register for a variable about to be declared, in which its first value is to be made.
    pub(super) fn declare_variable(&mut self, id: BindingId) -> u8 {
        if let Some(&(Place::Register(register) | Place::Cell(register))) = self.f.places.get(&id) {
            // Made at the block's entry, because something captured it early; or by another alternative.
            if !self.is_early_cell(id) {
                return register;
            }
            return self.f.alloc();
        }
        let register = self.f.alloc();
        let place = match self.root_places.get(&id) {
            // The body keeps its own copy of what never changes (in the REPL a later input may change it);
            // variables are shared.
            Some(Place::Var(_)) => return register,
            Some(_) if self.options.repl_scope.is_some() => return register,
            // Where registers run short there is no copy.
            Some(_) if usize::from(register) >= super::ROOT_REGISTERS => return register,
            Some(_) => Place::Register(register),
            None if self.is_cell(id) => Place::Cell(register),
            None => Place::Register(register),
        };
        self.f.places.insert(id, place);
        register
    }

    fn is_early_cell(&self, id: BindingId) -> bool {
        self.is_cell(id) && self.res.binding(id).is_early
    }

    /// The first value lies in `register`, which `declare_variable` gave: puts it where the variable lives.
    pub(super) fn finish_variable(&mut self, id: BindingId, span: Span, register: u8) {
        match self.root_places.get(&id) {
            Some(&Place::Global(index)) => {
                self.emit(span, Op::SetGlobal, register, 0, 0, index as i32);
                if self.res.binding(id).kind == BindingKind::Const
                    && self.owns_register(id, register)
                {
                    // Setting it froze it: the body's copy must be the frozen one.
                    self.emit(span, Op::GetGlobal, register, 0, 0, index as i32);
                }
            }
            Some(&Place::Var(index)) => {
                self.emit(span, Op::SetVar, register, 0, 0, index as i32);
            }
            _ => match self.f.places.get(&id) {
                Some(&Place::Cell(cell)) if self.is_early_cell(id) => {
                    let op = match self.res.binding(id).kind {
                        BindingKind::Var => Op::SetCell,
                        _ => Op::FixCell,
                    };
                    self.emit(span, op, cell, register, 0, 0);
                }
                Some(&Place::Cell(cell)) => {
                    self.emit(span, Op::NewCell, cell, register, 0, 0);
                }
                _ => {}
            },
        }
    }

    /// Whether the register that `declare_variable` gave holds the variable itself, not only its first value.
    pub(super) fn owns_register(&self, id: BindingId, register: u8) -> bool {
        matches!(
            self.f.places.get(&id),
            Some(&(Place::Register(own) | Place::Cell(own))) if own == register
        )
    }

    /// Puts a value that lies in `src` where it was asked for.
    pub(super) fn deliver(&mut self, span: Span, src: u8, dest: Dest) {
        match dest {
            Dest::Fresh(dst) | Dest::Keep(dst) => self.move_to(span, dst, src),
            Dest::Discard => {}
            Dest::Return => self.emit_return(span, Some(src)),
        }
    }
}

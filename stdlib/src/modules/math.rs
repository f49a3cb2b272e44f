//! `math`: functions of floats; those of ints are Heddle code (`math.hd`), since ints have any size.

use heddle_vm::native::{Ctx, ModuleBuilder, NativeModule, NativeResult};
use heddle_vm::types::ErrorKind;
use heddle_vm::{Value, natives, ops};

pub(super) static MODULE: NativeModule = NativeModule {
    name: "math",
    functions: natives! {
        /// The sine of an angle in radians.
        plain "math.sin" (x) => |ctx| unary(ctx, f64::sin);
        /// The cosine of an angle in radians.
        plain "math.cos" (x) => |ctx| unary(ctx, f64::cos);
        /// The tangent of an angle in radians.
        plain "math.tan" (x) => |ctx| unary(ctx, f64::tan);
        /// The angle with this sine, in radians; nan outside -1..=1.
        plain "math.asin" (x) => |ctx| unary(ctx, f64::asin);
        /// The angle with this cosine, in radians; nan outside -1..=1.
        plain "math.acos" (x) => |ctx| unary(ctx, f64::acos);
        /// The angle with this tangent, in radians.
        plain "math.atan" (x) => |ctx| unary(ctx, f64::atan);
        /// The angle of the point (x, y), in radians.
        plain "math.atan2" (y, x) => |ctx| binary(ctx, f64::atan2);
        /// The hyperbolic sine.
        plain "math.sinh" (x) => |ctx| unary(ctx, f64::sinh);
        /// The hyperbolic cosine.
        plain "math.cosh" (x) => |ctx| unary(ctx, f64::cosh);
        /// The hyperbolic tangent.
        plain "math.tanh" (x) => |ctx| unary(ctx, f64::tanh);
        /// e to the power of x.
        plain "math.exp" (x) => |ctx| unary(ctx, f64::exp);
        /// e to the power of x, less 1; exact for small x.
        plain "math.expm1" (x) => |ctx| unary(ctx, f64::exp_m1);
        /// The natural logarithm, or that to a base; nan below 0, -inf at 0.
        plain "math.log" (x, "base?") => log;
        /// The natural logarithm of 1 + x; exact for small x.
        plain "math.log1p" (x) => |ctx| unary(ctx, f64::ln_1p);
        /// The logarithm to base 2.
        plain "math.log2" (x) => |ctx| unary(ctx, f64::log2);
        /// The logarithm to base 10.
        plain "math.log10" (x) => |ctx| unary(ctx, f64::log10);
        /// x to the power of y, as a float.
        plain "math.pow" (x, y) => |ctx| binary(ctx, f64::powf);
        /// The square root; nan below 0.
        plain "math.sqrt" (x) => |ctx| unary(ctx, f64::sqrt);
        /// The cube root.
        plain "math.cbrt" (x) => |ctx| unary(ctx, f64::cbrt);
        /// The length of the vector (x, y).
        plain "math.hypot" (x, y) => |ctx| binary(ctx, f64::hypot);
        /// The greatest int that is not above x.
        plain "math.floor" (x) => |ctx| to_int(ctx, ops::float::floor);
        /// The least int that is not below x.
        plain "math.ceil" (x) => |ctx| to_int(ctx, ops::float::ceil);
        /// x without its fraction, as an int.
        plain "math.trunc" (x) => |ctx| to_int(ctx, ops::float::truncate);
        /// x without its whole part, as a float.
        plain "math.fract" (x) => |ctx| unary(ctx, f64::fract);
        /// The remainder of x / y with the sign of x, as a float.
        plain "math.fmod" (x, y) => |ctx| binary(ctx, |x, y| x % y);
        /// x with the sign of y, as a float.
        plain "math.copysign" (x, y) => |ctx| binary(ctx, f64::copysign);
        /// An angle in radians, in degrees.
        plain "math.degrees" (radians) => |ctx| unary(ctx, f64::to_degrees);
        /// An angle in degrees, in radians.
        plain "math.radians" (degrees) => |ctx| unary(ctx, f64::to_radians);
        /// Whether x is not a number.
        plain "math.is_nan" (x) => |ctx| Ok(Value::bool(ctx.float_arg(0)?.is_nan()));
        /// Whether x is infinite.
        plain "math.is_inf" (x) => |ctx| Ok(Value::bool(ctx.float_arg(0)?.is_infinite()));
        /// Whether x is neither infinite nor nan.
        plain "math.is_finite" (x) => |ctx| Ok(Value::bool(ctx.float_arg(0)?.is_finite()));
    },
    constants,
    source: Some(heddle_source!("math")),
};

fn constants(module: &mut ModuleBuilder) {
    module.float("pi", std::f64::consts::PI);
    module.float("e", std::f64::consts::E);
    module.float("tau", std::f64::consts::TAU);
    module.float("inf", f64::INFINITY);
    module.float("nan", f64::NAN);
    module.float("epsilon", f64::EPSILON);
}

fn unary(ctx: &mut Ctx, f: fn(f64) -> f64) -> NativeResult {
    Ok(Value::float(f(ctx.float_arg(0)?)))
}

fn binary(ctx: &mut Ctx, f: fn(f64, f64) -> f64) -> NativeResult {
    Ok(Value::float(f(ctx.float_arg(0)?, ctx.float_arg(1)?)))
}

fn log(ctx: &mut Ctx) -> NativeResult {
    let x = ctx.float_arg(0)?;
    Ok(Value::float(match ctx.opt_float_arg(1)? {
        None => x.ln(),
        // Exact for powers of the two bases that have functions of their own.
        Some(2.0) => x.log2(),
        Some(10.0) => x.log10(),
        Some(base) => x.ln() / base.ln(),
    }))
}

type Rounding = fn(&mut heddle_vm::heap::Heap, f64) -> ops::OpResult;

fn to_int(ctx: &mut Ctx, rounding: Rounding) -> NativeResult {
    let x = ctx.arg(0);
    if ops::int::is_int(x) {
        return Ok(x);
    }
    let x = ctx.float_arg(0)?;
    if !x.is_finite() {
        let message = format!("{}: {x} has no int", ctx.name()).to_lowercase();
        return Err(ctx.throw(ErrorKind::Value, message));
    }
    let rounded = rounding(ctx.heap(), x);
    ctx.done(rounded)
}

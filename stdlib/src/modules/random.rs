//! `random`: xoshiro256++, one generator per thread (a `local var` of `random.hd`). Not for secrets.

use crate::support::new_bytes;
use heddle_vm::native::{Ctx, NativeModule, NativeResult};
use heddle_vm::types::ErrorKind;
use heddle_vm::{Value, natives, ops};

pub(super) static MODULE: NativeModule = NativeModule {
    name: "random",
    functions: natives! {
        plain "random.__generator" () => new_generator;
        plain "random.__seed" (generator, n) => seed;
        plain "random.__int" (generator, low, high) => int;
        plain "random.__float" (generator) => float;
        plain "random.__log" (x) => |ctx| Ok(Value::float(ctx.float_arg(0)?.ln()));
        plain "random.__bytes" (generator, n) => bytes;
        plain "random.__fill" (generator, out, at) => fill;
    },
    constants: |_| {},
    source: Some(heddle_source!("random")),
};

/// The state of xoshiro256++; never all zeros.
struct Generator([u64; 4]);

impl Generator {
    /// Spreads a seed over the state by SplitMix64, as the algorithm's authors advise.
    fn from_seed(mut seed: u64) -> Generator {
        Generator(std::array::from_fn(|_| {
            seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = seed;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }))
    }
    fn next(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }
    /// Uniform in `0..=most`, without bias: numbers in the incomplete last stretch are drawn again.
    fn below_or_equal(&mut self, most: u64) -> u64 {
        let Some(count) = most.checked_add(1) else {
            return self.next();
        };
        loop {
            let wide = u128::from(self.next()) * u128::from(count);
            if wide as u64 >= count.wrapping_neg() % count {
                return (wide >> 64) as u64;
            }
        }
    }
    /// Uniform in `0.0..1.0`: 53 random bits.
    fn float(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn new_generator(ctx: &mut Ctx) -> NativeResult {
    let seed = ctx.random_seed();
    Ok(ctx.host(Box::new(Generator::from_seed(seed)), "random generator"))
}

fn seed(ctx: &mut Ctx) -> NativeResult {
    let n = ctx.int_arg(1)?;
    *ctx.host_arg::<Generator>(0)? = Generator::from_seed(n as u64);
    Ok(Value::NIL)
}

fn int(ctx: &mut Ctx) -> NativeResult {
    let (low, high) = (ctx.int_arg(1)?, ctx.int_arg(2)?);
    if low > high {
        return Err(ctx.throw(
            ErrorKind::Value,
            format!("random.int: the range {low}..={high} is empty"),
        ));
    }
    let offset = ctx
        .host_arg::<Generator>(0)?
        .below_or_equal(high.wrapping_sub(low) as u64);
    Ok(ctx.int(low.wrapping_add(offset as i64)))
}

fn float(ctx: &mut Ctx) -> NativeResult {
    Ok(Value::float(ctx.host_arg::<Generator>(0)?.float()))
}

/// Bytes drawn in one step.
const STEP_BYTES: usize = 256 * 1024;

/// So many bytes; many of them are zeros yet, and filled in steps.
fn bytes(ctx: &mut Ctx) -> NativeResult {
    let n = ctx.int_arg(1)?.max(0) as usize;
    if n > STEP_BYTES {
        let made = ops::text::unfinished_bytes(ctx.heap(), n);
        return ctx.done(made);
    }
    ctx.reserve(n)?;
    let generator = ctx.host_arg::<Generator>(0)?;
    let bytes: Vec<u8> = (0..n).map(|_| generator.next() as u8).collect();
    new_bytes(ctx, &bytes)
}

/// Fills new bytes from `at` on; gives where to go on, nil at the end.
fn fill(ctx: &mut Ctx) -> NativeResult {
    let generator = ctx.host_arg::<Generator>(0)?;
    let length = ctx.bytes_arg(1)?.len();
    let at = (ctx.int_arg(2)?.max(0) as usize).min(length);
    let end = length.min(at + STEP_BYTES);
    let bytes: Vec<u8> = (at..end).map(|_| generator.next() as u8).collect();
    ops::text::fill_bytes(ctx.arg(1), at, &bytes);
    ctx.charge((end - at) / 8);
    Ok(if end < length {
        ctx.int(end as i64)
    } else {
        Value::NIL
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_numbers() {
        let (mut a, mut b) = (Generator::from_seed(7), Generator::from_seed(7));
        assert!((0..100).all(|_| a.next() == b.next()));
        assert_ne!(
            Generator::from_seed(8).next(),
            Generator::from_seed(7).next()
        );
    }

    #[test]
    fn ints_cover_their_range_evenly() {
        let mut generator = Generator::from_seed(1);
        let mut counts = [0; 6];
        for _ in 0..60_000 {
            counts[generator.below_or_equal(5) as usize] += 1;
        }
        assert!(
            counts.iter().all(|&n| (9_500..10_500).contains(&n)),
            "{counts:?}"
        );
        assert!((0..1000).all(|_| (0.0..1.0).contains(&generator.float())));
    }
}

use super::{Random, error, heap};
use crate::heap::Heap;
use crate::object::Kind;
use crate::ops::int::{self, Int};
use crate::ops::{OpFail, float, int_bits, int_float, int_text};
use crate::types::ErrorKind;
use crate::value::Value;
use num_bigint::{BigInt, Sign};
use std::cmp::Ordering;

fn big(value: Value) -> BigInt {
    int::view(value).expect("an int").to_bigint()
}

fn make(heap: &mut Heap, i: &BigInt) -> Value {
    int::from_bigint(heap, i).unwrap()
}

fn view<'a>(value: Value) -> Int<'a> {
    int::view(value).unwrap()
}

/// Ints of all forms, near the borders between them, of both signs.
fn random_int(random: &mut Random) -> BigInt {
    let bits = [
        4, 30, 47, 48, 49, 62, 63, 64, 65, 127, 128, 129, 200, 1000, 4000,
    ][random.below(15) as usize];
    let mut limbs: Vec<u32> = (0..bits / 32 + 1).map(|_| random.next() as u32).collect();
    match random.below(4) {
        0 => limbs.iter_mut().for_each(|limb| *limb = 0),
        1 => limbs.iter_mut().for_each(|limb| *limb = !0),
        _ => {}
    }
    let magnitude: BigInt =
        BigInt::from(num_bigint::BigUint::new(limbs)) % (BigInt::from(1) << bits);
    let near = match random.below(4) {
        0 => (BigInt::from(1) << bits) + BigInt::from(random.below(3)) - 1,
        _ => magnitude,
    };
    if random.below(2) == 0 { -near } else { near }
}

fn floor_div_mod(a: &BigInt, b: &BigInt) -> (BigInt, BigInt) {
    let (quotient, remainder) = (a / b, a % b);
    if remainder.sign() != Sign::NoSign && remainder.sign() != b.sign() {
        (quotient - 1, remainder + b)
    } else {
        (quotient, remainder)
    }
}

fn check_form(value: Value) {
    let i = big(value);
    let limit48 = BigInt::from(1i64 << 47);
    let limit64 = BigInt::from(1i128 << 63);
    let fits = |limit: &BigInt| &i < limit && i >= -limit.clone();
    if fits(&limit48) {
        assert!(value.is_small_int(), "{i}");
    } else if fits(&limit64) {
        assert!(value.is_kind(Kind::Int64), "{i}");
    } else {
        assert!(value.is_kind(Kind::BigInt), "{i}");
    }
}

#[test]
fn arithmetic_agrees_with_num_bigint() {
    let mut random = Random(42);
    let heap = &mut heap();
    for _ in 0..20_000 {
        let (a, b) = (random_int(&mut random), random_int(&mut random));
        let (x, y) = (make(heap, &a), make(heap, &b));
        check_form(x);
        let check = |result: Result<Value, OpFail>, expected: BigInt, what: &str| {
            let result = result.unwrap();
            assert_eq!(big(result), expected, "{a} {what} {b}");
            check_form(result);
        };
        let (u, v) = (view(x), view(y));
        check(int::add(heap, u, v), &a + &b, "+");
        check(int::sub(heap, u, v), &a - &b, "-");
        check(int::mul(heap, u, v), &a * &b, "*");
        check(int::neg(heap, u), -&a, "neg");
        check(int_bits::and(heap, u, v), &a & &b, "&");
        check(int_bits::or(heap, u, v), &a | &b, "|");
        check(int_bits::xor(heap, u, v), &a ^ &b, "^");
        check(int_bits::not(heap, u), -&a - 1, "~");
        let shift = random.below(200);
        check(
            int_bits::shl(heap, u, Int::Small(shift as i64)),
            &a << shift,
            "<<",
        );
        check(
            int_bits::shr(heap, u, Int::Small(shift as i64)),
            &a >> shift,
            ">>",
        );
        if b != BigInt::ZERO {
            let (quotient, remainder) = floor_div_mod(&a, &b);
            check(int::floor_div(heap, u, v), quotient, "//");
            check(int::modulo(heap, u, v), remainder, "%");
        }
        assert_eq!(int_float::compare(u, v), a.cmp(&b));
        assert_eq!(x == y || (a == b && x.is_object()), a == b);
        assert_eq!(int_text::to_text(u).unwrap(), a.to_string());
        for (radix, prefix) in [(2, "0b"), (8, "0o"), (16, "0x")] {
            let digits = int_text::to_radix(u, radix);
            assert_eq!(digits, a.to_str_radix(radix));
            let text = if a.sign() == Sign::Minus {
                format!("-{prefix}{}", &digits[1..])
            } else {
                format!("{prefix}{digits}")
            };
            let back = int_text::parse(heap, &text).unwrap().unwrap();
            assert_eq!(big(back), a);
        }
        let back = int_text::parse(heap, &a.to_string()).unwrap().unwrap();
        assert_eq!(big(back), a);
        check_form(back);
    }
}

#[test]
fn powers() {
    let heap = &mut heap();
    for base in [-12i64, -2, -1, 0, 1, 2, 3, 10, 1 << 40] {
        for exponent in 0..70 {
            let power = int::pow(heap, Int::Small(base), Int::Small(exponent)).unwrap();
            assert_eq!(
                big(power),
                BigInt::from(base).pow(exponent as u32),
                "{base} ** {exponent}"
            );
            check_form(power);
        }
    }
    let half = int::pow(heap, Int::Small(2), Int::Small(-1)).unwrap();
    assert_eq!(half.as_float(), 0.5);
    assert_eq!(
        error(int::pow(heap, Int::Small(0), Int::Small(-1))).0,
        ErrorKind::Arithmetic
    );
    assert_eq!(
        error(int::pow(heap, Int::Small(2), Int::Small(1 << 40))).0,
        ErrorKind::Limit
    );
    let one = int::pow(heap, Int::Small(-1), Int::Small(i64::MAX)).unwrap();
    assert_eq!(one, Value::small_int(-1));
    // The size is asked for before the work begins.
    let small = &mut Heap::new(1 << 20);
    assert!(matches!(
        int::pow(small, Int::Small(2), Int::Small(1 << 27)),
        Err(OpFail::NeedsCollection(_))
    ));
    assert!(matches!(
        int_bits::shl(small, Int::Small(1), Int::Small(1 << 27)),
        Err(OpFail::NeedsCollection(_))
    ));
    let two = int::pow(heap, Int::Small(2), Int::Small(1 << 22)).unwrap();
    assert_eq!(view(two).bits(), (1 << 22) + 1);
    assert_eq!(
        int::pow(heap, Int::Small(3), Int::Small(1 << 22)),
        Err(OpFail::NeedsSteps("__int_pow"))
    );
}

#[test]
fn errors() {
    let heap = &mut heap();
    let (kind, message) = error(int::floor_div(heap, Int::Small(1), Int::Small(0)));
    assert_eq!(
        (kind, message.as_str()),
        (ErrorKind::Arithmetic, "division by zero")
    );
    assert_eq!(
        error(int::modulo(heap, Int::Small(1), Int::Small(0))).0,
        ErrorKind::Arithmetic
    );
    assert_eq!(
        error(int_float::true_div(Int::Small(1), Int::Small(0))).0,
        ErrorKind::Arithmetic
    );
    assert_eq!(
        error(int_bits::shl(heap, Int::Small(1), Int::Small(-1))).0,
        ErrorKind::Value
    );
    assert_eq!(
        error(int_bits::shr(heap, Int::Small(1), Int::Small(-1))).0,
        ErrorKind::Value
    );
    let min = int::floor_div(heap, Int::Small(i64::MIN), Int::Small(-1)).unwrap();
    assert_eq!(big(min), BigInt::from(1u64 << 63));
    assert_eq!(
        int::modulo(heap, Int::Small(i64::MIN), Int::Small(-1)).unwrap(),
        Value::small_int(0)
    );
}

/// A float as an exact fraction: `mantissa * 2**exponent`.
fn exact(f: f64) -> (BigInt, i64) {
    let bits = f.to_bits();
    let exponent = (bits >> 52 & 0x7ff) as i64;
    let mantissa = bits & ((1 << 52) - 1);
    let (mantissa, exponent) = if exponent == 0 {
        (mantissa, -1074)
    } else {
        (mantissa | 1 << 52, exponent - 1075)
    };
    let mantissa = BigInt::from(mantissa);
    (if f < 0.0 { -mantissa } else { mantissa }, exponent)
}

fn reference_compare(i: &BigInt, f: f64) -> Option<Ordering> {
    if f.is_nan() {
        return None;
    }
    if f.is_infinite() {
        return Some(if f > 0.0 {
            Ordering::Less
        } else {
            Ordering::Greater
        });
    }
    let (mantissa, exponent) = exact(f);
    Some(if exponent >= 0 {
        i.cmp(&(mantissa << exponent))
    } else {
        (i << -exponent).cmp(&mantissa)
    })
}

#[test]
fn floats_and_ints_compare_exactly() {
    let mut random = Random(7);
    let heap = &mut heap();
    for _ in 0..20_000 {
        let i = random_int(&mut random);
        let value = make(heap, &i);
        let near = int_float::to_f64(view(value));
        let candidates = [
            near,
            f64::from_bits(near.to_bits().wrapping_add(1)),
            f64::from_bits(near.to_bits().wrapping_sub(1)),
            near + 0.5,
            f64::from_bits(random.next()),
            f64::INFINITY,
            f64::NAN,
            -0.0,
        ];
        for f in candidates {
            let order = int_float::compare_float(view(value), f);
            assert_eq!(order, reference_compare(&i, f), "{i} against {f:?}");
            if order == Some(Ordering::Equal) {
                assert_eq!(
                    int_float::hash(view(value), 99),
                    int_float::hash_float(f, 99),
                    "{i} {f}"
                );
                assert_eq!(
                    int_float::from_whole_float(heap, f).map(big),
                    Some(i.clone())
                );
            }
        }
        // Rust's parser rounds correctly.
        assert_eq!(near, i.to_string().parse::<f64>().unwrap(), "{i}");
    }
}

#[test]
fn division_rounds_once() {
    let mut random = Random(9);
    let heap = &mut heap();
    for _ in 0..5_000 {
        let (a, b) = (random_int(&mut random), random_int(&mut random));
        if b == BigInt::ZERO {
            continue;
        }
        let (x, y) = (make(heap, &a), make(heap, &b));
        let quotient = int_float::true_div(view(x), view(y)).unwrap();
        if !quotient.is_finite() {
            assert!(a.bits() as i64 - b.bits() as i64 >= 1023, "{a} / {b}");
            continue;
        }
        // No neighbour is nearer: compare |a - q*b| exactly, scaled to whole numbers.
        let distance = |f: f64| {
            let (mantissa, exponent) = exact(f);
            let scaled: BigInt = (&a << 1100) - ((mantissa * &b) << (exponent + 1100));
            BigInt::from(scaled.magnitude().clone())
        };
        if quotient == 0.0 {
            continue;
        }
        let here = distance(quotient);
        for neighbour in [quotient.to_bits() + 1, quotient.to_bits() - 1] {
            let neighbour = f64::from_bits(neighbour);
            if neighbour.is_finite() {
                assert!(here <= distance(neighbour), "{a} / {b} = {quotient:?}");
            }
        }
    }
    let (huge, less) = (BigInt::from(10).pow(400), BigInt::from(10).pow(399));
    let (huge, less) = (make(heap, &huge), make(heap, &less));
    assert_eq!(int_float::true_div(view(huge), view(less)).unwrap(), 10.0);
    assert_eq!(int_float::to_f64(view(huge)), f64::INFINITY);
}

#[test]
fn texts_that_are_no_ints() {
    let heap = &mut heap();
    for text in [
        "", " ", "x", "1.5", "0x", "1__0", "_1", "1_", "0b2", "0o8", "--1", "- 1", "1 2", "0xfg",
    ] {
        assert_eq!(int_text::parse(heap, text), Ok(None), "{text:?}");
    }
    for (text, expected) in [
        (" 42\n", 42),
        ("+7", 7),
        ("-0xff", -255),
        ("1_000", 1000),
        ("0b101", 5),
        ("0o17", 15),
        ("007", 7),
    ] {
        assert_eq!(
            int_text::parse(heap, text),
            Ok(Some(Value::small_int(expected))),
            "{text:?}"
        );
    }
}

#[test]
fn float_text_and_rounding() {
    for (f, text) in [
        (3.0, "3.0"),
        (0.1, "0.1"),
        (-0.0, "-0.0"),
        (1e15, "1000000000000000.0"),
        (1e16, "1e16"),
        (1.5e300, "1.5e300"),
        (1e-5, "0.00001"),
        (9.5e-6, "9.5e-6"),
        (123456.789, "123456.789"),
        (f64::INFINITY, "inf"),
        (f64::NEG_INFINITY, "-inf"),
        (f64::NAN, "nan"),
    ] {
        assert_eq!(float::to_text(f), text);
    }
    let mut random = Random(3);
    for _ in 0..10_000 {
        let f = f64::from_bits(random.next());
        let text = float::to_text(f);
        let back = float::parse(&text).unwrap();
        assert!(back == f || f.is_nan() && back.is_nan(), "{f:?} {text}");
        assert!(text.contains(['.', 'e', 'n']), "{text}");
    }
    assert_eq!(float::parse("1_000.5"), Some(1000.5));
    for text in ["", "1_.5", "_1", "abc", "1e", "0x10"] {
        assert_eq!(float::parse(text), None, "{text}");
    }
    let heap = &mut heap();
    assert_eq!(float::round(heap, 2.5), Ok(Value::small_int(3)));
    assert_eq!(float::round(heap, -2.5), Ok(Value::small_int(-3)));
    assert_eq!(float::floor(heap, -0.5), Ok(Value::small_int(-1)));
    assert_eq!(float::ceil(heap, 0.2), Ok(Value::small_int(1)));
    assert_eq!(
        big(float::floor(heap, 1e300).unwrap()).to_string().len(),
        301
    );
    assert_eq!(error(float::round(heap, f64::NAN)).0, ErrorKind::Value);
}

#[test]
fn floored_float_operators() {
    for (a, b, quotient, remainder) in [
        (7.0, 2.0, 3.0, 1.0),
        (-7.0, 2.0, -4.0, 1.0),
        (7.0, -2.0, -4.0, -1.0),
        (-7.0, -2.0, 3.0, -1.0),
        (6.0, -2.0, -3.0, -0.0),
        (0.5, f64::INFINITY, 0.0, 0.5),
        (-0.5, f64::INFINITY, -1.0, f64::INFINITY),
    ] {
        assert_eq!(float::floor_div(a, b), quotient, "{a} // {b}");
        assert_eq!(float::modulo(a, b), remainder, "{a} % {b}");
        assert_eq!(float::modulo(a, b).is_sign_negative(), b < 0.0, "{a} % {b}");
    }
    assert_eq!(float::floor_div(1.0, 0.0), f64::INFINITY);
    assert!(float::modulo(1.0, 0.0).is_nan());
    assert_eq!(float::floor_div(0.3, 0.1), 2.0);
    assert_eq!(float::floor_div(1.0, 0.1), 9.0);
}

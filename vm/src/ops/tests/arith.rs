use super::{NoTypes, error, heap, string};
use crate::object::Kind;
use crate::ops::arith::{BinaryOp, binary, bit_not, neg};
use crate::ops::{duration, list, map, text};
use crate::types::ErrorKind;
use crate::value::Value;

#[test]
fn numbers_mix() {
    let (heap, types) = (&mut heap(), &NoTypes::new());
    let (two, half) = (Value::small_int(2), Value::float(0.5));
    let mut run = |op, a, b| binary(heap, types, op, a, b).unwrap();
    assert_eq!(run(BinaryOp::Add, two, half), Value::float(2.5));
    assert_eq!(run(BinaryOp::Div, two, two), Value::float(1.0));
    assert_eq!(run(BinaryOp::Pow, two, half), Value::float(2f64.sqrt()));
    assert_eq!(
        run(BinaryOp::FloorDiv, Value::small_int(-7), two),
        Value::small_int(-4)
    );
    assert_eq!(
        run(BinaryOp::Mod, Value::small_int(-7), two),
        Value::small_int(1)
    );
    assert_eq!(
        run(BinaryOp::Div, half, Value::small_int(0)),
        Value::float(f64::INFINITY)
    );
    assert_eq!(neg(heap, half), Ok(Value::float(-0.5)));
    assert_eq!(bit_not(heap, two), Ok(Value::small_int(-3)));
}

#[test]
fn wrong_types_name_operator_and_types() {
    let (heap, types) = (&mut heap(), &NoTypes::new());
    let text = string(heap, "a");
    let one = Value::small_int(1);
    for (op, a, b, message) in [
        (BinaryOp::Add, text, one, "cannot add string and int"),
        (BinaryOp::Sub, text, one, "cannot subtract int from string"),
        (
            BinaryOp::Mul,
            text,
            Value::float(1.0),
            "cannot multiply string and float",
        ),
        (BinaryOp::Div, one, Value::NIL, "cannot divide int by nil"),
        (
            BinaryOp::BitAnd,
            one,
            Value::float(1.0),
            "cannot apply & to int and float",
        ),
        (BinaryOp::Add, one, Value::TRUE, "cannot add int and bool"),
    ] {
        let failed = error(binary(heap, types, op, a, b));
        assert_eq!(failed, (ErrorKind::Type, message.to_string()));
    }
}

#[test]
fn durations() {
    let (heap, types) = (&mut heap(), &NoTypes::new());
    let second = duration::new(heap, 1_000_000_000);
    let half = duration::new(heap, 500_000_000);
    let mut run = |op, a, b| {
        let result = binary(heap, types, op, a, b).unwrap();
        match duration::view(result) {
            Some(ns) => duration::to_text(ns),
            None => format!("{result:?}"),
        }
    };
    let two = Value::small_int(2);
    assert_eq!(run(BinaryOp::Add, second, half), "1500ms");
    assert_eq!(run(BinaryOp::Sub, half, second), "-500ms");
    assert_eq!(run(BinaryOp::Mul, second, Value::small_int(3600)), "1h");
    assert_eq!(run(BinaryOp::Mul, two, second), "2s");
    assert_eq!(run(BinaryOp::Mul, second, Value::float(0.25)), "250ms");
    assert_eq!(run(BinaryOp::Div, second, half), "2.0");
    assert_eq!(run(BinaryOp::Div, second, two), "500ms");
    assert_eq!(
        run(BinaryOp::Div, second, Value::small_int(3)),
        "333333333ns"
    );
    assert_eq!(run(BinaryOp::FloorDiv, second, half), "2");
    assert_eq!(
        run(BinaryOp::FloorDiv, second, Value::small_int(3)),
        "333333333ns"
    );
    assert_eq!(run(BinaryOp::Mod, half, second), "500ms");
    assert_eq!(run(BinaryOp::Sub, half, half), "0s");
    assert_eq!(
        error(binary(heap, types, BinaryOp::Add, second, two)).0,
        ErrorKind::Type
    );
    assert_eq!(
        error(binary(heap, types, BinaryOp::Div, two, second)).0,
        ErrorKind::Type
    );
    assert_eq!(
        error(binary(
            heap,
            types,
            BinaryOp::Div,
            second,
            Value::small_int(0)
        ))
        .0,
        ErrorKind::Arithmetic
    );
    assert_eq!(
        error(binary(
            heap,
            types,
            BinaryOp::Mul,
            second,
            Value::small_int(1 << 45)
        ))
        .0,
        ErrorKind::Arithmetic
    );
    for (ns, expected) in [
        (90_000_000_000, "90s"),
        (250_000_000, "250ms"),
        (60_000_000_000, "1m"),
        (5_000, "5us"),
        (10, "10ns"),
        (-7_200_000_000_000, "-2h"),
    ] {
        assert_eq!(duration::to_text(ns), expected);
    }
}

#[test]
fn sequences_and_sets() {
    let (heap, types) = (&mut heap(), &NoTypes::new());
    let (a, b) = (string(heap, "añ"), string(heap, "b"));
    let sum = binary(heap, types, BinaryOp::Add, a, b).unwrap();
    assert_eq!(text::str_of(sum), "añb");
    let repeated = binary(heap, types, BinaryOp::Mul, a, Value::small_int(3)).unwrap();
    assert_eq!(
        (text::str_of(repeated), text::char_count(repeated)),
        ("añañañ", 6)
    );
    let nothing = binary(heap, types, BinaryOp::Mul, Value::small_int(-1), a).unwrap();
    assert_eq!(text::str_of(nothing), "");
    let numbers: Vec<Value> = (0..3).map(Value::small_int).collect();
    let xs = list::new(heap, &numbers).unwrap();
    let ys = binary(heap, types, BinaryOp::Add, xs, xs).unwrap();
    assert_eq!(list::items_of(ys), [&numbers[..], &numbers].concat());
    let ys = binary(heap, types, BinaryOp::Mul, xs, Value::small_int(5)).unwrap();
    assert_eq!(list::items_of(ys), numbers.repeat(5));
    let t = list::new_tuple(heap, &numbers).unwrap();
    let tt = binary(heap, types, BinaryOp::Add, t, t).unwrap();
    assert_eq!(list::tuple_items(tt).len(), 6);
    let mut set = |items: &[i64]| {
        let set = map::new_set(heap, 0).unwrap();
        for &item in items {
            map::insert(heap, types, set, Value::small_int(item), Value::NIL).unwrap();
        }
        set
    };
    let (a, b) = (set(&[1, 2, 3]), set(&[3, 4]));
    let keys = |set: Value| {
        map::entries_of(set)
            .iter()
            .map(|entry| entry.key.as_small_int())
            .collect::<Vec<_>>()
    };
    for (op, expected) in [
        (BinaryOp::BitOr, vec![1, 2, 3, 4]),
        (BinaryOp::BitAnd, vec![3]),
        (BinaryOp::Sub, vec![1, 2]),
    ] {
        let result = binary(heap, types, op, a, b).unwrap();
        assert!(result.is_kind(Kind::Set));
        assert_eq!(keys(result), expected);
    }
}

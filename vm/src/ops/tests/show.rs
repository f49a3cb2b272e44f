use super::{TestTypes, error, heap, string};
use crate::heap::Heap;
use crate::object::{FLAG_FROZEN, Kind};
use crate::ops::format_spec::FormatSpec;
use crate::ops::int_bits;
use crate::ops::show::{self, ShowStep};
use crate::ops::{duration, float, format, int, list, map, range, text};
use crate::types::ErrorKind;
use crate::value::Value;

fn small(i: i64) -> Value {
    Value::small_int(i)
}

fn shown(heap: &mut Heap, types: &TestTypes, value: Value, is_repr: bool) -> String {
    let stepped = in_steps(heap, types, value, is_repr);
    if let Some(text) = show::quick(heap, types, value, is_repr).unwrap() {
        assert_eq!(text::str_of(text), stepped);
    }
    stepped
}

/// Methods `str` give `<Name>`.
fn in_steps(heap: &mut Heap, types: &TestTypes, value: Value, is_repr: bool) -> String {
    let state = show::start(heap, value, is_repr).unwrap();
    let mut given = None;
    loop {
        match show::step(heap, types, state, given.take()).unwrap() {
            ShowStep::Done(text) => return text::str_of(text).to_string(),
            ShowStep::Join(pieces) => {
                let pieces = list::items_of(pieces).iter();
                return pieces.map(|&piece| text::str_of(piece)).collect();
            }
            ShowStep::More => {}
            ShowStep::CallStr(_) => given = Some(string(heap, "<shown>")),
            ShowStep::IntText(_) => given = Some(string(heap, "<huge>")),
        }
    }
}

#[test]
fn values_print_as_the_language_says() {
    let (heap, types) = (&mut heap(), &TestTypes::new());
    let a = string(heap, "a");
    let quoted = string(heap, "tab\t \"q\" \\ ñ {x} \u{1}");
    let second = duration::new(heap, 250_000_000);
    let bytes = text::new_bytes(heap, b"\x00ab\"").unwrap();
    let empty_list = list::new(heap, &[]).unwrap();
    let empty_tuple = list::new_tuple(heap, &[]).unwrap();
    let one = list::new_tuple(heap, &[small(1)]).unwrap();
    let xs = list::new(
        heap,
        &[
            small(1),
            a,
            Value::float(3.0),
            Value::NIL,
            Value::TRUE,
            second,
        ],
    )
    .unwrap();
    let m = map::new_map(heap, 0).unwrap();
    let empty_map = map::new_map(heap, 0).unwrap();
    map::insert(heap, types, m, a, small(1)).unwrap();
    map::insert(heap, types, m, small(9), small(9)).unwrap();
    map::insert(heap, types, m, one, xs).unwrap();
    map::remove(types, m, small(9)).unwrap();
    let s = map::new_set(heap, 0).unwrap();
    map::insert(heap, types, s, a, Value::NIL).unwrap();
    map::insert(heap, types, s, small(2), Value::NIL).unwrap();
    let (r, closed) = (
        range::new(heap, small(0), small(10), false).unwrap(),
        range::new(heap, small(0), small(10), true).unwrap(),
    );
    let stepped = range::with_step(heap, r, small(2)).unwrap();
    let point = types.point(heap, small(1), a);
    let circle = types.circle(heap, small(2));
    let empty = types.empty(heap);
    let failure = types.error(heap, "no such thing");
    for (value, expected) in [
        (Value::NIL, "nil"),
        (small(-5), "-5"),
        (Value::float(1e16), "1e16"),
        (quoted, r#""tab\t \"q\" \\ ñ {x} \u{1}""#),
        (bytes, r#"b"\x00ab\"""#),
        (second, "250ms"),
        (empty_list, "[]"),
        (empty_tuple, "()"),
        (one, "(1,)"),
        (xs, r#"[1, "a", 3.0, nil, true, 250ms]"#),
        (m, r#"{"a": 1, (1,): [1, "a", 3.0, nil, true, 250ms]}"#),
        (empty_map, "{}"),
        (s, r#"Set(["a", 2])"#),
        (r, "0..10"),
        (closed, "0..=10"),
        (stepped, "(0..10).step(2)"),
        (point, r#"Point(x: 1, y: "a")"#),
        (circle, "Shape.Circle(2)"),
        (empty, "Shape.Empty"),
        (failure, r#"MyError("no such thing", code: 7)"#),
    ] {
        assert_eq!(shown(heap, types, value, true), expected);
    }
    assert_eq!(shown(heap, types, a, false), "a");
    assert_eq!(shown(heap, types, failure, false), "no such thing");
    let shouting = types.with_methods(heap, small(1));
    let both = list::new(heap, &[small(0), shouting, shouting]).unwrap();
    assert_eq!(shown(heap, types, both, false), "[0, <shown>, <shown>]");
    assert_eq!(
        show::short(types, both, 60),
        "[0, Custom(v: 1), Custom(v: 1)]"
    );
    let long = list::new(heap, &vec![a; 500]).unwrap();
    let cut = show::short(types, long, 60);
    assert_eq!(cut.chars().count(), 60);
    assert!(
        cut.starts_with(r#"["a", "a""#) && cut.ends_with('…'),
        "{cut}"
    );
}

#[test]
fn cycles_and_depths() {
    let (heap, types) = (&mut heap(), &TestTypes::new());
    let xs = list::new(heap, &[small(1)]).unwrap();
    let t = list::new_tuple(heap, &[xs, xs]).unwrap();
    list::push(heap, xs, t).unwrap();
    assert_eq!(shown(heap, types, xs, false), "[1, ([...], [...])]");
    let mut deep = list::new(heap, &[]).unwrap();
    for _ in 0..100_000 {
        deep = list::new(heap, &[deep]).unwrap();
    }
    let text = shown(heap, types, deep, false);
    assert_eq!(text, format!("{}…{}", "[".repeat(1000), "]".repeat(1000)));
    // Each level holds the one below twice: the text would be endless.
    let mut wide = list::new(heap, &[]).unwrap();
    for _ in 0..60 {
        wide = list::new(heap, &[wide, wide]).unwrap();
    }
    let small = &mut Heap::new(64 << 20);
    let state = show::start(small, wide, false).unwrap();
    let failed = loop {
        match show::step(small, types, state, None) {
            Ok(step) => assert_eq!(step, ShowStep::More),
            Err(failed) => break failed,
        }
    };
    assert!(
        matches!(failed, crate::ops::OpFail::NeedsCollection(_)),
        "{failed:?}"
    );
}

#[test]
fn long_texts_come_in_pieces() {
    let (heap, types) = (&mut heap(), &TestTypes::new());
    let numbers: Vec<Value> = (0..100_000).map(small).collect();
    let xs = list::new(heap, &numbers).unwrap();
    assert_eq!(show::quick(heap, types, xs, false).unwrap(), None);
    let expected: Vec<String> = (0..100_000).map(|i| i.to_string()).collect();
    assert_eq!(
        shown(heap, types, xs, false),
        format!("[{}]", expected.join(", "))
    );
    let huge = int_bits::shl(heap, int::Int::Small(1), int::Int::Small(1 << 20)).unwrap();
    let xs = list::new(heap, &[huge]).unwrap();
    assert_eq!(in_steps(heap, types, xs, false), "[<huge>]");
}

fn formatted(heap: &mut Heap, spec: &str, value: Value) -> String {
    let spec = FormatSpec::parse(spec).unwrap();
    let text = format::value(heap, &spec, value).unwrap().unwrap();
    text::str_of(text).to_string()
}

#[test]
fn format_specs() {
    let heap = &mut heap();
    let (abc, big) = (
        string(heap, "abc"),
        int::pow(heap, int::Int::Small(10), int::Int::Small(30)).unwrap(),
    );
    let second = duration::new(heap, 1_000_000_000);
    for (spec, value, expected) in [
        ("", small(5), "5"),
        (">5", small(5), "    5"),
        ("5", small(5), "    5"),
        ("<5", small(5), "5    "),
        ("*^5", small(5), "**5**"),
        ("^6", small(5), "  5   "),
        ("05", small(-5), "-0005"),
        ("+", small(5), "+5"),
        (" ", small(5), " 5"),
        (",", small(1234567), "1,234,567"),
        (",", small(-123), "-123"),
        (",", small(-1234), "-1,234"),
        (".2", small(3), "3.00"),
        ("x", small(255), "ff"),
        ("X", small(255), "FF"),
        ("#x", small(-255), "-0xff"),
        ("#010b", small(5), "0b00000101"),
        ("o", small(8), "10"),
        ("d", small(8), "8"),
        ("e", small(1500), "1.5e3"),
        ("%", small(2), "200%"),
        ("%", small(0), "0%"),
        (",", big, "1,000,000,000,000,000,000,000,000,000,000"),
        ("x", big, "c9f2c9cd04674edea40000000"),
        (".2", Value::float(2.71459), "2.71"),
        ("8.2", Value::float(2.71459), "    2.71"),
        (">8.2", Value::float(-2.5), "   -2.50"),
        ("", Value::float(3.0), "3.0"),
        (".0", Value::float(2.6), "3"),
        ("f", Value::float(2.5), "2.500000"),
        (",.2", Value::float(1234567.891), "1,234,567.89"),
        ("%", Value::float(0.256), "26%"),
        (".1%", Value::float(0.2567), "25.7%"),
        (".3e", Value::float(12345.678), "1.235e4"),
        ("e", Value::float(0.00015), "1.5e-4"),
        ("08.3", Value::float(-1.5), "-001.500"),
        ("08", Value::float(f64::NAN), "     nan"),
        ("+.1", Value::float(f64::INFINITY), "+inf"),
        ("5", abc, "abc  "),
        (">5", abc, "  abc"),
        (".2", abc, "ab"),
        ("-^6.2", abc, "--ab--"),
        ("ñ>5", abc, "ññabc"),
        ("6", Value::TRUE, "true  "),
        (">5", Value::NIL, "  nil"),
        (">5", second, "   1s"),
    ] {
        assert_eq!(
            formatted(heap, spec, value),
            expected,
            "{spec:?} of {value:?}"
        );
    }
    for spec in ["q", "5x2", ".", "5.x", "99999999999", ">>>", "5s"] {
        assert!(FormatSpec::parse(spec).is_err(), "{spec}");
    }
    let hex = FormatSpec::parse("x").unwrap();
    assert_eq!(
        error(format::value(heap, &hex, Value::float(1.0))).0,
        ErrorKind::Value
    );
    assert_eq!(error(format::value(heap, &hex, abc)).0, ErrorKind::Value);
    let xs = list::new(heap, &[]).unwrap();
    assert_eq!(format::value(heap, &hex, xs), Ok(None));
}

#[test]
fn formatted_floats_agree_with_std() {
    let mut random = super::Random(21);
    for _ in 0..5000 {
        let f = f64::from_bits(random.next());
        if f.is_finite() && f.abs() < 1e50 {
            let n = random.below(12) as usize;
            let spec = FormatSpec::parse(&format!("20.{n}")).unwrap();
            assert_eq!(format::float(&spec, f).unwrap(), format!("{f:20.n$}"));
            assert_eq!(float::parse(&float::to_text(f)), Some(f));
        }
    }
}

#[test]
fn ranges() {
    let heap = &mut heap();
    let r = range::new(heap, small(0), small(10), false).unwrap();
    assert_eq!(range::bounds(r), Ok((0, 1, 10)));
    for (number, is_in) in [
        (small(9), true),
        (small(10), false),
        (Value::float(3.0), true),
        (Value::float(3.5), false),
        (Value::NIL, false),
    ] {
        assert_eq!(range::contains(heap, r, number), Ok(is_in));
    }
    let by_three = range::with_step(heap, r, small(3)).unwrap();
    assert_eq!(range::contains(heap, by_three, small(6)), Ok(true));
    assert_eq!(
        range::contains(heap, by_three, Value::float(7.0)),
        Ok(false)
    );
    let open = range::new(heap, small(1), Value::NIL, false).unwrap();
    assert_eq!(range::contains(heap, open, Value::float(1e300)), Ok(true));
    assert_eq!(range::contains(heap, open, small(0)), Ok(false));
    let odd = range::with_step(heap, open, small(2)).unwrap();
    assert_eq!(range::contains(heap, odd, Value::float(1e300)), Ok(false));
    assert_eq!(range::bounds(by_three), Ok((0, 3, 4)));
    let back = range::reversed(heap, by_three).unwrap();
    assert_eq!(range::bounds(back), Ok((9, -3, 4)));
    let backward = range::new(heap, small(5), small(2), true).unwrap();
    assert_eq!(range::bounds(backward), Ok((5, 1, 0)));
    assert_eq!(
        range::bounds(range::reversed(heap, backward).unwrap())
            .unwrap()
            .2,
        0
    );
    assert_eq!(
        error(range::new(heap, small(0), Value::float(1.0), false)).0,
        ErrorKind::Type
    );
    // SAFETY: a live object.
    assert!(unsafe { !(*r.as_object()).has(FLAG_FROZEN) } && r.is_kind(Kind::Range));
}

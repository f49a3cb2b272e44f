use super::{Random, error, heap, string};
use crate::heap::Heap;
use crate::ops::text;
use crate::types::ErrorKind;
use crate::value::Value;

fn random_text(random: &mut Random, len: u64, ascii: bool) -> String {
    const ALPHABET: [char; 8] = ['a', 'b', ' ', 'ñ', 'ß', '€', '日', '😀'];
    let letters = if ascii { 3 } else { 8 };
    (0..len)
        .map(|_| ALPHABET[random.below(letters) as usize])
        .collect()
}

#[test]
fn positions_count_code_points() {
    let mut random = Random(5);
    let heap = &mut heap();
    for round in 0..300 {
        let len = random.below(400);
        let content = random_text(&mut random, len, round % 3 == 0);
        let chars: Vec<char> = content.chars().collect();
        let value = string(heap, &content);
        assert_eq!(text::str_of(value), content);
        assert_eq!(text::char_count(value), chars.len());
        for _ in 0..20 {
            if chars.is_empty() {
                continue;
            }
            let at = random.below(chars.len() as u64) as usize;
            let one = text::index(heap, value, Value::small_int(at as i64)).unwrap();
            assert_eq!(text::str_of(one), chars[at].to_string());
            let back = text::index(
                heap,
                value,
                Value::small_int(at as i64 - chars.len() as i64),
            )
            .unwrap();
            assert_eq!(text::str_of(back), chars[at].to_string());
            let to = at + random.below((chars.len() - at) as u64 + 1) as usize;
            let part = text::slice(heap, value, at, to).unwrap();
            let expected: String = chars[at..to].iter().collect();
            assert_eq!(
                (text::str_of(part), text::char_count(part)),
                (expected.as_str(), to - at)
            );
            let offset = text::byte_offset(value, at);
            assert!(content[offset..].starts_with(chars[at]));
            assert_eq!(text::char_position(value, offset), at);
        }
    }
    let value = string(heap, "abc");
    let failed = error(text::index(heap, value, Value::small_int(3)));
    assert_eq!(
        failed,
        (
            ErrorKind::Index,
            "string index 3 is out of range (length 3)".into()
        )
    );
}

#[test]
fn concat_writes_plain_values() {
    let heap = &mut heap();
    let (a, b) = (string(heap, "<é>"), string(heap, ""));
    let parts = [
        Value::small_int(-12),
        a,
        Value::float(2.0),
        Value::NIL,
        b,
        Value::TRUE,
        Value::FALSE,
        crate::ops::duration::new(heap, 1_000_000),
        crate::ops::int::from_i64(heap, i64::MIN),
    ];
    assert!(parts.iter().all(|&part| text::can_concat(part)));
    let joined = text::concat(heap, &parts).unwrap();
    assert_eq!(
        text::str_of(joined),
        "-12<é>2.0niltruefalse1ms-9223372036854775808"
    );
    assert_eq!(
        text::char_count(joined),
        text::str_of(joined).chars().count()
    );
    for i in [
        0,
        9,
        10,
        -1,
        -10,
        99,
        100,
        12345678,
        -(1 << 47),
        (1 << 47) - 1,
    ] {
        let text = text::concat(heap, &[a, Value::small_int(i), a]).unwrap();
        assert_eq!(text::str_of(text), format!("<é>{i}<é>"));
    }
    let joined = text::join(heap, &[a, b, a], "·").unwrap();
    assert_eq!(text::str_of(joined), "<é>··<é>");
    assert_eq!(text::char_count(joined), 8);
    let none = text::join(heap, &[], ", ").unwrap();
    assert_eq!(text::str_of(none), "");
    assert_eq!(
        error(text::join(heap, &[Value::NIL], ",")).0,
        ErrorKind::Type
    );
}

#[test]
fn equal_texts_hash_alike() {
    let mut random = Random(17);
    let heap = &mut heap();
    let mut hashes = std::collections::HashSet::new();
    for i in 0..3000 {
        let content = format!("{}{}", random_text(&mut random, i % 70, false), i);
        let (a, b) = (string(heap, &content), string(heap, &content));
        assert_eq!(text::hash(a, 1), text::hash(b, 1));
        assert!(text::equal(a, b));
        hashes.insert(text::hash(a, 1));
        let other = string(heap, &format!("{content}x"));
        assert!(!text::equal(a, other));
    }
    assert!(hashes.len() > 2990, "{}", hashes.len());
    let (a, b) = (string(heap, "seed"), string(heap, "seed"));
    assert_ne!(text::hash(a, 1), text::hash(b, 2));
}

#[test]
fn long_texts_are_refused() {
    let small = &mut Heap::new(100_000);
    let value = string(small, "abc");
    assert!(matches!(
        text::repeat(small, value, 1_000_000),
        Err(crate::ops::OpFail::NeedsCollection(_))
    ));
    assert_eq!(
        error(text::repeat(small, value, u64::MAX)).0,
        ErrorKind::Limit
    );
    let content = text::new_bytes(small, b"ab").unwrap();
    let six = text::repeat_bytes(small, content, 3).unwrap();
    assert_eq!(text::bytes_of(six), b"ababab");
}

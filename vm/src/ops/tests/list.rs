use super::{Random, error, heap};
use crate::heap::Heap;
use crate::object::{FLAG_FROZEN, List};
use crate::ops::{OpFail, list};
use crate::types::ErrorKind;
use crate::value::Value;

fn int(i: i64) -> Value {
    Value::small_int(i)
}

#[test]
fn behaves_like_a_vec() {
    let mut random = Random(11);
    let heap = &mut heap();
    let xs = list::with_capacity(heap, 0).unwrap();
    let mut model: Vec<Value> = Vec::new();
    for step in 0..50_000 {
        let len = model.len() as u64;
        let element = int(step);
        match random.below(9) {
            0..3 => {
                list::push(heap, xs, element).unwrap();
                model.push(element);
            }
            3 => assert_eq!(list::pop(xs).unwrap(), model.pop()),
            4 => {
                let at = random.below(len + 1) as usize;
                list::insert(heap, xs, int(at as i64), element).unwrap();
                model.insert(at, element);
            }
            5 if len > 0 => {
                let at = random.below(len) as i64;
                let from_end = at - len as i64;
                assert_eq!(
                    list::remove(heap, xs, int(from_end)).unwrap(),
                    model.remove(at as usize)
                );
            }
            6 if len > 0 => {
                let at = random.below(len) as usize;
                list::set(heap, xs, int(at as i64), element).unwrap();
                model[at] = element;
            }
            7 if len < 500 => {
                let part: Vec<Value> = model[..(len / 2) as usize].to_vec();
                list::extend(heap, xs, &list::items_of(xs)[..(len / 2) as usize]).unwrap();
                model.extend(part);
            }
            8 => {
                list::reverse(heap, xs).unwrap();
                model.reverse();
            }
            _ => {}
        }
        assert_eq!(list::len(xs), model.len());
        if step % 100 == 0 {
            assert_eq!(list::items_of(xs), model);
        }
    }
    assert_eq!(list::items_of(xs), model);
    list::clear(xs).unwrap();
    assert_eq!(list::len(xs), 0);
    list::push(heap, xs, int(1)).unwrap();
    assert_eq!(list::get(xs, int(-1)), Ok(int(1)));
}

#[test]
fn a_million_ints_take_little_room() {
    let heap = &mut heap();
    let xs = list::with_capacity(heap, 0).unwrap();
    for i in 0..1_000_000 {
        list::push(heap, xs, int(i)).unwrap();
    }
    // SAFETY: a live list.
    let capacity = unsafe { (*xs.as_object().cast::<List>()).capacity };
    assert!(capacity as usize * 8 <= 8_500_000, "{capacity}");
    assert!((0..1_000_000).all(|i| list::items_of(xs)[i] == int(i as i64)));
}

#[test]
fn positions_out_of_range() {
    let heap = &mut heap();
    let xs = list::new(heap, &[int(1), int(2), int(3)]).unwrap();
    let expect = |at: i64| {
        (
            ErrorKind::Index,
            format!("list index {at} is out of range (length 3)"),
        )
    };
    assert_eq!(error(list::get(xs, int(5))), expect(5));
    assert_eq!(error(list::get(xs, int(-4))), expect(-4));
    assert_eq!(error(list::set(heap, xs, int(3), int(0))), expect(3));
    assert_eq!(error(list::insert(heap, xs, int(4), int(0))), expect(4));
    assert_eq!(error(list::remove(heap, xs, int(3))), expect(3));
    assert_eq!(
        error(list::get(xs, Value::float(1.0))),
        (
            ErrorKind::Type,
            "list index must be an int, not float".into()
        )
    );
    assert_eq!(list::get(xs, int(-3)), Ok(int(1)));
}

#[test]
fn frozen_lists_stay() {
    let heap = &mut heap();
    let xs = list::new(heap, &[int(1)]).unwrap();
    // SAFETY: a live object.
    unsafe { (*xs.as_object()).flags |= FLAG_FROZEN };
    assert_eq!(error(list::push(heap, xs, int(2))).0, ErrorKind::Frozen);
    assert_eq!(
        error(list::pop(xs)),
        (
            ErrorKind::Frozen,
            "this list is frozen and cannot be changed".into()
        )
    );
    assert_eq!(
        error(list::set(heap, xs, int(0), int(2))).0,
        ErrorKind::Frozen
    );
    assert_eq!(error(list::reverse(heap, xs)).0, ErrorKind::Frozen);
    assert_eq!(error(list::clear(xs)).0, ErrorKind::Frozen);
    assert_eq!(list::items_of(xs), [int(1)]);
}

#[test]
fn growth_is_refused_before_anything_changes() {
    let heap = &mut Heap::new(100_000);
    let xs = list::with_capacity(heap, 0).unwrap();
    let mut count = 0;
    let failed = loop {
        match list::push(heap, xs, int(count)) {
            Ok(()) => count += 1,
            Err(failed) => break failed,
        }
    };
    assert!(matches!(failed, OpFail::NeedsCollection(_)));
    assert_eq!(list::len(xs), count as usize);
    assert!(matches!(
        list::repeat(heap, xs, 1_000),
        Err(OpFail::NeedsCollection(_))
    ));
    assert_eq!(error(list::repeat(heap, xs, u64::MAX)).0, ErrorKind::Limit);
}

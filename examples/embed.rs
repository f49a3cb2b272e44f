//! A host: a small shop whose prices are computed by a script that may ask the host for its stock.
//!
//! `cargo run --example embed`

use heddle::{Context, Engine, Handle};
use std::collections::BTreeMap;
use std::sync::Arc;

const RULES: &str = r#"
import shop

## The price of an order: item to number.
pub fn total(order) {
    var sum = 0
    for item, count in order {
        if count > shop.stock(item) { throw ValueError("only {shop.stock(item)} of {item} left") }
        sum += count * shop.price(item)
    }
    sum
}

## Calls back for each item that is short.
pub fn watch(limit, notify) {
    shop.each_item(|item, count| if count < limit { notify(item, count) })
}
"#;

fn main() -> Result<(), heddle::Error> {
    let stock = Arc::new(BTreeMap::from([
        ("bobbin", (3, 12)),
        ("shuttle", (40, 1)),
        ("yarn", (7, 30)),
    ]));
    let find = |stock: &BTreeMap<&str, (i64, i64)>, item: &str| {
        stock
            .get(item)
            .copied()
            .ok_or_else(|| format!("no such item: {item}"))
    };

    let mut engine = Engine::builder()
        .memory_limit(64 << 20)
        .function("shop.price", {
            let stock = stock.clone();
            move |item: String| find(&stock, &item).map(|(price, _)| price)
        })
        .function("shop.stock", {
            let stock = stock.clone();
            move |item: String| find(&stock, &item).map(|(_, count)| count)
        })
        .function("shop.each_item", {
            let stock = stock.clone();
            move |context: &mut Context, f: Handle| -> Result<(), heddle::Error> {
                for (item, (_, count)) in stock.iter() {
                    context.call::<()>(&f, (*item, *count))?;
                }
                Ok(())
            }
        })
        .build();
    let rules = engine.load_str("rules", RULES)?;

    let order = BTreeMap::from([("bobbin", 2), ("yarn", 10)]);
    let total: i64 = engine.call(&rules, "total", (order,))?;
    println!("two bobbins and ten yarns: {total}");
    assert_eq!(total, 76);

    let too_much = engine.call::<i64>(&rules, "total", (BTreeMap::from([("shuttle", 2)]),));
    let error = too_much.expect_err("there is one shuttle");
    println!("two shuttles: {error}");
    assert_eq!(error.to_string(), "ValueError: only 1 of shuttle left");

    let short: Vec<(String, i64)> = {
        let collect = engine.eval::<Handle>("let short = []\n|item, count| { if item is nil { short } else { short.push((item, count)) } }")?;
        engine.call::<()>(&rules, "watch", (20, &collect))?;
        engine.call_handle(&collect, ((), ()))?
    };
    println!("running short: {short:?}");
    assert_eq!(
        short,
        [("bobbin".to_string(), 12), ("shuttle".to_string(), 1)]
    );
    Ok(())
}

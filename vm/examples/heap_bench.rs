//! Prints how fast the heap is and how long it pauses, without an interpreter.

use heddle_vm::heap::bench;

fn main() {
    for _ in 0..3 {
        println!("{}", bench::binary_trees(16));
    }
    println!("{}", bench::live_heap(1));
    println!("{}", bench::live_heap(10));
    println!("{}", bench::live_heap(100));
    println!("{}", bench::list_by_push(1_000_000, false));
    println!("{}", bench::list_by_push(1_000_000, true));
    println!("{}", bench::list_by_push(10_000_000, true));
    println!("{}", bench::freeze_small(1_000_000));
}

//! Prints how fast the heap is and how long it pauses, without an interpreter; `--messages`: only what concerns sharing.

use heddle_vm::heap::bench;

fn main() {
    println!("{}", bench::small_heaps());
    println!("{}", bench::large_messages());
    if std::env::args().any(|arg| arg == "--messages") {
        return;
    }
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

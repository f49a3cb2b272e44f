// The workloads with tokio. CARRIERS=0 selects the current-thread runtime,
// CARRIERS=1|2 the multi-thread runtime with that many workers.
use std::env;
use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

fn ev(k: &str, d: u64) -> u64 {
    env::var(k).ok().and_then(|s| s.parse().ok()).unwrap_or(d)
}

fn rss() -> u64 {
    let s = std::fs::read_to_string("/proc/self/statm").unwrap();
    s.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

fn cpu_ms() -> f64 {
    let s = std::fs::read_to_string("/proc/self/stat").unwrap();
    let v: Vec<&str> = s.rsplit(')').next().unwrap().split_whitespace().collect();
    (v[11].parse::<f64>().unwrap() + v[12].parse::<f64>().unwrap()) * 10.0
}

fn out(k: &str, v: f64) {
    println!("{k} {v:.3}");
}

fn per_op(t: Instant, n: u64) {
    out("ns", t.elapsed().as_nanos() as f64 / n as f64);
}

#[inline(never)]
fn fib(n: u32) -> u64 {
    if n < 2 {
        n as u64
    } else {
        fib(black_box(n - 1)) + fib(black_box(n - 2))
    }
}

async fn spawn_batch(n: u64) {
    let t = Instant::now();
    let mut hs: Vec<JoinHandle<u64>> = Vec::with_capacity(n as usize);
    for i in 0..n {
        hs.push(tokio::spawn(async move { i + 1 }));
    }
    let mut sum = 0;
    for h in hs {
        sum += h.await.unwrap();
    }
    assert_eq!(sum, n * (n + 1) / 2);
    per_op(t, n);
}

async fn spawn_seq(n: u64) {
    let t = Instant::now();
    let mut sum = 0;
    for i in 0..n {
        sum += tokio::spawn(async move { i + 1 }).await.unwrap();
    }
    assert_eq!(sum, n * (n + 1) / 2);
    per_op(t, n);
}

async fn parked(n: u64, sleep: bool) {
    let before = rss();
    let t = Instant::now();
    for _ in 0..n {
        if sleep {
            tokio::spawn(async { tokio::time::sleep(Duration::from_secs(3600)).await });
        } else {
            let (tx, rx) = oneshot::channel::<u64>();
            tokio::spawn(async move {
                let _ = rx.await;
            });
            std::mem::forget(tx);
        }
    }
    // let the workers reach the end of their run queues
    let (tx, rx) = oneshot::channel::<()>();
    tokio::spawn(async move {
        tokio::task::yield_now().await;
        let _ = tx.send(());
    });
    rx.await.unwrap();
    out("create_ms", t.elapsed().as_secs_f64() * 1e3);
    tokio::time::sleep(Duration::from_millis(300)).await;
    out("bytes_per", (rss() - before) as f64 / n as f64);
    out("rss_mb", rss() as f64 / 1e6);
}

async fn pingpong(n: u64) {
    let (a, mut ar) = mpsc::channel::<u64>(1);
    let (b, mut br) = mpsc::channel::<u64>(1);
    let h = tokio::spawn(async move {
        while let Some(x) = ar.recv().await {
            if b.send(x + 1).await.is_err() {
                break;
            }
        }
    });
    let t = Instant::now();
    let mut v = 0;
    for _ in 0..n {
        a.send(v).await.unwrap();
        v = br.recv().await.unwrap();
    }
    assert_eq!(v, n);
    per_op(t, 2 * n);
    drop(a);
    h.await.unwrap();
}

async fn yields(n: u64) {
    let t = Instant::now();
    let hs: Vec<_> = (0..2)
        .map(|_| {
            tokio::spawn(async move {
                for _ in 0..n {
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for h in hs {
        h.await.unwrap();
    }
    per_op(t, 2 * n);
}

fn sky(num: u64, size: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(async move {
        if size == 1 {
            return num;
        }
        let step = size / 10;
        let (tx, mut rx) = mpsc::channel(10);
        for i in 0..10 {
            let tx = tx.clone();
            tokio::spawn(async move {
                let r = sky(num + i * step, step).await;
                let _ = tx.send(r).await;
            });
        }
        drop(tx);
        let mut s = 0;
        while let Some(v) = rx.recv().await {
            s += v;
        }
        s
    })
}

// the same tree by JoinHandle instead of a channel per node
fn sky_join(num: u64, size: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(async move {
        if size == 1 {
            return num;
        }
        let step = size / 10;
        let hs: Vec<_> = (0..10)
            .map(|i| tokio::spawn(sky_join(num + i * step, step)))
            .collect();
        let mut s = 0;
        for h in hs {
            s += h.await.unwrap();
        }
        s
    })
}

async fn ring(n: u64) {
    const K: usize = 503;
    let t = Instant::now();
    let mut txs = Vec::new();
    let mut rxs = Vec::new();
    for _ in 0..K {
        let (tx, rx) = mpsc::channel::<u64>(1);
        txs.push(tx);
        rxs.push(rx);
    }
    let (dtx, mut drx) = mpsc::channel::<usize>(1);
    let first = txs[0].clone();
    for (i, mut rx) in rxs.into_iter().enumerate() {
        let next = txs[(i + 1) % K].clone();
        let done = dtx.clone();
        tokio::spawn(async move {
            while let Some(v) = rx.recv().await {
                if v == 0 {
                    let _ = done.send(i).await;
                    return;
                }
                let _ = next.send(v - 1).await;
            }
        });
    }
    drop(txs);
    first.send(n).await.unwrap();
    let who = drx.recv().await.unwrap();
    assert_eq!(who as u64, n % K as u64);
    per_op(t, n);
}

async fn many2one(n: u64) {
    let per = n / 100;
    let (tx, mut rx) = mpsc::channel::<u64>(128);
    let t = Instant::now();
    for p in 0..100 {
        let tx = tx.clone();
        tokio::spawn(async move {
            for i in 0..per {
                tx.send(p + i).await.unwrap();
            }
        });
    }
    drop(tx);
    let mut c = 0u64;
    while let Some(v) = rx.recv().await {
        black_box(v);
        c += 1;
    }
    assert_eq!(c, per * 100);
    per_op(t, n);
}

async fn timers(n: u64) {
    let t = Instant::now();
    let c0 = cpu_ms();
    let mut x = 12345u32;
    let mut hs = Vec::with_capacity(n as usize);
    for _ in 0..n {
        x = x.wrapping_mul(1664525).wrapping_add(1013904223);
        let ms = ((x >> 8) % 1000) as u64;
        hs.push(tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(ms)).await
        }));
    }
    for h in hs {
        h.await.unwrap();
    }
    out("ms", t.elapsed().as_secs_f64() * 1e3);
    out("cpu_ms", cpu_ms() - c0);
    out("rss_mb", rss() as f64 / 1e6);
}

async fn par(jobs: u64, k: u32) {
    let t = Instant::now();
    let hs: Vec<_> = (0..jobs)
        .map(|_| tokio::spawn(async move { fib(k) }))
        .collect();
    let mut s = 0;
    for h in hs {
        s += h.await.unwrap();
    }
    black_box(s);
    out("ms", t.elapsed().as_secs_f64() * 1e3);
}

fn main() {
    let a: Vec<String> = env::args().collect();
    let w = a[1].clone();
    let n: u64 = a.get(2).and_then(|s| s.parse().ok()).unwrap_or(0);
    let reps = ev("REPS", 1);
    let c = ev("CARRIERS", 1);
    let rt = if c == 0 {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    } else {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(c as usize)
            .enable_all()
            .build()
            .unwrap()
    };
    rt.block_on(async move {
        tokio::spawn(async move {
            for _ in 0..reps {
                match w.as_str() {
                    "spawn_batch" => spawn_batch(n).await,
                    "spawn_seq" => spawn_seq(n).await,
                    "parked_sleep" => parked(n, true).await,
                    "parked_chan" => parked(n, false).await,
                    "pingpong" => pingpong(n).await,
                    "yield" => yields(n).await,
                    "skynet" => {
                        let t = Instant::now();
                        assert_eq!(sky(0, n).await, n * (n - 1) / 2);
                        out("ms", t.elapsed().as_secs_f64() * 1e3);
                    }
                    "skynet_join" => {
                        let t = Instant::now();
                        assert_eq!(sky_join(0, n).await, n * (n - 1) / 2);
                        out("ms", t.elapsed().as_secs_f64() * 1e3);
                    }
                    "ring" => ring(n).await,
                    "many2one" => many2one(n).await,
                    "timers" => timers(n).await,
                    "par" => par(64, n as u32).await,
                    _ => panic!("unknown workload"),
                }
            }
        })
        .await
        .unwrap();
    });
    std::process::exit(0);
}

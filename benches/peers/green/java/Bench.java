// The workloads with Java's virtual threads. Compiled by javac 17, so the
// entry point of virtual threads is reached through a constant method handle.
// Carriers: -Djdk.virtualThreadScheduler.parallelism / .maxPoolSize.
import java.io.*;
import java.lang.invoke.*;
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;

public class Bench {
    static final MethodHandle START;
    static {
        try {
            START = MethodHandles.publicLookup().findStatic(Thread.class, "startVirtualThread",
                    MethodType.methodType(Thread.class, Runnable.class));
        } catch (ReflectiveOperationException e) {
            throw new ExceptionInInitializerError(e);
        }
    }

    static Thread go(Runnable r) {
        try {
            return (Thread) START.invokeExact(r);
        } catch (Throwable t) {
            throw new RuntimeException(t);
        }
    }

    static long rss() {
        try {
            return Long.parseLong(Files.readString(Path.of("/proc/self/statm")).split(" ")[1]) * 4096;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static double cpuMs() {
        try {
            String s = Files.readString(Path.of("/proc/self/stat"));
            String[] f = s.substring(s.lastIndexOf(')') + 2).split(" ");
            return (Double.parseDouble(f[11]) + Double.parseDouble(f[12])) * 10;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static void out(String k, double v) { System.out.printf("%s %.3f%n", k, v); }
    static void perOp(long t, long n) { out("ns", (System.nanoTime() - t) / (double) n); }
    static void ms(long t) { out("ms", (System.nanoTime() - t) / 1e6); }
    static void check(boolean ok) { if (!ok) throw new AssertionError("wrong result"); }

    static int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

    static void spawnBatch(int n) throws Exception {
        long t = System.nanoTime();
        long[] res = new long[n];
        Thread[] th = new Thread[n];
        for (int i = 0; i < n; i++) {
            int k = i;
            th[i] = go(() -> res[k] = k + 1);
        }
        long s = 0;
        for (int i = 0; i < n; i++) { th[i].join(); s += res[i]; }
        check(s == (long) n * (n + 1) / 2);
        perOp(t, n);
    }

    // the spawner is itself a virtual thread, as main is in the other runtimes
    static void spawnSeq(int n) throws Exception {
        go(() -> {
            try { spawnSeqBody(n); } catch (InterruptedException e) { }
        }).join();
    }

    static void spawnSeqBody(int n) throws InterruptedException {
        long t = System.nanoTime();
        long[] box = new long[1];
        long s = 0;
        for (int i = 0; i < n; i++) {
            int k = i;
            go(() -> box[0] = k + 1).join();
            s += box[0];
        }
        check(s == (long) n * (n + 1) / 2);
        perOp(t, n);
    }

    static void parked(int n, boolean sleep) throws Exception {
        System.gc(); Thread.sleep(200);
        long b = rss();
        Runtime rt = Runtime.getRuntime();
        long u0 = rt.totalMemory() - rt.freeMemory();
        long t = System.nanoTime();
        AtomicInteger up = new AtomicInteger();
        CountDownLatch never = new CountDownLatch(1);
        Thread[] keep = new Thread[n];
        for (int i = 0; i < n; i++) {
            keep[i] = sleep
                ? go(() -> { up.getAndIncrement(); try { Thread.sleep(3600_000); } catch (InterruptedException e) { } })
                : go(() -> { up.getAndIncrement(); try { never.await(); } catch (InterruptedException e) { } });
        }
        while (up.get() < n) Thread.sleep(1);
        out("create_ms", (System.nanoTime() - t) / 1e6);
        Thread.sleep(300);
        out("bytes_per", (rss() - b) / (double) n);
        out("rss_mb", rss() / 1e6);
        t = System.nanoTime();
        System.gc();
        out("gc_ms", (System.nanoTime() - t) / 1e6);
        System.gc(); Thread.sleep(300);
        out("bytes_per_gc", (rss() - b) / (double) n);
        out("used_per", (rt.totalMemory() - rt.freeMemory() - u0) / (double) n);
        check(keep[n - 1] != null);
    }

    static void pingpong(int n) throws Exception {
        BlockingQueue<Integer> a = new ArrayBlockingQueue<>(1), b = new ArrayBlockingQueue<>(1);
        Thread p = go(() -> {
            try { for (int x; (x = a.take()) >= 0; ) b.put(x + 1); } catch (InterruptedException e) { }
        });
        go(() -> {
            try {
                long t = System.nanoTime();
                int v = 0;
                for (int i = 0; i < n; i++) { a.put(v); v = b.take(); }
                check(v == n);
                perOp(t, 2L * n);
                a.put(-1);
            } catch (InterruptedException e) { }
        }).join();
        p.join();
    }

    static void yields(int n) throws Exception {
        long t = System.nanoTime();
        Runnable r = () -> { for (int i = 0; i < n; i++) Thread.yield(); };
        Thread a = go(r), b = go(r);
        a.join(); b.join();
        perOp(t, 2L * n);
    }

    static void sky(BlockingQueue<Long> c, long num, int size) {
        try {
            if (size == 1) { c.put(num); return; }
            BlockingQueue<Long> r = new ArrayBlockingQueue<>(10);
            int step = size / 10;
            for (int i = 0; i < 10; i++) { long k = num + (long) i * step; go(() -> sky(r, k, step)); }
            long s = 0;
            for (int i = 0; i < 10; i++) s += r.take();
            c.put(s);
        } catch (InterruptedException e) { }
    }

    // the same tree by Thread.join and a result field
    static final class Node implements Runnable {
        final long num; final int size; long sum;
        Node(long num, int size) { this.num = num; this.size = size; }
        public void run() {
            if (size == 1) { sum = num; return; }
            int step = size / 10;
            Node[] ns = new Node[10];
            Thread[] ts = new Thread[10];
            for (int i = 0; i < 10; i++) ts[i] = go(ns[i] = new Node(num + (long) i * step, step));
            try {
                for (int i = 0; i < 10; i++) { ts[i].join(); sum += ns[i].sum; }
            } catch (InterruptedException e) { }
        }
    }

    static void ring(int n) throws Exception {
        int k = 503;
        long t = System.nanoTime();
        List<BlockingQueue<Integer>> qs = new ArrayList<>();
        for (int i = 0; i < k; i++) qs.add(new ArrayBlockingQueue<>(1));
        BlockingQueue<Integer> done = new ArrayBlockingQueue<>(1);
        List<Thread> th = new ArrayList<>();
        for (int i = 0; i < k; i++) {
            int me = i;
            BlockingQueue<Integer> in = qs.get(i), next = qs.get((i + 1) % k);
            th.add(go(() -> {
                try {
                    for (;;) {
                        int v = in.take();
                        if (v == 0) { done.put(me); return; }
                        next.put(v - 1);
                    }
                } catch (InterruptedException e) { }
            }));
        }
        qs.get(0).put(n);
        check(done.take() == n % k);
        perOp(t, n);
        for (Thread x : th) x.interrupt();
        for (Thread x : th) x.join();
    }

    static void many2one(int n) throws Exception {
        int per = n / 100;
        BlockingQueue<Integer> ch = new ArrayBlockingQueue<>(128);
        long t = System.nanoTime();
        for (int p = 0; p < 100; p++) {
            int base = p;
            go(() -> { try { for (int i = 0; i < per; i++) ch.put(base + i); } catch (InterruptedException e) { } });
        }
        go(() -> { try { for (int i = 0; i < per * 100; i++) ch.take(); } catch (InterruptedException e) { } }).join();
        perOp(t, n);
    }

    static void timers(int n) throws Exception {
        long t = System.nanoTime();
        double c0 = cpuMs();
        CountDownLatch done = new CountDownLatch(n);
        int x = 12345;
        for (int i = 0; i < n; i++) {
            x = x * 1664525 + 1013904223;
            int d = (x >>> 8) % 1000;
            go(() -> { try { Thread.sleep(d); } catch (InterruptedException e) { } done.countDown(); });
        }
        done.await();
        ms(t);
        out("cpu_ms", cpuMs() - c0);
        out("rss_mb", rss() / 1e6);
    }

    static void par(int k) throws Exception {
        long t = System.nanoTime();
        long[] res = new long[64];
        Thread[] th = new Thread[64];
        for (int j = 0; j < 64; j++) { int m = j; th[j] = go(() -> res[m] = fib(k)); }
        for (Thread x : th) x.join();
        ms(t);
    }

    public static void main(String[] a) throws Throwable {
        int n = a.length > 1 ? Integer.parseInt(a[1]) : 0;
        int reps = Integer.parseInt(System.getenv().getOrDefault("REPS", "1"));
        for (int r = 0; r < reps; r++) {
            switch (a[0]) {
                case "spawn_batch": spawnBatch(n); break;
                case "spawn_seq": spawnSeq(n); break;
                case "parked_sleep": parked(n, true); break;
                case "parked_chan": parked(n, false); break;
                case "pingpong": pingpong(n); break;
                case "yield": yields(n); break;
                case "skynet": {
                    long t = System.nanoTime();
                    BlockingQueue<Long> c = new ArrayBlockingQueue<>(1);
                    go(() -> sky(c, 0, n));
                    check(c.take() == (long) n * (n - 1) / 2);
                    ms(t);
                    break;
                }
                case "skynet_join": {
                    long t = System.nanoTime();
                    Node root = new Node(0, n);
                    go(root).join();
                    check(root.sum == (long) n * (n - 1) / 2);
                    ms(t);
                    break;
                }
                case "ring": ring(n); break;
                case "many2one": many2one(n); break;
                case "timers": timers(n); break;
                case "par": par(n); break;
                default: throw new IllegalArgumentException(a[0]);
            }
        }
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }
}

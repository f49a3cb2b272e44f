// The workloads with Node's async functions and promises, on one thread.
'use strict';
const fs = require('fs');
const W = process.argv[2], N = +(process.argv[3] || 0), REPS = +(process.env.REPS || 1);
const out = (k, v) => console.log(k, v.toFixed(3));
const ns = () => Number(process.hrtime.bigint());
const rss = () => +fs.readFileSync('/proc/self/statm', 'utf8').split(' ')[1] * 4096;
const cpu = () => { const u = process.cpuUsage(); return (u.user + u.system) / 1e3; };
const check = (ok) => { if (!ok) throw new Error('wrong result'); };
const perOp = (t, n) => out('ns', (ns() - t) / n);
const ms = (t) => out('ms', (ns() - t) / 1e6);

// one-slot channel with promise waiters
class Chan {
  constructor(cap) { this.cap = cap; this.buf = []; this.head = 0; this.rx = []; this.tx = []; }
  send(v) {
    if (this.rx.length) { this.rx.shift()(v); return undefined; }
    if (this.buf.length - this.head < this.cap) { this.buf.push(v); return undefined; }
    return new Promise((r) => this.tx.push([r, v]));
  }
  recv() {
    if (this.head < this.buf.length) {
      const v = this.buf[this.head++];
      if (this.head > 1024) { this.buf = this.buf.slice(this.head); this.head = 0; }
      if (this.tx.length) { const [r, w] = this.tx.shift(); this.buf.push(w); r(); }
      return v;
    }
    return new Promise((r) => this.rx.push(r));
  }
}

const leaf = async (i) => { await null; return i + 1; };
const sky = async (num, size) => {
  if (size === 1) { await null; return num; }
  const step = size / 10, ps = [];
  for (let i = 0; i < 10; i++) ps.push(sky(num + i * step, step));
  let s = 0;
  for (const p of ps) s += await p;
  return s;
};

const works = {
  async spawn_batch() {
    const t = ns(), ps = new Array(N);
    for (let i = 0; i < N; i++) ps[i] = leaf(i);
    let s = 0;
    for (let i = 0; i < N; i++) s += await ps[i];
    check(s === N * (N + 1) / 2);
    perOp(t, N);
  },
  async spawn_seq() {
    const t = ns();
    let s = 0;
    for (let i = 0; i < N; i++) s += await leaf(i);
    check(s === N * (N + 1) / 2);
    perOp(t, N);
  },
  async parked_sleep() { await parked(() => new Promise((r) => setTimeout(r, 3600000))); },
  async parked_chan() { const c = new Chan(1); await parked(() => c.recv()); },
  async pingpong() {
    const a = new Chan(1), b = new Chan(1);
    (async () => { for (;;) { const x = await a.recv(); if (x < 0) return; await b.send(x + 1); } })();
    const t = ns();
    let v = 0;
    for (let i = 0; i < N; i++) { await a.send(v); v = await b.recv(); }
    check(v === N);
    perOp(t, 2 * N);
    a.send(-1);
  },
  async yield() {
    const t = ns();
    const f = async () => { for (let i = 0; i < N; i++) await null; };
    await Promise.all([f(), f()]);
    perOp(t, 2 * N);
  },
  async skynet() {
    const t = ns();
    check(await sky(0, N) === N * (N - 1) / 2);
    ms(t);
  },
  async ring() {
    const K = 503, t = ns(), cs = Array.from({ length: K }, () => new Chan(1));
    const done = new Chan(1);
    cs.forEach((c, i) => (async () => {
      const next = cs[(i + 1) % K];
      for (;;) { const v = await c.recv(); if (v === 0) { done.send(i); return; } await next.send(v - 1); }
    })());
    cs[0].send(N);
    check(await done.recv() === N % K);
    perOp(t, N);
  },
  async many2one() {
    const per = N / 100, c = new Chan(128), t = ns();
    for (let p = 0; p < 100; p++) (async () => { for (let i = 0; i < per; i++) await c.send(p + i); })();
    for (let i = 0; i < per * 100; i++) await c.recv();
    perOp(t, N);
  },
  async timers() {
    const t = ns(), c0 = cpu(), ps = [];
    let x = 12345;
    for (let i = 0; i < N; i++) {
      x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
      const d = (x >>> 8) % 1000;
      ps.push(new Promise((r) => setTimeout(r, d)));
    }
    await Promise.all(ps);
    ms(t); out('cpu_ms', cpu() - c0); out('rss_mb', rss() / 1e6);
  },
};
async function parked(f) {
  const b = rss(), t = ns(), keep = new Array(N);
  const task = async () => { await f(); };
  for (let i = 0; i < N; i++) keep[i] = task();
  await null;
  out('create_ms', (ns() - t) / 1e6);
  await new Promise((r) => setTimeout(r, 300));
  out('bytes_per', (rss() - b) / N);
  out('rss_mb', rss() / 1e6);
  if (global.gc) { global.gc(); out('bytes_per_gc', (rss() - b) / N); }
  check(keep.length === N);
}
(async () => {
  for (let r = 0; r < REPS; r++) await works[W]();
  process.exit(0);
})().catch((e) => { console.error(e); process.exit(1); });

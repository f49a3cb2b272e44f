//! What becomes of blocking calls: the policy, exceptions from it, and what is known of each place that makes them.

use crate::module::Proto;
use crate::native::{Class, Ctx, NativeDef, Trap};
use crate::thread::Thread;
use crate::types::ErrorKind;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

/// What becomes of calls that hold an OS thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// A worker makes them, while the task is parked.
    #[default]
    Offload,
    /// The carrier makes them, and is replaced meanwhile.
    Capture,
    /// They throw `BlockingError`, but for exceptions.
    Error,
}

impl Policy {
    pub const ALL: [Policy; 3] = [Policy::Offload, Policy::Capture, Policy::Error];
    pub fn name(self) -> &'static str {
        match self {
            Policy::Offload => "offload",
            Policy::Capture => "capture",
            Policy::Error => "error",
        }
    }
    pub fn from_name(name: &str) -> Option<Policy> {
        Policy::ALL.into_iter().find(|p| p.name() == name)
    }
}

/// Where a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Here and now: nobody else could run.
    Inline,
    Capture,
    Offload,
}

/// Powers of two of nanoseconds, each in four parts: p50 and p99 are right within a fifth.
const PARTS: u32 = 4;
const BUCKETS: usize = 64 * PARTS as usize;

/// What a place's calls took.
#[derive(Default)]
struct Times {
    count: u64,
    total: Duration,
    longest: Duration,
    /// How many took so long.
    buckets: Option<Box<[u32; BUCKETS]>>,
}

fn bucket(time: Duration) -> usize {
    let ns = (time.as_nanos() as u64).max(1);
    let power = ns.ilog2();
    let part = if power < 2 {
        0
    } else {
        (ns >> (power - 2)) & 3
    };
    (power * PARTS) as usize + part as usize
}
/// The middle of a bucket.
fn time_of(bucket: usize) -> Duration {
    let (power, part) = (bucket as u32 / PARTS, bucket as u64 % u64::from(PARTS));
    let low = 1u64 << power;
    Duration::from_nanos(low + low / 4 * part + low / 8)
}

/// A native and a place of a program that calls it.
pub(crate) struct Site {
    def: &'static NativeDef,
    /// Null: only the library's own code is on the stack.
    proto: *const Proto,
    word: u64,
    times: Mutex<Times>,
}

// SAFETY: prototypes are shared and live as long as the engine.
unsafe impl Send for Site {}
// SAFETY: as above.
unsafe impl Sync for Site {}

impl Site {
    pub(super) fn note(&self, time: Duration) {
        self.times.lock().note(time);
    }
    /// `f.hd`, or nothing if only the library's own code is on the stack.
    fn path(&self) -> String {
        if self.proto.is_null() {
            return String::new();
        }
        crate::error::place(self.proto, self.word).path
    }
    /// `f.hd:3`, or nothing.
    fn place(&self) -> String {
        if self.proto.is_null() {
            return String::new();
        }
        let place = crate::error::place(self.proto, self.word);
        format!("{}:{}", place.path, place.line)
    }
}

/// What is known of the calls of one function on one line.
#[derive(Clone, Debug, PartialEq)]
pub struct SiteReport {
    pub function: String,
    /// `f.hd:3`; empty: only the library's own code called it.
    pub site: String,
    pub count: u64,
    pub total: Duration,
    pub p50: Duration,
    pub p99: Duration,
    pub longest: Duration,
}

/// An exception from the policy `Error`.
struct Allowed {
    /// `fs.read`, or `fs.*`: all of a module or type.
    function: String,
    /// The end of the path of the file whose calls are allowed; `None`: all.
    file: Option<String>,
    used: AtomicU64,
}

impl Allowed {
    fn holds_for(&self, function: &str, path: &str) -> bool {
        let is_in = |file: &str| {
            let before = path.strip_suffix(file);
            before.is_some_and(|before| before.is_empty() || before.ends_with('/'))
        };
        let is_named = match self.function.strip_suffix('*') {
            Some(start) => function.starts_with(start),
            None => self.function == function,
        };
        is_named && self.file.as_deref().is_none_or(is_in)
    }
}

/// By definition, prototype and word.
type Sites = HashMap<(usize, usize, u64), Arc<Site>>;

/// The policy of a program, and what came of it.
pub(crate) struct Blocking {
    policy: AtomicU8,
    allowed: Mutex<Vec<Arc<Allowed>>>,
    sites: Mutex<Sites>,
    /// Natives that held a carrier although they are not known to block.
    held: Mutex<Sites>,
}

impl Blocking {
    pub(crate) fn new(policy: Policy) -> Blocking {
        Blocking {
            policy: AtomicU8::new(policy as u8),
            allowed: Mutex::default(),
            sites: Mutex::default(),
            held: Mutex::default(),
        }
    }
    pub(crate) fn policy(&self) -> Policy {
        Policy::ALL[self.policy.load(Ordering::Relaxed) as usize]
    }
    /// From now on calls of this function are allowed under `Policy::Error`: all, or those in files whose path ends so.
    pub(crate) fn allow(&self, function: &str, file: Option<&str>) {
        let mut allowed = self.allowed.lock();
        let is_known = allowed
            .iter()
            .any(|known| known.function == function && known.file.as_deref() == file);
        if !is_known {
            allowed.push(Arc::new(Allowed {
                function: function.into(),
                file: file.map(Into::into),
                used: AtomicU64::new(0),
            }));
        }
    }
    /// Exceptions that no call has needed: function and file.
    pub(crate) fn unused(&self) -> Vec<(String, Option<String>)> {
        let allowed = self.allowed.lock();
        let unused = allowed
            .iter()
            .filter(|allowed| allowed.used.load(Ordering::Relaxed) == 0);
        unused
            .map(|allowed| (allowed.function.clone(), allowed.file.clone()))
            .collect()
    }
    /// One entry for each function and line, those with the most calls first.
    pub(crate) fn report(&self) -> Vec<SiteReport> {
        Blocking::report_of(&self.sites)
    }
    /// The same for natives that held a carrier although they are not known to block.
    pub(crate) fn held_report(&self) -> Vec<SiteReport> {
        Blocking::report_of(&self.held)
    }
    /// A native that is not known to block held a carrier; whether that is the first time at this place.
    pub(crate) fn note_held(
        &self,
        def: &'static NativeDef,
        place: Option<(*const Proto, u64)>,
        time: Duration,
    ) -> bool {
        let (proto, word) = place.unwrap_or((std::ptr::null(), 0));
        let site = Blocking::site_in(&self.held, def, proto, word);
        let mut times = site.times.lock();
        times.note(time);
        times.count == 1
    }
    fn report_of(sites: &Mutex<Sites>) -> Vec<SiteReport> {
        let mut merged: HashMap<(String, String), Times> = HashMap::new();
        for site in sites.lock().values() {
            let times = site.times.lock();
            if times.count > 0 {
                let key = (site.def.public_name(), site.place());
                merged.entry(key).or_default().add(&times);
            }
        }
        let mut report: Vec<SiteReport> = merged
            .into_iter()
            .map(|((function, site), times)| SiteReport {
                function,
                site,
                count: times.count,
                total: times.total,
                p50: times.quantile(50),
                p99: times.quantile(99),
                longest: times.longest,
            })
            .collect();
        report.sort_by(|a, b| {
            let by_count = b.count.cmp(&a.count);
            by_count.then_with(|| (&a.function, &a.site).cmp(&(&b.function, &b.site)))
        });
        report
    }
    fn site(&self, def: &'static NativeDef, proto: *const Proto, word: u64) -> Arc<Site> {
        Blocking::site_in(&self.sites, def, proto, word)
    }
    fn site_in(
        sites: &Mutex<Sites>,
        def: &'static NativeDef,
        proto: *const Proto,
        word: u64,
    ) -> Arc<Site> {
        let key = (std::ptr::from_ref(def) as usize, proto as usize, word);
        let mut sites = sites.lock();
        let site = sites.entry(key).or_insert_with(|| {
            Arc::new(Site {
                def,
                proto,
                word,
                times: Mutex::default(),
            })
        });
        site.clone()
    }
}

impl Times {
    fn note(&mut self, time: Duration) {
        self.count += 1;
        self.total += time;
        self.longest = self.longest.max(time);
        let buckets = self.buckets.get_or_insert_with(|| Box::new([0; BUCKETS]));
        buckets[bucket(time)] = buckets[bucket(time)].saturating_add(1);
    }
    fn add(&mut self, other: &Times) {
        self.count += other.count;
        self.total += other.total;
        self.longest = self.longest.max(other.longest);
        let Some(more) = &other.buckets else { return };
        let buckets = self.buckets.get_or_insert_with(|| Box::new([0; BUCKETS]));
        for (sum, n) in buckets.iter_mut().zip(more.iter()) {
            *sum = sum.saturating_add(*n);
        }
    }
    /// The time that so many per cent of the calls did not exceed.
    fn quantile(&self, percent: u64) -> Duration {
        let Some(buckets) = &self.buckets else {
            return Duration::ZERO;
        };
        let wanted = (self.count * percent).div_ceil(100).max(1);
        let mut seen = 0;
        for (i, &n) in buckets.iter().enumerate() {
            seen += u64::from(n);
            if seen >= wanted {
                return time_of(i).min(self.longest);
            }
        }
        self.longest
    }
}

impl Thread {
    /// What becomes of a blocking call that the running task makes.
    pub(super) fn way_to_block(&mut self, def: *const NativeDef) -> Result<(Arc<Site>, Way), Trap> {
        // SAFETY: definitions live as long as the engine.
        let def: &'static NativeDef = unsafe { &*def };
        let place = self.program_place();
        let (proto, word) = place.unwrap_or((std::ptr::null(), 0));
        let blocking = &self.scheduler.blocking;
        let site = blocking.site(def, proto, word);
        let policy = blocking.policy();
        // What is not classed so rarely blocks: then a worker does it.
        if policy == Policy::Error && def.class == Class::Blocking {
            let (name, path) = (def.public_name(), site.path());
            let allowed = blocking.allowed.lock();
            let found = allowed.iter().find(|a| a.holds_for(&name, &path));
            match found {
                Some(found) => found.used.fetch_add(1, Ordering::Relaxed),
                None => {
                    drop(allowed);
                    let place = site.place();
                    let at = if place.is_empty() {
                        String::new()
                    } else {
                        format!(" at {place}")
                    };
                    let message = format!(
                        "{name} blocks{at}, which this program does not allow (blocking.allow(\"{name}\") makes an exception)"
                    );
                    return Err(self.throw_new(ErrorKind::Blocking, &message));
                }
            };
        }
        let way = if self.is_alone() || self.nesting > 0 || self.scheduler.choices.is_seeded() {
            Way::Inline
        } else if policy == Policy::Capture {
            Way::Capture
        } else {
            Way::Offload
        };
        Ok((site, way))
    }
    /// Nothing else could run while the running task holds its OS thread.
    fn is_alone(&self) -> bool {
        !self.scheduler.has_threads()
            && self.parts.tasks.count == 1
            // The caller of a threadlet goes on.
            && self.boundary == 0
            && !self.scheduler.host_stays()
            // A timeout may cancel it.
            && self.scheduler.next_deadline() == u64::MAX
    }
}

impl Ctx<'_> {
    /// What becomes of blocking calls.
    pub fn blocking_policy(&self) -> Policy {
        self.thread.scheduler.blocking.policy()
    }
    /// From now on calls of this function are allowed under `Policy::Error`: all, or those in files whose path ends so.
    pub fn allow_blocking(&mut self, function: &str, file: Option<&str>) {
        self.thread.scheduler.blocking.allow(function, file);
    }
    /// Exceptions that no call has needed: function and file.
    pub fn unused_allowances(&self) -> Vec<(String, Option<String>)> {
        self.thread.scheduler.blocking.unused()
    }
    /// The same for natives that held a carrier although they are not known to block (`--blocking-warn`).
    pub fn held_report(&self) -> Vec<SiteReport> {
        self.thread.scheduler.blocking.held_report()
    }
    /// What is known of blocking calls, by function and line; those with the most calls first.
    pub fn blocking_report(&self) -> Vec<SiteReport> {
        self.thread.scheduler.blocking.report()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_a_fifth_wide() {
        for ns in [1u64, 2, 3, 5, 8, 1000, 4096, 123_456_789, u64::MAX / 2] {
            let middle = time_of(bucket(Duration::from_nanos(ns))).as_nanos() as f64;
            if ns >= 8 {
                assert!((middle / ns as f64 - 1.0).abs() < 0.2, "{ns}: {middle}");
            }
        }
    }
    #[test]
    fn quantiles_are_of_all_calls() {
        let mut times = Times::default();
        (0..98).for_each(|_| times.note(Duration::from_micros(10)));
        (0..2).for_each(|_| times.note(Duration::from_millis(5)));
        assert!(times.quantile(50) < Duration::from_micros(13));
        assert!(times.quantile(99) > Duration::from_millis(4));
    }
    #[test]
    fn a_file_is_named_by_the_end_of_its_path() {
        let allowed = Allowed {
            function: "fs.read".into(),
            file: Some("lib/cache.hd".into()),
            used: AtomicU64::new(0),
        };
        assert!(allowed.holds_for("fs.read", "lib/cache.hd"));
        assert!(allowed.holds_for("fs.read", "/a/lib/cache.hd"));
        assert!(!allowed.holds_for("fs.read", "/a/mylib/cache.hd"));
        assert!(!allowed.holds_for("fs.read", "cache.hd"));
        assert!(!allowed.holds_for("fs.write", "lib/cache.hd"));
    }
}

//! The threads of one [`run`](super::run), and how they find the calls of their first one: awake, by looking.

use std::any::Any;
use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// How long a thread looks for work before it sleeps: longer than most gaps between operations.
pub(super) const PATIENCE: Duration = Duration::from_micros(200);

/// A call that is open to be joined.
const OPEN: u64 = 1;
/// One thread that has joined it; their number stands above [`OPEN`].
const JOINED: u64 = 2;
/// The number of the call stands above that of the threads.
const CALL: u64 = 1 << 20;

/// The threads and the call that they work on.
#[derive(Default)]
pub(super) struct Crew {
    /// Number of the threads.
    count: usize,
    /// Number of the call, of the threads that have joined it, and whether more may.
    state: AtomicU64,
    /// What is called. Written by the thread that holds `busy` while no call is open and nobody has joined
    /// one; read by threads that have joined.
    share: Share,
    /// One call at a time.
    busy: AtomicBool,
    sleepers: Mutex<Vec<Thread>>,
    /// Threads that sleep, or are about to.
    asleep: AtomicU64,
    ended: AtomicBool,
    /// The first panic of a thread that had joined.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

#[derive(Default)]
struct Share(UnsafeCell<Option<&'static (dyn Fn(usize) + Sync)>>);

// SAFETY: access follows the rules of `Crew::share`, which `state` and `busy` order.
unsafe impl Sync for Share {}

impl Crew {
    /// One of `count` threads, the one that calls among them.
    pub(super) fn new(count: usize) -> Self {
        Self {
            count,
            ..Self::default()
        }
    }

    /// Number of the threads.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Lets the threads end that serve it.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Runs `work` on all items of the parts; thread i begins with part i and then helps the others, from the
    /// ends of theirs.
    pub(super) fn share_out<T: Send, S>(
        &self,
        parts: Vec<Vec<T>>,
        state: &(impl Fn() -> S + Sync),
        work: &(impl Fn(&mut S, T) + Sync),
    ) {
        let several = parts.iter().map(Vec::len).sum::<usize>() > 1;
        let parts: Vec<_> = parts
            .into_iter()
            .map(|part| Mutex::new(part.into_iter()))
            .collect();
        let share = |thread: usize| {
            let own = std::iter::from_fn(|| lock(&parts[thread]).next());
            let others = (1..parts.len()).map(|i| &parts[(thread + i) % parts.len()]);
            let others = others.flat_map(|part| std::iter::from_fn(|| lock(part).next_back()));
            let mut items = own.chain(others);
            let Some(first) = items.next() else { return };
            let mut state = state();
            work(&mut state, first);
            items.for_each(|item| work(&mut state, item));
        };
        if several {
            self.call(&share);
        } else {
            share(0);
        }
    }

    /// Runs `share` with a thread's number on this thread, which is number 0, and on those that come in time;
    /// it shall end when there is no work left.
    fn call(&self, share: &(dyn Fn(usize) + Sync)) {
        if self.busy.swap(true, Ordering::Acquire) {
            return share(0);
        }
        // SAFETY: only the lifetime changes. Threads read it between joining and leaving; this function
        // returns, also when `share` panics, only once the call is closed and all have left.
        let forever = unsafe {
            std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(share)
        };
        // SAFETY: this thread holds `busy`, no call is open and nobody has joined one: nobody reads it.
        unsafe { *self.share.0.get() = Some(forever) };
        let number = self.state.load(Ordering::Relaxed) / CALL + 1;
        self.state.store(number * CALL + OPEN, Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst) > 0 {
            self.wake();
        }
        let own = catch_unwind(AssertUnwindSafe(|| share(0)));
        self.state.fetch_and(!OPEN, Ordering::AcqRel);
        let mut looks = 0u32;
        while self.state.load(Ordering::Acquire) % CALL >= JOINED {
            looks += 1;
            if looks.is_multiple_of(1024) {
                thread::yield_now(); // the others may need this core
            } else {
                std::hint::spin_loop();
            }
        }
        let others = lock(&self.panic).take();
        self.busy.store(false, Ordering::Release);
        if let Some(panic) = own.err().or(others) {
            resume_unwind(panic);
        }
    }

    /// Joins calls until the crew ends.
    pub(super) fn serve(&self, number: usize) {
        let mut joined = 0;
        let mut idle_since = None;
        let mut looks = 0u32;
        while !self.ended.load(Ordering::SeqCst) {
            if self.join_call(number, &mut joined) {
                idle_since = None;
                looks = 0;
                continue;
            }
            looks += 1;
            if !looks.is_multiple_of(64) {
                std::hint::spin_loop();
                continue;
            }
            let since = *idle_since.get_or_insert_with(Instant::now);
            if since.elapsed() > PATIENCE {
                self.sleep(joined);
                idle_since = None;
            }
        }
    }

    /// Works on the open call as thread `number`, unless it has `joined` that one already.
    fn join_call(&self, number: usize, joined: &mut u64) -> bool {
        let state = self.state.load(Ordering::Acquire);
        if !is_new(state, *joined) {
            return false;
        }
        let join =
            self.state
                .compare_exchange(state, state + JOINED, Ordering::AcqRel, Ordering::Acquire);
        if join.is_err() {
            return false;
        }
        *joined = state / CALL;
        // SAFETY: this thread has joined the call: it is not written until it has left.
        let share = unsafe { *self.share.0.get() };
        if let Some(share) = share
            && let Err(panic) = catch_unwind(AssertUnwindSafe(|| share(number)))
        {
            lock(&self.panic).get_or_insert(panic);
        }
        self.state.fetch_sub(JOINED, Ordering::Release);
        true
    }

    /// Sleeps until there may be a call that is not the one of this number, or the crew ends.
    fn sleep(&self, joined: u64) {
        // A caller opens its call and then looks for sleepers; this thread does both the other way round.
        self.asleep.fetch_add(1, Ordering::SeqCst);
        let is_over = self.ended.load(Ordering::SeqCst);
        if !is_over && !is_new(self.state.load(Ordering::SeqCst), joined) {
            thread::park();
        }
        self.asleep.fetch_sub(1, Ordering::SeqCst);
    }

    fn wake(&self) {
        for sleeper in lock(&self.sleepers).iter() {
            sleeper.unpark();
        }
    }

    pub(super) fn add_sleeper(&self, thread: Thread) {
        lock(&self.sleepers).push(thread);
    }
}

fn is_new(state: u64, joined: u64) -> bool {
    state & OPEN != 0 && state / CALL != joined
}

/// Nothing that is locked here is left half changed by a panic.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

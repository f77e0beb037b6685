//! Threads that share the work of one operation after the other.
//!
//! A training step is some hundred operations of ten to a thousand microseconds. To wake a thread that sleeps
//! takes tens of them, so threads that have no work look for some for a while before they sleep, and
//! the thread that calls an operation never waits for one that has not woken: it does the work by itself.

mod crew;

use std::cell::RefCell;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;

use self::crew::Crew;

thread_local! {
    static CREW: RefCell<Option<Arc<Crew>>> = const { RefCell::new(None) };
}

/// Runs `work` on a thread of its own; operations in it use `count` threads, that one among them. They end,
/// and with them the memory they kept for later, before this returns. Panics as `work` does.
///
/// Errors if the system has no more threads.
pub fn run<R: Send>(count: usize, work: impl FnOnce() -> R + Send) -> std::io::Result<R> {
    let crew = Arc::new(Crew::new(count.max(1)));
    thread::scope(|scope| {
        let end = EndOnDrop(&crew);
        for number in 1..count {
            let member = crew.clone();
            let thread = thread::Builder::new()
                .name(format!("operations-{number}"))
                .spawn_scoped(scope, move || member.serve(number))?;
            end.0.add_sleeper(thread.thread().clone());
        }
        let first = thread::Builder::new()
            .name("operations-0".to_owned())
            .spawn_scoped(scope, || {
                CREW.set(Some(crew.clone()));
                work()
            })?;
        match first.join() {
            Ok(result) => Ok(result),
            Err(panic) => resume_unwind(panic),
        }
    })
}

/// What iterators gain.
pub trait OnThreads: Iterator<Item: Send> + Sized {
    /// Runs `work` on every item, on the threads that [`run`] gave this one; on this one alone where there are
    /// none, or where they are at work already. Each thread begins with a part of its own, as long as the
    /// others' and always the same one, so that it finds in its cache what it wrote in the call before; then
    /// it helps the others. Panics as `work` does, once no thread works on an item any more.
    fn for_each_on_threads(self, work: impl Fn(Self::Item) + Sync) {
        self.for_each_on_threads_with(|| (), |(), item| work(item));
    }

    /// The same; every thread makes a state for the items that it works on.
    fn for_each_on_threads_with<S>(
        self,
        state: impl Fn() -> S + Sync,
        work: impl Fn(&mut S, Self::Item) + Sync,
    ) {
        match CREW.with_borrow(Option::clone) {
            Some(crew) => crew.share_out(split(self.collect(), crew.count()), &state, &work),
            None => {
                let mut state = state();
                self.for_each(|item| work(&mut state, item));
            }
        }
    }

    /// As [`OnThreads::for_each_on_threads`], for few items that differ in `cost`: the costly ones are begun
    /// first, and parts are of like cost, not of like length.
    fn for_each_on_threads_by_cost(
        self,
        cost: impl Fn(&Self::Item) -> usize,
        work: impl Fn(Self::Item) + Sync,
    ) {
        match CREW.with_borrow(Option::clone) {
            Some(crew) => {
                let parts = deal(self.collect(), crew.count(), cost);
                crew.share_out(parts, &|| (), &|(), item| work(item));
            }
            None => self.for_each(work),
        }
    }
}

impl<I: Iterator<Item: Send>> OnThreads for I {}

/// Cuts items into parts of like length.
fn split<T>(mut items: Vec<T>, parts: usize) -> Vec<Vec<T>> {
    let count = items.len();
    let mut cut: Vec<_> = (0..parts)
        .rev()
        .map(|part| items.split_off(part * count / parts))
        .collect();
    cut.reverse();
    cut
}

/// Deals items into parts of like cost, in each the costly ones first.
fn deal<T>(mut items: Vec<T>, parts: usize, cost: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    items.sort_by_key(|item| std::cmp::Reverse(cost(item)));
    let mut dealt: Vec<(usize, Vec<T>)> = (0..parts).map(|_| (0, Vec::new())).collect();
    for item in items {
        if let Some((total, part)) = dealt.iter_mut().min_by_key(|(total, _)| *total) {
            *total += cost(&item);
            part.push(item);
        }
    }
    dealt.into_iter().map(|(_, part)| part).collect()
}

/// Ends a crew however its work ends.
struct EndOnDrop<'a>(&'a Crew);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Barrier, Mutex};

    use super::crew::PATIENCE;
    use super::*;

    /// Adds 1 to every value, in as many calls as there are rounds.
    fn count_up(values: &mut [u64], rounds: usize) {
        for _ in 0..rounds {
            values.chunks_mut(3).for_each_on_threads(|chunk| {
                chunk.iter_mut().for_each(|value| *value += 1);
            });
        }
    }

    #[test]
    fn every_item_is_worked_on_once_whatever_the_number_of_threads() {
        let rounds = if cfg!(miri) { 20 } else { 2000 };
        for count in 1..5 {
            for length in [0, 1, 3, 4, 100] {
                let mut values = vec![0; length];
                run(count, || count_up(&mut values, rounds)).unwrap();
                assert_eq!(values, vec![rounds as u64; length], "{count} threads");
            }
        }
        let mut values = vec![0; 10];
        count_up(&mut values, 2);
        assert_eq!(values, [2; 10], "without threads of its own");
    }

    #[test]
    fn items_are_dealt_by_cost() {
        let parts = deal(vec![3, 9, 1, 4, 8, 5], 2, |&cost| cost);
        assert_eq!(parts, [vec![9, 4, 3], vec![8, 5, 1]]);
        assert_eq!(split(vec![1, 2, 3, 4, 5], 2), [vec![1, 2], vec![3, 4, 5]]);
        let mut values = [0; 9];
        run(2, || {
            let items = values.iter_mut().enumerate();
            items.for_each_on_threads_by_cost(|(i, _)| *i, |(i, value)| *value = i);
        })
        .unwrap();
        assert_eq!(values, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn threads_work_at_the_same_time() {
        let both = Barrier::new(2);
        run(2, || (0..2).for_each_on_threads(|_| _ = both.wait())).unwrap();
    }

    #[test]
    fn threads_that_slept_wake_up() {
        run(3, || {
            for _ in 0..3 {
                thread::sleep(2 * PATIENCE);
                let all = Barrier::new(3);
                (0..3).for_each_on_threads(|_| _ = all.wait());
            }
        })
        .unwrap();
    }

    #[test]
    fn a_call_within_a_call_runs_on_its_own_thread() {
        let sums = Mutex::new(vec![]);
        run(2, || {
            (0..4).for_each_on_threads(|i| {
                let own = thread::current().id();
                let mut values = [i; 8];
                values.iter_mut().for_each_on_threads(|value| {
                    assert_eq!(thread::current().id(), own);
                    *value += 1;
                });
                sums.lock().unwrap().push(values.iter().sum::<i32>());
            });
        })
        .unwrap();
        let mut sums = sums.into_inner().unwrap();
        sums.sort();
        assert_eq!(sums, [8, 16, 24, 32]);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_later_calls_work() {
        run(2, || {
            for thread in 0..2 {
                let both = Barrier::new(2);
                let caught = catch_unwind(AssertUnwindSafe(|| {
                    (0..2).for_each_on_threads(|_| {
                        both.wait();
                        let name = thread::current().name().map(str::to_owned);
                        assert_ne!(name, Some(format!("operations-{thread}")), "as asked");
                    });
                }));
                let panic = caught.unwrap_err();
                let text = panic.downcast_ref::<String>().unwrap();
                assert!(text.contains("as asked"), "{text}");
            }
            let mut values = [0; 10];
            count_up(&mut values, 1);
            assert_eq!(values, [1; 10]);
        })
        .unwrap();
    }

    #[test]
    fn states_are_made_by_threads_that_work() {
        let made = AtomicU64::new(0);
        run(2, || {
            for items in [0..0, 0..1] {
                let state = || made.fetch_add(1, Ordering::Relaxed);
                items.for_each_on_threads_with(state, |_, _| ());
            }
        })
        .unwrap();
        assert_eq!(made.into_inner(), 1);
    }
}

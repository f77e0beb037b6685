//! Packs batches on another thread, a few ahead of the step that uses them.

use std::sync::mpsc::{Receiver, sync_channel};

use supermoe_nn::profile;

/// How many packed batches may wait.
const AHEAD: usize = 4;

/// Calls `make` for every item on one other thread, in order, and hands each result to `use_it` on
/// this one. `use_it` may end it early by an error. The results and their order do not depend on
/// timing.
pub fn prefetch<I, T, E>(
    items: I,
    make: impl FnMut(I::Item) -> T + Send,
    mut use_it: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E>
where
    I: Iterator + Send,
    T: Send,
{
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(AHEAD);
        let mut make = make;
        scope.spawn(move || {
            for item in items {
                // The receiver is gone when the consumer ended early.
                if sender.send(profile::making_a_batch(|| make(item))).is_err() {
                    break;
                }
            }
        });
        consume(receiver, &mut use_it)
    })
}

fn consume<T, E>(
    receiver: Receiver<T>,
    use_it: &mut impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    // No more come when the maker is done and gone.
    while let Ok(made) = profile::waiting_for_a_batch(|| receiver.recv()) {
        use_it(made)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order() {
        let mut seen = Vec::new();
        prefetch(
            0..100,
            |i| i * 2,
            |x| {
                seen.push(x);
                Ok::<(), ()>(())
            },
        )
        .unwrap();
        assert_eq!(seen, (0..100).map(|i| i * 2).collect::<Vec<_>>());
    }

    #[test]
    fn an_error_ends_it_and_the_thread() {
        let mut seen = 0;
        let end = prefetch(
            0..1_000_000,
            |i| i,
            |x| {
                seen = x;
                if x == 10 { Err("enough") } else { Ok(()) }
            },
        );
        assert_eq!(end, Err("enough"));
        assert_eq!(seen, 10);
    }
}

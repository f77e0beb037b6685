//! Whether a failed attempt is worth another, and after how long.

use std::time::Duration;

use supermoe_plugin::host::{WorkerExit, WorkerOutcome};
use supermoe_workflow::Retry;

/// The exit code by which a command says that it may succeed later: EX_TEMPFAIL of sysexits.h.
const TRY_AGAIN_LATER: i32 = 75;

/// Worth it: what the worker says is, a timeout, a signal that we did not send (such as the
/// kernel's when memory runs out), and exit code 75.
pub(crate) fn is_worth_another(outcome: &WorkerOutcome) -> bool {
    if let Some(error) = &outcome.error {
        return error.retry;
    }
    match outcome.exit {
        WorkerExit::TimedOut | WorkerExit::Signal(_) => true,
        WorkerExit::Code(code) => code == TRY_AGAIN_LATER,
        WorkerExit::Success | WorkerExit::Stopped | WorkerExit::NotStarted(_) => false,
    }
}

/// How long to wait after attempt `attempt` (from 1): doubling from the first delay up to the
/// largest, of which `jitter` in [0, 1] takes away up to a half, so that many do not come at once.
pub(crate) fn delay(retry: &Retry, attempt: u32, jitter: f64) -> Duration {
    let doubled = retry
        .first_delay
        .saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)));
    doubled
        .min(retry.max_delay.max(retry.first_delay))
        .mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_largest() {
        let retry = Retry {
            attempts: 9,
            first_delay: Duration::from_secs(5),
            max_delay: Duration::from_secs(60),
        };
        let seconds: Vec<u64> = (1..=6)
            .map(|attempt| delay(&retry, attempt, 0.0).as_secs())
            .collect();
        assert_eq!(seconds, [5, 10, 20, 40, 60, 60]);
        assert_eq!(delay(&retry, u32::MAX, 0.0).as_secs(), 60);
        assert_eq!(delay(&retry, 2, 1.0).as_secs(), 5);
    }
}

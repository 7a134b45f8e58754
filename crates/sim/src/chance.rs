//! Everything random of a run, drawn from its seed in the order in which it is asked for.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};

/// The one source of randomness of a run. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Chance(Arc<Mutex<StdRng>>);

impl Chance {
    pub(crate) fn of(seed: u64) -> Chance {
        Chance(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// A number from 0 to `end`, which is left out.
    pub(crate) fn below(&self, end: u64) -> u64 {
        self.with(|rng| rng.random_range(0..end.max(1)))
    }

    /// A number from `first` to `last`.
    pub(crate) fn within(&self, first: u64, last: u64) -> u64 {
        first + self.below(last + 1 - first)
    }

    /// Whether something happens that happens so often in a thousand times.
    pub(crate) fn per_mille(&self, often: u64) -> bool {
        often > 0 && self.below(1_000) < often
    }

    pub(crate) fn pick<'choice, T>(&self, choices: &'choice [T]) -> Option<&'choice T> {
        let last = u64::try_from(choices.len()).ok()?.checked_sub(1)?;
        let index = usize::try_from(self.within(0, last)).ok()?;
        choices.get(index)
    }

    /// Less than so many milliseconds.
    pub(crate) fn millis(&self, end: u64) -> Duration {
        Duration::from_millis(self.below(end))
    }

    pub(crate) fn bytes<const N: usize>(&self) -> [u8; N] {
        self.with(|rng| rng.random())
    }

    fn with<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

//! How many requests are worked on at the same time.
//!
//! More than the machine can carry only makes everybody wait longer, so whoever finds no place is
//! told at once to come again. A request that waits for a partner does no work meanwhile: it steps
//! aside, so that a partner that does not answer takes no place from anybody.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::{Failure, Network};

/// The places, and how many are taken.
pub(crate) struct Places {
    at_most: i64,
    taken: AtomicI64,
}

impl Places {
    pub(crate) fn new(at_most: usize) -> Places {
        Places {
            at_most: i64::try_from(at_most).unwrap_or(i64::MAX),
            taken: AtomicI64::new(0),
        }
    }
}

/// A place, for as long as it lives.
pub struct Place(Network);

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Place")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.shared.places.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A place that is free for others while this lives. Afterwards there may be more requests than
/// places for a while: those that were admitted are carried through.
pub(crate) struct Aside<'a>(&'a Places);

impl Drop for Aside<'_> {
    fn drop(&mut self) {
        self.0.taken.fetch_add(1, Ordering::Relaxed);
    }
}

impl Network {
    /// Takes a place for a request that is about to be worked on.
    ///
    /// # Errors
    ///
    /// [`Failure::Busy`] if all of them are taken.
    pub fn take_place(&self) -> Result<Place, Failure> {
        let places = &self.shared.places;
        let before = places.taken.fetch_add(1, Ordering::Relaxed);
        let place = Place(self.clone());
        match before < places.at_most {
            true => Ok(place),
            false => Err(Failure::Busy),
        }
    }

    /// Frees the place of a request while it waits for a partner.
    pub(crate) fn step_aside(&self) -> Aside<'_> {
        let places = &self.shared.places;
        places.taken.fetch_sub(1, Ordering::Relaxed);
        Aside(places)
    }
}

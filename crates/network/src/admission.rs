//! How many requests are worked on at the same time.
//!
//! More than the machine can carry only makes everybody wait longer, so whoever finds no place is
//! told at once to come again. A request that waits for a partner does no work meanwhile: it steps
//! aside, so that a partner that does not answer takes no place from anybody.

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

use crate::{Failure, Network};

/// The places, and how many are taken.
pub(crate) struct Places {
    at_most: i64,
    taken: Gauge,
    refused: Counter,
}

impl Places {
    pub(crate) fn new(at_most: usize) -> Places {
        Places {
            at_most: i64::try_from(at_most).unwrap_or(i64::MAX),
            taken: Gauge::default(),
            refused: Counter::default(),
        }
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        let at_most: Gauge = Gauge::default();
        at_most.set(self.at_most);
        registry.register(
            "requests_at_work",
            "Requests that are being worked on; those that wait for a partner do not count",
            self.taken.clone(),
        );
        registry.register(
            "requests_at_work_max",
            "Requests that may be worked on; further ones are turned away",
            at_most,
        );
        registry.register(
            "requests_refused",
            "Requests that were turned away because too many others were worked on",
            self.refused.clone(),
        );
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
        self.0.shared.places.taken.dec();
    }
}

/// A place that is free for others while this lives. Afterwards there may be more requests than
/// places for a while: those that were admitted are carried through.
pub(crate) struct Aside<'a>(&'a Places);

impl Drop for Aside<'_> {
    fn drop(&mut self) {
        self.0.taken.inc();
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
        let before = places.taken.inc();
        let place = Place(self.clone());
        match before < places.at_most {
            true => Ok(place),
            false => {
                places.refused.inc();
                Err(Failure::Busy)
            }
        }
    }

    /// Frees the place of a request while it waits for a partner.
    pub(crate) fn step_aside(&self) -> Aside<'_> {
        let places = &self.shared.places;
        places.taken.dec();
        Aside(places)
    }
}

//! Settlements that are taken in hand whole, which is what executing one and telling its final
//! amounts takes.
//!
//! A settlement may have tens of thousands of transfers, and they take memory several times over
//! while they are decided on. However many settlements become due together, no more transfers than
//! [`TRANSFERS_MAX`] are in hand at a time, unless it is one settlement alone that has more. Who
//! waits keeps its turn.

use rules::SettlementId;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{Failure, Network};

/// The most transfers in hand: as many as a batch takes.
const TRANSFERS_MAX: u32 = 50_000;

/// The places there are, one for each transfer in hand.
pub(crate) fn places() -> Semaphore {
    Semaphore::new(TRANSFERS_MAX as usize)
}

/// How many places a settlement of so many transfers takes.
fn places_of(transfers: i64) -> u32 {
    u32::try_from(transfers).map_or(TRANSFERS_MAX, |count| count.min(TRANSFERS_MAX))
}

impl Network {
    /// Waits until all transfers of the settlement may be taken in hand, which they are until what
    /// is returned is dropped. Whoever holds such a place must not wait for another.
    pub(crate) async fn take_in_hand(
        &self,
        id: SettlementId,
    ) -> Result<SemaphorePermit<'_>, Failure> {
        let settlement = self.store().settlement(id).await?;
        let transfers = settlement.map_or(0, |settlement| settlement.transfer_count);
        let places = &self.shared.transfers_in_hand;
        let place = places.acquire_many(places_of(transfers)).await;
        place.map_err(|closed| Failure::internal(&closed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_settlement_of_any_size_gets_its_turn() {
        assert_eq!(places_of(0), 0);
        assert_eq!(places_of(17), 17);
        assert_eq!(places_of(50_000), 50_000);
        assert_eq!(
            places_of(i64::MAX),
            50_000,
            "more than there are never come free"
        );
    }

    #[test]
    fn what_does_not_fit_beside_others_waits_for_them() {
        let places = places();
        let large = places.try_acquire_many(places_of(30_000)).unwrap();
        assert!(places.try_acquire_many(places_of(30_000)).is_err());
        let small = places.try_acquire_many(places_of(20_000)).unwrap();
        drop((large, small));
        let largest = places.try_acquire_many(places_of(1_000_000)).unwrap();
        assert!(places.try_acquire_many(places_of(1)).is_err());
        drop(largest);
        assert!(places.try_acquire_many(places_of(30_000)).is_ok());
    }
}

//! How much of large bodies is in memory at a time.
//!
//! A settlement of tens of thousands of transfers takes twenty times the memory of its body while
//! it is read, decided and written. However many are sent together, no more than [`ROOM`] bytes of
//! them are kept: who finds no room is told to come again, and what they send is thrown away.
//! Bodies up to the size of an ordinary request need none.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use network::Failure;
use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};
use rules::TokenId;

/// All large bodies together, in bytes: five settlements of 50 000 transfers, written briefly. One
/// body alone may be larger.
const ROOM: usize = 8 * 1024 * 1024;

/// Those that were sent with one token, so that no token keeps the others out. One body alone may
/// be larger here too.
const ROOM_OF_TOKEN: usize = ROOM / 2;

/// The large bodies that are in memory.
#[derive(Default)]
pub(crate) struct LargeBodies {
    taken: Mutex<Taken>,
    bytes: Gauge,
    refused: Counter,
}

#[derive(Default)]
struct Taken {
    bytes: usize,
    by_token: HashMap<TokenId, usize>,
}

/// Room for one body, for as long as it lives; none at first.
pub(crate) struct Room {
    bodies: Arc<LargeBodies>,
    token: TokenId,
    bytes: usize,
}

/// Whether a body of so many bytes may be there beside others.
fn fits(others: usize, bytes: usize, at_most: usize) -> bool {
    others == 0 || others.saturating_add(bytes) <= at_most
}

impl LargeBodies {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let at_most: Gauge = Gauge::default();
        at_most.set(as_figure(ROOM));
        registry.register(
            "large_bodies_bytes",
            "Bytes of large bodies, mostly settlements, that are in memory",
            self.bytes.clone(),
        );
        registry.register(
            "large_bodies_bytes_max",
            "Bytes of large bodies that may be in memory; one alone may be larger",
            at_most,
        );
        registry.register(
            "large_bodies_refused",
            "Requests with a large body that were turned away because there was no room for it",
            self.refused.clone(),
        );
    }

    /// Room for a body that is sent with that token.
    pub(crate) fn room(self: &Arc<Self>, token: TokenId) -> Room {
        Room {
            bodies: Arc::clone(self),
            token,
            bytes: 0,
        }
    }

    fn tell(&self, taken: &Taken) {
        self.bytes.set(as_figure(taken.bytes));
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    /// Makes it at least so large.
    ///
    /// # Errors
    ///
    /// [`Failure::Busy`] if others take too much; then it stays as it is.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> Result<(), Failure> {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return Ok(());
        }
        let mut taken = self.bodies.taken();
        let own = taken.by_token.get(&self.token).copied().unwrap_or(0);
        let fits = fits(taken.bytes - self.bytes, bytes, ROOM)
            && fits(own - self.bytes, bytes, ROOM_OF_TOKEN);
        if !fits {
            self.bodies.refused.inc();
            return Err(Failure::Busy);
        }
        taken.bytes += more;
        taken.by_token.insert(self.token, own + more);
        self.bodies.tell(&taken);
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let mut taken = self.bodies.taken();
        taken.bytes -= self.bytes;
        let own = taken.by_token.remove(&self.token).unwrap_or(0);
        if own > self.bytes {
            taken.by_token.insert(self.token, own - self.bytes);
        }
        self.bodies.tell(&taken);
    }
}

fn as_figure(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn token(number: u128) -> TokenId {
        TokenId(Uuid::from_u128(number))
    }

    fn room(bodies: &Arc<LargeBodies>, number: u128, bytes: usize) -> Option<Room> {
        let mut room = bodies.room(token(number));
        room.grow_to(bytes).ok().map(|()| room)
    }

    #[test]
    fn no_token_takes_more_than_half_beside_others() {
        let bodies = Arc::new(LargeBodies::default());
        let first = room(&bodies, 1, ROOM_OF_TOKEN - 1).unwrap();
        let second = room(&bodies, 1, 1).unwrap();
        assert!(room(&bodies, 1, 1).is_none());
        let other = room(&bodies, 2, ROOM_OF_TOKEN).unwrap();
        assert!(room(&bodies, 3, 1).is_none(), "there is none left");
        drop(first);
        assert!(room(&bodies, 3, ROOM_OF_TOKEN - 1).is_some());
        assert!(room(&bodies, 1, ROOM_OF_TOKEN - 1).is_some());
        drop((second, other));
        assert_eq!(bodies.taken().bytes, 0);
        assert!(bodies.taken().by_token.is_empty(), "nobody is remembered");
        assert_eq!(bodies.refused.get(), 2);
    }

    #[test]
    fn the_largest_body_gets_its_turn_alone() {
        let bodies = Arc::new(LargeBodies::default());
        let small = room(&bodies, 1, 1).unwrap();
        assert!(room(&bodies, 2, 4 * ROOM).is_none());
        drop(small);
        let largest = room(&bodies, 2, 4 * ROOM).unwrap();
        assert!(room(&bodies, 1, 1).is_none());
        drop(largest);
        assert!(room(&bodies, 1, 1).is_some());
    }

    #[test]
    fn what_does_not_say_its_length_takes_room_as_it_comes() {
        let bodies = Arc::new(LargeBodies::default());
        let mut growing = bodies.room(token(1));
        growing.grow_to(ROOM - 2).unwrap();
        growing.grow_to(ROOM - 1).unwrap();
        growing.grow_to(10).unwrap();
        assert_eq!(bodies.taken().bytes, ROOM - 1);
        let other = room(&bodies, 2, 1).unwrap();
        assert!(growing.grow_to(ROOM).is_err());
        assert_eq!(bodies.taken().bytes, ROOM, "it keeps what it had");
        drop(other);
        growing.grow_to(ROOM).unwrap();
    }
}

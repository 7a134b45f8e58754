//! Deterministic simulation of the whole network.
//!
//! The real rules, use-cases, outbox, recovery and store run in one thread, in virtual time, on
//! SQLite in memory. Around them everything fails that can: transactions, commits whose answer is
//! lost, calls that are lost, late, doubled or garbled, partners that refuse, dally or never
//! answer, servers that die at any moment and start again with another clock. Clients, partners
//! and operators act meanwhile. One seed is one run, and the same seed is the same run.
//!
//! The [laws](laws) of the books are looked at after every commit. In the end the faults stop and
//! time goes on, until both books are equal, nothing is held, nothing is left to be said, and
//! everything that was acknowledged is there exactly once.
//!
//! What lives here: the faults, the actors, the laws. What does not: any copy of what is tested.
//! Partners keep the books of the simulated exchange.

mod actors;
mod calls;
mod chance;
mod database;
mod exchange;
mod laws;
mod many;
mod plan;
mod promises;
mod run;
mod server;
mod stage;
mod world;

pub use many::{Tally, run_many};
pub use run::{Verdict, run};
pub use world::Violation;

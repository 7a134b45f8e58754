//! The law of the network, tested through what the crate offers to everybody.
//!
//! A [`harness::World`] is a whole network in memory. Commands reach it as they reach storage: in
//! batches that load exactly what the commands declare, so that a command which reads more than
//! it declares fails here.

mod harness;
mod network;
mod on_chain;
mod steps;

mod allocating;
mod answering;
mod approving;
mod books;
mod connecting;
mod delivering;
mod disputing;
mod funding;
mod known_bugs;
mod onboarding;
mod operating;
mod properties;
mod settling;
mod signing;
mod staging;
mod suspending;

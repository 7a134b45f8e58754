//! The network as its users meet it: real HTTP, a real simulated exchange, both real databases.

mod contract;
mod fixture;
mod main_job;
mod settlements;
mod settling;

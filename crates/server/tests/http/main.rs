//! The network as its users meet it: real HTTP, a real simulated exchange, both real databases.

mod fixture;
mod main_job;

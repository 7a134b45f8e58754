//! The network as its users meet it: real HTTP, a real simulated exchange, both real databases.

mod balances;
mod connections;
mod contract;
mod create_partner;
mod fixture;
mod gate;
mod main_job;
mod onboarding;
mod settlement_views;
mod settlements;
mod settling;

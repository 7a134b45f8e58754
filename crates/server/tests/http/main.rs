//! The network as its users meet it: real HTTP, a real simulated exchange, both real databases.

mod allocations;
mod balances;
mod clock;
mod concurrency;
mod connections;
mod contract;
mod create_partner;
mod credentials;
mod fixture;
mod gate;
mod interruptions;
mod late_answers;
mod main_job;
mod monitoring;
mod movements;
mod onboarding;
mod operating;
mod overload;
mod partner_faults;
mod rate_limits;
mod repeats;
mod request_log;
mod settlement_views;
mod settlements;
mod settling;
mod staged;

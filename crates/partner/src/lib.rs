//! The network's calls to the endpoints that a partner hosts (OES wire §1c, H1 to H8): where they
//! may go, how they are signed and bounded, and what an answer means.
//!
//! What is asked, when, how often and what follows from an answer is decided elsewhere; here every
//! call is one attempt. An answer is taken for a "yes" or a "no" only if it says so beyond doubt.
//! Everything else is `Unknown`, with an error for the operator that holds no secret, and is
//! settled by asking for the status, never by guessing.

pub mod answer;
mod caller;
mod endpoint;
mod http;
mod metrics;
mod policy;
#[cfg(test)]
mod tests;
mod transport;

pub use answer::{ConnectAnswer, ReserveAnswer, StatusAnswer, TellAnswer};
pub use caller::PartnerCaller;
pub use endpoint::{Ending, Endpoint, EndpointError};
pub use transport::{Exchanged, Outgoing, Reply, Transport};

//! Faults of the world around the network, made on purpose: the server is killed, the database
//! restarts or fails over, several servers share one database. All with the real programs, over
//! real HTTP and under load.
//!
//! | room | what is in it |
//! |---|---|
//! | [`world`] | an installation with its clients and partners, as processes |
//! | [`process`] | the server and the simulated exchange, started, killed, started again |
//! | [`partner_way`] | the way from the server to an exchange: counts calls, kills at a moment of one |
//! | [`moment`] | the moments at which a server dies |
//! | [`load`] | what clients and partners ask for meanwhile |
//! | [`counter`] | settlements that take their time: staged and disputed, and over the chain |
//! | [`acknowledgements`] | the log of what was asked and answered, kept outside of the network |
//! | [`audit`] | the books held against that log |
//! | [`crash`] [`failover`] [`several`] | the scenarios |
//!
//! Nothing here knows how the network does what it does. For development: nothing of it ships.

pub mod acknowledgements;
pub mod audit;
pub mod counter;
pub mod crash;
pub mod failover;
pub mod load;
pub mod moment;
pub mod partner_way;
pub mod process;
pub mod several;
pub mod world;

use std::time::Duration;

/// How long something that has to happen is waited for.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `look` finds what it looks for.
///
/// # Errors
///
/// When it does not happen within [`PATIENCE`]: with what was seen last.
pub async fn eventually<T>(
    what: &str,
    mut look: impl AsyncFnMut() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let began = std::time::Instant::now();
    loop {
        match look().await {
            Ok(found) => return Ok(found),
            Err(error) if began.elapsed() > PATIENCE => {
                return Err(error.context(format!("{what}: it did not happen")));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

//! The first ceiling: the same server answering a signed request without a commit.
//!
//! The request is an allocation like those of `reserve`, validly signed, over a connection that
//! exists and is another client's. It takes the same way up to the commit: HTTP, gate, token,
//! strict JSON, payload against body, signature, connection. Then it is refused (404), and nothing
//! is written. So what `reserve` does on top is what is compared: the decision, the commit, its
//! flush, and the way back from it.

use crate::{
    installation::Installation,
    report::{self, Figures},
    stage::Stage,
    workload::{Ground, series::Series},
};

/// Measures how many requests a second are checked and refused.
pub(crate) async fn measure(
    ground: &Ground<'_>,
    installation: &Installation<'_>,
    stage: &Stage,
    connections: usize,
) -> anyhow::Result<Figures> {
    let clients = &stage.clients;
    let maker = |number: usize, into: &mut Vec<u8>| {
        let party = &clients[number % clients.len()];
        let other = &clients[(number + 1) % clients.len()];
        party.allocation(other.connections[0], format!("refused-{number}"), into)
    };
    let series = Series::new(installation, &maker, 404);
    let median = series.measure(connections, ground.bench).await?;
    report::print_figures("signed, no commit", &median);
    Ok(median)
}

//! What time and money make due: the worker that acts when windows end, and when money has come in
//! for what was short of it.
//!
//! Timers are rows with a business time. The worker acts on those that are due on news, on a period
//! and at once after a test clock was advanced; and it begins with what came due while no server was
//! there. Acting is a command like any other, which looks at the timer again inside its batch, so
//! that several servers may act at once.

use std::time::Duration;

use rules::{
    SettlementId,
    onchain::NoteLate,
    record::{Direction, Timer, TimerKind},
};
use tokio::task::JoinSet;

use crate::{Failure, Network};

/// How many timers are acted on at the same time; their commands share batches.
const AT_ONCE: u32 = 256;

/// How often settlements that money has come in for are looked for in one look.
const ROUNDS: u32 = 16;

/// The least time between two looks.
const BREATH: Duration = Duration::from_millis(1);

/// Works until the network closes.
pub(crate) async fn work(network: Network) {
    let shared = &network.shared;
    loop {
        let pause = network.act_on_timers().await.unwrap_or_else(|failure| {
            tracing::warn!(%failure, "the timers could not be read");
            network.settings().look_around
        });
        tokio::select! {
            biased;
            () = shared.closing.cancelled() => return,
            () = shared.timers.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

impl Network {
    /// Wakes the worker, for a timer may be due at once.
    pub(crate) fn tell_timers(&self) {
        self.shared.timers.notify_one();
    }

    /// Acts once on every timer that is due; how long nothing more is due, as far as can be seen.
    pub(crate) async fn act_on_timers(&self) -> Result<Duration, Failure> {
        self.store().look_at_clock().await?;
        self.act_on_money().await?;
        let now = self.store().now();
        let mut last: Option<Timer> = None;
        loop {
            let timers = self.store().timers(last.as_ref(), AT_ONCE).await?;
            last = timers.last().cloned();
            let mut acting = JoinSet::new();
            for timer in timers {
                if let Some(due_at) = timer.due_at.filter(|due_at| *due_at > now) {
                    let wait = u64::try_from(due_at.0 - now.0).unwrap_or(u64::MAX);
                    let wait = Duration::from_micros(wait).max(BREATH);
                    finished(acting).await;
                    return Ok(wait.min(self.settings().look_around));
                }
                let network = self.clone();
                acting.spawn(async move { network.act_on(&timer).await });
            }
            finished(acting).await;
            if last.is_none() {
                return Ok(self.settings().look_around);
            }
        }
    }

    /// Takes up what was short of money and may have it by now.
    async fn act_on_money(&self) -> Result<(), Failure> {
        // More is found by the next look.
        for _ in 0..ROUNDS {
            if !self.book_funded().await? {
                break;
            }
        }
        Ok(())
    }

    /// Acts on one timer. What cannot be done now is done when the worker looks again.
    async fn act_on(&self, timer: &Timer) {
        let acted = match timer.kind {
            TimerKind::SettlementWindow => {
                let id = SettlementId(timer.subject);
                self.advance(id).await.map(drop)
            }
            TimerKind::OnChainGains => {
                let id = SettlementId(timer.subject);
                self.book_gains(id).await.map(drop)
            }
            TimerKind::OnChainGainsLate => self.note_late(timer, Direction::Gains).await,
            TimerKind::OnChainLossesLate => self.note_late(timer, Direction::Losses).await,
        };
        if let Err(failure) = acted {
            tracing::warn!(kind = %timer.kind, subject = %timer.subject, %failure, "what is due was not done");
        }
    }

    async fn note_late(&self, timer: &Timer, direction: Direction) -> Result<(), Failure> {
        let settlement_id = SettlementId(timer.subject);
        let note = NoteLate {
            settlement_id,
            direction,
        };
        if self.submit(note).await? {
            tracing::warn!(settlement = %settlement_id, %direction, "an on-chain settlement is late");
        }
        Ok(())
    }
}

async fn finished(mut acting: JoinSet<()>) {
    while acting.join_next().await.is_some() {}
}

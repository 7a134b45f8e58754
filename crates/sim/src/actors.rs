//! Who acts: what they have in common.

mod client;
mod operator;
mod trader;

use std::time::Duration;

use ledger::{Amount, GoAccountId};
use network::{Caller, Failure, Network, SignedText};
use rules::{
    EnterpriseId, TokenId, UserId,
    record::{Enterprise, EnterpriseRole, Scope},
};
use uuid::Uuid;
use wire::signature::SigningKey;

pub(crate) use client::Client;
pub(crate) use operator::{Operator, Suspendable};
pub(crate) use trader::Trader;

use crate::world::World;

/// Somebody with an enterprise, a Go Account and a key.
pub(crate) struct Party {
    pub(crate) go_account: GoAccountId,
    pub(crate) key: SigningKey,
    pub(crate) caller: Caller,
}

impl Party {
    /// The party of this enterprise; `number` makes its key and accounts its own.
    pub(crate) fn new(enterprise: EnterpriseId, number: u8) -> anyhow::Result<Party> {
        let id = |space: u128| Uuid::from_u128(space << 64 | u128::from(number));
        let go_account = GoAccountId(id(1));
        Ok(Party {
            go_account,
            key: SigningKey::from_bytes(&[number; 32])?,
            caller: Caller {
                user_id: UserId(id(2)),
                token_id: TokenId(id(3)),
                scopes: vec![Scope::Read, Scope::Write],
                enterprise: Enterprise {
                    id: enterprise,
                    name: "somebody".to_owned(),
                    trust_org: "trust".to_owned(),
                    licensed: true,
                    go_account: Some(go_account),
                    created_at: ledger::Timestamp(0),
                    updated_at: ledger::Timestamp(0),
                },
                role: EnterpriseRole::Member,
            },
        })
    }

    /// Signs `content` with a fresh nonce.
    pub(crate) fn sign(&self, world: &World, content: &str) -> SignedText {
        let nonce = Uuid::from_bytes(world.chance.bytes()).to_string();
        self.sign_with(nonce, content)
    }

    pub(crate) fn sign_with(&self, nonce: String, content: &str) -> SignedText {
        let payload = format!("{nonce} {content}");
        SignedText {
            signature: self.key.sign(&payload),
            payload,
            nonce,
        }
    }
}

pub(crate) fn amount(units: u64) -> Amount {
    Amount::new(i128::from(units.max(1))).unwrap_or(Amount::MAX)
}

impl World {
    /// Waits as long as somebody does between two acts.
    pub(crate) async fn pause(&self) {
        // Long enough, now and then, for windows to end.
        let longest_ms = match self.plan.staged == 1 && self.chance.below(4) == 0 {
            true => 40_000,
            false => self.plan.pause_ms,
        };
        tokio::time::sleep(self.chance.millis(longest_ms)).await;
    }

    /// Asks some server, and another one again, until one answers for good.
    pub(crate) async fn persist<T>(
        &self,
        ask: impl AsyncFn(&Network) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        loop {
            match self.ask_once(&ask).await {
                Err(Failure::Busy | Failure::OutcomeUnknown) if self.violation().is_none() => {
                    let pause = self.chance.within(1, 700);
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
                told => return told,
            }
        }
    }

    /// Asks some server once. One that dies leaves the outcome unknown.
    pub(crate) async fn ask_once<T>(
        &self,
        ask: impl AsyncFn(&Network) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let server = self.server().await;
        self.count_operation();
        let told = server.life.or_dead(ask(&server.network)).await;
        let told = told.unwrap_or(Err(Failure::OutcomeUnknown));
        if matches!(told, Err(Failure::Internal)) {
            let detail = format!("server {} told of one", server.number);
            self.broken("there are no internal faults", detail);
        }
        told
    }

    /// Somebody was told `Ok` where only a refusal is right.
    pub(crate) fn expect_refusal<T>(
        &self,
        law: &'static str,
        told: &Result<T, Failure>,
        what: &str,
    ) {
        if told.is_ok() {
            self.broken(law, format!("{what} was accepted"));
        }
    }
}

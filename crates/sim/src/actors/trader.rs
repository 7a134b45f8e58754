//! A partner at work: answers later, trades with its customers, posts settlements.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use ledger::Timestamp;
use network::{Failure, PartnerAnswerRequest, SettlementAmount, SettlementRequest, StagingRequest};
use rules::record::{AllocationKind, Settlement, SettlementForm, SettlementState};
use sandbox::books::{Leg, Movement, Outcome, Posting, State, Verdict};
use uuid::Uuid;
use wire::partner_call::{MovementKind, MovementStatus};

use super::Party;
use crate::{
    exchange::Exchange,
    world::{World, lock},
};

/// The people behind an exchange.
pub(crate) struct Trader {
    /// Which of the world's exchanges.
    pub(crate) place: usize,
    pub(crate) party: Party,
    /// Whether it stages its settlements.
    pub(crate) staged: bool,
    /// What it will never answer.
    pub(crate) ignored: Mutex<BTreeSet<Uuid>>,
    /// Settlements that are completed.
    pub(crate) settled: Mutex<Vec<Posting>>,
}

impl Trader {
    fn exchange<'world>(&self, world: &'world World) -> &'world Exchange {
        &world.exchanges[self.place]
    }

    /// Does as much as the plan says.
    pub(crate) async fn act(&self, world: &Arc<World>) {
        for _ in 0..world.plan.partner_steps {
            world.pause().await;
            if world.violation().is_some() {
                return;
            }
            match world.chance.below(10) {
                0..=2 => self.answer_what_waits(world).await,
                3..=5 => self.trade(world),
                6..=8 => {
                    self.settle(world).await;
                }
                _ => self.settle_again(world).await,
            }
        }
    }

    /// Decides what is undecided and tells the network (P6, P7).
    pub(crate) async fn answer_what_waits(&self, world: &Arc<World>) {
        let pending: Vec<Movement> = {
            let books = lock(&self.exchange(world).books);
            let undecided =
                |movement: &&Movement| movement.state.status() == MovementStatus::Pending;
            books.movements().filter(undecided).cloned().collect()
        };
        for movement in pending {
            let id = movement.request.subject.id();
            if world.suffers(world.plan.never_answers) {
                lock(&self.ignored).insert(id);
            }
            if lock(&self.ignored).contains(&id) {
                continue;
            }
            let verdict = match world.suffers(world.plan.partner_rejects) {
                true => Verdict::Reject("not today".to_owned()),
                false => Verdict::Accept,
            };
            let decided = lock(&self.exchange(world).books).decide(id, &verdict);
            let Ok(movement) = decided else { continue };
            if world.suffers(world.plan.answers_wrongly) {
                self.answer_wrongly(world, &movement).await;
            }
            // Whoever has decided may leave it to the network to ask.
            if !world.suffers(world.plan.never_answers) {
                self.answer(world, &movement).await;
            }
        }
    }

    async fn answer(&self, world: &World, movement: &Movement) {
        let request = self.answer_request(world, movement, 0);
        let told = world
            .persist(async |network| {
                network
                    .take_partner_answer(&self.party.caller, request.clone())
                    .await
            })
            .await;
        match told {
            Ok(_) => {}
            // The network has ended it otherwise meanwhile, and says so by a message of its own.
            Err(Failure::Refused(refusal)) if refusal.reason.name == "already_final" => {}
            Err(failure) => {
                let detail = format!("{:?}: {failure}", movement.request.subject);
                world.broken("a partner's answer is taken", detail);
            }
        }
    }

    async fn answer_wrongly(&self, world: &World, movement: &Movement) {
        let request = self.answer_request(world, movement, 1);
        let told = world
            .persist(async |network| {
                network
                    .take_partner_answer(&self.party.caller, request.clone())
                    .await
            })
            .await;
        let what = format!("an answer with another amount for {}", request.id);
        world.expect_refusal("an answer fits its record", &told, &what);
    }

    fn answer_request(
        &self,
        world: &World,
        movement: &Movement,
        too_much: i128,
    ) -> PartnerAnswerRequest {
        let request = &movement.request;
        let units: i128 = request.amount.quantity.parse().unwrap_or_default();
        let quantity = (units + too_much).to_string();
        let id = request.subject.id();
        let reject_reason = match &movement.state {
            State::Rejected(reason) => Some(reason.clone()),
            _ => None,
        };
        let content = format!("answer {id} {quantity} {reject_reason:?}");
        PartnerAnswerRequest {
            kind: match request.subject.kind() {
                MovementKind::Allocation => AllocationKind::Allocation,
                MovementKind::Deallocation => AllocationKind::Deallocation,
            },
            id,
            currency: request.amount.currency.clone(),
            quantity,
            client_id: request.client_id,
            connection_id: request.connection_id,
            partners_client_id: request.partners_client_id.clone(),
            partners_connection_id: request.partners_connection_id.clone(),
            partner_external_id: movement.partners_id.clone(),
            reject_reason,
            text: self.party.sign(world, &content),
        }
    }

    /// A customer gives some of what it has for something else.
    fn trade(&self, world: &World) {
        let mut books = lock(&self.exchange(world).books);
        let mut offers = Vec::new();
        for account in books.accounts() {
            for (currency, position) in &account.positions {
                if let Ok(free) = u64::try_from(position.free())
                    && free > 0
                    && let Some(link) = &account.link
                {
                    let offer = (account.id.clone(), currency.clone(), free);
                    offers.push((link.connection_id, offer));
                }
            }
        }
        // Accounts have random names; connections stand in the same order in every replay.
        offers.sort_by(|one, other| (one.0, &one.1.1).cmp(&(other.0, &other.1.1)));
        let Some((connection, (account, given, free))) = world.chance.pick(&offers).cloned() else {
            return;
        };
        let got = world.currencies.iter().map(ToString::to_string);
        let Some(got) = got.into_iter().find(|currency| *currency != given) else {
            return;
        };
        let base = Leg {
            units: -i128::from(world.chance.within(1, free)),
            currency: given,
        };
        let quote = Leg {
            units: i128::from(world.chance.within(1, 400)),
            currency: got,
        };
        world.note(format_args!("{connection} trades {base:?} for {quote:?}"));
        if let Err(refusal) = books.trade(&account, base, quote) {
            drop(books);
            world.broken("a partner's books are its own", refusal.to_string());
        }
    }

    /// Posts what was traded, until it is known what came of it; whether nothing is left to post.
    pub(crate) async fn settle(&self, world: &World) -> bool {
        let books = &self.exchange(world).books;
        let name = format!("{}-{}", self.place, world.chance.below(1_000_000_000));
        let begun = {
            let mut books = lock(books);
            let anew = books.begin_settlement(Some(name));
            anew.or_else(|_| books.begin_settlement(None))
        };
        let Ok(posting) = begun else { return true };
        let told = self.post(world, &posting).await;
        let outcome = match &told {
            Ok(settlement) => match settlement.state {
                SettlementState::Completed { .. } => Outcome::Completed,
                // One that is staged is booked when its windows end or money comes in.
                _ if settlement.staging.is_some() => Outcome::Unknown,
                _ => Outcome::NotBooked,
            },
            Err(Failure::Busy | Failure::OutcomeUnknown) => Outcome::Unknown,
            Err(_) => Outcome::Refused,
        };
        world.note(format_args!(
            "settlement {}: {outcome:?}",
            posting.external_id
        ));
        lock(books).end_settlement(&posting, outcome);
        if outcome == Outcome::Completed {
            lock(&self.settled).push(posting);
        }
        outcome == Outcome::Completed
    }

    /// Posts a completed settlement again, as it was or changed.
    async fn settle_again(&self, world: &World) {
        let Some(mut posting) = world.chance.pick(&lock(&self.settled)).cloned() else {
            return;
        };
        if world.chance.below(2) == 0 {
            self.repeat(world, &posting).await;
            return;
        }
        for amounts in posting.amounts.values_mut() {
            for units in amounts.values_mut() {
                *units = if *units == 1 { 2 } else { *units - 1 };
            }
        }
        let told = self.post(world, &posting).await;
        let law = "an external id is taken by its content";
        world.expect_refusal(law, &told, &posting.external_id);
    }

    /// Posts everything that is completed again, as it was.
    pub(crate) async fn repeat_everything(&self, world: &World) {
        let settled = lock(&self.settled).clone();
        for posting in &settled {
            self.repeat(world, posting).await;
        }
    }

    async fn repeat(&self, world: &World, posting: &Posting) {
        let told = self.post(world, posting).await;
        let is_completed =
            |settlement: &Settlement| matches!(settlement.state, SettlementState::Completed { .. });
        if !told.as_ref().is_ok_and(is_completed) && world.violation().is_none() {
            let detail = format!("{}: {told:?}", posting.external_id);
            world.broken("what has ended stays as it is", detail);
        }
    }

    async fn post(&self, world: &World, posting: &Posting) -> Result<Settlement, Failure> {
        let mut amounts = Vec::new();
        for (connection, currencies) in &posting.amounts {
            for (currency, units) in currencies {
                amounts.push(SettlementAmount {
                    source: None,
                    destination: *connection,
                    currency: currency.clone(),
                    quantity: units.to_string(),
                });
            }
        }
        let content = format!("settle {} {:?}", posting.external_id, posting.amounts);
        let request = SettlementRequest {
            external_id: posting.external_id.clone(),
            notes: None,
            form: SettlementForm::Party,
            amounts,
            text: self.party.sign(world, &content),
        };
        let caller = &self.party.caller;
        if self.staged {
            let request = StagingRequest {
                posted: request,
                cutoff_at: Timestamp(1),
            };
            let staged = world
                .persist(async |network| network.stage(caller, request.clone()).await)
                .await;
            return staged.map(|staged| staged.settlement);
        }
        world
            .persist(async |network| network.settle(caller, request.clone()).await)
            .await
    }

    /// Stages a settlement of nothing but what disputes have ended in, if there is any.
    pub(crate) async fn carry(&self, world: &World) {
        if self.staged {
            let posting = Posting {
                external_id: format!("carried-{}", world.chance.below(1_000_000_000)),
                amounts: BTreeMap::new(),
            };
            let told = self.post(world, &posting).await;
            world.note(format_args!("{}: {}", posting.external_id, told.is_ok()));
        }
    }
}

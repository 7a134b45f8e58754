//! A partner at work: answers later, trades with its customers, posts settlements.

mod on_chain;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use ledger::Timestamp;
use network::{
    DisputeView, Failure, PartnerAnswerRequest, SettlementAmount, SettlementRequest, StagingRequest,
};
use rules::record::{AllocationKind, Settlement, SettlementForm, SettlementState, TransferStatus};
use sandbox::books::{Leg, Movement, Outcome, Posting, State, Verdict};
use store::{DisputeFilter, Page, Side, TransferFilter};
use uuid::Uuid;
use wire::partner_call::{MovementKind, MovementStatus};

use super::Party;
use crate::{
    exchange::Exchange,
    promises::Moves,
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
    /// Settlements that have ended, and how.
    pub(crate) settled: Mutex<Vec<(Posting, &'static str)>>,
    /// Settlements over the chain that could not be begun. What was traded is posted under other
    /// names since.
    pub(crate) not_begun: Mutex<Vec<Posting>>,
    /// Closures whose adjustments are in the exchange's books.
    pub(crate) corrected: Mutex<BTreeSet<Uuid>>,
}

/// How a settlement is made. Its name says so, for it is posted the same way every time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    AtOnce,
    Staged,
    OverTheChain,
}

/// The beginning of the names of settlements over the chain.
const OVER_THE_CHAIN: &str = "chain";

/// A settlement as the network has it.
struct Posted {
    settlement: Settlement,
    /// Whether money is held for it, or waited for: nobody else than the network ends it.
    is_under_way: bool,
}

fn state_name(settlement: &Settlement) -> &'static str {
    match settlement.state {
        SettlementState::Pending => "pending",
        SettlementState::Completed { .. } => "completed",
        SettlementState::Failed { .. } => "failed",
        SettlementState::Rejected { .. } => "rejected",
    }
}

impl Trader {
    fn exchange<'world>(&self, world: &'world World) -> &'world Exchange {
        &world.exchanges[self.place]
    }

    /// Does as much as the plan says.
    pub(crate) async fn act(&self, world: &Arc<World>) {
        for _ in 0..world.plan.partner_steps * world.plan.longer() {
            world.pause().await;
            if world.violation().is_some() {
                return;
            }
            if world.plan.longer() > 1 {
                self.trade(world);
            }
            match world.chance.below(10) {
                0..=2 => self.answer_what_waits(world).await,
                3..=5 => self.trade(world),
                6..=8 => {
                    self.correct(world).await;
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
    pub(crate) fn trade(&self, world: &World) {
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

    fn way_of(&self, name: &str) -> Way {
        match name.starts_with(OVER_THE_CHAIN) {
            true => Way::OverTheChain,
            false if self.staged => Way::Staged,
            false => Way::AtOnce,
        }
    }

    fn new_name(&self, world: &World) -> String {
        let name = format!("{}-{}", self.place, world.chance.below(1_000_000_000));
        match world.plan.on_chain == 1 && world.chance.below(2) == 0 {
            true => format!("{OVER_THE_CHAIN}-{name}"),
            false => name,
        }
    }

    /// Posts what was traded, until it is known what came of it; whether nothing is left to post.
    pub(crate) async fn settle(&self, world: &World) -> bool {
        let books = &self.exchange(world).books;
        let name = self.new_name(world);
        let begun = {
            let mut books = lock(books);
            let anew = books.begin_settlement(Some(name));
            anew.or_else(|_| books.begin_settlement(None))
        };
        let Ok(posting) = begun else { return true };
        let is_over_the_chain = self.way_of(&posting.external_id) == Way::OverTheChain;
        if is_over_the_chain && world.is_faulty() && world.chance.below(3) == 0 {
            self.announce(world, &posting).await;
        }
        if is_over_the_chain && world.is_faulty() && world.chance.below(6) == 0 {
            // Money that comes for a settlement that is never posted.
            let external_id = format!("{}-never", posting.external_id);
            let amounts = posting.amounts.clone();
            let never = Posting {
                external_id,
                amounts,
            };
            self.announce(world, &never).await;
        }
        let told = self.post(world, &posting).await;
        if let Ok(posted) = &told {
            let name = posting.external_id.clone();
            let amounts = posting.amounts.clone();
            lock(&world.promises).posted.insert(name, amounts);
            if is_over_the_chain && posted.settlement.state == SettlementState::Pending {
                self.announce(world, &posting).await;
            }
        }
        // A part of it may be in the network's books, and the rest may never be.
        let mut booked = posting.clone();
        let outcome = match &told {
            Ok(Posted {
                settlement,
                is_under_way,
            }) => match (&settlement.state, is_under_way) {
                (SettlementState::Completed { .. }, _) => Outcome::Completed,
                (SettlementState::Rejected { .. }, _) => {
                    booked.amounts = self.moved(world, settlement).await;
                    Outcome::Completed
                }
                (SettlementState::Failed { .. }, true) if is_over_the_chain => {
                    booked.amounts = self.moved(world, settlement).await;
                    Outcome::Completed
                }
                (_, true) => Outcome::Unknown,
                (_, false) => Outcome::NotBooked,
            },
            Err(Failure::Busy | Failure::OutcomeUnknown) => Outcome::Unknown,
            // All that it says of its customers it has from the network.
            Err(Failure::Invalid(faults)) => {
                world.broken("what is suspended is settled", format!("{faults:?}"));
                Outcome::Refused
            }
            Err(_) => Outcome::Refused,
        };
        world.note(format_args!(
            "settlement {}: {outcome:?} {:?}",
            posting.external_id,
            told.as_ref().map(|posted| &posted.settlement.state)
        ));
        if world.violation().is_some() {
            return false;
        }
        lock(books).end_settlement(&booked, outcome);
        if outcome == Outcome::NotBooked && is_over_the_chain {
            lock(&self.not_begun).push(posting.clone());
        }
        if outcome == Outcome::Completed
            && let Ok(posted) = &told
        {
            let is_whole = booked == posting;
            lock(&self.settled).push((posting, state_name(&posted.settlement)));
            return is_whole;
        }
        false
    }

    /// What of a settlement that has ended is booked, or waits for nothing but the end of disputes.
    async fn moved(&self, world: &World, settlement: &Settlement) -> Moves {
        let all = Page {
            number: 0,
            size: 500,
        };
        let (caller, id) = (&self.party.caller, settlement.id.0);
        let told = world
            .persist(async |network| {
                let filter = TransferFilter::default();
                network.partner_settlement(caller, id, filter, all).await
            })
            .await;
        let mut moved = Moves::new();
        let transfers = match told {
            Ok(detail) => detail.transfers,
            Err(_) if world.violation().is_some() => return moved,
            Err(failure) => {
                world.broken("a partner reads its settlements", failure.to_string());
                return moved;
            }
        };
        for transfer in transfers {
            let counts = matches!(
                transfer.status,
                TransferStatus::Completed | TransferStatus::Disputed
            );
            if let Some((connection, _)) = transfer.destination.connection
                && counts
                && transfer.dispute_closure_id.is_none()
            {
                let currency = transfer.currency.to_string();
                let of_connection = moved.entry(connection.0).or_default();
                of_connection.insert(currency, transfer.amount.units());
            }
        }
        moved
    }

    /// Posts a settlement that has ended again, as it was or changed.
    async fn settle_again(&self, world: &World) {
        self.repeat_rejected(world).await;
        let Some((mut posting, state)) = world.chance.pick(&lock(&self.settled)).cloned() else {
            return;
        };
        if world.chance.below(2) == 0 {
            self.repeat(world, &posting, state).await;
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

    /// Posts everything that has ended again, as it was.
    pub(crate) async fn repeat_everything(&self, world: &World) {
        let settled = lock(&self.settled).clone();
        for (posting, state) in &settled {
            self.repeat(world, posting, state).await;
        }
        self.repeat_rejected(world).await;
    }

    /// Posts again what was rejected before it began; what was not would begin now.
    async fn repeat_rejected(&self, world: &World) {
        let not_begun = lock(&self.not_begun).clone();
        for posting in &not_begun {
            let is_rejected = lock(&world.promises)
                .rejected
                .contains_key(&posting.external_id);
            if is_rejected {
                self.repeat(world, posting, "rejected").await;
            }
        }
    }

    async fn repeat(&self, world: &World, posting: &Posting, state: &str) {
        let told = self.post(world, posting).await;
        let told = told.map(|posted| state_name(&posted.settlement));
        if !told.as_ref().is_ok_and(|now| *now == state) && world.violation().is_none() {
            let detail = format!("{} was {state}: {told:?}", posting.external_id);
            world.broken("what has ended stays as it is", detail);
        }
    }

    async fn post(&self, world: &World, posting: &Posting) -> Result<Posted, Failure> {
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
        match self.way_of(&posting.external_id) {
            Way::AtOnce => {
                let booked = world
                    .persist(async |network| network.settle(caller, request.clone()).await)
                    .await?;
                Ok(Posted {
                    settlement: booked,
                    is_under_way: false,
                })
            }
            Way::Staged => {
                let request = StagingRequest {
                    posted: request,
                    cutoff_at: Timestamp(1),
                };
                let staged = world
                    .persist(async |network| network.stage(caller, request.clone()).await)
                    .await?;
                Ok(Posted {
                    settlement: staged.settlement,
                    is_under_way: true,
                })
            }
            Way::OverTheChain => {
                let (settlement, facts) = world
                    .persist(async |network| network.settle_on_chain(caller, request.clone()).await)
                    .await?;
                let on_chain = facts.of(settlement.id);
                Ok(Posted {
                    is_under_way: on_chain.is_some_and(|on_chain| on_chain.started),
                    settlement,
                })
            }
        }
    }

    /// Takes over how operators have ended disputes: what moves instead of what was traded.
    pub(crate) async fn correct(&self, world: &World) {
        if !self.staged {
            return;
        }
        let caller = &self.party.caller;
        let filter = DisputeFilter {
            closed: Some(true),
            retracted: Some(false),
            ..DisputeFilter::default()
        };
        let all = Page {
            number: 0,
            size: 500,
        };
        let closed = world
            .persist(async |network| {
                network
                    .disputes(caller, Side::Partner, filter.clone(), all)
                    .await
            })
            .await;
        for DisputeView {
            dispute, closure, ..
        } in closed.unwrap_or_default()
        {
            let Some(closure) = closure else { continue };
            if !lock(&self.corrected).insert(closure.id.0) {
                continue;
            }
            let name = world
                .persist(async |network| {
                    let (id, filter) = (dispute.settlement_id.0, TransferFilter::default());
                    network.partner_settlement(caller, id, filter, all).await
                })
                .await
                .map(|detail| detail.settlement.external_id);
            let Ok(name) = name else { return };
            let connection = dispute.connection_id.0;
            let posted = lock(&world.promises).posted.get(&name).cloned();
            let posted = posted.and_then(|mut moves| moves.remove(&connection));
            let posted = posted.unwrap_or_default();
            let sums = closure.sums();
            for currency in &world.currencies {
                let before = posted.get(currency.as_str()).copied().unwrap_or_default();
                let after = sums.get(currency).copied().unwrap_or_default();
                lock(&self.exchange(world).books).correct(
                    connection,
                    currency.as_str(),
                    after - before,
                );
            }
        }
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
            if told.is_ok() {
                lock(&world.promises)
                    .posted
                    .insert(posting.external_id, posting.amounts);
            }
        }
    }
}

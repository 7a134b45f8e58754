//! A whole network in memory, and the laws that it obeys after every batch.

mod on_chain;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use ledger::{
    Account, Balance, Bucket, Entry, Hold, HoldId, HoldPurpose, Holding, Owner, Timestamp,
    invariants,
};
use rules::record::{
    AccessToken, Allocation, AllocationKind, AllocationState, Claim, Connection, ConnectionState,
    CurrencyKey, Deposit, Dispute, DisputeClosure, MessageCall, OnChain, OpenTotal, Settlement,
    SettlementState, SignedRequest, SigningKey, Transfer, TransferStatus, Withdrawal,
    WithdrawalState,
};
use rules::{Class, Command, Decidable, Keys, Record, Refusal, Submission, View};

/// Something that was, or will be, decided and tells what came of it.
pub(crate) trait Asked: Decidable {
    /// The refusal, if it was refused.
    fn refusal(&self) -> Option<&Refusal>;
    /// The whole answer, to compare it with another.
    fn told(&self) -> String;
}

impl<C> Asked for Submission<C>
where
    C: Command,
    C::Outcome: Debug,
{
    fn refusal(&self) -> Option<&Refusal> {
        self.answer.as_ref().expect("decided").as_ref().err()
    }

    fn told(&self) -> String {
        format!("{:?}", self.answer)
    }
}

/// The names of all kinds of records, handed to another macro.
macro_rules! with_all_shelves {
    ($do:ident) => {
        $do!(
            enterprises
            users
            memberships
            access_tokens
            go_accounts
            signing_keys
            currencies
            configurations
            clients
            partners
            connections
            allocations
            settlements
            transfers
            participations
            disputes
            dispute_closures
            deposits
            withdrawals
            claims
            signed_requests
            messages
            timers
            on_chain
            on_chain_legs
            on_chain_deposits
            open_totals
            approval_policy
            proposals
            latest_proposals
            operator_acts
            balances
            holds
        )
    };
}

/// The kinds of records in which two states differ; `entries` stands for the journal.
pub(crate) fn differences(one: &View, other: &View) -> Vec<&'static str> {
    let mut found = Vec::new();
    macro_rules! compare {
        ($($shelf:ident)+) => {$(
            if !one.$shelf.iter().eq(other.$shelf.iter()) {
                found.push(stringify!($shelf));
            }
        )+};
    }
    with_all_shelves!(compare);
    if one.entries != other.entries {
        found.push("entries");
    }
    found
}

/// The kinds of records that a batch has changed, or would change, once it is committed.
fn touched(part: &View) -> Vec<&'static str> {
    let mut found = Vec::new();
    macro_rules! look {
        ($($shelf:ident)+) => {$(
            if part.$shelf.changed().next().is_some() {
                found.push(stringify!($shelf));
            }
        )+};
    }
    with_all_shelves!(look);
    if !part.entries.is_empty() {
        found.push("entries");
    }
    found
}

/// What `state` holds under `key`, whether or not anybody ever asked for it.
pub(crate) fn stored<'a, R: Record>(state: &'a View, key: &R::Key) -> Option<&'a R> {
    let shelf = R::shelf(state);
    if shelf.knows(key) {
        shelf.get(key)
    } else {
        None
    }
}

/// A whole network.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) state: View,
    pub(crate) now: Timestamp,
    /// Whether the laws are checked after every batch; off only for a double of a world in which
    /// they are.
    pub(crate) watched: bool,
}

impl World {
    /// A network of which nothing is known yet.
    pub(crate) fn empty() -> World {
        World {
            state: View::default(),
            now: Timestamp(1_700_000_000_000_000),
            watched: true,
        }
    }

    pub(crate) fn pass_seconds(&mut self, seconds: i64) {
        self.now = self.now.plus_seconds(seconds);
    }

    /// What a batch of these commands loads, in the two rounds in which storage does it.
    fn load(&self, batch: &[&mut (dyn Asked + 'static)]) -> View {
        let mut keys = Keys::default();
        for asked in batch {
            keys.absorb(asked.keys());
        }
        let first = self.state.extract(&keys);
        let mut more = Keys::default();
        for asked in batch {
            more.absorb(asked.more_keys(&first));
        }
        more.forget_known(&first);
        if more.is_empty() {
            return first;
        }
        keys.absorb(more);
        self.state.extract(&keys)
    }

    /// Decides a batch, commits it, checks every law, and says what kinds of records it wrote.
    pub(crate) fn batch(&mut self, batch: &mut [Box<dyn Asked>]) -> Vec<&'static str> {
        let mut batch: Vec<&mut (dyn Asked + 'static)> =
            batch.iter_mut().map(|asked| &mut **asked).collect();
        self.decide(&mut batch)
    }

    fn decide(&mut self, batch: &mut [&mut (dyn Asked + 'static)]) -> Vec<&'static str> {
        let mut part = self.load(batch);
        for asked in batch.iter_mut() {
            asked.decide(&mut part, self.now);
        }
        let written = touched(&part);
        if batch.iter().all(|asked| asked.refusal().is_some()) {
            assert_eq!(written, [""; 0], "a refused command wrote something");
        }
        if self.watched && !written.is_empty() {
            check_steps(&self.state, &part);
            self.state.commit(part);
            check_state(&self.state);
        } else {
            self.state.commit(part);
        }
        written
    }

    /// A batch of one command, with its answer.
    pub(crate) fn ask<C>(&mut self, command: C) -> Result<C::Outcome, Refusal>
    where
        C: Command,
        C::Outcome: Debug,
    {
        let mut submission = Submission::new(command);
        self.decide(&mut [&mut submission]);
        submission.answer.expect("decided")
    }

    /// A batch of one command that has to be accepted.
    pub(crate) fn done<C>(&mut self, command: C) -> C::Outcome
    where
        C: Command + Clone + Debug,
        C::Outcome: Debug,
    {
        match self.ask(command.clone()) {
            Ok(outcome) => outcome,
            Err(refusal) => panic!("{command:?} is refused: {refusal:?}"),
        }
    }

    /// Asks, and expects a refusal of this class and name whose sentence names `telling`.
    #[track_caller]
    pub(crate) fn refused<C>(&mut self, command: C, class: Class, name: &str, telling: &str)
    where
        C: Command + Clone + Debug,
        C::Outcome: Debug,
    {
        match self.ask(command.clone()) {
            Ok(outcome) => panic!("{command:?} is accepted: {outcome:?}"),
            Err(refusal) => {
                assert_eq!((refusal.class, refusal.reason.name.as_str()), (class, name));
                let message = refusal.reason.message;
                assert!(
                    message.contains(telling),
                    "{telling:?} is missing in {message:?}"
                );
            }
        }
    }

    pub(crate) fn balance(&self, account: &Account) -> Balance {
        stored::<rules::record::AccountBalance>(&self.state, account)
            .map(|known| known.balance)
            .unwrap_or_default()
    }
}

/// Terminal states stay, evidence stays, and names stay with whoever took them.
fn check_steps(before: &View, part: &View) {
    fn each<R: Record>(before: &View, part: &View, lawful: impl Fn(&R, &R) -> bool) {
        for next in R::shelf(part).changed() {
            if let Some(previous) = stored::<R>(before, &next.key()) {
                assert!(
                    lawful(previous, next),
                    "unlawful step\n{previous:?}\n{next:?}"
                );
            }
        }
    }
    each::<Allocation>(before, part, |was, is| {
        let identity = |a: &Allocation| {
            let Allocation {
                kind,
                connection_id,
                amount,
                answering,
                signed_request,
                ..
            } = *a;
            (
                kind,
                connection_id,
                amount,
                answering,
                signed_request,
                a.currency.clone(),
            )
        };
        (was.is_reserved() || was == is) && identity(was) == identity(is)
    });
    each::<Hold>(before, part, |was, is| {
        // What is held for a settlement is held for a dispute once it is left out, and back.
        let of_settlement = [HoldPurpose::SettlementTransfer, HoldPurpose::Dispute];
        let same_purpose = was.purpose == is.purpose
            || (of_settlement.contains(&was.purpose) && of_settlement.contains(&is.purpose));
        was.open
            && same_purpose
            && *was
                == Hold {
                    open: true,
                    purpose: was.purpose,
                    ..is.clone()
                }
    });
    each::<Withdrawal>(before, part, |was, is| {
        was.state == WithdrawalState::Requested && was.amount == is.amount
    });
    each::<Settlement>(before, part, |was, is| {
        let kept = was.content_digest == is.content_digest && was.notes == is.notes;
        let windows = |settlement: &Settlement| {
            let staging = settlement.staging.clone();
            staging.map(|s| {
                (
                    s.cutoff_at,
                    s.dispute_window_ends_at,
                    s.top_up_window_ends_at,
                )
            })
        };
        let fixed = |s: &Settlement| s.staging.as_ref().is_some_and(|s| s.amounts_fixed);
        let goes_on = match (&was.state, &was.staging) {
            (SettlementState::Failed { .. }, _) => is.state != SettlementState::Pending,
            (SettlementState::Pending, staging) => staging.is_some(),
            _ => false,
        };
        let goes_on = match stored::<OnChain>(before, &was.id) {
            Some(_) => on_chain::goes_on(before, was),
            None => goes_on,
        };
        kept && goes_on && windows(was) == windows(is) && (fixed(is) || !fixed(was))
    });
    each::<Transfer>(before, part, |was, is| {
        use TransferStatus::{
            Completed, Disputed, Failed, Pending, PendingSettlementAssignment as Waiting, Rejected,
        };
        let lawful = [
            (Pending, Disputed),
            (Disputed, Pending),
            (Pending, Completed),
            (Pending, Failed),
            (Failed, Completed),
            (Failed, Rejected),
            (Failed, Waiting),
            (Waiting, Pending),
        ];
        let parties = |t: &Transfer| (t.source.clone(), t.destination.clone(), t.currency.clone());
        let same_amount = was.amount == is.amount
            || (was.status == Waiting && was.amount.magnitude() > is.amount.magnitude());
        let step = (was.status, is.status);
        let over_chain = was
            .settlement_id
            .is_some_and(|id| stored::<OnChain>(before, &id).is_some());
        let lawful = match over_chain {
            true => on_chain::may_go(was.status, is.status),
            false => lawful.contains(&step),
        };
        (step.0 == step.1 || lawful) && parties(was) == parties(is) && same_amount
    });
    each::<Dispute>(before, part, |was, is| {
        let subject = |d: &Dispute| (d.settlement_id, d.connection_id, d.signed_request);
        let reopened = was.closed_at.is_some() && is.closed_at != was.closed_at;
        subject(was) == subject(is) && !reopened
    });
    each::<DisputeClosure>(before, part, |was, is| {
        was.status == rules::record::ClosureStatus::PendingReview
            && was.adjustments == is.adjustments
            && was.user_id == is.user_id
    });
    each::<Connection>(before, part, |was, is| {
        let decided = !matches!(was.state, ConnectionState::Created { .. });
        let rejected = matches!(is.state, ConnectionState::Rejected { .. });
        (!decided || was.state == is.state) && !(rejected && is.active)
    });
    each::<SigningKey>(before, part, |was, _| was.revoked_at.is_none());
    each::<AccessToken>(before, part, |was, _| was.revoked_at.is_none());
    each::<SignedRequest>(before, part, |was, is| {
        let received_at = is.received_at;
        *is == SignedRequest {
            received_at,
            ..was.clone()
        }
    });
    each::<Deposit>(before, part, |_, _| false);
    each::<Claim>(before, part, |_, _| false);
}

fn check_state(state: &View) {
    let balances = || state.balances.iter().map(|b| (&b.account, &b.balance));
    invariants::value_is_conserved(balances()).expect("conservation");
    invariants::nothing_is_negative(balances()).expect("no negative bucket");
    invariants::holds_explain_what_is_held(balances(), state.holds.iter()).expect("holds");

    check_settlements(state);
    on_chain::check(state);

    let mut open_totals: BTreeMap<CurrencyKey, i128> = BTreeMap::new();
    for record in state.allocations.iter() {
        let hold = stored::<Hold>(state, &HoldId(record.id.0));
        let message = stored::<rules::record::Message>(state, &record.id.0);
        let call = message.and_then(|message| message.call);
        if !record.is_reserved() {
            assert!(
                hold.is_none_or(|hold| !hold.open),
                "an ended record holds: {record:?}"
            );
            let asks = [MessageCall::Reserve, MessageCall::Await].map(Some);
            assert!(
                !asks.contains(&call),
                "an ended record is still asked about: {record:?}"
            );
            continue;
        }
        assert!(
            hold.is_some_and(|hold| hold.open),
            "a reserved record holds: {record:?}"
        );
        assert!(call.is_some(), "a reserved record is forgotten: {record:?}");
        if record.kind == AllocationKind::Allocation {
            let key = CurrencyKey {
                partner_id: record.partner_id,
                currency: record.currency.clone(),
            };
            *open_totals.entry(key).or_default() += record.amount.units();
        }
    }
    for OpenTotal { key, units } in state.open_totals.iter() {
        let sum = open_totals.remove(key).unwrap_or_default();
        assert_eq!(*units, sum, "the open total of {key:?} is off");
    }
    assert_eq!(
        open_totals,
        BTreeMap::new(),
        "open totals that nobody keeps"
    );
}

/// The table of postings of decisions §2.
fn check_postings(entry: &Entry) {
    let shape = |holding: &Holding| {
        let owner = match holding.account.owner {
            Owner::Custody => "custody",
            Owner::Go(_) => "go",
            Owner::Net(_) => "net",
        };
        let bucket = match holding.bucket {
            Bucket::Available => "available",
            Bucket::Held => "held",
        };
        format!("{owner}.{bucket}")
    };
    for posting in &entry.postings {
        let moved = format!("{} -> {}", shape(&posting.from), shape(&posting.to));
        let lawful: &[&str] = match entry.cause.as_ref() {
            "deposit" => &["custody.available -> go.available"],
            "withdrawal_requested" => &["go.available -> go.held"],
            "withdrawal_paid" => &["go.held -> custody.available"],
            "withdrawal_cancelled" => &["go.held -> go.available"],
            "allocation_reserved" => &["go.available -> go.held"],
            "allocation_cleared" => &["go.held -> net.available"],
            "allocation_released" => &["go.held -> go.available"],
            "deallocation_reserved" => &["net.available -> net.held"],
            "deallocation_cleared" => &["net.held -> go.available"],
            "deallocation_released" => &["net.held -> net.available"],
            "settlement_completed" => &[
                "net.available -> go.available",
                "go.available -> net.available",
                "net.available -> net.available",
            ],
            "settlement_staged" => &["net.available -> net.held"],
            "settlement_executed" => &[
                "net.held -> go.available",
                "go.available -> net.available",
                "net.held -> net.available",
            ],
            "settlement_rejected" => &["net.held -> net.available"],
            "dispute_closed" => &["net.held -> net.available", "net.available -> net.held"],
            other => {
                let known = on_chain::POSTINGS.iter().find(|(cause, _)| *cause == other);
                known.map_or(&[], |(_, postings)| postings)
            }
        };
        assert!(lawful.contains(&moved.as_str()), "{}: {moved}", entry.cause);
        let (from, to) = (&posting.from.account, &posting.to.account);
        let stays = [
            "_requested",
            "_cancelled",
            "_reserved",
            "_released",
            "_staged",
            "_started",
            "_losses_failed",
            "_rejected",
            "dispute_closed",
        ];
        if stays.iter().any(|end| entry.cause.ends_with(end)) {
            assert_eq!(from, to, "{} moves money to another account", entry.cause);
        }
    }
}

/// The journal alone explains every balance, and every event has exactly one entry in it.
pub(crate) fn check_journal(state: &View) {
    state.entries.iter().for_each(check_postings);
    let mut sums: BTreeMap<Account, Balance> = BTreeMap::new();
    for posting in state.entries.iter().flat_map(|entry| &entry.postings) {
        assert_eq!(posting.from.account.currency, posting.to.account.currency);
        assert!(posting.amount.units() > 0);
        for (holding, units) in [
            (&posting.from, -posting.amount.units()),
            (&posting.to, posting.amount.units()),
        ] {
            let balance = sums.entry(holding.account.clone()).or_default();
            match holding.bucket {
                Bucket::Available => balance.available += units,
                Bucket::Held => balance.held += units,
            }
        }
    }
    let known: BTreeMap<Account, Balance> = state
        .balances
        .iter()
        .map(|b| (b.account.clone(), b.balance))
        .collect();
    assert_eq!(sums, known, "the journal does not explain the balances");

    let ids: BTreeSet<_> = state.entries.iter().map(|entry| entry.id).collect();
    let events: BTreeSet<_> = state
        .entries
        .iter()
        .filter(|entry| !on_chain::is_about_chains(entry))
        .map(|e| (&e.cause, e.subject))
        .collect();
    let on_chain = state
        .entries
        .iter()
        .filter(|e| on_chain::is_about_chains(e));
    let on_chain = on_chain.count();
    assert_eq!(
        ids.len(),
        state.entries.len(),
        "two entries share an identifier"
    );
    let others = state.entries.len() - on_chain;
    assert_eq!(events.len(), others, "an event happened twice");

    let held = |id| stored::<Hold>(state, &HoldId(id)).is_some();
    let reserved = state.allocations.iter().filter(|a| held(a.id.0)).count();
    let ended = |a: &&Allocation| !matches!(a.state, AllocationState::Reserved { .. });
    let ended = state
        .allocations
        .iter()
        .filter(|a| held(a.id.0))
        .filter(ended)
        .count();
    let paid_or_cancelled = |w: &&Withdrawal| w.state != WithdrawalState::Requested;
    let completed = |s: &&Settlement| matches!(s.state, SettlementState::Completed { .. });
    let expected = state.deposits.iter().count()
        + state.withdrawals.iter().count()
        + state.withdrawals.iter().filter(paid_or_cancelled).count()
        + reserved
        + ended
        + (state.settlements.iter())
            .filter(|s| !on_chain::is_over_chain(state, s.id))
            .filter(completed)
            .count();
    // These have an entry only if they move something.
    let optional = ["settlement_staged", "settlement_rejected", "dispute_closed"];
    let always = |entry: &&Entry| {
        !optional.contains(&entry.cause.as_ref()) && !on_chain::is_about_chains(entry)
    };
    let entries = state.entries.iter().filter(always).count();
    assert_eq!(entries, expected, "entries and events do not match");
}

/// What is staged, executed, returned and carried over adds up for every settlement, and what is
/// held for a transfer is held as long as the transfer may still move.
fn check_settlements(state: &View) {
    let mut of_settlement: BTreeMap<_, Vec<&Transfer>> = BTreeMap::new();
    for transfer in state.transfers.iter() {
        of_settlement
            .entry(transfer.settlement_id)
            .or_default()
            .push(transfer);
        let hold = stored::<Hold>(state, &transfer.hold_id());
        let Some(settlement) = transfer.settlement_id else {
            assert_eq!(
                transfer.status,
                TransferStatus::PendingSettlementAssignment,
                "nothing else waits: {transfer:?}"
            );
            let held = hold.is_none_or(|hold| hold.open && hold.purpose == HoldPurpose::Dispute);
            assert!(
                held,
                "what waits is held for a dispute: {transfer:?} {hold:?}"
            );
            continue;
        };
        let settlement = stored::<Settlement>(state, &settlement).expect("its settlement");
        if on_chain::is_over_chain(state, settlement.id) {
            on_chain::check_transfer(state, transfer, hold);
            continue;
        }
        if settlement.staging.is_none() {
            assert_eq!(hold, None, "nothing is held for what is booked at once");
            continue;
        }
        let Some(hold) = hold else {
            assert!(
                transfer.loser().connection.is_none(),
                "nothing is held for a staged loss: {transfer:?}"
            );
            continue;
        };
        assert_eq!(hold.amount, transfer.amount.magnitude(), "{transfer:?}");
        let account = transfer.loser().account(&transfer.currency);
        assert_eq!(hold.account, account, "{transfer:?}");
        let waits = [TransferStatus::Pending, TransferStatus::Failed];
        if transfer.status != TransferStatus::Disputed {
            assert_eq!(hold.open, waits.contains(&transfer.status), "{transfer:?}");
        }
    }
    for settlement in state.settlements.iter() {
        let none = Vec::new();
        let transfers = of_settlement.get(&Some(settlement.id)).unwrap_or(&none);
        let count = i64::try_from(transfers.len()).expect("a count");
        assert_eq!(count, settlement.transfer_count, "{settlement:?}");
        if settlement.staging.is_some() {
            check_sums(state, settlement, transfers);
        }
    }
}

fn check_sums(state: &View, settlement: &Settlement, transfers: &[&Transfer]) {
    let held_by = |cause: &str, from: Bucket, to: Bucket| -> BTreeMap<Account, i128> {
        let mut sums = BTreeMap::new();
        let entries = state.entries.iter();
        let own = entries.filter(|e| e.subject == settlement.id.0 && e.cause == cause);
        for posting in own.flat_map(|entry| &entry.postings) {
            if posting.from.bucket == from && posting.to.bucket == to {
                let account = posting.from.account.clone();
                *sums.entry(account).or_insert(0) += posting.amount.units();
            }
        }
        sums
    };
    let losses = |wanted: &dyn Fn(&Transfer) -> bool| -> BTreeMap<Account, i128> {
        let mut sums = BTreeMap::new();
        for transfer in transfers.iter().filter(|t| wanted(t)) {
            if transfer.loser().connection.is_some() {
                let account = transfer.loser().account(&transfer.currency);
                *sums.entry(account).or_insert(0) += transfer.amount.magnitude().units();
            }
        }
        sums
    };
    let staged = held_by("settlement_staged", Bucket::Available, Bucket::Held);
    let executed = held_by("settlement_executed", Bucket::Held, Bucket::Available);
    let returned = held_by("settlement_rejected", Bucket::Held, Bucket::Available);
    let completed = losses(&|t| t.status == TransferStatus::Completed);
    assert_eq!(executed, completed, "executed of {settlement:?}");
    let rejected = losses(&|t| t.status == TransferStatus::Rejected);
    assert_eq!(returned, rejected, "returned of {settlement:?}");
    // What was held when it was staged is everything that was posted, and what rode along and was
    // not held before.
    let posted = losses(&|t| t.dispute_closure_id.is_none());
    for (account, posted) in posted {
        let staged = staged.get(&account).copied().unwrap_or_default();
        assert!(
            staged >= posted,
            "{staged} staged of {posted}: {settlement:?}"
        );
        if state.dispute_closures.iter().next().is_none() {
            assert_eq!(staged, posted, "staged of {settlement:?}");
        }
    }
    let statuses: &[TransferStatus] = match &settlement.state {
        SettlementState::Pending => &[TransferStatus::Pending],
        SettlementState::Completed { .. } => &[TransferStatus::Completed],
        SettlementState::Failed { reason } => {
            assert!(
                !reason.message.contains("connection "),
                "a connection made a staged settlement fail: {reason}"
            );
            &[TransferStatus::Failed]
        }
        SettlementState::Rejected { .. } => &[TransferStatus::Rejected],
    };
    for transfer in transfers {
        let lawful =
            statuses.contains(&transfer.status) || transfer.status == TransferStatus::Disputed;
        assert!(lawful, "{transfer:?} of {settlement:?}");
    }
    let disputes = state
        .disputes
        .iter()
        .filter(|d| d.settlement_id == settlement.id);
    let standing = disputes.filter(|dispute| dispute.stands()).count();
    let counted = settlement.staging.as_ref().map(|s| s.standing_disputes);
    assert_eq!(counted, i64::try_from(standing).ok(), "{settlement:?}");
}

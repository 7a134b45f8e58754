//! A dispute ends: the client concedes (C21), or an operator decides and the decision is reviewed, by
//! another one where a second operator is required.
//!
//! What is held for the disputed transfers returns, and what the closure says instead is held
//! anew, both in one journal entry, so that nothing comes between. What is not there stays a
//! transfer that nothing is held for, and waits.

use std::collections::BTreeMap;

use ledger::{
    Account, Currency, Entry, EntryId, GoAccountId, Hold, HoldPurpose, Posting, SignedAmount,
    Timestamp,
};

use super::{Disputed, disputable, dispute_closed, own_dispute};
use crate::{
    Class, Command, ConnectionId, DisputeClosureId, DisputeId, Draft, EnterpriseId, Keys,
    PartnerId, Refusal, Signed, TransferId, UserId, View,
    allocate::refused_by_the_books,
    approve::{check_second_operator, policy},
    operate::Act,
    planted::{Fault, is_planted},
    record::{
        Adjustment, ClosedBy, ClosureStatus, Dispute, DisputeClosure, Retraction, Review, Transfer,
        TransferParty, TransferStatus,
    },
    settle::split,
};

impl DisputeClosure {
    /// Whether it has yet to be reviewed.
    pub(super) fn waits(&self) -> bool {
        self.status == ClosureStatus::PendingReview
    }
}

/// What moves instead of disputed transfers, with the parties that it moves between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdjustedLine {
    /// In what.
    pub currency: Currency,
    /// The partner's name for the currency.
    pub partner_currency: String,
    /// How much; above zero from source to destination, below zero the other way.
    pub amount: SignedAmount,
    /// One side.
    pub source: TransferParty,
    /// The other: the disputing connection.
    pub destination: TransferParty,
}

impl AdjustedLine {
    fn repeating(original: &Transfer) -> AdjustedLine {
        AdjustedLine {
            currency: original.currency.clone(),
            partner_currency: original.partner_currency.clone(),
            amount: original.amount,
            source: original.source.clone(),
            destination: original.destination.clone(),
        }
    }
}

/// What a closure does to the books once it counts.
struct Adjusting {
    entry_id: EntryId,
    signed_request: Option<uuid::Uuid>,
}

/// The disputed transfers that no closure has ended yet, be it of this dispute or of one that the
/// other side has of the same transfer.
fn unended(draft: &Draft<'_>, disputed: &Disputed) -> Vec<Transfer> {
    let transfers = disputed.transfers.find(draft).into_iter();
    let transfers = transfers.filter(|transfer| transfer.status == TransferStatus::Disputed);
    transfers
        .filter(|transfer| !is_ended(draft, transfer))
        .collect()
}

/// Whether what was held for a disputed transfer is not held any more.
fn is_ended(draft: &Draft<'_>, transfer: &Transfer) -> bool {
    let hold = draft.find::<Hold>(&transfer.hold_id());
    transfer.loser().connection.is_some() && !hold.is_some_and(|hold| hold.open)
}

fn adjustments(transfers: &[Transfer], connection: ConnectionId) -> Vec<Adjustment> {
    let mut sums: BTreeMap<(Option<ConnectionId>, Currency), i128> = BTreeMap::new();
    for transfer in transfers {
        let Some(other) = transfer.other_side(connection) else {
            continue;
        };
        let is_destination =
            (transfer.destination.connection).is_some_and(|(id, _)| id == connection);
        let units = match is_destination {
            true => transfer.amount.units(),
            false => -transfer.amount.units(),
        };
        let key = (
            other.connection.map(|(id, _)| id),
            transfer.currency.clone(),
        );
        let sum = sums.entry(key).or_default();
        *sum = sum.saturating_add(units);
    }
    let adjustments = sums
        .into_iter()
        .filter_map(|((counterparty, currency), units)| {
            Some(Adjustment {
                counterparty,
                currency,
                amount: SignedAmount::new(units).ok()?,
            })
        });
    adjustments.collect()
}

impl Adjusting {
    /// Lets go of what is held for the original transfers, and makes those that move instead.
    fn adjust(
        &self,
        draft: &mut Draft<'_>,
        partner_id: PartnerId,
        closure: DisputeClosureId,
        originals: &[Transfer],
        lines: &[AdjustedLine],
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let mut free: BTreeMap<Account, i128> = BTreeMap::new();
        let (mut postings, mut holds, mut transfers) = (Vec::new(), Vec::new(), Vec::new());
        let originals = match is_planted(Fault::ClosureKeepsHold) {
            true => &[],
            false => originals,
        };
        for transfer in originals {
            let Some(hold) = draft.find::<Hold>(&transfer.hold_id()).filter(|h| h.open) else {
                continue;
            };
            let available = draft.balance(&hold.account).available;
            let returned = free.entry(hold.account.clone()).or_insert(available);
            *returned = returned.saturating_add(hold.amount.units());
            postings.push(Posting {
                from: hold.account.held(),
                to: hold.account.available(),
                amount: hold.amount,
            });
            holds.push(Hold {
                open: false,
                ..hold.clone()
            });
        }
        // Two identifiers for every line, the second for a part that is not covered.
        for (index, line) in (0_u32..).step_by(2).zip(lines) {
            let (id, rest_id) = (
                TransferId::of_closure(closure, index),
                TransferId::of_closure(closure, index + 1),
            );
            let transfer = Transfer {
                id,
                partner_id,
                settlement_id: None,
                dispute_closure_id: Some(closure),
                position: 0,
                currency: line.currency.clone(),
                partner_currency: line.partner_currency.clone(),
                amount: line.amount,
                source: line.source.clone(),
                destination: line.destination.clone(),
                status: TransferStatus::PendingSettlementAssignment,
                entry: None,
                created_at: now,
                updated_at: now,
            };
            if transfer.loser().connection.is_none() {
                transfers.push(transfer);
                continue;
            }
            if is_planted(Fault::ClosureMovesGainsOnly) {
                continue;
            }
            let account = transfer.loser().account(&line.currency);
            let available = draft.balance(&account).available;
            let left = free.entry(account.clone()).or_insert(available);
            let (covered, rest) = split(&transfer, *left, id);
            if let Some(covered) = covered {
                let amount = covered.amount.magnitude();
                *left -= amount.units();
                postings.push(Posting {
                    from: account.available(),
                    to: account.held(),
                    amount,
                });
                holds.push(Hold {
                    id: covered.hold_id(),
                    account,
                    amount,
                    purpose: HoldPurpose::Dispute,
                    open: true,
                });
                transfers.push(covered);
            }
            transfers.extend(rest.map(|rest| Transfer {
                id: rest_id,
                ..rest
            }));
        }
        if !postings.is_empty() {
            let entry = Entry {
                id: self.entry_id,
                cause: "dispute_closed".into(),
                subject: closure.0,
                signed_request: self.signed_request,
                postings,
            };
            draft.post(entry).map_err(refused_by_the_books)?;
        }
        holds.into_iter().for_each(|hold| draft.put(hold));
        transfers
            .into_iter()
            .for_each(|transfer| draft.put(transfer));
        Ok(())
    }
}

/// A client concedes: the original transfers stand, and run with the partner's next settlement, or
/// with this one while its dispute window is open (C21).
#[derive(Clone, Debug)]
pub struct CloseDispute {
    /// The identifier that the closure gets.
    pub closure_id: DisputeClosureId,
    /// Which dispute.
    pub dispute_id: DisputeId,
    /// What it covers.
    pub disputed: Disputed,
    /// The client's enterprise.
    pub enterprise_id: EnterpriseId,
    /// The client's Go Account, whose keys sign.
    pub go_account_id: GoAccountId,
    /// Who asks.
    pub user_id: UserId,
    /// What they write beside it.
    pub notes: String,
    /// The identifier that the journal entry gets.
    pub entry_id: EntryId,
    /// The signed request.
    pub signed: Signed,
}

/// Loads a dispute's last closure.
fn last_closure(view: &View, id: &DisputeId) -> Keys {
    let mut keys = Keys::default();
    if let Some(dispute) = view.disputes.get(id) {
        keys.dispute_closures.extend(dispute.closure_id);
    }
    keys
}

/// A dispute that nobody has closed and nobody has proposed to close.
fn check_unclosed(draft: &Draft<'_>, dispute: &Dispute) -> Result<(), Refusal> {
    if dispute.closed_at.is_some() {
        return Err(dispute_closed(None));
    }
    let closure = dispute.closure_id.as_ref();
    match closure.and_then(|id| draft.find_if_known::<DisputeClosure>(id)) {
        Some(closure) if closure.waits() => Err(dispute_closed(Some(closure))),
        _ => Ok(()),
    }
}

fn check_standing(dispute: &Dispute) -> Result<(), Refusal> {
    if dispute.stands() {
        return Ok(());
    }
    Err(Refusal::new(
        Class::Unprocessable,
        "dispute_retracted",
        "the dispute was retracted and its transfers run: there is nothing to close",
    ))
}

impl Command for CloseDispute {
    type Outcome = DisputeClosure;

    fn keys(&self) -> Keys {
        let mut keys = self.disputed.keys();
        keys.absorb(self.signed.keys());
        keys.disputes.insert(self.dispute_id);
        keys
    }

    fn more_keys(&self, view: &View) -> Keys {
        let mut keys = self.disputed.more_keys(view);
        keys.absorb(last_closure(view, &self.dispute_id));
        keys
    }

    fn weight(&self) -> usize {
        self.disputed.weight()
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<DisputeClosure, Refusal> {
        self.signed.check_authority(draft, self.go_account_id)?;
        let mut dispute = own_dispute(draft, self.dispute_id, &self.enterprise_id)?;
        let holder = self.signed.nonce_holder(draft)?;
        if holder.is_some()
            && let Some(id) = dispute.closure_id.filter(|id| Some(id.0) == holder)
            && let Some(known) = draft.find_if_known::<DisputeClosure>(&id)
        {
            return Ok(known.clone());
        }
        check_unclosed(draft, &dispute)?;
        check_standing(&dispute)?;
        let (mut settlement, staging) = disputable(draft, dispute.settlement_id)?;
        let is_disputable = staging.is_disputable(now);
        let mut originals = unended(draft, &self.disputed);
        if !is_disputable {
            // What the other side still disputes stays where it is: the last to concede takes it.
            originals.retain(|transfer| !self.disputed.other_disputes(draft, transfer));
        }
        let closure = DisputeClosure {
            id: self.closure_id,
            dispute_id: self.dispute_id,
            closed_by: ClosedBy::Client,
            user_id: self.user_id,
            notes: self.notes.clone(),
            adjustments: adjustments(&originals, self.disputed.connection_id),
            status: ClosureStatus::Approved,
            review: None,
            signed_request: Some(self.signed.request.id),
            created_at: now,
            updated_at: now,
        };
        self.signed.take_nonce(draft, self.closure_id.0)?;
        self.signed.keep(draft, now);
        dispute.closure_id = Some(self.closure_id);
        dispute.closed_at = Some(now);
        dispute.updated_at = now;
        if is_disputable {
            dispute.retraction = Some(Retraction {
                by: self.user_id,
                at: now,
                reason: Some(self.notes.clone()),
            });
            draft.put(dispute.clone());
            self.disputed.mark(draft, &mut settlement, false, now)?;
        } else {
            let lines: Vec<AdjustedLine> = originals.iter().map(AdjustedLine::repeating).collect();
            let adjusting = Adjusting {
                entry_id: self.entry_id,
                signed_request: closure.signed_request,
            };
            let (partner, id) = (dispute.partner_id, self.closure_id);
            adjusting.adjust(draft, partner, id, &originals, &lines, now)?;
            draft.put(dispute);
        }
        draft.put(closure.clone());
        Ok(closure)
    }
}

/// An operator proposes how a dispute ends. It counts once it was approved in a review.
#[derive(Clone, Debug)]
pub struct ProposeClosure {
    /// The identifier that the closure gets.
    pub closure_id: DisputeClosureId,
    /// Which dispute.
    pub dispute_id: DisputeId,
    /// What moves instead of the disputed transfers; nothing: none of them ever runs.
    pub adjustments: Vec<Adjustment>,
    /// What the operator writes beside it.
    pub notes: String,
    /// Who asks.
    pub user_id: UserId,
    /// The operator's act.
    pub operator: Act,
}

impl Command for ProposeClosure {
    type Outcome = DisputeClosure;

    fn keys(&self) -> Keys {
        Keys {
            disputes: [self.dispute_id].into(),
            dispute_closures: [self.closure_id].into(),
            ..Keys::default()
        }
    }

    fn more_keys(&self, view: &View) -> Keys {
        let mut keys = last_closure(view, &self.dispute_id);
        if let Some(dispute) = view.disputes.get(&self.dispute_id) {
            keys.settlements.insert(dispute.settlement_id);
        }
        keys
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<DisputeClosure, Refusal> {
        let dispute = draft.find::<Dispute>(&self.dispute_id).cloned();
        let mut dispute = dispute.ok_or_else(|| Refusal::not_found("dispute"))?;
        if let Some(known) = draft.find::<DisputeClosure>(&self.closure_id) {
            return Ok(known.clone());
        }
        check_unclosed(draft, &dispute)?;
        check_standing(&dispute)?;
        let (_, staging) = disputable(draft, dispute.settlement_id)?;
        if staging.is_disputable(now) {
            return Err(Refusal::new(
                Class::Unprocessable,
                "dispute_window_open",
                "the client may still amend or retract the dispute; close it once the dispute window has ended",
            ));
        }
        let closure = DisputeClosure {
            id: self.closure_id,
            dispute_id: self.dispute_id,
            closed_by: ClosedBy::Operator,
            user_id: self.user_id,
            notes: self.notes.clone(),
            adjustments: self.adjustments.clone(),
            status: ClosureStatus::PendingReview,
            review: None,
            signed_request: None,
            created_at: now,
            updated_at: now,
        };
        draft.put(closure.clone());
        dispute.closure_id = Some(self.closure_id);
        dispute.updated_at = now;
        draft.put(dispute);
        let subject = self.dispute_id.to_string();
        let change = (None, &closure);
        self.operator
            .record_change(draft, "propose_dispute_closure", subject, change, now);
        Ok(closure)
    }
}

/// Where a second operator is required, that is who reviews a closure.
fn check_reviewer(
    draft: &Draft<'_>,
    closure: &DisputeClosure,
    reviewer: UserId,
) -> Result<(), Refusal> {
    if closure.user_id == reviewer {
        return Err(Refusal::new(
            Class::NotPermitted,
            "same_operator",
            "a closure is reviewed by another operator than the one who proposed it",
        ));
    }
    check_second_operator(draft, closure.user_id, Some(reviewer))
}

/// An operator approves or rejects a proposed closure: another one than the one who proposed it, where
/// a second operator is required.
#[derive(Clone, Debug)]
pub struct ReviewClosure {
    /// Which closure.
    pub closure_id: DisputeClosureId,
    /// Of which dispute.
    pub dispute_id: DisputeId,
    /// What it covers.
    pub disputed: Disputed,
    /// What the closure says, with the parties that it moves between.
    pub lines: Vec<AdjustedLine>,
    /// Whether it shall count.
    pub approve: bool,
    /// What the operator writes beside it.
    pub notes: Option<String>,
    /// Who asks.
    pub user_id: UserId,
    /// The identifier that the journal entry gets.
    pub entry_id: EntryId,
    /// The operator's act.
    pub operator: Act,
}

impl ReviewClosure {
    fn wanted(&self) -> ClosureStatus {
        match self.approve {
            true => ClosureStatus::Approved,
            false => ClosureStatus::Rejected,
        }
    }

    /// What the closure of the other side's dispute has ended is not made a second time.
    fn check_not_ended(&self, draft: &Draft<'_>) -> Result<(), Refusal> {
        let own = self.disputed.connection_id;
        let mut originals = self.disputed.transfers.find(draft);
        originals.retain(|original| original.status == TransferStatus::Disputed);
        for line in &self.lines {
            let Some((other, _)) = line.source.connection else {
                continue;
            };
            let between = originals.iter().filter(|original| {
                let side = original.other_side(own).and_then(|side| side.connection);
                original.currency == line.currency && side.is_some_and(|(id, _)| id == other)
            });
            let mut ended = between.map(|original| is_ended(draft, original)).peekable();
            if ended.peek().is_some() && ended.all(|ended| ended) {
                return Err(Refusal::new(
                    Class::Conflict,
                    "counterparty_dispute_closed",
                    format!(
                        "what is between the connection and {other} in {} was ended with the \
                         other side's dispute; reject this closure and propose one without that line",
                        line.currency
                    ),
                ));
            }
        }
        Ok(())
    }
}

impl Command for ReviewClosure {
    type Outcome = DisputeClosure;

    fn keys(&self) -> Keys {
        let mut keys = self.disputed.keys();
        keys.disputes.insert(self.dispute_id);
        keys.dispute_closures.insert(self.closure_id);
        keys.approval_policy.insert(());
        keys.users.insert(self.user_id);
        for line in &self.lines {
            for side in [&line.source, &line.destination] {
                keys.balances.insert(side.account(&line.currency));
            }
        }
        keys
    }

    fn more_keys(&self, view: &View) -> Keys {
        let mut keys = self.disputed.more_keys(view);
        let closure = view.dispute_closures.get(&self.closure_id);
        keys.users.extend(closure.map(|closure| closure.user_id));
        keys
    }

    fn weight(&self) -> usize {
        self.disputed.weight()
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<DisputeClosure, Refusal> {
        let closure = draft.find::<DisputeClosure>(&self.closure_id).cloned();
        let mut closure = closure
            .filter(|closure| closure.dispute_id == self.dispute_id)
            .ok_or_else(|| Refusal::not_found("dispute closure"))?;
        let dispute = draft.find::<Dispute>(&self.dispute_id).cloned();
        let mut dispute = dispute.ok_or_else(|| Refusal::not_found("dispute"))?;
        if !closure.waits() {
            let same_reviewer = closure.review.as_ref().map(|r| r.by) == Some(self.user_id);
            if closure.status == self.wanted() && same_reviewer {
                return Ok(closure);
            }
            return Err(Refusal::new(
                Class::Conflict,
                "already_reviewed",
                format!("the closure is {} and stays so", closure.status),
            ));
        }
        if policy(draft).second_operator_required && !is_planted(Fault::ReviewedAlone) {
            check_reviewer(draft, &closure, self.user_id)?;
        }
        let before = closure.clone();
        closure.review = Some(Review {
            by: self.user_id,
            notes: self.notes.clone(),
            at: now,
        });
        closure.status = self.wanted();
        closure.updated_at = now;
        dispute.updated_at = now;
        if self.approve {
            if self.disputed.settlement_id != dispute.settlement_id
                || self.disputed.connection_id != dispute.connection_id
            {
                return Err(Refusal::not_found("dispute"));
            }
            dispute.closed_at = Some(now);
            self.check_not_ended(draft)?;
            let adjusting = Adjusting {
                entry_id: self.entry_id,
                signed_request: None,
            };
            let originals = unended(draft, &self.disputed);
            let (partner, id) = (dispute.partner_id, self.closure_id);
            adjusting.adjust(draft, partner, id, &originals, &self.lines, now)?;
        }
        draft.put(dispute);
        draft.put(closure.clone());
        let subject = self.closure_id.to_string();
        let act = match self.approve {
            true => "approve_dispute_closure",
            false => "reject_dispute_closure",
        };
        let change = (Some(&before), &closure);
        self.operator
            .record_change(draft, act, subject, change, now);
        Ok(closure)
    }
}

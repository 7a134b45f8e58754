//! Acts on money that a second operator has to approve (decisions §7).
//!
//! An act on money is a command like any other. [`Undertake`] does it at once where one operator is
//! enough; otherwise it becomes a proposal. [`Approve`] is the same command, done in the commit in
//! which a second operator approves the proposal. So that a command can be proposed, it says what it
//! is about as a [`ProposedAct`] ([`Proposable`]); that is all it needs to know of approvals.

use ledger::Timestamp;

use crate::{
    Class, Command, Draft, Keys, ProposalId, Refusal, UserId, View,
    fund::{BookDeposit, FinishWithdrawal, RequestWithdrawal},
    onchain::{FailGains, MoveLosses, RejectOnChain, ReturnReceived, SeeDeposit},
    operate::Act,
    record::{
        AccessToken, ApprovalPolicy, InstallationRole, LatestProposal, Proposal, ProposalState,
        ProposedAct, ProposedMovement, Scope, User,
    },
    release::ReleaseHold,
    settle::RejectSettlement,
};

/// The shortest and the longest time that a proposal may be open, in seconds: a minute, a month.
pub const EXPIRE_AFTER_S: std::ops::RangeInclusive<i64> = 60..=31 * 86_400;

/// A command that one operator can propose and another approve.
pub trait Proposable: Command {
    /// What is proposed: everything about the command but the identifiers that were drawn for it.
    fn proposed(&self) -> ProposedAct;
}

impl Proposable for BookDeposit {
    fn proposed(&self) -> ProposedAct {
        ProposedAct::BookDeposit(ProposedMovement {
            go_account_id: self.go_account_id,
            currency: self.currency.clone(),
            amount: self.amount,
            custody_source: self.custody_source.clone(),
            external_reference: self.external_reference.clone(),
        })
    }
}

impl Proposable for RequestWithdrawal {
    fn proposed(&self) -> ProposedAct {
        ProposedAct::RequestWithdrawal(ProposedMovement {
            go_account_id: self.go_account_id,
            currency: self.currency.clone(),
            amount: self.amount,
            custody_source: self.custody_source.clone(),
            external_reference: self.external_reference.clone(),
        })
    }
}

impl Proposable for FinishWithdrawal {
    fn proposed(&self) -> ProposedAct {
        let (id, ending) = (self.id, self.ending);
        ProposedAct::FinishWithdrawal { id, ending }
    }
}

impl Proposable for ReleaseHold {
    fn proposed(&self) -> ProposedAct {
        ProposedAct::ReleaseHold {
            id: self.id,
            reason: self.reason.clone(),
        }
    }
}

impl Proposable for SeeDeposit {
    fn proposed(&self) -> ProposedAct {
        ProposedAct::SeeDeposit {
            id: self.deposit.id,
            amount: self.amount,
            transfer_id: self.transfer_id.clone(),
        }
    }
}

impl Proposable for MoveLosses {
    fn proposed(&self) -> ProposedAct {
        ProposedAct::MoveLosses {
            settlement_id: self.settlement_id,
            currency: self.currency.clone(),
            withdrawn: self.withdrawn.clone(),
        }
    }
}

impl Proposable for FailGains {
    fn proposed(&self) -> ProposedAct {
        ProposedAct::FailGains {
            settlement_id: self.settlement_id,
            currency: self.currency.clone(),
            reason: self.reason.clone(),
        }
    }
}

impl Proposable for ReturnReceived {
    fn proposed(&self) -> ProposedAct {
        ProposedAct::ReturnReceived {
            settlement_id: self.settlement_id,
            currency: self.currency.clone(),
        }
    }
}

impl Proposable for RejectOnChain {
    fn proposed(&self) -> ProposedAct {
        ProposedAct::RejectOnChain {
            settlement_id: self.settlement_id,
            reason: self.reason.clone(),
        }
    }
}

impl Proposable for RejectSettlement {
    fn proposed(&self) -> ProposedAct {
        ProposedAct::RejectSettlement {
            settlement_id: self.id,
            reason: self.reason.clone(),
        }
    }
}

/// The policy as it is.
pub(crate) fn policy(draft: &Draft<'_>) -> ApprovalPolicy {
    let known = draft.find::<ApprovalPolicy>(&()).cloned();
    known.unwrap_or_default()
}

fn role_of(draft: &Draft<'_>, user: UserId) -> Option<InstallationRole> {
    draft.find::<User>(&user).and_then(|user| user.role)
}

/// An operator undertakes an act on money. Where a second operator is required it becomes a
/// proposal, unless it would be refused, or would change nothing because it was done before.
#[derive(Clone, Debug)]
pub struct Undertake<C> {
    /// The act.
    pub command: C,
    /// The identifier that the proposal gets, if it becomes one. One about the same that is open
    /// and says the same is met, not made again.
    pub proposal_id: ProposalId,
    /// Who proposes it, if it becomes a proposal. The installation itself needs nobody.
    pub proposer: Act,
}

/// What came of an act that an operator undertook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undertaken<T> {
    /// It was done.
    Done {
        /// What came of it.
        outcome: T,
        /// Whether acts on money need a second operator in this installation.
        second_operator_required: bool,
    },
    /// It waits for a second operator.
    Proposed(Box<Proposal>),
}

impl<T> Undertaken<T> {
    /// What came of it, if it was done.
    pub fn done(self) -> Option<T> {
        match self {
            Undertaken::Done { outcome, .. } => Some(outcome),
            Undertaken::Proposed(_) => None,
        }
    }
}

impl<C: Proposable> Command for Undertake<C> {
    type Outcome = Undertaken<C::Outcome>;

    fn keys(&self) -> Keys {
        let mut keys = self.command.keys();
        keys.approval_policy.insert(());
        keys.latest_proposals
            .insert(self.command.proposed().subject());
        keys
    }

    fn more_keys(&self, view: &View) -> Keys {
        let mut keys = self.command.more_keys(view);
        let subject = self.command.proposed().subject();
        if let Some(latest) = view.latest_proposals.get(&subject) {
            keys.proposals.insert(latest.proposal_id);
        }
        keys
    }

    fn weight(&self) -> usize {
        self.command.weight()
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Self::Outcome, Refusal> {
        let policy = policy(draft);
        let done = |outcome| Undertaken::Done {
            outcome,
            second_operator_required: policy.second_operator_required,
        };
        let required = policy.second_operator_required;
        let Some(user) = self.proposer.user_id.filter(|_| required) else {
            return self.command.decide(draft, now).map(done);
        };
        let mut trial = draft.trial();
        let outcome = self.command.decide(&mut trial, now)?;
        if trial.is_unwritten() {
            return Ok(done(outcome));
        }
        let act = self.command.proposed();
        let subject = act.subject();
        let latest = draft.find::<LatestProposal>(&subject);
        let latest = latest.map(|latest| latest.proposal_id);
        let known = latest.and_then(|id| draft.find::<Proposal>(&id));
        if let Some(known) = known.filter(|known| known.is_open(now)) {
            if known.act == act {
                return Ok(Undertaken::Proposed(Box::new(known.clone())));
            }
            let message = format!(
                "something else is proposed already about {subject}, as proposal {}: have it approved or reject it first",
                known.id
            );
            return Err(Refusal::new(
                Class::Conflict,
                "other_proposal_open",
                message,
            ));
        }
        let proposal = Proposal {
            id: self.proposal_id,
            act,
            proposed_by: user,
            state: ProposalState::Pending,
            decided_by: None,
            notes: None,
            decided_at: None,
            created_at: now,
            expires_at: now.plus_seconds(policy.proposals_expire_after_s),
        };
        let change = (None, &proposal);
        self.proposer
            .record_change(draft, "propose", proposal.id.to_string(), change, now);
        draft.put(LatestProposal {
            subject,
            proposal_id: proposal.id,
        });
        draft.put(proposal.clone());
        Ok(Undertaken::Proposed(Box::new(proposal)))
    }
}

/// A second operator approves a proposal, and the act is done.
#[derive(Clone, Debug)]
pub struct Approve<C> {
    /// Which proposal.
    pub id: ProposalId,
    /// The act that it is about, in the name of whoever proposed it.
    pub command: C,
    /// What the second operator has to say about it.
    pub notes: Option<String>,
    /// The second operator.
    pub operator: Act,
}

/// What came of an approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approved<T> {
    /// The proposal.
    pub proposal: Proposal,
    /// What came of the act; nothing if the same operator had approved it before.
    pub outcome: Option<T>,
}

impl<C: Proposable> Command for Approve<C> {
    type Outcome = Approved<C::Outcome>;

    fn keys(&self) -> Keys {
        let mut keys = self.command.keys();
        keys.proposals.insert(self.id);
        keys.users.extend(self.operator.user_id);
        keys
    }

    fn more_keys(&self, view: &View) -> Keys {
        let mut keys = self.command.more_keys(view);
        let proposal = view.proposals.get(&self.id);
        keys.users.extend(proposal.map(|known| known.proposed_by));
        keys
    }

    fn weight(&self) -> usize {
        self.command.weight()
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Self::Outcome, Refusal> {
        let decision = Decision {
            id: self.id,
            state: ProposalState::Approved,
            notes: self.notes.as_deref(),
            operator: &self.operator,
        };
        let before = decision.proposal(draft)?;
        if before.state == ProposalState::Approved {
            return Ok(Approved {
                proposal: before,
                outcome: None,
            });
        }
        if before.is_expired(now) {
            let message =
                "the proposal has expired and can no longer be approved: propose it again";
            return Err(Refusal::new(
                Class::Unprocessable,
                "proposal_expired",
                message,
            ));
        }
        check_second_operator(draft, before.proposed_by, self.operator.user_id)?;
        if self.command.proposed() != before.act {
            let message = "what is approved is not what was proposed";
            return Err(Refusal::new(Class::Conflict, "other_proposal", message));
        }
        let outcome = self.command.decide(draft, now)?;
        let proposal = decision.make(draft, before, now);
        Ok(Approved {
            proposal,
            outcome: Some(outcome),
        })
    }
}

/// Two different people, both operators at this moment.
pub(crate) fn check_second_operator(
    draft: &Draft<'_>,
    proposer: UserId,
    operator: Option<UserId>,
) -> Result<(), Refusal> {
    let refuse = |name: &str, message: &str| {
        let class = Class::NotPermitted;
        Err(Refusal::new(class, name, message))
    };
    let is_operator = |user| role_of(draft, user) == Some(InstallationRole::Operator);
    match operator {
        Some(user) if user == proposer => refuse(
            "own_proposal",
            "who proposed it cannot approve it: another operator has to",
        ),
        Some(user) if is_operator(user) && is_operator(proposer) => Ok(()),
        Some(user) if is_operator(user) => refuse(
            "proposer_is_no_operator",
            "who proposed it is no operator any more: reject it, and propose it anew",
        ),
        _ => refuse("not_an_operator", "an operator has to approve it"),
    }
}

/// An operator rejects a proposal: another one's, or takes back his own.
#[derive(Clone, Debug)]
pub struct Reject {
    /// Which proposal.
    pub id: ProposalId,
    /// Why.
    pub notes: String,
    /// Who.
    pub operator: Act,
}

impl Command for Reject {
    type Outcome = Proposal;

    fn keys(&self) -> Keys {
        Keys {
            proposals: [self.id].into(),
            ..Keys::default()
        }
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Proposal, Refusal> {
        let decision = Decision {
            id: self.id,
            state: ProposalState::Rejected,
            notes: Some(&self.notes),
            operator: &self.operator,
        };
        let before = decision.proposal(draft)?;
        match before.state {
            ProposalState::Rejected => Ok(before),
            _ => Ok(decision.make(draft, before, now)),
        }
    }
}

/// What an operator decides on a proposal.
struct Decision<'command> {
    id: ProposalId,
    state: ProposalState,
    notes: Option<&'command str>,
    operator: &'command Act,
}

impl Decision<'_> {
    /// The proposal: pending, or decided on in just this way by the same operator before.
    fn proposal(&self, draft: &Draft<'_>) -> Result<Proposal, Refusal> {
        let known = draft.find::<Proposal>(&self.id).cloned();
        let known = known.ok_or_else(|| Refusal::not_found("proposal"))?;
        let repeats = known.state == self.state && known.decided_by == self.operator.user_id;
        if known.state == ProposalState::Pending || repeats {
            return Ok(known);
        }
        let message = format!("the proposal has been {} already and stays so", known.state);
        Err(Refusal::new(Class::Conflict, "proposal_decided", message))
    }

    fn make(&self, draft: &mut Draft<'_>, before: Proposal, now: Timestamp) -> Proposal {
        let after = Proposal {
            state: self.state,
            decided_by: self.operator.user_id,
            notes: self.notes.map(str::to_owned),
            decided_at: Some(now),
            ..before.clone()
        };
        let act = match self.state {
            ProposalState::Approved => "approve_proposal",
            _ => "reject_proposal",
        };
        let change = (Some(&before), &after);
        self.operator
            .record_change(draft, act, self.id.to_string(), change, now);
        draft.put(after.clone());
        after
    }
}

/// How acts on money are approved shall be so. Once a second operator is required, this is an act
/// that needs one too.
#[derive(Clone, Debug)]
pub struct SetApprovalPolicy {
    /// Whether a second operator has to approve them.
    pub second_operator_required: bool,
    /// How long a proposal can be approved, in seconds: within [`EXPIRE_AFTER_S`].
    pub proposals_expire_after_s: i64,
    /// Another operator, where there is one: nobody could approve anything otherwise.
    pub other_operator: Option<UserId>,
    /// Who says so.
    pub operator: Act,
}

impl Proposable for SetApprovalPolicy {
    fn proposed(&self) -> ProposedAct {
        ProposedAct::SetApprovalPolicy {
            second_operator_required: self.second_operator_required,
            proposals_expire_after_s: self.proposals_expire_after_s,
        }
    }
}

impl Command for SetApprovalPolicy {
    type Outcome = ApprovalPolicy;

    fn keys(&self) -> Keys {
        Keys {
            approval_policy: [()].into(),
            users: self.other_operator.into_iter().collect(),
            ..Keys::default()
        }
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<ApprovalPolicy, Refusal> {
        if !EXPIRE_AFTER_S.contains(&self.proposals_expire_after_s) {
            let message = format!(
                "proposals expire after {} to {} seconds",
                EXPIRE_AFTER_S.start(),
                EXPIRE_AFTER_S.end()
            );
            return Err(Refusal::new(
                Class::Invalid,
                "expiry_out_of_bounds",
                message,
            ));
        }
        let before = policy(draft);
        if self.second_operator_required && !before.second_operator_required {
            let other = self
                .other_operator
                .filter(|other| Some(*other) != self.operator.user_id);
            let role = other.and_then(|other| role_of(draft, other));
            if role != Some(InstallationRole::Operator) {
                let message =
                    "there is no other operator who could approve anything: make one first";
                return Err(Refusal::new(
                    Class::Unprocessable,
                    "no_second_operator",
                    message,
                ));
            }
        }
        let mut after = ApprovalPolicy {
            second_operator_required: self.second_operator_required,
            proposals_expire_after_s: self.proposals_expire_after_s,
            ..before.clone()
        };
        if after != before {
            after.updated_at = now;
            let change = (Some(&before), &after);
            let subject = "approval policy".to_owned();
            self.operator
                .record_change(draft, "set_approval_policy", subject, change, now);
            draft.put(after.clone());
        }
        Ok(after)
    }
}

/// While a second operator is required, nobody becomes or ceases to be an operator: one operator
/// could make another who approves what he proposes, or be left with nobody who can approve.
pub(crate) fn check_role_stays(
    draft: &Draft<'_>,
    before: Option<InstallationRole>,
    after: Option<InstallationRole>,
) -> Result<(), Refusal> {
    let operator = Some(InstallationRole::Operator);
    let changes = (before == operator) != (after == operator);
    if changes && policy(draft).second_operator_required {
        let message = "while a second operator has to approve acts on money, nobody becomes or ceases to be an operator: have that switched off first, which needs a second operator; to keep somebody out, revoke their tokens";
        return Err(Refusal::new(
            Class::Unprocessable,
            "operators_are_fixed",
            message,
        ));
    }
    Ok(())
}

/// While a second operator is required, nobody gets a token that acts as another operator.
pub(crate) fn check_token_is_own(
    draft: &Draft<'_>,
    token: &AccessToken,
    issuer: &Act,
) -> Result<(), Refusal> {
    let foreign = issuer.user_id.is_some_and(|user| user != token.user_id);
    if foreign
        && token.scopes.contains(&Scope::Installation)
        && role_of(draft, token.user_id) == Some(InstallationRole::Operator)
        && policy(draft).second_operator_required
    {
        let message = "while a second operator has to approve acts on money, operators issue their tokens themselves";
        return Err(Refusal::new(
            Class::NotPermitted,
            "operator_token_is_own",
            message,
        ));
    }
    Ok(())
}

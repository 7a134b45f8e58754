//! Acts on money that a second operator has to approve (decisions §7): undertaken, which does them
//! or proposes them; approved, which does them; rejected.

use ledger::EntryId;
use rules::{
    Class, ProposalId, Refusal, UserId,
    approve::{Approve, Proposable, Reject, SetApprovalPolicy, Undertake, Undertaken},
    fund::FinishWithdrawal,
    operate::Act,
    record::{ApprovalPolicy, InstallationRole, Proposal, ProposedAct},
    release::ReleaseHold,
};
use uuid::Uuid;

use crate::{Failure, Network, Operator};

impl Network {
    /// How acts on money are approved in this installation.
    ///
    /// # Errors
    ///
    /// See [`Failure`]; so for all that follow.
    pub async fn approval_policy(&self) -> Result<ApprovalPolicy, Failure> {
        Ok(self.store().approval_policy().await?)
    }

    /// An act on money as `proposer` undertakes it: done, or proposed where a second operator is
    /// required.
    pub(crate) fn undertaking<C: Proposable>(&self, command: C, proposer: Act) -> Undertake<C> {
        Undertake {
            command,
            proposal_id: ProposalId(self.draw_id()),
            proposer,
        }
    }
}

impl Operator<'_> {
    /// Does an act on money, or proposes it where a second operator is required.
    pub(crate) async fn undertake<C: Proposable>(
        &self,
        command: C,
    ) -> Result<Undertaken<C::Outcome>, Failure> {
        self.submit(self.network().undertaking(command, self.act()))
            .await
    }

    /// Approves a proposal of another operator: what it is about is done in the same commit.
    pub async fn approve(&self, id: Uuid, notes: Option<String>) -> Result<Proposal, Failure> {
        let known = self.records().proposal(ProposalId(id)).await?;
        let known = known.ok_or_else(|| {
            let message = "there is no such proposal";
            Refusal::new(Class::NotFound, "proposal_not_found", message)
        })?;
        // Who proposed it does it.
        let operator = Act {
            id: self.draw_id(),
            user_id: Some(known.proposed_by),
        };
        let approval = Approval { id, notes };
        match known.act {
            ProposedAct::BookDeposit(movement) => {
                let command = self.booking(movement, operator);
                Ok(self.carry_out(approval, command).await?.0)
            }
            ProposedAct::RequestWithdrawal(movement) => {
                let command = self.requesting(movement, operator);
                Ok(self.carry_out(approval, command).await?.0)
            }
            ProposedAct::FinishWithdrawal { id, ending } => {
                let command = FinishWithdrawal {
                    id,
                    entry_id: EntryId(self.draw_id()),
                    ending,
                    operator,
                };
                Ok(self.carry_out(approval, command).await?.0)
            }
            ProposedAct::ReleaseHold { id, reason } => {
                let command = ReleaseHold {
                    id,
                    entry_id: EntryId(self.draw_id()),
                    reason,
                    operator,
                };
                let (proposal, released) = self.carry_out(approval, command).await?;
                if let Some(record) = released {
                    self.network().tell_news(record.partner_id);
                }
                Ok(proposal)
            }
            ProposedAct::SeeDeposit {
                id,
                amount,
                transfer_id,
            } => {
                let command = self.network().seeing(id, amount, transfer_id, operator);
                let (proposal, seen) = self.carry_out(approval, command.await?).await?;
                // If nobody is left to do it, the timer that the deposit has set does it.
                if let Some(deposit) = seen {
                    let booked = self.network().book_gains(deposit.settlement_id).await;
                    booked.map_err(Failure::after_commit)?;
                }
                Ok(proposal)
            }
            ProposedAct::MoveLosses {
                settlement_id,
                currency,
                withdrawn,
            } => {
                let network = self.network();
                let command = network.moving_losses(settlement_id, currency, withdrawn, operator);
                Ok(self.carry_out(approval, command.await?).await?.0)
            }
            ProposedAct::FailGains {
                settlement_id,
                currency,
                reason,
            } => {
                let network = self.network();
                let command = network.failing_gains(settlement_id, currency, reason, operator);
                Ok(self.carry_out(approval, command.await?).await?.0)
            }
            ProposedAct::ReturnReceived {
                settlement_id,
                currency,
            } => {
                let command = self.network().returning(settlement_id, currency, operator);
                Ok(self.carry_out(approval, command.await?).await?.0)
            }
            ProposedAct::RejectOnChain {
                settlement_id,
                reason,
            } => {
                let network = self.network();
                let command = network.rejecting_on_chain(settlement_id, reason, operator);
                Ok(self.carry_out(approval, command.await?).await?.0)
            }
            ProposedAct::RejectSettlement {
                settlement_id,
                reason,
            } => {
                let command = self.rejecting(settlement_id, reason, operator);
                Ok(self.carry_out(approval, command.await?).await?.0)
            }
            ProposedAct::SetApprovalPolicy {
                second_operator_required,
                proposals_expire_after_s,
            } => {
                let command = SetApprovalPolicy {
                    second_operator_required,
                    proposals_expire_after_s,
                    other_operator: self.user_id(),
                    operator,
                };
                Ok(self.carry_out(approval, command).await?.0)
            }
        }
    }

    async fn carry_out<C: Proposable>(
        &self,
        approval: Approval,
        command: C,
    ) -> Result<(Proposal, Option<C::Outcome>), Failure> {
        let approved = self
            .submit(Approve {
                id: ProposalId(approval.id),
                command,
                notes: approval.notes,
                operator: self.act(),
            })
            .await?;
        // What is credited may be waited for.
        self.network().tell_timers();
        Ok((approved.proposal, approved.outcome))
    }

    /// Rejects a proposal of another operator, or takes an own one back.
    pub async fn reject(&self, id: Uuid, notes: String) -> Result<Proposal, Failure> {
        self.submit(Reject {
            id: ProposalId(id),
            notes,
            operator: self.act(),
        })
        .await
    }

    /// Makes acts on money need a second operator, or no more; what is left out stays as it is.
    pub async fn set_approval_policy(
        &self,
        second_operator_required: Option<bool>,
        proposals_expire_after_s: Option<i64>,
    ) -> Result<Undertaken<ApprovalPolicy>, Failure> {
        let before = self.network().approval_policy().await?;
        let other_operator = self.other_operator().await?;
        self.undertake(SetApprovalPolicy {
            second_operator_required: second_operator_required
                .unwrap_or(before.second_operator_required),
            proposals_expire_after_s: proposals_expire_after_s
                .unwrap_or(before.proposals_expire_after_s),
            other_operator,
            operator: self.act(),
        })
        .await
    }

    async fn other_operator(&self) -> Result<Option<UserId>, Failure> {
        let users = self.records().users().await?;
        let other = users.into_iter().find(|user| {
            user.role == Some(InstallationRole::Operator) && Some(user.id) != self.user_id()
        });
        Ok(other.map(|user| user.id))
    }
}

/// Which proposal is approved, and what is said about it.
struct Approval {
    id: Uuid,
    notes: Option<String>,
}

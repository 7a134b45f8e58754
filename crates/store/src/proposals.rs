//! What is read of approvals: the policy, and acts on money that wait for a second operator or did.

use ledger::Timestamp;
use rules::{
    ProposalId,
    record::{ApprovalPolicy, Proposal, ProposalState},
};

use crate::{Page, Store, StoreError, select::Select};

/// Which proposals are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProposalFilter {
    /// All of them.
    #[default]
    All,
    /// Those that can still be approved.
    Open,
    /// Those on which nobody has decided in their time.
    Expired,
    /// Those that were approved.
    Approved,
    /// Those that were rejected.
    Rejected,
}

impl Store {
    /// How acts on money are approved.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`]; so for all that follow.
    pub async fn approval_policy(&self) -> Result<ApprovalPolicy, StoreError> {
        let known = Select::all().first(self.reader()).await?;
        Ok(known.unwrap_or_default())
    }

    /// One proposal.
    pub async fn proposal(&self, id: ProposalId) -> Result<Option<Proposal>, StoreError> {
        Select::all().equal("id", id.0).first(self.reader()).await
    }

    /// Proposals, the latest first; `now` says which have expired.
    pub async fn proposals(
        &self,
        filter: ProposalFilter,
        now: Timestamp,
        page: Page,
    ) -> Result<Vec<Proposal>, StoreError> {
        let of_state = |state: ProposalState| Select::all().equal("state", state.as_str());
        let select = match filter {
            ProposalFilter::All => Select::all(),
            ProposalFilter::Open => {
                of_state(ProposalState::Pending).filter("expires_at > ?", vec![now.0.into()])
            }
            ProposalFilter::Expired => {
                of_state(ProposalState::Pending).filter("expires_at <= ?", vec![now.0.into()])
            }
            ProposalFilter::Approved => of_state(ProposalState::Approved),
            ProposalFilter::Rejected => of_state(ProposalState::Rejected),
        };
        let select = select.order("created_at DESC, id DESC").page(page);
        select.run(self.reader()).await
    }
}

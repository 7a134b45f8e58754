//! A client disputes a settlement, amends its dispute, takes it back, raises it again (C19, C20).

use std::collections::BTreeMap;

use ledger::{Currency, GoAccountId, SignedAmount, Timestamp};

use super::{Disputed, disputable, dispute_closed, own_dispute, window_closed};
use crate::{
    Class, ClientId, Command, DisputeId, Draft, EnterpriseId, Keys, PartnerId, Refusal, Signed,
    UserId, View,
    record::{Claim, Dispute, DisputeClosure, Participation, Retraction, TransferStatus},
};

/// A client objects to a settlement for one of its connections (C19).
#[derive(Clone, Debug)]
pub struct OpenDispute {
    /// The identifier that the dispute gets.
    pub id: DisputeId,
    /// What is disputed.
    pub disputed: Disputed,
    /// Whose connection it is.
    pub client_id: ClientId,
    /// The client's enterprise.
    pub enterprise_id: EnterpriseId,
    /// The client's Go Account, whose keys sign.
    pub go_account_id: GoAccountId,
    /// Who posted the settlement.
    pub partner_id: PartnerId,
    /// The partner's enterprise.
    pub partner_enterprise_id: EnterpriseId,
    /// Who asks.
    pub user_id: UserId,
    /// What should have moved, as the client says.
    pub expected: BTreeMap<Currency, SignedAmount>,
    /// Why.
    pub reason: Option<String>,
    /// The signed request.
    pub signed: Signed,
}

impl Command for OpenDispute {
    type Outcome = Dispute;

    fn keys(&self) -> Keys {
        let mut keys = self.disputed.keys();
        keys.absorb(self.signed.keys());
        keys
    }

    fn more_keys(&self, view: &View) -> Keys {
        self.disputed.more_keys(view)
    }

    fn weight(&self) -> usize {
        self.disputed.weight()
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Dispute, Refusal> {
        self.signed.check_authority(draft, self.go_account_id)?;
        let disputed = &self.disputed;
        let (mut settlement, staging) = disputable(draft, disputed.settlement_id)?;
        let key = (disputed.settlement_id, disputed.connection_id);
        if draft
            .find::<Participation>(&key)
            .is_none_or(|part| part.client_id != self.client_id)
        {
            return Err(Refusal::not_found("settlement"));
        }
        let holder = self.signed.nonce_holder(draft)?;
        if let Some(claim) = draft.find::<Claim>(&disputed.claim()) {
            let id = DisputeId(claim.subject);
            if holder == Some(id.0)
                && let Some(known) = draft.find_if_known::<Dispute>(&id)
            {
                return Ok(known.clone());
            }
            return Err(Refusal::new(
                Class::Conflict,
                "dispute_exists",
                format!(
                    "the connection's dispute of this settlement is {id}: amend it or raise it again there"
                ),
            ));
        }
        if !staging.is_disputable(now) {
            return Err(window_closed());
        }
        let transfers = disputed.transfers.find(draft);
        let disputable = [TransferStatus::Pending, TransferStatus::Disputed];
        if !transfers.iter().any(|t| disputable.contains(&t.status)) {
            return Err(Refusal::new(
                Class::Unprocessable,
                "nothing_to_dispute",
                "nothing was posted for this connection in this settlement; what earlier disputes have ended in cannot be disputed again",
            ));
        }
        let dispute = Dispute {
            id: self.id,
            settlement_id: disputed.settlement_id,
            connection_id: disputed.connection_id,
            client_id: self.client_id,
            client_enterprise_id: self.enterprise_id.clone(),
            partner_id: self.partner_id,
            partner_enterprise_id: self.partner_enterprise_id.clone(),
            user_id: self.user_id,
            expected: self.expected.clone(),
            reason: self.reason.clone(),
            retraction: None,
            closure_id: None,
            closed_at: None,
            signed_request: self.signed.request.id,
            created_at: now,
            updated_at: now,
        };
        self.signed.take_nonce(draft, self.id.0)?;
        draft.claim(disputed.claim(), self.id.0);
        self.signed.keep(draft, now);
        disputed.mark(draft, &mut settlement, true, now)?;
        draft.put(dispute.clone());
        Ok(dispute)
    }
}

/// A client amends its dispute, takes it back or raises it again (C20).
#[derive(Clone, Debug)]
pub struct UpdateDispute {
    /// Which dispute.
    pub id: DisputeId,
    /// What it covers.
    pub disputed: Disputed,
    /// The client's enterprise.
    pub enterprise_id: EnterpriseId,
    /// The client's Go Account, whose keys sign.
    pub go_account_id: GoAccountId,
    /// Who asks.
    pub user_id: UserId,
    /// Whether it shall be taken back.
    pub retracted: bool,
    /// Why; none leaves what was said before.
    pub reason: Option<String>,
    /// What should have moved; none leaves what was said before.
    pub expected: Option<BTreeMap<Currency, SignedAmount>>,
    /// The signed request.
    pub signed: Signed,
}

impl UpdateDispute {
    fn amended(&self, before: &Dispute, now: Timestamp) -> Dispute {
        let mut after = before.clone();
        if let Some(expected) = &self.expected {
            after.expected.clone_from(expected);
        }
        match (&mut after.retraction, self.retracted) {
            (None, true) => {
                after.retraction = Some(Retraction {
                    by: self.user_id,
                    at: now,
                    reason: self.reason.clone(),
                });
            }
            (Some(retraction), true) => {
                if self.reason.is_some() {
                    retraction.reason.clone_from(&self.reason);
                }
            }
            (retraction, false) => {
                *retraction = None;
                if self.reason.is_some() {
                    after.reason.clone_from(&self.reason);
                }
            }
        }
        if after != *before {
            after.updated_at = now;
        }
        after
    }
}

impl Command for UpdateDispute {
    type Outcome = Dispute;

    fn keys(&self) -> Keys {
        let mut keys = self.disputed.keys();
        keys.absorb(self.signed.keys());
        keys.disputes.insert(self.id);
        keys
    }

    fn more_keys(&self, view: &View) -> Keys {
        let mut keys = self.disputed.more_keys(view);
        if let Some(dispute) = view.disputes.get(&self.id) {
            keys.dispute_closures.extend(dispute.closure_id);
        }
        keys
    }

    fn weight(&self) -> usize {
        self.disputed.weight()
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Dispute, Refusal> {
        self.signed.check_authority(draft, self.go_account_id)?;
        let before = own_dispute(draft, self.id, &self.enterprise_id)?;
        // An update that was made is never made again, whatever came after it.
        if self.signed.nonce_holder(draft)? == Some(self.id.0) {
            return Ok(before);
        }
        if before.connection_id != self.disputed.connection_id {
            return Err(Refusal::new(
                Class::Unprocessable,
                "connection_mismatch",
                format!(
                    "the dispute is of connection {}, not {}",
                    before.connection_id, self.disputed.connection_id
                ),
            ));
        }
        if before.closed_at.is_some() {
            return Err(dispute_closed(None));
        }
        let (mut settlement, staging) = disputable(draft, before.settlement_id)?;
        if !staging.is_disputable(now) {
            return Err(window_closed());
        }
        if let Some(id) = &before.closure_id
            && let Some(closure) = draft.find_if_known::<DisputeClosure>(id)
            && closure.waits()
        {
            return Err(dispute_closed(Some(closure)));
        }
        let after = self.amended(&before, now);
        self.signed.take_nonce(draft, self.id.0)?;
        self.signed.keep(draft, now);
        draft.put(after.clone());
        if after.stands() != before.stands() {
            self.disputed
                .mark(draft, &mut settlement, after.stands(), now)?;
        }
        Ok(after)
    }
}

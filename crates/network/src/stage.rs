//! Staging a settlement that clients may dispute (OES wire §3.6; P11).

use ledger::Timestamp;
use rules::{
    TransferId,
    record::{Dispute, Partner, Settlement, SettlementState},
    settle::{Carried, Stage},
};
use store::{DisputeFilter, Owned, Page, Side};

use crate::{Caller, DisputeView, Failure, Network, PartnerTerms, SettlementRequest};

/// The most transfers of earlier disputes that ride on one settlement.
const CARRIED_AT_MOST: u32 = 10_000;

/// What a partner says to stage (P11).
#[derive(Clone)]
pub struct StagingRequest {
    /// As for a settlement that is booked at once.
    pub posted: SettlementRequest,
    /// The time of the newest trade in it.
    pub cutoff_at: Timestamp,
}

/// A settlement that is staged, with what rides on it.
#[derive(Clone, Debug)]
pub struct StagedSettlement {
    /// The settlement as it is now.
    pub settlement: Settlement,
    /// Earlier disputes whose end rides on it.
    pub settling: Vec<DisputeView>,
    /// How the partner writes amounts.
    pub terms: PartnerTerms,
}

impl Network {
    /// Stages a settlement, or answers the one that was staged under that name. One whose dispute
    /// window has ended is tried to be booked.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    pub async fn stage(
        &self,
        caller: &Caller,
        request: StagingRequest,
    ) -> Result<StagedSettlement, Failure> {
        let (network, caller) = (self.clone(), caller.clone());
        self.carry_through(async move { network.stage_to_end(&caller, request).await })
            .await
    }

    async fn stage_to_end(
        &self,
        caller: &Caller,
        request: StagingRequest,
    ) -> Result<StagedSettlement, Failure> {
        let StagingRequest { posted, cutoff_at } = request;
        let signed = self.verify_settlement(caller, &posted).await?;
        let connections = self.settled_connections(caller, &posted.amounts).await?;
        let partner = match posted.amounts.is_empty() {
            true => self.carrying_partner(caller, &posted.external_id).await?,
            false => self.settling_partner(&connections).await?,
        };
        let posted = self
            .posted(caller, posted, signed, &connections, &partner)
            .await?;
        let carried = self.carried(&partner).await?;
        let stage = Stage {
            posted,
            cutoff_at,
            carried,
        };
        let mut settlement = self.submit(stage).await?;
        if self.may_be_booked(&settlement) {
            settlement = (self.advance(settlement.id).await).map_err(Failure::after_commit)?;
        } else {
            // The worker learns when the window ends.
            self.tell_timers();
        }
        let settling = self.store().disputes_settled_in(settlement.id).await;
        let settling = settling.map_err(|error| Failure::from(error).after_commit())?;
        Ok(StagedSettlement {
            settling: self.dispute_views(settling).await?,
            terms: self.terms_of(&partner).await?,
            settlement,
        })
    }

    fn may_be_booked(&self, settlement: &Settlement) -> bool {
        let window = settlement.staging.as_ref();
        let ends_at = window.map(|staging| staging.dispute_window_ends_at);
        let failed = matches!(settlement.state, SettlementState::Failed { .. });
        settlement.is_open() && (failed || ends_at.is_some_and(|end| end <= self.store().now()))
    }

    /// The partner for which a settlement without amounts is meant: the one that has posted it, or
    /// the only one of the enterprise for which something of closed disputes waits.
    async fn carrying_partner(
        &self,
        caller: &Caller,
        external_id: &str,
    ) -> Result<Partner, Failure> {
        let store = self.store();
        if let Some(known) = self.posted_as(caller, external_id).await? {
            let partner = store.partner(known.partner_id).await?;
            return partner.ok_or_else(|| Failure::not_found("partner"));
        }
        let mut carrying = Vec::new();
        for partner in self.partners_of(caller).await? {
            if !store.waiting_transfers(partner.id, 1).await?.is_empty() {
                carrying.push(partner);
            }
        }
        let mut carrying = carrying.into_iter();
        match (carrying.next(), carrying.next()) {
            (Some(partner), None) => Ok(partner),
            (None, _) => Err(Failure::invalid(
                "settlementAmounts",
                "must hold at least one amount: nothing of closed disputes waits for a settlement",
            )),
            (Some(_), Some(_)) => Err(Failure::invalid(
                "settlementAmounts",
                "must hold an amount: something of closed disputes waits for several partners of the enterprise",
            )),
        }
    }

    /// What waits for a settlement of the partner.
    async fn carried(&self, partner: &Partner) -> Result<Vec<Carried>, Failure> {
        let store = self.store();
        let waiting = store.waiting_transfers(partner.id, CARRIED_AT_MOST).await?;
        let carried = waiting.into_iter().map(|transfer| {
            let sides = [&transfer.source, &transfer.destination];
            Carried {
                transfer_id: transfer.id,
                accounts: sides.map(|side| side.account(&transfer.currency)),
                part_id: TransferId(self.draw_id()),
            }
        });
        Ok(carried.collect())
    }

    /// The disputes of a settlement that a caller may see, and those whose end rides on it.
    pub async fn settlement_disputes(
        &self,
        caller: &Caller,
        side: Side,
        settlement: &Settlement,
    ) -> Result<[Vec<DisputeView>; 2], Failure> {
        // A settlement without windows has neither.
        if settlement.staging.is_none() {
            return Ok([Vec::new(), Vec::new()]);
        }
        let of = |dispute: &Dispute| match side {
            Side::Client => &dispute.client_enterprise_id,
            Side::Partner => &dispute.partner_enterprise_id,
        } == &caller.enterprise.id;
        let mut settling = self.store().disputes_settled_in(settlement.id).await?;
        let mut raised = self.store().disputes_of_settlement(settlement.id).await?;
        settling.retain(of);
        raised.retain(of);
        Ok([
            self.dispute_views(settling).await?,
            self.dispute_views(raised).await?,
        ])
    }

    /// Disputes of the caller's side (C22, P15).
    pub async fn disputes(
        &self,
        caller: &Caller,
        side: Side,
        filter: DisputeFilter,
        page: Page,
    ) -> Result<Vec<DisputeView>, Failure> {
        let owned = Owned {
            enterprise_id: caller.enterprise.id.clone(),
            side,
        };
        let found = self.store().disputes(&owned, filter, page).await?;
        self.dispute_views(found).await
    }
}

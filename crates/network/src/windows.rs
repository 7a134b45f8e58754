//! What staged settlements are due for that nobody asks for: the ends of their windows, which are
//! timers, and money that has come in for those that were found short.
//!
//! Nothing is remembered here. Who was short and when stands in the settlement's row, and so does in
//! the balance's row what moved it last: comparing them finds every credit, whoever was down when it
//! came. The command that follows is the same as that of a partner's repeated request; it decides by
//! itself whether there is anything to do, so that two servers do no more than one.

use std::collections::BTreeMap;

use ledger::{EntryId, SignedAmount};
use rules::{
    SettlementId,
    planted::{Fault, is_planted},
    record::{Dispute, MessageCall, Settlement, Transfer, TransferStatus},
    settle::AdvanceSettlement,
};
use tokio::task::JoinSet;
use uuid::Uuid;
use wire::{api::DateTime, partner_call::FinalizeRequest};

use crate::{Failure, Network, PartnerTerms};

/// How many settlements that may be funded by now are taken in one look.
const AT_ONCE: u32 = 64;

impl Network {
    /// Books settlements that were short and whose partner's account has moved since. Whether any
    /// was tried.
    pub(crate) async fn book_funded(&self) -> Result<bool, Failure> {
        let funded = self.store().funded_settlements(AT_ONCE).await?;
        let mut has_advanced = false;
        let mut advances = JoinSet::new();
        for id in funded {
            let network = self.clone();
            advances.spawn(async move { (id, network.advance(id).await) });
        }
        while let Some(done) = advances.join_next().await {
            match done {
                Ok((_, Ok(_))) => has_advanced = true,
                Ok((settlement, Err(failure))) => {
                    tracing::warn!(%settlement, %failure, "a settlement was not tried again");
                }
                Err(panicked) => return Err(Failure::internal(&panicked)),
            }
        }
        Ok(has_advanced)
    }

    /// Takes a staged settlement as far as it goes.
    pub(crate) async fn advance(&self, id: SettlementId) -> Result<Settlement, Failure> {
        if is_planted(Fault::InactiveIsNotExecuted)
            && let Some(settlement) = self.store().settlement(id).await?
            && self.is_inactive(settlement.partner_id).await?
        {
            return Ok(settlement);
        }
        let _in_hand = self.take_in_hand(id).await?;
        let transfers = self.store().known_transfers_of(id).await?;
        let settlement = self
            .submit(AdvanceSettlement {
                id,
                transfers,
                entry_id: EntryId(self.draw_id()),
            })
            .await?;
        self.tell_news(settlement.partner_id);
        Ok(settlement)
    }

    /// Tells a partner the final amounts of its settlement (H9).
    pub(crate) async fn tell_final_amounts(&self, subject: Uuid) -> Result<(), Failure> {
        let id = SettlementId(subject);
        let settlement = self.store().settlement(id).await?;
        let settlement = settlement.ok_or_else(|| Failure::not_found("settlement"))?;
        let partner = self.store().partner(settlement.partner_id).await?;
        let partner = partner.ok_or_else(|| Failure::not_found("partner"))?;
        let terms = self.terms_of(&partner).await?;
        let disputes = self.store().disputes_of_settlement(id).await?;
        let request = {
            let _in_hand = self.take_in_hand(id).await?;
            let transfers = self.store().transfers_of(id).await?;
            final_amounts(&settlement, &transfers, &disputes, &terms)?
        };
        let endpoint = self.endpoint_of(partner.id).await?;
        let answer = self.shared.partners.finalize(&endpoint, &request).await;
        self.told(subject, MessageCall::Finalize, answer).await
    }
}

/// What moves in a settlement whose amounts are fixed, connection by connection.
fn final_amounts(
    settlement: &Settlement,
    transfers: &[Transfer],
    disputes: &[Dispute],
    terms: &PartnerTerms,
) -> Result<FinalizeRequest, Failure> {
    let staging = settlement.staging.as_ref();
    let staging = staging.ok_or_else(|| Failure::not_found("settlement"))?;
    let mut sums = BTreeMap::new();
    for transfer in transfers {
        if transfer.status == TransferStatus::Disputed {
            continue;
        }
        let units = transfer.amount.magnitude().units();
        for (party, units) in [(transfer.gainer(), units), (transfer.loser(), -units)] {
            if let Some((connection, _)) = party.connection {
                let of_connection: &mut BTreeMap<_, i128> = sums.entry(connection).or_default();
                let sum = of_connection.entry(&transfer.currency).or_default();
                *sum = sum.saturating_add(units);
            }
        }
    }
    let written = sums.into_iter().map(|(connection, sums)| {
        let amounts = sums.into_iter().filter_map(|(currency, units)| {
            let amount = SignedAmount::new(units).ok()?;
            Some((
                terms.name(currency),
                terms.signed_quantity(currency, amount),
            ))
        });
        (connection.to_string(), amounts.collect())
    });
    let standing = disputes.iter().filter(|dispute| dispute.stands());
    Ok(FinalizeRequest {
        settlement_id: settlement.id.0,
        external_id: settlement.external_id.clone(),
        cutoff_at: DateTime::from(staging.cutoff_at).to_string(),
        settlement_amounts: written.collect(),
        disputed_connection_ids: standing.map(|d| d.connection_id.to_string()).collect(),
        top_up_window_ends_at: DateTime::from(staging.top_up_window_ends_at).to_string(),
    })
}

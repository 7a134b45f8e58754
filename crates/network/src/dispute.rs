//! Disputing settlements (OES wire §3.7; C19 to C22, P15): what clients do, and operators.

use std::collections::{BTreeMap, BTreeSet};

use ledger::{Currency, EntryId, SignedAmount};
use rules::{
    Class, ConnectionId, DisputeClosureId, DisputeId, Refusal, SettlementId, UserId,
    approve::Undertaken,
    dispute::{
        AdjustedLine, CloseDispute, Disputed, OpenDispute, ProposeClosure, ReviewClosure,
        UpdateDispute,
    },
    operate::Act,
    record::{Adjustment, Dispute, DisputeClosure, Partner, SettlementForm, Transfer},
    settle::{KnownTransfers, RejectSettlement},
};
use uuid::Uuid;
use wire::body::{Fault, Faults};

use crate::{
    Caller, Failure, Network, Operator, SignedText,
    settle::{partner_itself, party},
    signing::Keeping,
};

/// A dispute with how it ends.
#[derive(Clone, Debug)]
pub struct DisputeView {
    /// The dispute.
    pub dispute: Dispute,
    /// The last closure, be it proposed, approved or rejected.
    pub closure: Option<DisputeClosure>,
    /// The transfers that the closure has made.
    pub adjusted: Vec<Transfer>,
}

impl DisputeView {
    /// The settlement on which what the closure says rides, or the last of them where it does so in
    /// parts.
    pub fn settled_in(&self) -> Option<SettlementId> {
        // Identifiers begin with the time at which they were drawn.
        let settlements = self.adjusted.iter().filter_map(|part| part.settlement_id);
        settlements.max()
    }
}

/// What a client says to dispute a settlement (C19).
#[derive(Clone)]
pub struct DisputeRequest {
    /// Which settlement.
    pub settlement_id: Uuid,
    /// For which of its connections.
    pub connection_id: Uuid,
    /// Why.
    pub reason: Option<String>,
    /// What should have moved, by the network's tickers, in signed base units.
    pub expected: BTreeMap<String, String>,
    /// The payload, its signature and its nonce.
    pub text: SignedText,
}

/// What a client says to amend its dispute, to take it back or to raise it again (C20).
#[derive(Clone)]
pub struct DisputeUpdateRequest {
    /// Which dispute.
    pub dispute_id: Uuid,
    /// Of which of its connections.
    pub connection_id: Uuid,
    /// Whether it shall be taken back.
    pub retracted: bool,
    /// Why; none leaves what was said before.
    pub reason: Option<String>,
    /// What should have moved; none leaves what was said before.
    pub expected: Option<BTreeMap<String, String>>,
    /// The payload, its signature and its nonce.
    pub text: SignedText,
}

/// What a client says to concede (C21).
#[derive(Clone)]
pub struct DisputeClosureRequest {
    /// Which dispute.
    pub dispute_id: Uuid,
    /// What the client writes beside it.
    pub notes: String,
    /// The payload, its signature and its nonce.
    pub text: SignedText,
}

/// An amount that moves instead of disputed transfers, as an operator says.
#[derive(Clone, Debug)]
pub struct AdjustmentRequest {
    /// The connection on the other side; none where there is only one other side.
    pub counterparty_connection_id: Option<Uuid>,
    /// The network's ticker.
    pub currency: Currency,
    /// Base units: above zero to the disputing connection, below zero from it.
    pub quantity: SignedAmount,
}

impl Network {
    /// Adds to disputes how they end.
    pub(crate) async fn dispute_views(
        &self,
        disputes: Vec<Dispute>,
    ) -> Result<Vec<DisputeView>, Failure> {
        let ids: Vec<DisputeClosureId> = disputes.iter().filter_map(|d| d.closure_id).collect();
        if ids.is_empty() {
            let bare = disputes.into_iter().map(|dispute| DisputeView {
                dispute,
                closure: None,
                adjusted: Vec::new(),
            });
            return Ok(bare.collect());
        }
        let closures = self.store().dispute_closures(ids.clone()).await?;
        let mut closures: BTreeMap<_, _> = closures.into_iter().map(|c| (c.id, c)).collect();
        let mut adjusted: BTreeMap<DisputeClosureId, Vec<Transfer>> = BTreeMap::new();
        for transfer in self.store().transfers_of_closures(ids).await? {
            if let Some(closure) = transfer.dispute_closure_id {
                adjusted.entry(closure).or_default().push(transfer);
            }
        }
        let views = disputes.into_iter().map(|dispute| {
            let id = dispute.closure_id;
            DisputeView {
                closure: id.and_then(|id| closures.remove(&id)),
                adjusted: id.and_then(|id| adjusted.remove(&id)).unwrap_or_default(),
                dispute,
            }
        });
        Ok(views.collect())
    }

    async fn dispute_view(&self, dispute: Dispute) -> Result<DisputeView, Failure> {
        let mut views = self.dispute_views(vec![dispute]).await?;
        views.pop().ok_or(Failure::Internal)
    }

    /// What was posted for a connection in a settlement.
    async fn disputed(
        &self,
        settlement_id: SettlementId,
        connection_id: ConnectionId,
    ) -> Result<(Disputed, Vec<Transfer>), Failure> {
        let transfers = self
            .store()
            .posted_transfers(settlement_id, connection_id)
            .await?;
        let counterparties: BTreeSet<ConnectionId> = transfers
            .iter()
            .filter_map(|transfer| transfer.other_side(connection_id)?.connection)
            .map(|(id, _)| id)
            .collect();
        let disputed = Disputed {
            settlement_id,
            connection_id,
            transfers: KnownTransfers::of(&transfers),
            counterparties: counterparties.into_iter().collect(),
        };
        Ok((disputed, transfers))
    }

    /// Disputes a settlement for one of the caller's connections.
    ///
    /// # Errors
    ///
    /// See [`Failure`]; so for all that follow.
    pub async fn open_dispute(
        &self,
        caller: &Caller,
        request: DisputeRequest,
    ) -> Result<DisputeView, Failure> {
        let (network, caller) = (self.clone(), caller.clone());
        self.carry_through(async move { network.open_dispute_to_end(&caller, request).await })
            .await
    }

    async fn open_dispute_to_end(
        &self,
        caller: &Caller,
        request: DisputeRequest,
    ) -> Result<DisputeView, Failure> {
        let expected = self.expected(&request.expected).await?;
        let enterprise = &caller.enterprise.id;
        let account = self.signing_account(caller).await?;
        let signed = self
            .verify(enterprise, account, request.text, Keeping::Clear)
            .await?;
        let store = self.store();
        let client = store.client_of(enterprise).await?;
        let client = client.ok_or_else(|| Failure::not_found("settlement"))?;
        let id = SettlementId(request.settlement_id);
        let parts = store.participations(client.id, vec![id]).await?;
        let settlement = store.settlement(id).await?;
        let settlement = settlement
            .filter(|_| !parts.is_empty())
            .ok_or_else(|| Failure::not_found("settlement"))?;
        let connection = ConnectionId(request.connection_id);
        if parts.iter().all(|part| part.connection_id != connection) {
            let known = store.connection(connection).await?;
            if known.is_none_or(|known| known.client_id != client.id) {
                return Err(Failure::not_found("connection"));
            }
            return Err(Failure::Refused(Refusal::new(
                Class::Unprocessable,
                "connection_mismatch",
                "the connection takes no part in this settlement",
            )));
        }
        let (disputed, _) = self.disputed(id, connection).await?;
        let dispute = self
            .submit(OpenDispute {
                id: DisputeId(self.draw_id()),
                disputed,
                client_id: client.id,
                enterprise_id: enterprise.clone(),
                go_account_id: client.go_account_id,
                partner_id: settlement.partner_id,
                partner_enterprise_id: settlement.partner_enterprise_id,
                user_id: caller.user_id,
                expected,
                reason: request.reason,
                signed,
            })
            .await?;
        (self.dispute_view(dispute).await).map_err(Failure::after_commit)
    }

    /// Amends a dispute, takes it back, or raises it again.
    pub async fn update_dispute(
        &self,
        caller: &Caller,
        request: DisputeUpdateRequest,
    ) -> Result<DisputeView, Failure> {
        let (network, caller) = (self.clone(), caller.clone());
        self.carry_through(async move { network.update_dispute_to_end(&caller, request).await })
            .await
    }

    /// The settlement of one of the caller's own disputes, so that what is signed can name it.
    pub async fn disputed_settlement(
        &self,
        caller: &Caller,
        dispute: Uuid,
    ) -> Result<Option<Uuid>, Failure> {
        let dispute = self.store().dispute(DisputeId(dispute)).await?;
        let own = dispute.filter(|d| d.client_enterprise_id == caller.enterprise.id);
        Ok(own.map(|dispute| dispute.settlement_id.0))
    }

    async fn update_dispute_to_end(
        &self,
        caller: &Caller,
        request: DisputeUpdateRequest,
    ) -> Result<DisputeView, Failure> {
        let expected = match &request.expected {
            Some(expected) => Some(self.expected(expected).await?),
            None => None,
        };
        let enterprise = &caller.enterprise.id;
        let account = self.signing_account(caller).await?;
        let signed = self
            .verify(enterprise, account, request.text, Keeping::Clear)
            .await?;
        let known = self.own_dispute(caller, request.dispute_id).await?;
        let (disputed, _) = self
            .disputed(known.settlement_id, known.connection_id)
            .await?;
        let disputed = Disputed {
            connection_id: ConnectionId(request.connection_id),
            ..disputed
        };
        let dispute = self
            .submit(UpdateDispute {
                id: known.id,
                disputed,
                enterprise_id: enterprise.clone(),
                go_account_id: account,
                user_id: caller.user_id,
                retracted: request.retracted,
                reason: request.reason,
                expected,
                signed,
            })
            .await?;
        (self.dispute_view(dispute).await).map_err(Failure::after_commit)
    }

    /// Closes a dispute by conceding.
    pub async fn close_dispute(
        &self,
        caller: &Caller,
        request: DisputeClosureRequest,
    ) -> Result<DisputeClosure, Failure> {
        let (network, caller) = (self.clone(), caller.clone());
        self.carry_through(async move { network.close_dispute_to_end(&caller, request).await })
            .await
    }

    async fn close_dispute_to_end(
        &self,
        caller: &Caller,
        request: DisputeClosureRequest,
    ) -> Result<DisputeClosure, Failure> {
        let enterprise = &caller.enterprise.id;
        let account = self.signing_account(caller).await?;
        let signed = self
            .verify(enterprise, account, request.text, Keeping::Clear)
            .await?;
        let known = self.own_dispute(caller, request.dispute_id).await?;
        let (disputed, _) = self
            .disputed(known.settlement_id, known.connection_id)
            .await?;
        self.submit(CloseDispute {
            closure_id: DisputeClosureId(self.draw_id()),
            dispute_id: known.id,
            disputed,
            enterprise_id: enterprise.clone(),
            go_account_id: account,
            user_id: caller.user_id,
            notes: request.notes,
            entry_id: EntryId(self.draw_id()),
            signed,
        })
        .await
    }

    async fn own_dispute(&self, caller: &Caller, id: Uuid) -> Result<Dispute, Failure> {
        let dispute = self.store().dispute(DisputeId(id)).await?;
        dispute
            .filter(|dispute| dispute.client_enterprise_id == caller.enterprise.id)
            .ok_or_else(|| Failure::not_found("dispute"))
    }

    /// What a client expects, in the network's currencies.
    async fn expected(
        &self,
        sent: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<Currency, SignedAmount>, Failure> {
        let known: BTreeSet<Currency> = (self.store().currencies().await?)
            .into_iter()
            .map(|currency| currency.ticker)
            .collect();
        let mut faults = Faults::default();
        let mut expected = BTreeMap::new();
        for (ticker, quantity) in sent {
            let mut fault = |message: String| {
                faults.note(|| Fault {
                    field: format!("expectedTransfers.{ticker}"),
                    message,
                });
            };
            let currency = ticker.parse().ok().filter(|ticker| known.contains(ticker));
            match (currency, quantity.parse::<SignedAmount>()) {
                (Some(currency), Ok(amount)) => {
                    expected.insert(currency, amount);
                }
                (None, _) => fault("is in no currency of the network".to_owned()),
                (_, Err(error)) => fault(error.to_string()),
            }
        }
        faults.none().map_err(Failure::Invalid)?;
        Ok(expected)
    }
}

fn no_operator() -> Failure {
    Failure::Refused(Refusal::new(
        Class::NotPermitted,
        "no_operator",
        "disputes are closed by operators who can be told apart, not by the installation itself",
    ))
}

impl Operator<'_> {
    fn named(&self) -> Result<UserId, Failure> {
        self.user_id().ok_or_else(no_operator)
    }

    /// Disputes with how they end.
    ///
    /// # Errors
    ///
    /// See [`Failure`]; so for all that follow.
    pub async fn dispute_views(&self, disputes: Vec<Dispute>) -> Result<Vec<DisputeView>, Failure> {
        self.network().dispute_views(disputes).await
    }

    /// Proposes what moves instead of what is disputed. It counts once it was approved in a review.
    pub async fn propose_closure(
        &self,
        dispute_id: Uuid,
        sent: Vec<AdjustmentRequest>,
        notes: String,
    ) -> Result<DisputeClosure, Failure> {
        let user_id = self.named()?;
        let dispute = self.records().dispute(DisputeId(dispute_id)).await?;
        let dispute = dispute.ok_or_else(|| Failure::not_found("dispute"))?;
        let adjustments = self.adjustments(&dispute, sent).await?;
        self.submit(ProposeClosure {
            closure_id: DisputeClosureId(self.draw_id()),
            dispute_id: dispute.id,
            adjustments,
            notes,
            user_id,
            operator: self.act(),
        })
        .await
    }

    async fn adjustments(
        &self,
        dispute: &Dispute,
        sent: Vec<AdjustmentRequest>,
    ) -> Result<Vec<Adjustment>, Failure> {
        let settlement = self.records().settlement(dispute.settlement_id).await?;
        let settlement = settlement.ok_or_else(|| Failure::not_found("settlement"))?;
        let (disputed, _) = self
            .network()
            .disputed(dispute.settlement_id, dispute.connection_id)
            .await?;
        let terms = self
            .network()
            .terms_of(&self.partner_of(dispute).await?)
            .await?;
        let mut faults = Faults::default();
        let mut adjustments: BTreeMap<(Option<ConnectionId>, Currency), SignedAmount> =
            BTreeMap::new();
        for (place, adjustment) in sent.into_iter().enumerate() {
            let mut fault = |message: &str| {
                faults.note(|| Fault {
                    field: format!("adjustments.{place}"),
                    message: message.to_owned(),
                });
            };
            let currency = adjustment.currency;
            let agreed = terms.configuration().and_then(|c| c.currency(&currency));
            if agreed.is_none() {
                fault("is in no currency of this partner");
            }
            let others = &disputed.counterparties;
            let counterparty = adjustment.counterparty_connection_id.map(ConnectionId);
            let counterparty = match (settlement.form, counterparty, others.as_slice()) {
                (SettlementForm::Party, None, _) => None,
                (SettlementForm::Pair, None, [only]) => Some(*only),
                (SettlementForm::Pair, Some(named), _) if others.contains(&named) => Some(named),
                _ => {
                    fault(
                        "must name the connection on the other side in `counterpartyConnectionId`, if and only if the settlement was between connections",
                    );
                    continue;
                }
            };
            let key = (counterparty, currency);
            if adjustments.insert(key, adjustment.quantity).is_some() {
                fault("names the same currency and other side a second time");
            }
        }
        faults.none().map_err(Failure::Invalid)?;
        let adjustments = adjustments.into_iter();
        let adjustments = adjustments.map(|((counterparty, currency), amount)| Adjustment {
            counterparty,
            currency,
            amount,
        });
        Ok(adjustments.collect())
    }

    async fn partner_of(&self, dispute: &Dispute) -> Result<Partner, Failure> {
        let partner = self.records().partner(dispute.partner_id).await?;
        partner.ok_or_else(|| Failure::not_found("partner"))
    }

    /// Approves or rejects a proposed closure: what another operator has proposed, where a second
    /// operator is required.
    pub async fn review_closure(
        &self,
        closure_id: Uuid,
        approve: bool,
        notes: Option<String>,
    ) -> Result<DisputeClosure, Failure> {
        let user_id = self.named()?;
        let records = self.records();
        let closure = records
            .dispute_closure(DisputeClosureId(closure_id))
            .await?;
        let closure = closure.ok_or_else(|| Failure::not_found("dispute closure"))?;
        let dispute = records.dispute(closure.dispute_id).await?;
        let dispute = dispute.ok_or_else(|| Failure::not_found("dispute"))?;
        let (disputed, originals) = self
            .network()
            .disputed(dispute.settlement_id, dispute.connection_id)
            .await?;
        let lines = self.lines(&dispute, &closure, &originals).await?;
        self.submit(ReviewClosure {
            closure_id: closure.id,
            dispute_id: dispute.id,
            disputed,
            lines,
            approve,
            notes,
            user_id,
            entry_id: EntryId(self.draw_id()),
            operator: self.act(),
        })
        .await
    }

    /// What a closure says, with the parties that it moves between.
    async fn lines(
        &self,
        dispute: &Dispute,
        closure: &DisputeClosure,
        originals: &[Transfer],
    ) -> Result<Vec<AdjustedLine>, Failure> {
        let partner = self.partner_of(dispute).await?;
        let terms = self.network().terms_of(&partner).await?;
        let mut ids = vec![dispute.connection_id];
        ids.extend(closure.adjustments.iter().filter_map(|a| a.counterparty));
        let connections = self.records().connections_by_id(ids).await?;
        let side = |id: ConnectionId| {
            let found = connections.iter().find(|connection| connection.id == id);
            found
                .map(party)
                .ok_or_else(|| Failure::not_found("connection"))
        };
        let lines = closure.adjustments.iter().map(|adjustment| {
            let posted = originals.iter().find(|t| t.currency == adjustment.currency);
            Ok(AdjustedLine {
                currency: adjustment.currency.clone(),
                partner_currency: match posted {
                    Some(posted) => posted.partner_currency.clone(),
                    None => terms.name(&adjustment.currency),
                },
                amount: adjustment.amount,
                source: match adjustment.counterparty {
                    Some(counterparty) => side(counterparty)?,
                    None => partner_itself(&partner),
                },
                destination: side(dispute.connection_id)?,
            })
        });
        lines.collect()
    }

    /// Gives up a staged settlement that has failed.
    pub async fn reject_settlement(
        &self,
        id: Uuid,
        reason: String,
    ) -> Result<Undertaken<rules::record::Settlement>, Failure> {
        let command = self.rejecting(SettlementId(id), reason, self.act());
        self.undertake(command.await?).await
    }

    pub(crate) async fn rejecting(
        &self,
        id: SettlementId,
        reason: String,
        operator: Act,
    ) -> Result<RejectSettlement, Failure> {
        let transfers = self.records().transfers_of(id).await?;
        Ok(RejectSettlement {
            id,
            transfers: KnownTransfers::of(&transfers),
            reason,
            entry_id: EntryId(self.draw_id()),
            operator,
        })
    }
}

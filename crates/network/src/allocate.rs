//! Allocating and deallocating (OES wire §3.3, §3.4; C10, C12, P6, P7, H2 to H8).
//!
//! The order around the partner is fixed: hold committed, partner asked, clear or release
//! committed, partner told. A request asks a synchronous partner itself and waits for the answer;
//! an asynchronous one is asked by the worker. Nothing is ever guessed: an answer that did not
//! come leaves the record reserved, and the next attempt begins by asking for the status.

use std::sync::Arc;

use ledger::{Amount, Currency, EntryId};
use partner::{Endpoint, ReserveAnswer, StatusAnswer};
use rules::{
    AllocationId, Class, ClientId, ConnectionId, EnterpriseId, Reason, Refusal,
    allocate::{
        Awaited, Conclude, PartnerAnswer, Placed, Reserve, Route, Unanswered, Verdict,
        may_release_unanswered,
    },
    planted::{Fault, is_planted},
    record::{Allocation, AllocationKind, AllocationState, Answering, Connection},
};
use uuid::Uuid;
use wire::partner_call::{CallAmount, MovementKind, MovementRequest, Subject};

use crate::{
    Caller, Failure, Network, SignedText, known::BELIEVED_FOR, outbox::Waits, signing::Keeping,
};

/// What a client says to allocate or deallocate (C10, C12).
#[derive(Clone)]
pub struct AllocationRequest {
    /// Which way.
    pub kind: AllocationKind,
    /// Over which connection.
    pub connection_id: Uuid,
    /// In what.
    pub currency: Currency,
    /// How much.
    pub amount: Amount,
    /// The client's own name for it.
    pub client_external_id: String,
    /// What the client writes beside it.
    pub notes: Option<String>,
    /// The payload, its signature and its nonce.
    pub text: SignedText,
}

/// What a partner that answers later says (P6, P7).
#[derive(Clone)]
pub struct PartnerAnswerRequest {
    /// Which kind the endpoint is for.
    pub kind: AllocationKind,
    /// Which record.
    pub id: Uuid,
    /// The currency, by the partner's name.
    pub currency: String,
    /// How much, as the partner writes it.
    pub quantity: String,
    /// The client.
    pub client_id: Uuid,
    /// The connection.
    pub connection_id: Uuid,
    /// The partner's name for the client.
    pub partners_client_id: String,
    /// The partner's name for the connection.
    pub partners_connection_id: String,
    /// The partner's name for the record.
    pub partner_external_id: String,
    /// Why it is released; none: it is cleared.
    pub reject_reason: Option<String>,
    /// The payload, its signature and its nonce.
    pub text: SignedText,
}

/// Which question an attempt begins with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    /// The partner has never been asked.
    Ask,
    /// It may have been: the status first.
    Status,
}

impl Network {
    /// Allocates or deallocates. The answer is the record as it stands when there is nothing more
    /// to wait for, whatever has become of it.
    ///
    /// # Errors
    ///
    /// See [`Failure`]. A record that was released is no failure but an answer.
    pub async fn allocate(
        &self,
        caller: &Caller,
        request: AllocationRequest,
    ) -> Result<Allocation, Failure> {
        let (network, caller) = (self.clone(), caller.clone());
        self.carry_through(async move { network.allocate_to_end(&caller, request).await })
            .await
    }

    async fn allocate_to_end(
        &self,
        caller: &Caller,
        request: AllocationRequest,
    ) -> Result<Allocation, Failure> {
        let enterprise = &caller.enterprise.id;
        let account = self.signing_account(caller).await?;
        let signed = self
            .verify(enterprise, account, request.text, Keeping::Clear)
            .await?;
        let route = self.own_route(caller, request.connection_id).await?;
        let placed = self
            .submit(Reserve {
                id: AllocationId(self.draw_id()),
                entry_id: EntryId(self.draw_id()),
                kind: request.kind,
                route,
                currency: request.currency,
                amount: request.amount,
                client_external_id: request.client_external_id,
                notes: request.notes,
                initiated_by: caller.user_id,
                signed,
                lease_ms: self.settings().lease_ms(),
            })
            .await?;
        let followed = self.follow(placed).await;
        followed.map_err(Failure::after_commit)
    }

    /// What a request does once its record is there.
    async fn follow(&self, placed: Placed) -> Result<Allocation, Failure> {
        let record = placed.allocation;
        let AllocationState::Reserved { retriable, .. } = record.state else {
            return Ok(record);
        };
        let _aside = self.step_aside();
        match (record.answering, placed.fresh) {
            (Answering::Asynchronous, _) => {
                self.tell_news(record.partner_id);
                Ok(record)
            }
            (Answering::Synchronous, true) => self.attempt(record, Opening::Ask).await,
            (Answering::Synchronous, false) => {
                let taken = match retriable {
                    true => self.take_message(record.id.0).await?,
                    false => None,
                };
                match taken {
                    Some(_) => self.attempt(record, Opening::Status).await,
                    None => self.wait_for_answer(record).await,
                }
            }
        }
    }

    /// A connection of the caller as a client.
    pub(crate) async fn own_connection(
        &self,
        caller: &Caller,
        id: Uuid,
    ) -> Result<Connection, Failure> {
        let connection = self.store().connection(ConnectionId(id)).await?;
        connection
            .filter(|c| c.client_enterprise_id == caller.enterprise.id)
            .ok_or_else(|| Failure::not_found("connection"))
    }

    /// Whether money in this currency could come back over a connection of the caller, for the
    /// signing helper.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    pub async fn check_deallocation(
        &self,
        caller: &Caller,
        connection: Uuid,
        currency: &Currency,
    ) -> Result<(), Failure> {
        let connection = self.own_connection(caller, connection).await?;
        let refuse =
            |name, message: String| Err(Refusal::new(Class::Unprocessable, name, message).into());
        if connection.partners_ids().is_none() {
            let message = "the partner has not accepted this connection yet".to_owned();
            return refuse("connection_not_initialized", message);
        }
        if self.store().currency(currency).await?.is_none() {
            let message = format!("the network has no currency {currency}");
            return refuse("currency_not_supported", message);
        }
        Ok(())
    }

    /// Between whom allocations over a connection of the caller move.
    async fn own_route(&self, caller: &Caller, id: Uuid) -> Result<Route, Failure> {
        let route = self.route(ConnectionId(id)).await?;
        match route.client_enterprise_id == caller.enterprise.id {
            true => Ok(Route::clone(&route)),
            false => Err(Failure::not_found("connection")),
        }
    }

    /// Between whom allocations over a connection move. It never changes.
    async fn route(&self, id: ConnectionId) -> Result<Arc<Route>, Failure> {
        let known = &self.shared.known.routes;
        if let Some(route) = known.recall(&id, BELIEVED_FOR) {
            return Ok(route);
        }
        let connection = self.store().connection(id).await?;
        let connection = connection.ok_or_else(|| Failure::not_found("connection"))?;
        let partner = self.store().partner(connection.partner_id).await?;
        let partner = partner.ok_or_else(|| Failure::not_found("partner"))?;
        let route = Arc::new(Route {
            connection_id: connection.id,
            client_id: connection.client_id,
            client_enterprise_id: connection.client_enterprise_id,
            go_account_id: connection.go_account_id,
            network_account_id: connection.network_account_id,
            partner_id: connection.partner_id,
            partner_enterprise_id: connection.partner_enterprise_id,
            institution_identifier: partner.institution_identifier,
        });
        known.remember(id, Arc::clone(&route));
        Ok(route)
    }

    /// Waits for the attempt that another task or server makes.
    async fn wait_for_answer(&self, record: Allocation) -> Result<Allocation, Failure> {
        let mut latest = record;
        let mut waits: Waits = self.waits();
        while latest.is_reserved()
            && self.is_worked_on(latest.id.0).await?
            && waits.once_more().await
        {
            latest = self.store().allocation(latest.id).await?.unwrap_or(latest);
        }
        // The attempt may have ended between the two looks.
        Ok(self.store().allocation(latest.id).await?.unwrap_or(latest))
    }

    /// One attempt to bring a reserved record to its end. Whoever calls has the lease of its
    /// message.
    pub(crate) async fn attempt(
        &self,
        record: Allocation,
        opening: Opening,
    ) -> Result<Allocation, Failure> {
        if !record.is_reserved() {
            return Ok(record);
        }
        let (endpoint, request) = self.movement_call(&record).await?;
        let answer = match opening {
            Opening::Ask => self.ask(&endpoint, &request, record.answering).await,
            Opening::Status => self.ask_status(&endpoint, &request, record.answering).await,
        };
        match answer {
            Answer::Ends(verdict) => self.conclude(record.id, verdict).await,
            Answer::Later(_) | Answer::Unknown(_) if self.has_waited_enough(&record).await? => {
                let reason = Reason::new(
                    "partner_unanswered",
                    "the partner has not answered in time; the network has released the amount",
                );
                let tell_partner = true;
                let verdict = Verdict::Released {
                    reason,
                    tell_partner,
                };
                self.conclude(record.id, verdict).await
            }
            Answer::Later(partner_external_id) => {
                let id = record.id;
                self.submit(Awaited {
                    id,
                    partner_external_id,
                })
                .await
            }
            Answer::Unknown(error) => {
                let id = record.id;
                tracing::warn!(allocation = %id, error, "the partner did not answer");
                self.submit(Unanswered { id, error }).await
            }
        }
    }

    async fn conclude(&self, id: AllocationId, verdict: Verdict) -> Result<Allocation, Failure> {
        let entry_id = EntryId(self.draw_id());
        let operator = None;
        let concluded = self
            .submit(Conclude {
                id,
                entry_id,
                verdict,
                operator,
            })
            .await?;
        self.tell_news(concluded.allocation.partner_id);
        Ok(concluded.allocation)
    }

    async fn has_waited_enough(&self, record: &Allocation) -> Result<bool, Failure> {
        let partner = self.store().partner(record.partner_id).await?;
        let configuration = match &partner {
            Some(partner) => self.configuration_of(partner).await?,
            None => None,
        };
        let now = self.store().now();
        Ok(configuration.is_some_and(|c| may_release_unanswered(record, &c, now)))
    }

    async fn ask(
        &self,
        endpoint: &Endpoint,
        request: &MovementRequest,
        answering: Answering,
    ) -> Answer {
        match self.shared.partners.reserve(endpoint, request).await {
            ReserveAnswer::Accepted {
                partner_external_id,
            } => match answering {
                Answering::Synchronous => Answer::cleared(partner_external_id),
                Answering::Asynchronous => Answer::Later(partner_external_id),
            },
            ReserveAnswer::Rejected { reason } => Answer::rejected(reason),
            ReserveAnswer::Unknown { error } if is_planted(Fault::SilenceIsRejection) => {
                Answer::rejected(error)
            }
            ReserveAnswer::Unknown { error } => Answer::Unknown(error),
        }
    }

    async fn ask_status(
        &self,
        endpoint: &Endpoint,
        request: &MovementRequest,
        answering: Answering,
    ) -> Answer {
        match self.shared.partners.status(endpoint, request).await {
            StatusAnswer::Reserved {
                partner_external_id,
            } => Answer::cleared(partner_external_id),
            // Only we clear; a partner that calls it cleared has accepted it in any case.
            StatusAnswer::Cleared => Answer::cleared(None),
            StatusAnswer::Pending if is_planted(Fault::PendingIsAccepted) => Answer::cleared(None),
            StatusAnswer::Pending => match answering {
                Answering::Synchronous => {
                    Answer::Unknown("the partner has not decided yet".to_owned())
                }
                Answering::Asynchronous => Answer::Later(None),
            },
            StatusAnswer::Released => Answer::rejected("the partner has released it".to_owned()),
            StatusAnswer::Rejected { reason } => Answer::rejected(reason),
            StatusAnswer::NotKnown if is_planted(Fault::NotKnownIsRejected) => {
                Answer::rejected("the partner does not know it".to_owned())
            }
            StatusAnswer::NotKnown => self.ask(endpoint, request, answering).await,
            StatusAnswer::Unknown { error } if is_planted(Fault::UnknownIsRejected) => {
                Answer::rejected(error)
            }
            StatusAnswer::Unknown { error } => Answer::Unknown(error),
        }
    }

    /// What a partner is asked and told about a record.
    pub(crate) async fn movement_call(
        &self,
        record: &Allocation,
    ) -> Result<(Endpoint, MovementRequest), Failure> {
        let connection = self.store().connection(record.connection_id).await?;
        let connection = connection.ok_or_else(|| Failure::not_found("connection"))?;
        let (partners_connection_id, partners_client_id) = connection
            .partners_ids()
            .ok_or_else(|| Failure::not_found("connection"))?;
        let kind = match record.kind {
            AllocationKind::Allocation => MovementKind::Allocation,
            AllocationKind::Deallocation => MovementKind::Deallocation,
        };
        let request = MovementRequest {
            subject: Subject::new(kind, record.id.0),
            amount: CallAmount {
                currency: record.partner_currency.clone(),
                quantity: record.amount.to_string(),
            },
            client_id: record.client_id.0,
            connection_id: record.connection_id.0,
            partners_connection_id: partners_connection_id.to_owned(),
            partners_client_id: partners_client_id.to_owned(),
        };
        let endpoint = self.endpoint_of(record.partner_id).await?;
        Ok((endpoint, request))
    }

    /// Takes a partner's late answer (P6, P7).
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    pub async fn take_partner_answer(
        &self,
        caller: &Caller,
        request: PartnerAnswerRequest,
    ) -> Result<Allocation, Failure> {
        let (network, caller) = (self.clone(), caller.clone());
        self.carry_through(async move { network.take_answer_to_end(&caller, request).await })
            .await
    }

    async fn take_answer_to_end(
        &self,
        caller: &Caller,
        request: PartnerAnswerRequest,
    ) -> Result<Allocation, Failure> {
        let enterprise: &EnterpriseId = &caller.enterprise.id;
        let account = self.signing_account(caller).await?;
        let signed = self
            .verify(enterprise, account, request.text, Keeping::Clear)
            .await?;
        let record = self.store().allocation(AllocationId(request.id)).await?;
        let record = record
            .filter(|r| r.partner_enterprise_id == *enterprise && r.kind == request.kind)
            .ok_or_else(|| Failure::not_found(request.kind.as_str()))?;
        let partner = self.store().partner(record.partner_id).await?;
        let partner = partner.ok_or_else(|| Failure::not_found("partner"))?;
        let terms = self.terms_of(&partner).await?;
        // Base units are documented for this call, full units are what some partners write
        // everywhere: whichever of the two says the record's own amount was meant.
        let base: Option<Amount> = request.quantity.parse().ok();
        let agreed = terms.read(&record.currency, &request.quantity).ok();
        let amount = [base, agreed].into_iter().flatten();
        let amount = amount
            .clone()
            .find(|amount| *amount == record.amount)
            .or(amount.into_iter().next())
            .ok_or_else(|| Failure::invalid("amount.quantity", "is no amount of this currency"))?;
        let concluded = self
            .submit(PartnerAnswer {
                id: record.id,
                kind: request.kind,
                entry_id: EntryId(self.draw_id()),
                enterprise_id: enterprise.clone(),
                go_account_id: account,
                currency: terms.currency(&request.currency).cloned(),
                amount,
                client_id: ClientId(request.client_id),
                connection_id: ConnectionId(request.connection_id),
                partners_client_id: request.partners_client_id,
                partners_connection_id: request.partners_connection_id,
                partner_external_id: request.partner_external_id,
                reject_reason: request.reject_reason,
                signed,
            })
            .await?;
        self.tell_news(concluded.allocation.partner_id);
        Ok(concluded.allocation)
    }
}

/// What an attempt has come to.
enum Answer {
    /// The record ends.
    Ends(Verdict),
    /// The partner will answer by itself; its name for the record, if it told one.
    Later(Option<String>),
    /// Nobody knows.
    Unknown(String),
}

impl Answer {
    fn cleared(partner_external_id: Option<String>) -> Answer {
        Answer::Ends(Verdict::Cleared {
            partner_external_id,
        })
    }

    fn rejected(reason: String) -> Answer {
        Answer::Ends(Verdict::Released {
            reason: Reason::new("rejected_by_partner", reason),
            tell_partner: false,
        })
    }
}

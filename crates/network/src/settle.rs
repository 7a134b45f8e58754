//! Settling what was traded (OES wire §3.5; P10).

use std::collections::{BTreeMap, BTreeSet};

use ledger::{EntryId, SignedAmount};
use rules::{
    ConnectionId, SettlementId, Signed,
    planted::{Fault::SuspendedIsNotSettled, is_planted},
    record::{Connection, Partner, Settlement, SettlementForm, TransferParty},
    settle::{Settle, SettlementLine},
};
use sha2::{Digest, Sha256};
use store::{Page, PartnerFilter, SettlementFilter};
use uuid::Uuid;
use wire::body::{Fault, Faults};

use crate::{Caller, Failure, Network, PartnerTerms, SignedText, signing::Keeping};

/// One amount as the partner wrote it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SettlementAmount {
    /// The source in pair form; none in party form, where the partner itself is the source.
    pub source: Option<Uuid>,
    /// The destination: the connection in party form.
    pub destination: Uuid,
    /// The partner's name for the currency.
    pub currency: String,
    /// How much, signed, as the partner writes amounts.
    pub quantity: String,
}

impl SettlementAmount {
    fn field(&self) -> String {
        let source = self.source.map(|id| format!("{id}.")).unwrap_or_default();
        format!(
            "settlementAmounts.{source}{}.{}",
            self.destination, self.currency
        )
    }
}

/// What a partner says to settle (P10).
#[derive(Clone)]
pub struct SettlementRequest {
    /// The partner's own name for it.
    pub external_id: String,
    /// What the partner writes beside it.
    pub notes: Option<String>,
    /// Which parties the amounts name.
    pub form: SettlementForm,
    /// The amounts; at least one, unless a staged settlement carries what earlier disputes ended in.
    pub amounts: Vec<SettlementAmount>,
    /// The payload, its signature and its nonce.
    pub text: SignedText,
}

impl Network {
    /// Books a settlement at once or answers why it failed. A completed one is answered as it is,
    /// a failed one is tried again.
    ///
    /// # Errors
    ///
    /// See [`Failure`]. A settlement that could not be funded is no failure but an answer.
    pub async fn settle(
        &self,
        caller: &Caller,
        request: SettlementRequest,
    ) -> Result<Settlement, Failure> {
        let (network, caller) = (self.clone(), caller.clone());
        self.carry_through(async move { network.settle_to_end(&caller, request).await })
            .await
    }

    async fn settle_to_end(
        &self,
        caller: &Caller,
        request: SettlementRequest,
    ) -> Result<Settlement, Failure> {
        let signed = self.verify_settlement(caller, &request).await?;
        let connections = self.settled_connections(caller, &request.amounts).await?;
        let partner = self.settling_partner(&connections).await?;
        let posted = self
            .posted(caller, request, signed, &connections, &partner)
            .await?;
        let settlement = self.submit(posted).await?;
        self.tell_timers();
        Ok(settlement)
    }

    pub(crate) async fn verify_settlement(
        &self,
        caller: &Caller,
        request: &SettlementRequest,
    ) -> Result<Signed, Failure> {
        let account = self.signing_account(caller).await?;
        let text = request.text.clone();
        let enterprise = &caller.enterprise.id;
        self.verify(enterprise, account, text, Keeping::Clear).await
    }

    /// What is posted, in the network's terms.
    pub(crate) async fn posted(
        &self,
        caller: &Caller,
        request: SettlementRequest,
        signed: Signed,
        connections: &BTreeMap<Uuid, Connection>,
        partner: &Partner,
    ) -> Result<Settle, Failure> {
        let terms = self.terms_of(partner).await?;
        let lines = lines(&request.amounts, connections, partner, &terms)?;
        Ok(Settle {
            // Of a UUID of version 7 the low 32 bits are random, as transfers' identifiers need it.
            id: SettlementId(self.draw_id()),
            entry_id: EntryId(self.draw_id()),
            partner_id: partner.id,
            enterprise_id: caller.enterprise.id.clone(),
            go_account_id: partner.go_account_id,
            external_id: request.external_id,
            form: request.form,
            content_digest: content_digest(request.form, &lines),
            lines,
            notes: request.notes,
            initiated_by: caller.user_id,
            signed,
        })
    }

    /// The connections that the amounts name: all of them the caller's, and accepted.
    pub(crate) async fn settled_connections(
        &self,
        caller: &Caller,
        amounts: &[SettlementAmount],
    ) -> Result<BTreeMap<Uuid, Connection>, Failure> {
        let ids: BTreeSet<Uuid> = amounts
            .iter()
            .flat_map(|amount| amount.source.into_iter().chain([amount.destination]))
            .collect();
        let wanted = ids.iter().copied().map(ConnectionId).collect();
        let found = self.store().connections_by_id(wanted).await?;
        let own: BTreeMap<Uuid, Connection> = found
            .into_iter()
            .filter(|c| c.partner_enterprise_id == caller.enterprise.id)
            .filter(|c| c.partners_ids().is_some())
            .filter(|c| c.suspended.is_none() || !is_planted(SuspendedIsNotSettled))
            .map(|c| (c.id.0, c))
            .collect();
        let mut faults = Faults::default();
        for id in ids.iter().filter(|id| !own.contains_key(id)) {
            faults.note(|| Fault {
                field: format!("settlementAmounts.{id}"),
                message: "is no initialized connection of this partner".to_owned(),
            });
        }
        faults.none().map_err(Failure::Invalid)?;
        Ok(own)
    }

    /// The settlement that the caller has posted under a name of its own, if there is one.
    pub(crate) async fn posted_as(
        &self,
        caller: &Caller,
        external_id: &str,
    ) -> Result<Option<Settlement>, Failure> {
        let filter = SettlementFilter {
            external_ids: Some(vec![external_id.to_owned()]),
            ..SettlementFilter::default()
        };
        let one = Page { number: 0, size: 1 };
        let own = &caller.enterprise.id;
        let found = self.store().settlements_of_partner(own, filter, one);
        Ok(found.await?.pop())
    }

    /// The partners of the caller's enterprise, where a request names none.
    pub(crate) async fn partners_of(&self, caller: &Caller) -> Result<Vec<Partner>, Failure> {
        let filter = PartnerFilter {
            enterprise_id: Some(caller.enterprise.id.clone()),
            ..PartnerFilter::default()
        };
        let all = Page {
            number: 0,
            size: 500,
        };
        Ok(self.store().partners(filter, all).await?)
    }

    pub(crate) async fn settling_partner(
        &self,
        connections: &BTreeMap<Uuid, Connection>,
    ) -> Result<Partner, Failure> {
        let partners: BTreeSet<_> = connections.values().map(|c| c.partner_id).collect();
        let mut partners = partners.into_iter();
        let (Some(partner), None) = (partners.next(), partners.next()) else {
            return Err(Failure::invalid(
                "settlementAmounts",
                "must name connections of one partner; post one settlement for each partner",
            ));
        };
        let partner = self.store().partner(partner).await?;
        partner.ok_or_else(|| Failure::not_found("partner"))
    }
}

pub(crate) fn party(connection: &Connection) -> TransferParty {
    TransferParty {
        client_id: connection.client_id,
        go_account_id: connection.go_account_id,
        connection: Some((connection.id, connection.network_account_id)),
    }
}

pub(crate) fn partner_itself(partner: &Partner) -> TransferParty {
    TransferParty {
        client_id: partner.client_id,
        go_account_id: partner.go_account_id,
        connection: None,
    }
}

/// The amounts in the network's terms, in the order of parties and currency.
fn lines(
    amounts: &[SettlementAmount],
    connections: &BTreeMap<Uuid, Connection>,
    partner: &Partner,
    terms: &PartnerTerms,
) -> Result<Vec<SettlementLine>, Failure> {
    let itself = partner_itself(partner);
    let mut faults = Faults::default();
    let mut lines = BTreeMap::new();
    for amount in amounts {
        let mut fault = |message: String| {
            faults.note(|| Fault {
                field: amount.field(),
                message,
            });
        };
        let Some(currency) = terms.currency(&amount.currency) else {
            fault("is in no currency of this partner".to_owned());
            continue;
        };
        let read: Result<SignedAmount, _> = terms.read_signed(currency, &amount.quantity);
        let signed = match read {
            Ok(signed) => signed,
            Err(error) => {
                fault(error.to_string());
                continue;
            }
        };
        if amount.source == Some(amount.destination) {
            fault("moves money from a connection to itself".to_owned());
            continue;
        }
        let source = amount.source.and_then(|id| connections.get(&id));
        let Some(destination) = connections.get(&amount.destination) else {
            continue;
        };
        let line = SettlementLine {
            currency: currency.clone(),
            partner_currency: amount.currency.clone(),
            amount: signed,
            source: source.map_or_else(|| itself.clone(), party),
            destination: party(destination),
        };
        let place = (amount.source, amount.destination, currency.clone());
        if lines.insert(place, line).is_some() {
            fault(format!("names {currency} a second time"));
        }
    }
    faults.none().map_err(Failure::Invalid)?;
    Ok(lines.into_values().collect())
}

/// What identical settlements have in common: form, parties, currencies and base units.
fn content_digest(form: SettlementForm, lines: &[SettlementLine]) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(form.as_str());
    for line in lines {
        for side in [&line.source, &line.destination] {
            let connection = side.connection.map(|(id, _)| id.0).unwrap_or_default();
            digest.update(connection.as_bytes());
        }
        let currency = line.currency.as_str();
        digest.update((currency.len() as u64).to_be_bytes());
        digest.update(currency);
        digest.update(line.amount.units().to_be_bytes());
    }
    digest.finalize().into()
}

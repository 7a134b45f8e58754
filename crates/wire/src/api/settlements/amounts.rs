//! The amounts of a settlement in their two forms, told apart by their depth. Whether the
//! connections exist, whose they are, and what the quantities are in base units, is not known here.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, OneOfBuilder, Schema};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use crate::api::bounds::{SETTLEMENT_AMOUNTS_MAX, TEXT_BYTES_MAX};
use crate::api::quantity::PartnerQuantity;
use crate::body::{Fault, Reader};
use crate::json::{Json, Object};

/// The longest member name that a fault repeats, in characters.
const SHOWN_NAME_MAX: usize = 64;

/// What a settlement moves. In canonical order, whatever order was sent: by connections, then
/// currency; none of these occurs twice, and there are at most [`SETTLEMENT_AMOUNTS_MAX`] amounts. No
/// amounts are of the first form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettlementAmounts {
    /// `{connection: {currency: quantity}}`, each between the partner and a connection.
    Party(Vec<PartyAmount>),
    /// `{source: {destination: {currency: quantity}}}`, each between two connections.
    Pair(Vec<PairAmount>),
}

/// What moves between the partner and one connection in one currency.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartyAmount {
    /// The connection.
    pub connection_id: Uuid,
    /// The partner's name for the currency.
    pub currency: String,
    /// How much; positive if the connection gains.
    pub quantity: PartnerQuantity,
}

/// What moves between two connections in one currency.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PairAmount {
    /// The connection that loses if the quantity is positive.
    pub source_connection_id: Uuid,
    /// The connection that gains if the quantity is positive; another one.
    pub destination_connection_id: Uuid,
    /// The partner's name for the currency.
    pub currency: String,
    /// How much.
    pub quantity: PartnerQuantity,
}

impl SettlementAmounts {
    /// How many amounts there are.
    #[must_use]
    pub fn count(&self) -> usize {
        match self {
            Self::Party(amounts) => amounts.len(),
            Self::Pair(amounts) => amounts.len(),
        }
    }

    /// Takes at least `least` amounts out of a body, noting every fault.
    pub(super) fn take(body: &Reader<'_>, name: &str, least: usize) -> Option<Self> {
        let connections = body.object(name)?;
        let mut sorting = Sorting {
            body: &connections,
            party: Vec::new(),
            pair: Vec::new(),
            is_faulty: false,
        };
        sorting.take();
        let Sorting {
            mut party,
            mut pair,
            is_faulty,
            ..
        } = sorting;
        if is_faulty {
            return None;
        }
        // Two spellings of one UUID are two members of the JSON object and one connection.
        let twice = || {
            connections.fault("", "names the same connections and currency twice");
            None
        };
        match (party.is_empty(), pair.is_empty()) {
            (false, true) => {
                party.sort_unstable();
                let key = |amount: &PartyAmount| (amount.connection_id, amount.currency.clone());
                let unique = party.windows(2).all(|two| key(&two[0]) != key(&two[1]));
                if unique {
                    Some(Self::Party(party))
                } else {
                    twice()
                }
            }
            (true, false) => {
                pair.sort_unstable();
                let key = |amount: &PairAmount| {
                    (
                        amount.source_connection_id,
                        amount.destination_connection_id,
                        amount.currency.clone(),
                    )
                };
                let unique = pair.windows(2).all(|two| key(&two[0]) != key(&two[1]));
                if unique {
                    Some(Self::Pair(pair))
                } else {
                    twice()
                }
            }
            (false, false) => {
                connections.fault(
                    "",
                    "must not mix amounts of single connections with amounts between two",
                );
                None
            }
            (true, true) if least == 0 => Some(Self::Party(party)),
            (true, true) => {
                connections.fault("", "must hold at least one amount");
                None
            }
        }
    }
}

/// The amounts while they are read.
struct Sorting<'a, 'b> {
    body: &'b Reader<'a>,
    party: Vec<PartyAmount>,
    pair: Vec<PairAmount>,
    is_faulty: bool,
}

impl Sorting<'_, '_> {
    fn take(&mut self) {
        for (outer, value) in self.body.members() {
            let connection = self.connection(&[], outer);
            let Some(inner) = self.filled(&[outer], value) else {
                continue;
            };
            for (name, value) in inner.iter() {
                if self.party.len() + self.pair.len() == SETTLEMENT_AMOUNTS_MAX {
                    let message = format!("must hold at most {SETTLEMENT_AMOUNTS_MAX} amounts");
                    return self.fault(&[], &message);
                }
                match value {
                    Json::Object(_) => self.take_pairs(connection, [outer, name], value),
                    _ => {
                        let quantity = self.quantity(&[outer, name], value);
                        if let (Some(connection_id), Some(quantity)) = (connection, quantity) {
                            self.party.push(PartyAmount {
                                connection_id,
                                currency: name.to_owned(),
                                quantity,
                            });
                        }
                    }
                }
            }
        }
    }

    fn take_pairs(&mut self, source: Option<Uuid>, [outer, inner]: [&str; 2], value: &Json) {
        let destination = self.connection(&[outer], inner);
        if source.is_some() && source == destination {
            self.fault(&[outer, inner], "must not be the source itself");
        }
        let Some(currencies) = self.filled(&[outer, inner], value) else {
            return;
        };
        for (currency, value) in currencies.iter() {
            if self.party.len() + self.pair.len() == SETTLEMENT_AMOUNTS_MAX {
                let message = format!("must hold at most {SETTLEMENT_AMOUNTS_MAX} amounts");
                return self.fault(&[], &message);
            }
            let quantity = self.quantity(&[outer, inner, currency], value);
            if let (Some(source_connection_id), Some(destination_connection_id), Some(quantity)) =
                (source, destination, quantity)
            {
                self.pair.push(PairAmount {
                    source_connection_id,
                    destination_connection_id,
                    currency: currency.to_owned(),
                    quantity,
                });
            }
        }
    }

    fn connection(&mut self, path: &[&str], text: &str) -> Option<Uuid> {
        let usual = (text.len() == 36).then(|| Uuid::try_parse(text).ok());
        let connection = usual.flatten();
        if connection.is_none() {
            let path = [path, &[text]].concat();
            self.fault(&path, "must have the UUID of a connection as its name");
        }
        connection
    }

    /// The members of an object that has some.
    fn filled<'j>(&mut self, path: &[&str], value: &'j Json) -> Option<&'j Object> {
        let object = value.as_object().filter(|object| !object.is_empty());
        if object.is_none() {
            self.fault(path, "must be an object with at least one member");
        }
        object
    }

    /// The quantity of the currency that is the last step of the path.
    fn quantity(&mut self, path: &[&str], value: &Json) -> Option<PartnerQuantity> {
        let currency = path.last().copied().unwrap_or_default();
        if currency.is_empty() || currency.len() > TEXT_BYTES_MAX {
            let message =
                format!("must have a currency of 1 to {TEXT_BYTES_MAX} bytes as its name");
            self.fault(path, &message);
            return None;
        }
        match value.as_str().map(PartnerQuantity::parse) {
            Some(Ok(quantity)) => return Some(quantity),
            Some(Err(error)) => self.fault(path, &error.to_string()),
            None => self.fault(path, "must be a string with a decimal number"),
        }
        None
    }

    fn fault(&mut self, path: &[&str], message: &str) {
        self.is_faulty = true;
        self.body.note(|| {
            let shown = |name: &&str| name.chars().take(SHOWN_NAME_MAX).collect::<String>();
            let path: Vec<String> = path.iter().map(shown).collect();
            Fault {
                field: self.body.path_of(&path.join(".")),
                message: message.to_owned(),
            }
        });
    }
}

impl Serialize for SettlementAmounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        type Quantities<'a> = BTreeMap<&'a str, &'a str>;
        match self {
            Self::Party(amounts) => {
                let mut connections: BTreeMap<String, Quantities<'_>> = BTreeMap::new();
                for amount in amounts {
                    connections
                        .entry(amount.connection_id.to_string())
                        .or_default()
                        .insert(&amount.currency, amount.quantity.as_str());
                }
                connections.serialize(serializer)
            }
            Self::Pair(amounts) => {
                let mut sources: BTreeMap<String, BTreeMap<String, Quantities<'_>>> =
                    BTreeMap::new();
                for amount in amounts {
                    sources
                        .entry(amount.source_connection_id.to_string())
                        .or_default()
                        .entry(amount.destination_connection_id.to_string())
                        .or_default()
                        .insert(&amount.currency, amount.quantity.as_str());
                }
                sources.serialize(serializer)
            }
        }
    }
}

fn map(values: RefOr<Schema>, description: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .additional_properties(Some(AdditionalProperties::RefOr(values)))
        .description(Some(description))
        .into()
}

fn quantities() -> RefOr<Schema> {
    map(
        String::schema(),
        "Signed quantities by currency, never zero.",
    )
}

/// The party form.
pub(super) fn party_schema() -> RefOr<Schema> {
    map(
        quantities(),
        "By connection; positive if the connection gains.",
    )
}

impl PartialSchema for SettlementAmounts {
    fn schema() -> RefOr<Schema> {
        let destinations = map(quantities(), "By destination connection.");
        let pair = map(
            destinations,
            "By source connection; positive from source to destination.",
        );
        OneOfBuilder::new().item(party_schema()).item(pair).into()
    }
}

impl ToSchema for SettlementAmounts {}

#[cfg(test)]
mod tests;

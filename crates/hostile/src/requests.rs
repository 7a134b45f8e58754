//! The bodies of the network's API. An input is a body in JSON, which every request type reads.

use std::fmt::Debug;

use serde::Serialize;
use wire::{
    api::{
        DateTime,
        allocations::{AllocationUpdate, DeallocationUpdate, NewAllocation},
        bounds::{NOTES_BYTES_MAX, SETTLEMENT_AMOUNTS_MAX, TEXT_BYTES_MAX, WINDOW_MINUTES_MAX},
        connections::{ConnectionUpdate, NewConnection},
        partners::NewPartner,
        settlements::{
            DisputeConcession, DisputeUpdate, NewDispute, NewSettlement, NewStagedSettlement,
            SettlementToSign,
        },
        signed::{Content, Signed},
    },
    body::Fault,
    json::Json,
    payload,
};

use crate::words::{SECRET, are_bounded};

pub(crate) fn hold(bytes: &[u8]) {
    let Ok(json) = Json::parse(bytes) else {
        return;
    };
    let secrets = Secrets::of(&json);
    let check = Check {
        json: &json,
        secrets: &secrets,
    };
    if let Some(new) = check.content::<NewAllocation>() {
        assert!(new.client_external_id.len() <= TEXT_BYTES_MAX);
        assert!(new.notes.is_none_or(|notes| notes.len() <= NOTES_BYTES_MAX));
    }
    if let Some(update) = check.content::<AllocationUpdate>() {
        assert!(update.partners_allocation_id.len() <= TEXT_BYTES_MAX);
        assert!(!update.decision.parties.amount.quantity.is_negative());
    }
    check.content::<DeallocationUpdate>();
    if let Some(new) = check.content::<NewConnection>() {
        assert!(new.name.len() <= TEXT_BYTES_MAX && !new.name.is_empty());
    }
    if let Some(new) = check.content::<NewSettlement>() {
        assert!((1..=SETTLEMENT_AMOUNTS_MAX).contains(&new.settlement_amounts.count()));
    }
    if let Some(new) = check.content::<NewDispute>() {
        let mut currencies = new.expected_transfers.keys();
        assert!(currencies.all(|currency| currency.len() <= TEXT_BYTES_MAX));
        assert!(
            new.reason
                .is_none_or(|reason| reason.len() <= NOTES_BYTES_MAX)
        );
    }
    check.content::<DisputeUpdate>();
    check.content::<DisputeConcession>();
    check.request(|json| {
        let mut settlement = NewStagedSettlement::read(json)?;
        let DateTime(time) = settlement.cutoff_at;
        settlement.cutoff_at = DateTime(time - time.rem_euclid(1_000));
        Ok(settlement)
    });
    check.request(|json| {
        let mut settlement = SettlementToSign::read(json)?;
        // Times are written with milliseconds.
        settlement.cutoff_at = settlement
            .cutoff_at
            .map(|DateTime(time)| DateTime(time - time.rem_euclid(1_000)));
        Ok(settlement)
    });
    check.request(ConnectionUpdate::read);
    if let Some(new) = check.request(NewPartner::read) {
        let windows = [new.client_dispute_window_minutes, new.top_up_window_minutes];
        assert!(
            windows
                .iter()
                .all(|window| window.is_none_or(|minutes| minutes <= WINDOW_MINUTES_MAX))
        );
    }
}

struct Check<'a> {
    json: &'a Json,
    secrets: &'a Secrets<'a>,
}

impl Check<'_> {
    /// A request by itself, and with a payload and a signature around it.
    fn content<T: Content + PartialEq + Debug>(&self) -> Option<T> {
        let signed = self.request(Signed::<T>::read);
        let content = self.request(T::read);
        if let Some(signed) = signed {
            assert_eq!(Some(&signed.content), content.as_ref());
        }
        if let Some(content) = &content {
            // What the signing helper proposes is accepted with the body that it was asked about.
            let proposed = payload::compose(self.json, T::UNSIGNED, &[]);
            let checked = payload::check(&proposed, self.json, &[], T::UNSIGNED);
            assert_eq!(checked, Ok(()));
            let read = Json::parse(proposed.as_bytes()).expect("what is composed is readable");
            // `UNSIGNED` may take away what need not be signed; the rest is the same.
            let written = serde_json::to_string(content).expect("requests are writable");
            let again = Json::parse(written.as_bytes()).expect("what was written is readable");
            assert!(read.as_object().is_some() && again.as_object().is_some());
        }
        content
    }

    /// What is read and written again reads the same; what is refused is told in few words.
    fn request<T: Serialize + PartialEq + Debug>(
        &self,
        read: fn(&Json) -> Result<T, Vec<Fault>>,
    ) -> Option<T> {
        match read(self.json) {
            Ok(request) => {
                let written = serde_json::to_vec(&request).expect("requests are writable");
                let json = Json::parse(&written).expect("what was written is readable");
                assert_eq!(read(&json).as_ref(), Ok(&request));
                Some(request)
            }
            Err(faults) => {
                are_bounded(&faults);
                self.secrets.are_kept(&faults);
                None
            }
        }
    }
}

/// The texts of a document that faults must not repeat.
struct Secrets<'a>(Vec<&'a str>);

impl<'a> Secrets<'a> {
    fn of(json: &'a Json) -> Self {
        let mut secrets = Vec::new();
        let mut names = Vec::new();
        collect(json, &mut secrets, &mut names);
        // The name of a member may be told.
        secrets.retain(|secret| !names.iter().any(|name| name.contains(secret)));
        Self(secrets)
    }

    fn are_kept(&self, faults: &[Fault]) {
        for fault in faults {
            let told = self
                .0
                .iter()
                .find(|secret| fault.message.contains(**secret) || fault.field.contains(**secret));
            assert_eq!(told, None);
        }
    }
}

fn collect<'a>(json: &'a Json, secrets: &mut Vec<&'a str>, names: &mut Vec<&'a str>) {
    match json {
        Json::String(text) if text.starts_with(SECRET) => secrets.push(text),
        Json::Array(elements) => elements
            .iter()
            .for_each(|element| collect(element, secrets, names)),
        Json::Object(object) => object.iter().for_each(|(name, value)| {
            names.push(name);
            collect(value, secrets, names);
        }),
        _ => {}
    }
}

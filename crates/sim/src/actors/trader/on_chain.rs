//! A partner that settles over the chain: sends what its customers have gained, and says so.

use std::collections::BTreeMap;

use network::{DepositsRequest, Failure};
use sandbox::books::Posting;

use super::Trader;
use crate::world::{World, lock};

impl Trader {
    /// Sends something of what customers gain in a settlement to custody, and announces it (P18).
    /// Once nothing fails any more, it is all of it, whatever was sent before.
    pub(super) async fn announce(&self, world: &World, posting: &Posting) {
        let mut gains: BTreeMap<&str, u64> = BTreeMap::new();
        for (currency, units) in posting.amounts.values().flatten() {
            if let Ok(units) = u64::try_from(*units) {
                *gains.entry(currency).or_default() += units;
            }
        }
        let mut deposits = Vec::new();
        for currency in &world.currencies {
            let gained = gains.get(currency.as_str()).copied();
            let units = match (world.is_faulty(), gained) {
                (false, None) => continue,
                (false, Some(gained)) => gained,
                // Nobody needs it: it is the partner's own money.
                (true, None) if world.chance.below(8) == 0 => world.chance.within(1, 50),
                (true, None) => continue,
                (true, Some(gained)) => match world.chance.below(4) {
                    0 => continue,
                    1 => gained,
                    2 => gained + world.chance.within(1, 50),
                    _ => world.chance.within(1, gained),
                },
            };
            let tx_id = format!("tx-{}", world.next_number());
            lock(&world.chain).insert(tx_id.clone(), units);
            deposits.push((currency.to_string(), tx_id));
        }
        if deposits.is_empty() {
            return;
        }
        let name = &posting.external_id;
        let content = format!("deposits for {name}: {deposits:?}");
        let request = DepositsRequest {
            external_settlement_id: name.clone(),
            settlement_id: None,
            deposits,
            text: self.party.sign_with(String::new(), &content),
        };
        let caller = &self.party.caller;
        let told = world
            .persist(async |network| network.announce_deposits(caller, request.clone()).await)
            .await;
        world.note(format_args!("{content}: {}", told.is_ok()));
        match told {
            Ok(_) => {}
            // While it is inactive; what waits for them is announced again.
            Err(Failure::Refused(refusal)) if refusal.reason.name == "partner_not_found" => {}
            Err(_) if world.violation().is_some() => {}
            Err(failure) => world.broken("deposits are announced", failure.to_string()),
        }
    }
}

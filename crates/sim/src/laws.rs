//! The laws: what holds after every commit, and what holds once everything has come to rest.

use std::collections::BTreeMap;

use ledger::{
    Account, Amount, Balance, Currency, GoAccountId, Hold, HoldId, HoldPurpose, NetworkAccountId,
    Owner, invariants,
};
use store::{
    StoreError,
    sql::{Row, Value},
    verify_with,
};
use uuid::Uuid;
use wire::partner_call::MovementStatus;

use crate::{
    promises::Crossing,
    world::{World, lock},
};

/// After so many commits the whole chain and journal are verified; the laws of the books are
/// looked at after every one.
const VERIFIED_EVERY: u64 = 64;

/// What must never be found: a law, and a query for what breaks it.
const NEVER: [(&str, &str); 6] = [
    (
        "every open hold serves a record that waits",
        "SELECT count(*) FROM holds h WHERE is_open
            AND NOT EXISTS (SELECT 1 FROM allocations a WHERE a.id = h.id AND a.state = 'reserved')
            AND NOT EXISTS (SELECT 1 FROM withdrawals w WHERE w.id = h.id AND w.state = 'requested')
            AND NOT EXISTS (SELECT 1 FROM settlement_transfers t WHERE t.id = h.id
                AND t.status IN ('pending', 'failed', 'disputed', 'pending_settlement_assignment'))",
    ),
    (
        "nothing that is disputed is executed",
        "SELECT count(*) FROM settlement_transfers t JOIN disputes d
            ON d.settlement_id = t.settlement_id
                AND d.connection_id IN (t.source_connection_id, t.destination_connection_id)
            WHERE t.status = 'completed' AND t.dispute_closure_id IS NULL
                AND d.retracted_at IS NULL",
    ),
    (
        "every record that waits has its hold",
        "SELECT count(*) FROM allocations a WHERE state = 'reserved'
            AND NOT EXISTS (SELECT 1 FROM holds h WHERE h.id = a.id AND h.is_open
                AND h.amount = a.amount)",
    ),
    (
        "every withdrawal that waits has its hold",
        "SELECT count(*) FROM withdrawals w WHERE state = 'requested'
            AND NOT EXISTS (SELECT 1 FROM holds h WHERE h.id = w.id AND h.is_open
                AND h.amount = w.amount)",
    ),
    (
        "every record that waits has something to be said",
        "SELECT count(*) FROM allocations a WHERE state = 'reserved'
            AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.subject = a.id AND o.call IS NOT NULL)",
    ),
    (
        "an external id names one record",
        "SELECT count(*) FROM (SELECT 1 FROM allocations
            GROUP BY client_enterprise_id, kind, client_external_id HAVING count(*) > 1)",
    ),
];

/// What is left when everything has come to rest: nothing.
const AT_REST: [(&str, &str); 7] = [
    (
        "no hold is left",
        "SELECT count(*) FROM holds WHERE is_open",
    ),
    (
        "nothing is left to be said",
        "SELECT count(*) FROM outbox WHERE call IS NOT NULL",
    ),
    (
        "every record ends",
        "SELECT count(*) FROM allocations WHERE state = 'reserved'",
    ),
    (
        "every staged settlement ends",
        "SELECT count(*) FROM settlements WHERE state = 'pending'
            OR (state = 'failed' AND cutoff_at IS NOT NULL)",
    ),
    (
        "what disputes end in is settled",
        "SELECT count(*) FROM settlement_transfers WHERE settlement_id IS NULL",
    ),
    (
        "every dispute ends",
        "SELECT count(*) FROM disputes WHERE closed_at IS NULL AND retracted_at IS NULL",
    ),
    (
        "nothing is left reserved at partners",
        "SELECT count(*) FROM open_totals WHERE units <> x'80000000000000000000000000000000'",
    ),
];

/// Looks at the books after a commit.
pub(crate) async fn check_step(world: &World) {
    if world.violation().is_some() {
        return;
    }
    let commits = world.count_commit();
    if let Err(error) = check_books(world).await {
        world.broken("the books can be read", error.to_string());
    }
    if commits.is_multiple_of(VERIFIED_EVERY) {
        verify(world).await;
    }
}

async fn check_books(world: &World) -> Result<(), StoreError> {
    let balances = balances(world).await?;
    let holds = holds(world).await?;
    let laws = [
        (
            "value is conserved",
            invariants::value_is_conserved(&balances),
        ),
        (
            "nothing is negative",
            invariants::nothing_is_negative(&balances),
        ),
        (
            "holds explain what is held",
            invariants::holds_explain_what_is_held(&balances, &holds),
        ),
    ];
    for (law, held) in laws {
        if let Err(violation) = held {
            world.broken(law, violation.to_string());
        }
    }
    for (law, query) in NEVER {
        check_none(world, law, query).await?;
    }
    Ok(())
}

async fn check_none(world: &World, law: &'static str, query: &str) -> Result<(), StoreError> {
    let found = world.count(query).await?;
    if found > 0 {
        world.broken(law, format!("{found} break it"));
    }
    Ok(())
}

/// Verifies chain, journal and balances as `tidelock verify` does.
pub(crate) async fn verify(world: &World) {
    match verify_with(world.reader.clone()).await {
        Ok(report) if report.is_sound() => {}
        Ok(report) => world.broken("the journal explains the books", report.faults.join("; ")),
        Err(error) => world.broken("the books can be read", error.to_string()),
    }
}

/// What still keeps the network from being at rest.
pub(crate) async fn unrest(world: &World) -> Result<Option<String>, StoreError> {
    for (law, query) in AT_REST {
        let found = world.count(query).await?;
        if found > 0 {
            return Ok(Some(format!("not yet: {law}; there are {found}")));
        }
    }
    Ok(None)
}

/// What holds in the end.
pub(crate) async fn check_end(world: &World) -> Result<(), StoreError> {
    for (law, query) in AT_REST {
        check_none(world, law, query).await?;
    }
    check_both_books(world).await?;
    check_movements(world).await?;
    check_final_amounts(world).await?;
    check_promises(world).await?;
    check_crossings(world).await?;
    verify(world).await;
    Ok(())
}

/// Per connection and currency both sides have the same.
async fn check_both_books(world: &World) -> Result<(), StoreError> {
    let balances = balances(world).await?;
    let sql = "SELECT id, network_account_id FROM connections";
    let mut accounts = BTreeMap::new();
    for mut row in world.reader.query(sql, Vec::new()).await? {
        accounts.insert(row.uuid(0)?, NetworkAccountId(row.uuid(1)?));
    }
    for exchange in &world.exchanges {
        let books = lock(&exchange.books);
        for account in books.accounts() {
            let Some(link) = &account.link else { continue };
            let Some(network_account) = accounts.get(&link.connection_id) else {
                let detail = format!("{} is not the network's", link.connection_id);
                world.broken("both books are equal", detail);
                continue;
            };
            for currency in &world.currencies {
                let ours = Account::new(Owner::Net(*network_account), currency);
                let ours = balances.get(&ours).copied().unwrap_or_default();
                let theirs = account.positions.get(currency.as_str());
                let theirs = theirs.copied().unwrap_or_default();
                let settled = theirs.balance - theirs.unsettled;
                if (ours.available, ours.held, theirs.held) != (settled, 0, 0) {
                    let detail = format!(
                        "connection {} {currency}: {ours:?} and {theirs:?}",
                        link.connection_id
                    );
                    world.broken("both books are equal", detail);
                }
            }
        }
    }
    Ok(())
}

/// Both sides say the same of every movement.
async fn check_movements(world: &World) -> Result<(), StoreError> {
    let sql = "SELECT id, state FROM allocations";
    let mut ours = BTreeMap::new();
    for mut row in world.reader.query(sql, Vec::new()).await? {
        ours.insert(row.uuid(0)?, row.text(1)?);
    }
    for exchange in &world.exchanges {
        for movement in lock(&exchange.books).movements() {
            let id = movement.request.subject.id();
            let theirs = movement.state.status();
            let agrees = match (ours.get(&id).map(String::as_str), theirs) {
                (Some("cleared"), theirs) => theirs == MovementStatus::Cleared,
                (Some("released"), theirs) => {
                    matches!(theirs, MovementStatus::Released | MovementStatus::Rejected)
                }
                _ => false,
            };
            if !agrees {
                let detail = format!("{id}: {:?} and {theirs:?}", ours.get(&id));
                world.broken("both say the same of a movement", detail);
            }
        }
    }
    Ok(())
}

/// Partners were told the final amounts of every staged settlement.
async fn check_final_amounts(world: &World) -> Result<(), StoreError> {
    let sql = "SELECT id FROM settlements WHERE cutoff_at IS NOT NULL";
    for mut row in world.reader.query(sql, Vec::new()).await? {
        let id = row.uuid(0)?;
        let knows = |exchange: &crate::exchange::Exchange| {
            lock(&exchange.books)
                .finalized()
                .any(|told| told.settlement_id == id)
        };
        if !world.exchanges.iter().any(knows) {
            world.broken("partners are told final amounts", id.to_string());
        }
    }
    Ok(())
}

/// What was acknowledged is there exactly once and ended as was told; what was told not to be done
/// is not there.
async fn check_promises(world: &World) -> Result<(), StoreError> {
    let promises = lock(&world.promises).movements.clone();
    for (name, promise) in promises {
        let (client, kind, external_id) = &name;
        let sql = "SELECT id, state FROM allocations WHERE client_enterprise_id = $1
            AND kind = $2 AND client_external_id = $3";
        let params: Vec<Value> = vec![
            World::client_enterprise(*client).as_str().into(),
            (*kind).into(),
            external_id.as_str().into(),
        ];
        let mut found = Vec::new();
        for mut row in world.reader.query(sql, params).await? {
            found.push((row.uuid(0)?, row.text(1)?));
        }
        let ids: Vec<Uuid> = found.iter().map(|(id, _)| *id).collect();
        if let Some(id) = promise.id
            && ids != [id]
        {
            let detail = format!("{name:?} was {id} and is {ids:?}");
            world.broken("what was acknowledged is there once", detail);
        }
        if let (Some(end), [(_, state)]) = (promise.end, found.as_slice())
            && state != end
        {
            let detail = format!("{name:?} was {end} and is {state}");
            world.broken("what has ended stays as it is", detail);
        }
        if promise.was_not_done && !found.is_empty() {
            let detail = format!("{name:?} is {found:?}");
            world.broken("what was not done is not there", detail);
        }
    }
    Ok(())
}

/// Custody has received and paid what was acknowledged, each once.
async fn check_crossings(world: &World) -> Result<(), StoreError> {
    let (deposits, paid) = {
        let promises = lock(&world.promises);
        (promises.deposits.clone(), promises.paid.clone())
    };
    let found = "SELECT external_reference, id, currency, amount FROM deposits";
    check_crossed(world, found, &deposits).await?;
    let found =
        "SELECT external_reference, id, currency, amount FROM withdrawals WHERE state = 'paid'";
    check_crossed(world, found, &paid).await?;
    let balances = balances(world).await?;
    for currency in &world.currencies {
        let sum = |crossings: &BTreeMap<String, Crossing>| -> i128 {
            let own = |crossing: &&Crossing| crossing.currency == currency.as_str();
            crossings.values().filter(own).map(|c| c.units).sum()
        };
        let custody = Account::new(Owner::Custody, currency);
        let custody = balances.get(&custody).copied().unwrap_or_default();
        let expected = sum(&paid) - sum(&deposits);
        if (custody.available, custody.held) != (expected, 0) {
            let detail = format!("{currency}: {custody:?}, and {expected} were acknowledged");
            world.broken("custody has what was acknowledged", detail);
        }
    }
    Ok(())
}

async fn check_crossed(
    world: &World,
    sql: &str,
    told: &BTreeMap<String, Crossing>,
) -> Result<(), StoreError> {
    let mut found = BTreeMap::new();
    let mut count = 0;
    for mut row in world.reader.query(sql, Vec::new()).await? {
        let crossing = Crossing {
            id: row.uuid(1)?,
            currency: row.text(2)?,
            units: row.amount(3)?,
        };
        found.insert(row.text(0)?, crossing);
        count += 1;
    }
    if found != *told || count != told.len() {
        let detail = format!("{count} are there, {} were acknowledged", told.len());
        world.broken("what was acknowledged is there once", detail);
    }
    Ok(())
}

fn owner(row: &mut Row, kind: usize, id: usize) -> Result<Owner, StoreError> {
    let id = row.uuid(id)?;
    Ok(match row.int(kind)? {
        0 => Owner::Custody,
        1 => Owner::Go(GoAccountId(id)),
        _ => Owner::Net(NetworkAccountId(id)),
    })
}

fn currency(text: &str) -> Result<Currency, StoreError> {
    text.parse()
        .map_err(|_| StoreError::Corrupt(format!("{text} is no currency")))
}

async fn balances(world: &World) -> Result<BTreeMap<Account, Balance>, StoreError> {
    let sql = "SELECT owner_kind, owner, currency, available, held FROM balances";
    let mut balances = BTreeMap::new();
    for mut row in world.reader.query(sql, Vec::new()).await? {
        let account = Account::new(owner(&mut row, 0, 1)?, &currency(&row.text(2)?)?);
        let balance = Balance {
            available: row.amount(3)?,
            held: row.amount(4)?,
        };
        balances.insert(account, balance);
    }
    Ok(balances)
}

async fn holds(world: &World) -> Result<Vec<Hold>, StoreError> {
    let sql = "SELECT id, owner_kind, owner, currency, amount FROM holds WHERE is_open";
    let mut holds = Vec::new();
    for mut row in world.reader.query(sql, Vec::new()).await? {
        holds.push(Hold {
            id: HoldId(row.uuid(0)?),
            account: Account::new(owner(&mut row, 1, 2)?, &currency(&row.text(3)?)?),
            amount: Amount::new(row.amount(4)?)
                .map_err(|error| StoreError::Corrupt(error.to_string()))?,
            purpose: HoldPurpose::Allocation,
            open: true,
        });
    }
    Ok(holds)
}

impl World {
    pub(crate) async fn count(&self, sql: &str) -> Result<i64, StoreError> {
        let mut rows = self.reader.query(sql, Vec::new()).await?;
        match rows.first_mut() {
            Some(row) => row.int(0),
            None => Ok(0),
        }
    }
}

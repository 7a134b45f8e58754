//! The laws: what holds after every commit, and what holds once everything has come to rest.

mod suspensions;

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
    promises::{Crossing, Moves},
    world::{World, lock},
};

/// After so many commits the whole chain and journal are verified; the laws of the books are
/// looked at after every one.
const VERIFIED_EVERY: u64 = 64;

/// What must never be found: a law, and a query for what breaks it.
const NEVER: [(&str, &str); 7] = [
    (
        "every open hold serves a record that waits",
        "SELECT count(*) FROM holds h WHERE is_open
            AND NOT EXISTS (SELECT 1 FROM allocations a WHERE a.id = h.id AND a.state = 'reserved')
            AND NOT EXISTS (SELECT 1 FROM withdrawals w WHERE w.id = h.id AND w.state = 'requested')
            AND NOT EXISTS (SELECT 1 FROM settlement_transfers t WHERE t.id = h.id
                AND t.status IN ('pending', 'failed', 'disputed', 'pending_settlement_assignment',
                    'pending_onchain', 'onchain_initiated'))",
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
    (
        "what is suspended is not active",
        "SELECT count(*) FROM connections WHERE active AND wanted_active IS NOT NULL",
    ),
];

/// What is left of what was under way when somebody was suspended: after a while, nothing.
const UNDER_WAY: [(&str, &str); 4] = [
    (
        "every record ends",
        "SELECT count(*) FROM allocations WHERE state = 'reserved'",
    ),
    (
        "nothing is left to be said",
        "SELECT count(*) FROM outbox WHERE call IS NOT NULL",
    ),
    (
        "every window ends",
        "SELECT count(*) FROM settlements WHERE state = 'pending' AND cutoff_at IS NOT NULL",
    ),
    (
        "what leaves over the chain has left",
        "SELECT count(*) FROM on_chain_settlements WHERE started AND losses_unfinished > 0",
    ),
];

/// The reasons for which what is suspended, stopped or inactive begins nothing.
pub(crate) const STOPPED: [&str; 4] = [
    "client_suspended",
    "connection_suspended",
    "connection_inactive",
    "partner_inactive",
];

/// What is left when everything has come to rest: nothing.
const AT_REST: [(&str, &str); 11] = [
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
        "every settlement over the chain ends",
        "SELECT count(*) FROM on_chain_settlements
            WHERE started AND gains_unfinished + losses_unfinished > 0",
    ),
    (
        "every deposit over the chain is seen",
        "SELECT count(*) FROM on_chain_deposits WHERE transfer_id IS NULL",
    ),
    (
        "what was received over the chain is somebody's",
        "SELECT count(*) FROM on_chain_legs
            WHERE received_units <> x'80000000000000000000000000000000'",
    ),
    (
        "a transfer ends as its settlement does",
        "SELECT count(*) FROM settlement_transfers t JOIN settlements s ON s.id = t.settlement_id
            WHERE (s.state = 'completed' AND t.status NOT IN ('completed', 'disputed'))
                OR (s.state = 'rejected' AND t.status NOT IN ('rejected', 'disputed',
                    'onchain_failed'))",
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
    if world.plan.on_chain == 1 {
        check_border(world, &balances).await?;
    }
    Ok(())
}

/// What crosses the border of custody, and whether it comes in. What was received over the chain for
/// gains that are not covered yet is in no account.
const BORDER: [(bool, &str); 5] = [
    (true, "SELECT currency, amount FROM deposits"),
    (
        true,
        "SELECT currency, seen_amount FROM on_chain_deposits WHERE transfer_id IS NOT NULL",
    ),
    (false, "SELECT currency, received_units FROM on_chain_legs"),
    (
        false,
        "SELECT currency, amount FROM withdrawals WHERE state = 'paid'",
    ),
    (
        false,
        "SELECT currency, total_units FROM on_chain_legs
            WHERE direction = 'losses' AND state = 'completed'",
    ),
];

/// Custody has exactly what has crossed its border, in the books and over the chain.
async fn check_border(
    world: &World,
    balances: &BTreeMap<Account, Balance>,
) -> Result<(), StoreError> {
    let mut inside: BTreeMap<String, i128> = BTreeMap::new();
    for (comes_in, sql) in BORDER {
        for mut row in world.reader.query(sql, Vec::new()).await? {
            let units = row.amount(1)?;
            *inside.entry(row.text(0)?).or_default() += if comes_in { units } else { -units };
        }
    }
    for currency in &world.currencies {
        let custody = Account::new(Owner::Custody, currency);
        let custody = balances.get(&custody).copied().unwrap_or_default();
        let inside = inside.get(currency.as_str()).copied().unwrap_or_default();
        if custody.available != -inside {
            let detail = format!("{currency}: {custody:?}, and {inside} is inside");
            world.broken("custody has what has crossed its border", detail);
        }
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
    left(world, &AT_REST).await
}

/// What is still under way, whoever is suspended.
pub(crate) async fn under_way(world: &World) -> Result<Option<String>, StoreError> {
    left(world, &UNDER_WAY).await
}

async fn left(world: &World, laws: &[(&str, &str)]) -> Result<Option<String>, StoreError> {
    for (law, query) in laws {
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
    check_sums(world).await?;
    check_posted(world).await?;
    check_closures(world).await?;
    check_final_amounts(world).await?;
    check_rejected(world).await?;
    suspensions::check(world).await?;
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

/// Adds to what a connection has.
fn add(sums: &mut Sums, connection: Option<Uuid>, currency: &str, units: i128) {
    if let Some(connection) = connection {
        let key = (connection, currency.to_owned());
        *sums.entry(key).or_default() += units;
    }
}

/// By connection and currency.
type Sums = BTreeMap<(Uuid, String), i128>;

/// What moves, without what cancels out.
fn sums_of(moves: &Moves) -> Sums {
    let mut sums = Sums::new();
    for (connection, amounts) in moves {
        for (currency, units) in amounts {
            add(&mut sums, Some(*connection), currency, *units);
        }
    }
    sums.retain(|_, units| *units != 0);
    sums
}

/// The transfers that a condition selects, added up for the connections on both sides.
async fn transferred(world: &World, condition: &str, of: Vec<Value>) -> Result<Sums, StoreError> {
    let sql = format!(
        "SELECT source_connection_id, destination_connection_id, currency, amount
            FROM settlement_transfers WHERE {condition}"
    );
    let mut sums = Sums::new();
    for mut row in world.reader.query(&sql, of).await? {
        let (source, destination) = (row.optional_uuid(0)?, row.optional_uuid(1)?);
        let (currency, units) = (row.text(2)?, row.amount(3)?);
        add(&mut sums, source, &currency, -units);
        add(&mut sums, destination, &currency, units);
    }
    sums.retain(|_, units| *units != 0);
    Ok(sums)
}

/// Every connection has what was allocated to it and what was transferred, no more and no less.
async fn check_sums(world: &World) -> Result<(), StoreError> {
    let mut sums = transferred(world, "status = 'completed'", Vec::new()).await?;
    let sql = "SELECT connection_id, currency, amount, kind FROM allocations
        WHERE state = 'cleared'";
    for mut row in world.reader.query(sql, Vec::new()).await? {
        let (connection, currency, units) = (row.uuid(0)?, row.text(1)?, row.amount(2)?);
        let back = row.text(3)? == "deallocation";
        let units = if back { -units } else { units };
        add(&mut sums, Some(connection), &currency, units);
    }
    let balances = balances(world).await?;
    let sql = "SELECT id, network_account_id FROM connections";
    for mut row in world.reader.query(sql, Vec::new()).await? {
        let (connection, account) = (row.uuid(0)?, NetworkAccountId(row.uuid(1)?));
        for currency in &world.currencies {
            let key = (connection, currency.to_string());
            let expected = sums.get(&key).copied().unwrap_or_default();
            let account = Account::new(Owner::Net(account), currency);
            let found = balances.get(&account).copied().unwrap_or_default();
            if (found.available, found.held) != (expected, 0) {
                let detail = format!("{connection} {currency}: {found:?}, not {expected}");
                world.broken("connections have what was transferred", detail);
            }
        }
    }
    Ok(())
}

/// Every settlement has the transfers that were posted, beside those of disputes that ride on it.
async fn check_posted(world: &World) -> Result<(), StoreError> {
    let posted = lock(&world.promises).posted.clone();
    for (name, moves) in posted {
        let own = "dispute_closure_id IS NULL AND settlement_id
            IN (SELECT id FROM settlements WHERE external_id = $1)";
        let found = transferred(world, own, vec![name.as_str().into()]).await?;
        let expected = sums_of(&moves);
        if found != expected {
            let detail = format!("{name}: {found:?}, not {expected:?}");
            world.broken("a settlement is what was posted", detail);
        }
    }
    Ok(())
}

/// What a closure says has moved, all of it, on whichever settlements.
async fn check_closures(world: &World) -> Result<(), StoreError> {
    let closures = lock(&world.promises).closures.clone();
    for (id, moves) in closures {
        let own = "dispute_closure_id = $1 AND status = 'completed'";
        let found = transferred(world, own, vec![id.into()]).await?;
        let expected = sums_of(&moves);
        if found != expected {
            let detail = format!("{id}: {found:?}, not {expected:?}");
            world.broken("what a closure says moves", detail);
        }
    }
    Ok(())
}

/// What was rejected before it began stays rejected, and nothing of it moves.
async fn check_rejected(world: &World) -> Result<(), StoreError> {
    let rejected = lock(&world.promises).rejected.clone();
    for (name, id) in rejected {
        let sql = "SELECT count(*) FROM settlements WHERE id = $1 AND state = 'rejected'
            AND NOT EXISTS (SELECT 1 FROM settlement_transfers
                WHERE settlement_id = $1 AND status <> 'rejected')";
        let mut rows = world.reader.query(sql, vec![id.into()]).await?;
        let found = rows.first_mut().map(|row| row.int(0)).transpose()?;
        if found != Some(1) {
            world.broken(
                "what has ended stays as it is",
                format!("{name} was rejected"),
            );
        }
    }
    Ok(())
}

/// Partners were told the final amounts of every staged settlement.
async fn check_final_amounts(world: &World) -> Result<(), StoreError> {
    let sql = "SELECT id FROM settlements WHERE cutoff_at IS NOT NULL AND state <> 'rejected'";
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
    let (deposits, paid, seen, left) = {
        let promises = lock(&world.promises);
        let (deposits, paid) = (promises.deposits.clone(), promises.paid.clone());
        (deposits, paid, promises.seen.clone(), promises.left.clone())
    };
    let found = "SELECT on_chain_tx_id, id, currency, seen_amount FROM on_chain_deposits";
    check_crossed(world, found, &seen).await?;
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
        let left = left.iter().filter(|((_, of), _)| of == currency.as_str());
        let left: i128 = left.map(|(_, units)| *units).sum();
        let expected = sum(&paid) + left - sum(&deposits) - sum(&seen);
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
    /// For which settlements what was received over the chain in which currency is in no account.
    pub(crate) async fn received(&self) -> Result<Vec<(Uuid, Currency)>, StoreError> {
        let sql = "SELECT settlement_id, currency FROM on_chain_legs
            WHERE received_units <> x'80000000000000000000000000000000'
            ORDER BY settlement_id, currency";
        let mut received = Vec::new();
        for mut row in self.reader.query(sql, Vec::new()).await? {
            received.push((row.uuid(0)?, currency(&row.text(1)?)?));
        }
        Ok(received)
    }

    pub(crate) async fn count(&self, sql: &str) -> Result<i64, StoreError> {
        let mut rows = self.reader.query(sql, Vec::new()).await?;
        match rows.first_mut() {
            Some(row) => row.int(0),
            None => Ok(0),
        }
    }
}

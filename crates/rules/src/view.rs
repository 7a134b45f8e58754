//! What a command sees and what it changes.
//!
//! A [`View`] is the part of the network's state that a batch of commands has loaded; [`Keys`]
//! name such a part; a [`Draft`] is what one command writes on top of it, kept only when the
//! command is accepted.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
};

use ledger::{Account, Balance, BookError, Entry, EntryNumber, Hold, HoldId, balances_after};

use crate::{
    AllocationId, ClientId, ConnectionId, DepositId, DisputeClosureId, DisputeId, EnterpriseId,
    OnChainDepositId, PartnerId, ProposalId, SettlementId, SigningKeyId, TokenId, TransferId,
    UserId, WithdrawalId,
    clock::TestClock,
    event::{self, Event},
    record::{
        AccessToken, AccountBalance, Allocation, ApprovalPolicy, Claim, ClaimKey, Client,
        Connection, CurrencyKey, Deposit, Dispute, DisputeClosure, Enterprise, GoAccount,
        LatestProposal, LegKey, Membership, Message, NetworkCurrency, OnChain, OnChainDeposit,
        OnChainLeg, OpenTotal, OperatorAct, Participation, Partner, PartnerConfiguration, Proposal,
        Settlement, SignedRequest, SigningKey, Timer, TimerKind, TokenUse, Transfer, User,
        Withdrawal,
    },
};

/// Something the network remembers under a key.
pub trait Record: Clone + Debug + PartialEq + Send + Sync + 'static {
    /// What it is found by.
    type Key: Clone + Ord + Debug + Sync;

    /// The key of this one.
    fn key(&self) -> Self::Key;
    /// Where records of this kind stand in a view.
    fn shelf(view: &View) -> &Shelf<Self>;
    /// The same, to change it.
    fn shelf_mut(view: &mut View) -> &mut Shelf<Self>;
}

/// The records of one kind that a view knows, those known to be absent included.
#[derive(Clone, Debug)]
pub struct Shelf<R: Record> {
    slots: BTreeMap<R::Key, Slot<R>>,
}

/// What a view knows under one key.
#[derive(Clone, Debug)]
struct Slot<R> {
    /// Nothing, if it is known that there is none.
    record: Option<R>,
    /// Whether it differs from what was loaded.
    changed: bool,
    /// Whether storage is known to have nothing under the key.
    is_new: bool,
}

impl<R> Slot<R> {
    fn loaded(record: Option<R>) -> Slot<R> {
        Slot {
            is_new: record.is_none(),
            record,
            changed: false,
        }
    }
}

impl<R: Record> Default for Shelf<R> {
    fn default() -> Self {
        Shelf {
            slots: BTreeMap::new(),
        }
    }
}

impl<R: Record> Shelf<R> {
    /// Whether the key was asked for and answered, be it by "there is none".
    pub fn knows(&self, key: &R::Key) -> bool {
        self.slots.contains_key(key)
    }

    /// The record, if it exists.
    ///
    /// # Panics
    /// If the key was never loaded: the command forgot to declare it, and deciding on a record
    /// that merely looks absent could create money.
    pub fn get(&self, key: &R::Key) -> Option<&R> {
        match self.slots.get(key) {
            Some(slot) => slot.record.as_ref(),
            None => panic!("a command read {key:?} without declaring it"),
        }
    }

    /// The record, if it is known that it exists.
    pub(crate) fn find(&self, key: &R::Key) -> Option<&R> {
        self.slots.get(key).and_then(|slot| slot.record.as_ref())
    }

    /// Remembers what storage answered.
    pub fn load(&mut self, key: R::Key, record: Option<R>) {
        self.slots.insert(key, Slot::loaded(record));
    }

    /// Remembers that storage has nothing under any of `keys`.
    pub fn load_absent(&mut self, keys: BTreeSet<R::Key>) {
        let absent = keys.into_iter().map(|key| (key, Slot::loaded(None)));
        self.absorb(Shelf {
            slots: absent.collect(),
        });
    }

    /// All records that exist.
    pub fn iter(&self) -> impl Iterator<Item = &R> {
        self.slots.values().filter_map(|slot| slot.record.as_ref())
    }

    /// The records that differ from what was loaded, in the order of their keys.
    pub fn changed(&self) -> impl Iterator<Item = &R> {
        let changed = self.slots.values().filter(|slot| slot.changed);
        changed.filter_map(|slot| slot.record.as_ref())
    }

    /// Whether storage has none of those records yet, as far as is known.
    pub fn has_only_new(&self) -> bool {
        let mut changed = self.slots.values().filter(|slot| slot.changed);
        changed.all(|slot| slot.is_new)
    }

    fn put(&mut self, record: R, is_new: bool) {
        let key = record.key();
        let slot = Slot {
            changed: true,
            is_new,
            record: Some(record),
        };
        self.slots.insert(key, slot);
    }

    fn absorb(&mut self, other: Shelf<R>) {
        if self.slots.is_empty() {
            self.slots = other.slots;
            return;
        }
        if other.slots.len() <= self.slots.len() / 8 {
            self.slots.extend(other.slots);
            return;
        }
        // Of tens of thousands of records, which a settlement has, both sides are walked in their
        // order once: that costs less than a search for each. What is known takes its new place
        // where it stands, for a second tree would be there beside both.
        let mut own = self.slots.iter_mut().peekable();
        let mut more = Vec::new();
        for (key, slot) in other.slots {
            while own.next_if(|(known, _)| **known < key).is_some() {}
            match own.next_if(|(known, _)| **known == key) {
                Some((_, known)) => *known = slot,
                None => more.push((key, slot)),
            }
        }
        self.slots.append(&mut more.into_iter().collect());
    }

    fn settle(&mut self) {
        for slot in self.slots.values_mut() {
            slot.changed = false;
            slot.is_new = slot.record.is_none();
        }
    }

    /// Moves what is known of `keys` to a shelf of its own, and strikes it off `keys`.
    fn take_known(&mut self, keys: &mut BTreeSet<R::Key>) -> Shelf<R> {
        let mut taken = Shelf::default();
        if !self.slots.is_empty() {
            keys.retain(|key| match self.slots.remove_entry(key) {
                Some((key, slot)) => {
                    taken.slots.insert(key, slot);
                    false
                }
                None => true,
            });
        }
        taken
    }

    /// Adds what was committed; more than `at_most` records are not kept.
    fn remember(&mut self, mut committed: Shelf<R>, at_most: usize) {
        committed.settle();
        self.absorb(committed);
        if self.slots.len() > at_most {
            self.slots.clear();
        }
    }

    fn extract(&self, keys: &BTreeSet<R::Key>) -> Shelf<R> {
        let mut part = Shelf::default();
        for key in keys {
            part.load(key.clone(), self.find(key).cloned());
        }
        part
    }
}

/// Adds keys to others; there are tens of thousands of them or a few.
fn add_all<K: Ord>(keys: &mut BTreeSet<K>, more: BTreeSet<K>) {
    if keys.is_empty() {
        *keys = more;
    } else {
        keys.extend(more);
    }
}

/// Moves the first keys, at most so many, to a set of their own.
fn take_first<K: Ord + Clone>(keys: &mut BTreeSet<K>, at_most: usize) -> BTreeSet<K> {
    let rest = match keys.iter().nth(at_most).cloned() {
        Some(next) => keys.split_off(&next),
        None => BTreeSet::new(),
    };
    std::mem::replace(keys, rest)
}

macro_rules! shelves {
    ($($(#[$doc:meta])* $name:ident: $record:ty, by $key:ty;)+) => {
        /// The part of the network's state that a batch of commands reads and changes.
        #[derive(Clone, Debug, Default)]
        pub struct View {
            $($(#[$doc])* pub $name: Shelf<$record>,)+
            /// Journal entries in the order in which they were decided.
            pub entries: Vec<Entry>,
            /// What happened, in the same order.
            pub events: Vec<Event>,
            /// The test clock of an installation that has one; as a change, what it becomes.
            pub test_clock: Option<TestClock>,
            /// How many entries the journal has before these.
            pub entries_before: i64,
        }

        /// Names of records that a command wants to read.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Keys {
            $($(#[$doc])* pub $name: BTreeSet<$key>,)+
        }

        impl Keys {
            /// Whether nothing is asked for.
            pub fn is_empty(&self) -> bool {
                $(self.$name.is_empty())&&+
            }

            /// Adds all of `other`.
            pub fn absorb(&mut self, other: Keys) {
                $(add_all(&mut self.$name, other.$name);)+
            }

            /// Moves the first names of each kind, at most so many, to keys of their own.
            pub fn take(&mut self, at_most: usize) -> Keys {
                Keys { $($name: take_first(&mut self.$name, at_most),)+ }
            }

            /// Drops what `view` knows already.
            pub fn forget_known(&mut self, view: &View) {
                $(self.$name.retain(|key| !view.$name.knows(key));)+
            }
        }

        impl View {
            /// Adds all of `other`.
            pub fn absorb(&mut self, other: View) {
                $(self.$name.absorb(other.$name);)+
                self.entries.extend(other.entries);
                self.events.extend(other.events);
                self.test_clock = other.test_clock.or(self.test_clock);
            }

            /// Moves what is remembered of `keys` to a view of its own, so that commands see no
            /// more than they declare, and strikes it off `keys`.
            pub fn take_known(&mut self, keys: &mut Keys) -> View {
                View {
                    $($name: self.$name.take_known(&mut keys.$name),)+
                    entries: Vec::new(),
                    events: Vec::new(),
                    test_clock: self.test_clock,
                    entries_before: self.entries_before,
                }
            }

            /// A view of just `keys`, as storage that holds this view would answer them.
            pub fn extract(&self, keys: &Keys) -> View {
                View {
                    $($name: self.$name.extract(&keys.$name),)+
                    entries: Vec::new(),
                    events: Vec::new(),
                    test_clock: self.test_clock,
                    entries_before: self.last_entry().0,
                }
            }

            /// Whether nothing stands in it.
            fn is_empty(&self) -> bool {
                self.entries.is_empty() && self.test_clock.is_none() $(&& self.$name.slots.is_empty())+
            }

            /// Takes over what the commands on `part` changed, as storage does at a commit.
            pub fn commit(&mut self, part: View) {
                $(for record in part.$name.changed() {
                    self.$name.put(record.clone(), false);
                })+
                self.entries.extend(part.entries);
                self.events.extend(part.events);
                self.test_clock = part.test_clock.or(self.test_clock);
                $(self.$name.settle();)+
            }
        }

        $(impl Record for $record {
            type Key = $key;

            fn key(&self) -> $key {
                self.record_key()
            }

            fn shelf(view: &View) -> &Shelf<Self> {
                &view.$name
            }

            fn shelf_mut(view: &mut View) -> &mut Shelf<Self> {
                &mut view.$name
            }
        })+
    };
}

shelves! {
    /// Tenants.
    enterprises: Enterprise, by EnterpriseId;
    /// People and machines.
    users: User, by UserId;
    /// Who belongs to which enterprise.
    memberships: Membership, by (UserId, EnterpriseId);
    /// Access tokens.
    access_tokens: AccessToken, by TokenId;
    /// When tokens were last used.
    token_uses: TokenUse, by TokenId;
    /// Accounts in custody.
    go_accounts: GoAccount, by ledger::GoAccountId;
    /// Keys that may sign for Go Accounts.
    signing_keys: SigningKey, by SigningKeyId;
    /// Currencies of the network.
    currencies: NetworkCurrency, by ledger::Currency;
    /// What the operator agreed with partners.
    configurations: PartnerConfiguration, by (EnterpriseId, String);
    /// Clients.
    clients: Client, by ClientId;
    /// Partners.
    partners: Partner, by PartnerId;
    /// Connections.
    connections: Connection, by ConnectionId;
    /// Allocations and deallocations.
    allocations: Allocation, by AllocationId;
    /// Settlements.
    settlements: Settlement, by SettlementId;
    /// Settlement transfers.
    transfers: Transfer, by TransferId;
    /// Connections' parts in settlements.
    participations: Participation, by (SettlementId, ConnectionId);
    /// Clients' objections to settlements.
    disputes: Dispute, by DisputeId;
    /// How disputes end.
    dispute_closures: DisputeClosure, by DisputeClosureId;
    /// Deposits.
    deposits: Deposit, by DepositId;
    /// Withdrawals.
    withdrawals: Withdrawal, by WithdrawalId;
    /// Names that are taken for ever.
    claims: Claim, by ClaimKey;
    /// Requests as they were signed.
    signed_requests: SignedRequest, by uuid::Uuid;
    /// What partners still have to be asked or told.
    messages: Message, by uuid::Uuid;
    /// What settlements over the chain have beyond others.
    on_chain: OnChain, by SettlementId;
    /// What settlements over the chain move in one direction and one currency.
    on_chain_legs: OnChainLeg, by LegKey;
    /// Deposits that were announced for settlements over the chain.
    on_chain_deposits: OnChainDeposit, by OnChainDepositId;
    /// What time makes due.
    timers: Timer, by (TimerKind, uuid::Uuid);
    /// What is reserved at a partner and not yet answered.
    open_totals: OpenTotal, by CurrencyKey;
    /// How acts on money are approved; there is one.
    approval_policy: ApprovalPolicy, by ();
    /// Acts on money that wait for a second operator, or did.
    proposals: Proposal, by ProposalId;
    /// The latest proposal about each thing.
    latest_proposals: LatestProposal, by String;
    /// What operators did.
    operator_acts: OperatorAct, by uuid::Uuid;
    /// What stands on accounts.
    balances: AccountBalance, by Account;
    /// Holds.
    holds: Hold, by HoldId;
}

/// Holds belong to the ledger, which knows nothing of views.
trait HoldKey {
    fn record_key(&self) -> HoldId;
}

impl HoldKey for Hold {
    fn record_key(&self) -> HoldId {
        self.id
    }
}

/// What one command writes. It reads its own writes; the view below stays untouched until the
/// command is accepted.
#[derive(Debug)]
pub struct Draft<'view> {
    view: &'view View,
    written: View,
}

impl<'view> Draft<'view> {
    /// An empty draft on top of `view`.
    pub fn on(view: &'view View) -> Draft<'view> {
        Draft {
            view,
            written: View::default(),
        }
    }

    /// A draft that goes on from here and that nothing comes of.
    pub(crate) fn trial(&self) -> Draft<'view> {
        Draft {
            view: self.view,
            written: self.written.clone(),
        }
    }

    /// Whether nothing was written.
    pub(crate) fn is_unwritten(&self) -> bool {
        self.written.is_empty()
    }

    /// The record under `key`, as this command has left it.
    ///
    /// # Panics
    /// If the command did not declare the key; see [`Shelf::get`].
    pub fn find<R: Record>(&self, key: &R::Key) -> Option<&R> {
        match R::shelf(&self.written).slots.get(key) {
            Some(slot) => slot.record.as_ref(),
            None => R::shelf(self.view).get(key),
        }
    }

    /// The record under `key` if this command or one before it in the batch declared it.
    pub(crate) fn find_if_known<R: Record>(&self, key: &R::Key) -> Option<&R> {
        let knows = R::shelf(&self.written).knows(key) || R::shelf(self.view).knows(key);
        if knows { self.find(key) } else { None }
    }

    /// Writes a record, which may replace one.
    pub fn put<R: Record>(&mut self, record: R) {
        let key = record.key();
        let known = R::shelf(&self.written).slots.get(&key);
        let known = known.or_else(|| R::shelf(self.view).slots.get(&key));
        let is_new = known.is_some_and(|slot| slot.is_new);
        R::shelf_mut(&mut self.written).put(record, is_new);
    }

    /// Writes a record under an identifier that was drawn for it, so that it replaces none.
    pub(crate) fn add<R: Record>(&mut self, record: R) {
        R::shelf_mut(&mut self.written).put(record, true);
    }

    /// Takes a name for `subject`, for ever.
    pub(crate) fn claim(&mut self, key: ClaimKey, subject: uuid::Uuid) {
        let digest = None;
        self.put(Claim {
            key,
            subject,
            digest,
        });
    }

    /// What stands on `account`; nothing, if nothing ever moved there.
    pub fn balance(&self, account: &Account) -> Balance {
        self.find::<AccountBalance>(account)
            .map(|known| known.balance)
            .unwrap_or_default()
    }

    /// Adds an entry to the journal and moves the balances with it, or refuses it whole.
    pub fn post(&mut self, entry: Entry) -> Result<(), BookError> {
        let after = balances_after(&entry.postings, |account| self.balance(account))?;
        for (account, balance) in after {
            self.put(AccountBalance { account, balance });
        }
        self.written.entries.push(entry);
        Ok(())
    }

    /// The test clock, if the installation has one.
    pub fn test_clock(&self) -> Option<TestClock> {
        self.written.test_clock.or(self.view.test_clock)
    }

    pub(crate) fn set_test_clock(&mut self, clock: TestClock) {
        self.written.test_clock = Some(clock);
    }

    /// The number of the last entry of the journal, as this command has left it.
    pub fn last_entry(&self) -> EntryNumber {
        let written = i64::try_from(self.written.entries.len()).unwrap_or(i64::MAX);
        EntryNumber(self.view.last_entry().0.saturating_add(written))
    }

    /// What was written.
    pub(crate) fn into_written(self) -> View {
        self.written
    }
}

impl View {
    /// The number of the last entry of the journal.
    pub fn last_entry(&self) -> EntryNumber {
        let own = i64::try_from(self.entries.len()).unwrap_or(i64::MAX);
        EntryNumber(self.entries_before.saturating_add(own))
    }

    /// Remembers what of a committed view one command after the other reads, of each kind at most
    /// `at_most` records. It is true for as long as nobody else commits anything.
    pub fn remember(&mut self, committed: View, at_most: usize) {
        self.enterprises.remember(committed.enterprises, at_most);
        self.signing_keys.remember(committed.signing_keys, at_most);
        self.currencies.remember(committed.currencies, at_most);
        self.configurations
            .remember(committed.configurations, at_most);
        self.clients.remember(committed.clients, at_most);
        self.partners.remember(committed.partners, at_most);
        self.connections.remember(committed.connections, at_most);
        self.open_totals.remember(committed.open_totals, at_most);
        self.balances.remember(committed.balances, at_most);
    }

    /// Takes over what an accepted command wrote.
    pub(crate) fn accept(&mut self, mut written: View) {
        written.events = event::events(self, &written);
        self.absorb(written);
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::btree_set, prelude::*};

    use super::*;
    use crate::record::ClaimKind;

    fn key(number: usize) -> ClaimKey {
        ClaimKey::new("alpha", ClaimKind::Nonce, &number.to_string())
    }

    fn shelf(numbers: &BTreeSet<usize>, subject: u128) -> Shelf<Claim> {
        let mut shelf = Shelf::default();
        for number in numbers {
            let claim = Claim {
                key: key(*number),
                subject: uuid::Uuid::from_u128(subject),
                digest: None,
            };
            shelf.load(claim.key(), Some(claim));
        }
        shelf
    }

    fn subjects(shelf: &Shelf<Claim>) -> BTreeMap<ClaimKey, u128> {
        let claims = shelf.iter();
        claims
            .map(|claim| (claim.key(), claim.subject.as_u128()))
            .collect()
    }

    proptest! {
        #[test]
        fn what_is_absorbed_counts_and_the_rest_stays(
            own in btree_set(0..200_usize, 0..100),
            other in btree_set(0..200_usize, 0..100),
        ) {
            let mut absorbing = shelf(&own, 1);
            absorbing.absorb(shelf(&other, 2));
            let mut expected = subjects(&shelf(&own, 1));
            expected.extend(subjects(&shelf(&other, 2)));
            prop_assert_eq!(subjects(&absorbing), expected);
        }

        #[test]
        fn keys_are_taken_in_portions_until_none_is_left(
            numbers in btree_set(0..200_usize, 0..100),
            at_most in 1..120_usize,
        ) {
            let claims: BTreeSet<ClaimKey> = numbers.into_iter().map(key).collect();
            let mut keys = Keys { claims: claims.clone(), ..Keys::default() };
            let mut taken = Vec::new();
            while !keys.is_empty() {
                let portion = keys.take(at_most).claims;
                prop_assert!((1..=at_most).contains(&portion.len()));
                taken.extend(portion);
            }
            prop_assert_eq!(taken, claims.into_iter().collect::<Vec<_>>());
        }
    }
}

//! Money that enters and leaves custody (decisions §2, Q60).

use ledger::{
    Account, Amount, BookError, Currency, Entry, EntryId, GoAccountId, Hold, HoldId, HoldPurpose,
    Owner, Posting, Timestamp,
};

use crate::{
    Class, Command, DepositId, Draft, Keys, Refusal, View, WithdrawalId,
    allocate::{refused_by_the_books, unknown_currency},
    operate::Act,
    planted::{Fault, is_planted},
    record::{
        Claim, ClaimKey, ClaimKind, Deposit, GoAccount, NetworkCurrency, Withdrawal,
        WithdrawalState,
    },
};

/// Custody has received money for a Go Account.
///
/// The external reference is unique per custody source; repeating the same deposit changes
/// nothing.
#[derive(Clone, Debug)]
pub struct BookDeposit {
    /// The identifier that the deposit gets.
    pub id: DepositId,
    /// The identifier that the journal entry gets.
    pub entry_id: EntryId,
    /// For whom.
    pub go_account_id: GoAccountId,
    /// In what.
    pub currency: Currency,
    /// How much.
    pub amount: Amount,
    /// Where custody received it: the source of the currency.
    pub custody_source: String,
    /// The name under which it is known there.
    pub external_reference: String,
    /// The operator who says so.
    pub operator: Act,
}

fn unknown_go_account() -> Refusal {
    Refusal::not_found("go account")
}

fn check_source(
    draft: &Draft<'_>,
    go_account: GoAccountId,
    currency: &Currency,
    source: &str,
) -> Result<(), Refusal> {
    if draft.find::<GoAccount>(&go_account).is_none() {
        return Err(unknown_go_account());
    }
    match draft.find::<NetworkCurrency>(currency) {
        None => Err(unknown_currency(currency)),
        Some(known) if known.custody_source != source => Err(Refusal::new(
            Class::Conflict,
            "custody_source_changed",
            "the custody source of the currency has just changed; try again",
        )),
        Some(_) => Ok(()),
    }
}

impl BookDeposit {
    fn claim(&self) -> ClaimKey {
        ClaimKey::new(
            &self.custody_source,
            ClaimKind::Deposit,
            &self.external_reference,
        )
    }

    fn accounts(&self) -> (Account, Account) {
        (
            Account::new(Owner::Custody, &self.currency),
            Account::new(Owner::Go(self.go_account_id), &self.currency),
        )
    }
}

impl Command for BookDeposit {
    type Outcome = Deposit;

    fn keys(&self) -> Keys {
        let (custody, go) = self.accounts();
        Keys {
            go_accounts: [self.go_account_id].into(),
            currencies: [self.currency.clone()].into(),
            claims: [self.claim()].into(),
            balances: [custody, go].into(),
            ..Keys::default()
        }
    }

    fn more_keys(&self, view: &View) -> Keys {
        let mut keys = Keys::default();
        if let Some(claim) = view.claims.get(&self.claim()) {
            keys.deposits.insert(DepositId(claim.subject));
        }
        keys
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Deposit, Refusal> {
        check_source(
            draft,
            self.go_account_id,
            &self.currency,
            &self.custody_source,
        )?;
        if let Some(claim) = draft.find::<Claim>(&self.claim()) {
            let known = draft.find_if_known::<Deposit>(&DepositId(claim.subject));
            let known = known.cloned().ok_or_else(|| {
                Refusal::new(
                    Class::Conflict,
                    "transaction_booked_already",
                    "this reference is that of a deposit which was announced for an on-chain settlement and is booked there",
                )
            })?;
            return same_movement(
                ("deposit", &self.external_reference),
                (self.go_account_id, &self.currency, self.amount),
                (known.go_account_id, &known.currency, known.amount),
            )
            .map(|()| known);
        }
        let (custody, go) = self.accounts();
        let entry = Entry {
            id: self.entry_id,
            cause: "deposit".into(),
            subject: self.id.0,
            signed_request: None,
            postings: vec![Posting {
                from: custody.available(),
                to: go.available(),
                amount: self.amount,
            }],
        };
        draft.post(entry).map_err(|error| match error {
            BookError::OutOfBounds(_) => Refusal::new(
                Class::Unprocessable,
                "custody_total_exceeded",
                "custody can hold at most 10^38 - 1 base units of one currency",
            ),
            other => refused_by_the_books(other),
        })?;
        let deposit = Deposit {
            id: self.id,
            go_account_id: self.go_account_id,
            currency: self.currency.clone(),
            amount: self.amount,
            custody_source: self.custody_source.clone(),
            external_reference: self.external_reference.clone(),
            created_at: now,
        };
        draft.put(deposit.clone());
        if !is_planted(Fault::DepositNotClaimed) {
            draft.claim(self.claim(), self.id.0);
        }
        let subject = self.id.to_string();
        let change = (None, &deposit);
        self.operator
            .record_change(draft, "book_deposit", subject, change, now);
        Ok(deposit)
    }
}

fn same_movement(
    (what, reference): (&str, &str),
    asked: (GoAccountId, &Currency, Amount),
    known: (GoAccountId, &Currency, Amount),
) -> Result<(), Refusal> {
    let members = [
        ("goAccountId", asked.0 != known.0),
        ("currency", asked.1 != known.1),
        ("amount", asked.2 != known.2),
    ];
    Refusal::unless_same(what, reference, &members)
}

/// A Go Account's money is to leave custody: it is held until custody has paid it.
#[derive(Clone, Debug)]
pub struct RequestWithdrawal {
    /// The identifier that the withdrawal gets.
    pub id: WithdrawalId,
    /// The identifier that the journal entry gets.
    pub entry_id: EntryId,
    /// From whom.
    pub go_account_id: GoAccountId,
    /// In what.
    pub currency: Currency,
    /// How much.
    pub amount: Amount,
    /// Where custody pays it: the source of the currency.
    pub custody_source: String,
    /// The name under which it is known there.
    pub external_reference: String,
    /// The operator who says so.
    pub operator: Act,
}

impl RequestWithdrawal {
    fn claim(&self) -> ClaimKey {
        let kind = ClaimKind::Withdrawal;
        ClaimKey::new(&self.custody_source, kind, &self.external_reference)
    }

    fn account(&self) -> Account {
        Account::new(Owner::Go(self.go_account_id), &self.currency)
    }
}

impl Command for RequestWithdrawal {
    type Outcome = Withdrawal;

    fn keys(&self) -> Keys {
        Keys {
            go_accounts: [self.go_account_id].into(),
            currencies: [self.currency.clone()].into(),
            claims: [self.claim()].into(),
            // Paying it out moves custody too, and may be decided in the same batch.
            balances: [self.account(), Account::new(Owner::Custody, &self.currency)].into(),
            ..Keys::default()
        }
    }

    fn more_keys(&self, view: &View) -> Keys {
        let mut keys = Keys::default();
        if let Some(claim) = view.claims.get(&self.claim()) {
            keys.withdrawals.insert(WithdrawalId(claim.subject));
        }
        keys
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Withdrawal, Refusal> {
        check_source(
            draft,
            self.go_account_id,
            &self.currency,
            &self.custody_source,
        )?;
        if let Some(claim) = draft.find::<Claim>(&self.claim()) {
            let id = WithdrawalId(claim.subject);
            let known = draft.find::<Withdrawal>(&id).cloned();
            let known = known.ok_or_else(|| Refusal::not_found("withdrawal"))?;
            return same_movement(
                ("withdrawal", &self.external_reference),
                (self.go_account_id, &self.currency, self.amount),
                (known.go_account_id, &known.currency, known.amount),
            )
            .map(|()| known);
        }
        let account = self.account();
        let available = draft.balance(&account).available;
        if available < self.amount.units() {
            return Err(Refusal::new(
                Class::Unprocessable,
                "insufficient_available",
                format!(
                    "{} {} are required and {available} available",
                    self.amount, self.currency
                ),
            ));
        }
        let entry = Entry {
            id: self.entry_id,
            cause: "withdrawal_requested".into(),
            subject: self.id.0,
            signed_request: None,
            postings: vec![Posting {
                from: account.available(),
                to: account.held(),
                amount: self.amount,
            }],
        };
        draft.post(entry).map_err(refused_by_the_books)?;
        draft.put(Hold {
            id: HoldId(self.id.0),
            account,
            amount: self.amount,
            purpose: HoldPurpose::Withdrawal,
            open: true,
        });
        let withdrawal = Withdrawal {
            id: self.id,
            go_account_id: self.go_account_id,
            currency: self.currency.clone(),
            amount: self.amount,
            custody_source: self.custody_source.clone(),
            external_reference: self.external_reference.clone(),
            state: WithdrawalState::Requested,
            created_at: now,
            updated_at: now,
        };
        draft.put(withdrawal.clone());
        draft.claim(self.claim(), self.id.0);
        let subject = self.id.to_string();
        let change = (None, &withdrawal);
        self.operator
            .record_change(draft, "request_withdrawal", subject, change, now);
        Ok(withdrawal)
    }
}

/// Custody has paid a withdrawal, or it is not going to.
#[derive(Clone, Debug)]
pub struct FinishWithdrawal {
    /// Which withdrawal.
    pub id: WithdrawalId,
    /// The identifier that the journal entry gets.
    pub entry_id: EntryId,
    /// How it ends.
    pub ending: WithdrawalEnding,
    /// The operator who says so.
    pub operator: Act,
}

/// How a withdrawal ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithdrawalEnding {
    /// The money has left custody.
    Paid,
    /// The money goes back to the account.
    Cancelled,
}

impl WithdrawalEnding {
    fn state(self) -> WithdrawalState {
        match self {
            WithdrawalEnding::Paid => WithdrawalState::Paid,
            WithdrawalEnding::Cancelled => WithdrawalState::Cancelled,
        }
    }
}

impl Command for FinishWithdrawal {
    type Outcome = Withdrawal;

    fn keys(&self) -> Keys {
        Keys {
            withdrawals: [self.id].into(),
            holds: [HoldId(self.id.0)].into(),
            ..Keys::default()
        }
    }

    fn more_keys(&self, view: &View) -> Keys {
        let mut keys = Keys::default();
        if let Some(known) = view.withdrawals.get(&self.id) {
            let go = Owner::Go(known.go_account_id);
            keys.balances.insert(Account::new(go, &known.currency));
            keys.balances
                .insert(Account::new(Owner::Custody, &known.currency));
        }
        keys
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Withdrawal, Refusal> {
        let known = draft.find::<Withdrawal>(&self.id).cloned();
        let mut withdrawal = known.ok_or_else(|| Refusal::not_found("withdrawal"))?;
        let wanted = self.ending.state();
        if withdrawal.state == wanted {
            return Ok(withdrawal);
        }
        if withdrawal.state != WithdrawalState::Requested {
            return Err(Refusal::new(
                Class::Conflict,
                "already_final",
                format!("the withdrawal has been {} and stays so", withdrawal.state),
            ));
        }
        let hold = draft.find::<Hold>(&HoldId(self.id.0)).cloned();
        let mut hold = hold.ok_or_else(|| Refusal::not_found("hold"))?;
        let (cause, to) = match self.ending {
            WithdrawalEnding::Paid => (
                "withdrawal_paid",
                Account::new(Owner::Custody, &withdrawal.currency).available(),
            ),
            WithdrawalEnding::Cancelled => ("withdrawal_cancelled", hold.account.available()),
        };
        let entry = Entry {
            id: self.entry_id,
            cause: cause.into(),
            subject: self.id.0,
            signed_request: None,
            postings: vec![Posting {
                from: hold.account.held(),
                to,
                amount: hold.amount,
            }],
        };
        draft.post(entry).map_err(refused_by_the_books)?;
        hold.open = false;
        draft.put(hold);
        if is_planted(Fault::CancelledStaysOpen) && wanted == WithdrawalState::Cancelled {
            return Ok(withdrawal);
        }
        let before = withdrawal.clone();
        withdrawal.state = wanted;
        withdrawal.updated_at = now;
        draft.put(withdrawal.clone());
        let change = (Some(&before), &withdrawal);
        self.operator
            .record_change(draft, cause, self.id.to_string(), change, now);
        Ok(withdrawal)
    }
}

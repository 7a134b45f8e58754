//! Transfers through cala-ledger, embedded as its documentation shows: accounts, a journal, a
//! template of two entries.

use std::sync::Arc;

use cala_ledger::{
    AccountId, CalaLedger, CalaLedgerConfig, JournalId, TransactionId, account::NewAccount,
    journal::NewJournal, posting::PostingInput, tx_template::*,
};
use rust_decimal::Decimal;
use serde_json::Value;
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

use crate::{ACCOUNTS, Load, closed_loop, sqlx_transactions::two_accounts};

const TEMPLATE: &str = "TRANSFER";

struct Ledger {
    cala: CalaLedger,
    accounts: Vec<AccountId>,
}

pub(crate) async fn run(load: &Load, batch: usize) -> anyhow::Result<Value> {
    let pool = PgPoolOptions::new()
        .max_connections(load.clients + 4)
        .connect(&load.url)
        .await?;
    let config = CalaLedgerConfig::builder()
        .pool(pool.clone())
        .exec_migrations(true)
        .build()?;
    // The rollup of account sets is a job that nobody starts here: nothing is rolled up.
    let mut jobs = job::Jobs::init(job::JobSvcConfig::builder().pool(pool).build()?).await?;
    let cala = CalaLedger::init(config, &mut jobs).await?;
    let accounts = prepare(&cala).await?;
    let ledger = Arc::new(Ledger { cala, accounts });
    closed_loop::run(load.clients, load.time(), move || {
        let ledger = Arc::clone(&ledger);
        async move { ledger.post(batch).await }
    })
    .await
}

async fn prepare(cala: &CalaLedger) -> anyhow::Result<Vec<AccountId>> {
    let journal = JournalId::from(Uuid::now_v7());
    let new = NewJournal::builder().id(journal).name("Ledger").build();
    cala.journals().create(new).await?;
    let mut accounts = Vec::with_capacity(ACCOUNTS);
    for n in 0..ACCOUNTS {
        let id = AccountId::new();
        let (name, code) = (format!("Account {n}"), format!("account-{n}"));
        let new = NewAccount::builder().id(id).name(name).code(code).build();
        cala.accounts().create(new).await?;
        accounts.push(id);
    }
    let parameter = |name: &str, kind| {
        NewParamDefinition::builder()
            .name(name)
            .r#type(kind)
            .build()
    };
    let entry = |kind: &str, account: &str, direction: &str| {
        NewTxTemplateEntry::builder()
            .entry_type(kind)
            .account_id(account)
            .layer("SETTLED")
            .direction(direction)
            .units("params.units")
            .currency("'BTC'")
            .build()
    };
    let template = NewTxTemplate::builder()
        .id(Uuid::now_v7())
        .code(TEMPLATE)
        .params(vec![
            parameter("source", ParamDataType::Uuid)?,
            parameter("destination", ParamDataType::Uuid)?,
            parameter("units", ParamDataType::Decimal)?,
        ])
        .transaction(
            NewTxTemplateTransaction::builder()
                .effective("date()")
                .journal_id(format!("uuid('{journal}')"))
                .build()?,
        )
        .entries(vec![
            entry("'TRANSFER_DR'", "params.source", "DEBIT")?,
            entry("'TRANSFER_CR'", "params.destination", "CREDIT")?,
        ])
        .build();
    cala.tx_templates().create(template).await?;
    Ok(accounts)
}

impl Ledger {
    async fn post(&self, batch: usize) -> anyhow::Result<usize> {
        if batch == 1 {
            let id = TransactionId::new();
            self.cala
                .post_transaction(id, TEMPLATE, self.transfer())
                .await?;
        } else {
            let input = || PostingInput::new(TransactionId::new(), TEMPLATE, self.transfer());
            let inputs = (0..batch).map(|_| input()).collect();
            self.cala.post_transactions(inputs).await?;
        }
        Ok(batch)
    }

    fn transfer(&self) -> Params {
        let [source, destination] = two_accounts().map(|n| self.accounts[n]);
        let mut params = Params::new();
        params.insert("source", source);
        params.insert("destination", destination);
        params.insert("units", Decimal::ONE);
        params
    }
}

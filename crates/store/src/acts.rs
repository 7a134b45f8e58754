//! The list of what operators did, with the commits whose hashes cover it.

use ledger::Timestamp;
use rules::{UserId, record::OperatorAct};

use crate::{Page, Store, StoreError, record::Stored, select::Select};

/// What an operator did, and where in the hash chain it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedAct {
    /// What was done.
    pub act: OperatorAct,
    /// The number of the commit whose hash covers it; none where it is from before hashes covered
    /// acts.
    pub commit_sequence: Option<i64>,
}

/// Which acts are meant; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct ActFilter {
    /// The kind of act.
    pub act: Option<String>,
    /// What it was done to.
    pub subject: Option<String>,
    /// Who did it.
    pub user_id: Option<UserId>,
    /// Done at this time or later.
    pub from: Option<Timestamp>,
    /// Done before this time.
    pub before: Option<Timestamp>,
}

impl Store {
    /// What operators did, the latest first.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`].
    pub async fn operator_acts(
        &self,
        filter: ActFilter,
        page: Page,
    ) -> Result<Vec<RecordedAct>, StoreError> {
        let mut select = Select::all()
            .equal_if("act", filter.act)
            .equal_if("subject", filter.subject)
            .equal_if("user_id", filter.user_id.map(|id| id.0));
        if let Some(from) = filter.from {
            select = select.filter("at >= ?", vec![from.0.into()]);
        }
        if let Some(before) = filter.before {
            select = select.filter("at < ?", vec![before.0.into()]);
        }
        select
            .order("at DESC, id DESC")
            .page(page)
            .run_with(self.reader(), OperatorAct::TABLE, |columns| {
                Ok(RecordedAct {
                    act: OperatorAct::from_row(columns)?,
                    commit_sequence: columns.optional_int()?,
                })
            })
            .await
    }
}

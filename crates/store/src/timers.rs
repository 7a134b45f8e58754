//! What time makes due, to read.

use rules::record::Timer;

use crate::{Store, StoreError, lists::Page, select::Select};

impl Store {
    /// Timers that are not finished, by the time at which they are due, those behind `after`.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`].
    pub async fn timers(
        &self,
        after: Option<&Timer>,
        at_most: u32,
    ) -> Result<Vec<Timer>, StoreError> {
        let mut select = Select::all().filter("due_at IS NOT NULL", Vec::new());
        if let Some(after) = after {
            let due_at = after.due_at.map(|at| at.0);
            let values = vec![
                due_at.into(),
                after.kind.as_str().into(),
                after.subject.into(),
            ];
            select = select.filter("(due_at, kind, subject) > (?, ?, ?)", values);
        }
        let select = select.order("due_at, kind, subject").page(Page {
            number: 0,
            size: at_most,
        });
        select.run(self.reader()).await
    }
}

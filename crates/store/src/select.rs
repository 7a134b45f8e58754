//! Queries put together from conditions.
//!
//! The text of a query depends on which conditions it has, never on their values, so that it can
//! stay prepared. Lists of values are padded to a few lengths for the same reason.

use crate::{
    lists::Page,
    record::{Columns, Stored},
    sql::{Reader, StoreError, Table, Value},
};

/// A query for records of one kind.
pub(crate) struct Select {
    conditions: Vec<String>,
    params: Vec<Value>,
    order: String,
    page: Option<Page>,
}

impl Select {
    pub(crate) fn all() -> Select {
        Select {
            conditions: Vec::new(),
            params: Vec::new(),
            order: String::new(),
            page: None,
        }
    }

    /// A placeholder for `value`.
    fn bind(&mut self, value: impl Into<Value>) -> String {
        self.params.push(value.into());
        format!("${}", self.params.len())
    }

    /// Placeholders for a list, which is repeated up to the next power of two.
    fn bind_list(&mut self, mut values: Vec<Value>) -> String {
        if let Some(last) = values.last().cloned() {
            values.resize(values.len().next_power_of_two(), last);
        }
        let marks: Vec<String> = values.into_iter().map(|value| self.bind(value)).collect();
        marks.join(", ")
    }

    /// Only where `expression`, which has one `?` for each of `values`, holds.
    pub(crate) fn filter(mut self, expression: &str, values: Vec<Value>) -> Select {
        let mut condition = String::new();
        let mut parts = expression.split('?');
        condition.push_str(parts.next().unwrap_or_default());
        for (part, value) in parts.zip(values) {
            condition.push_str(&self.bind(value));
            condition.push_str(part);
        }
        self.conditions.push(condition);
        self
    }

    /// Only where `column` has this value.
    pub(crate) fn equal(self, column: &str, value: impl Into<Value>) -> Select {
        self.filter(&format!("{column} = ?"), vec![value.into()])
    }

    /// Only where `column` has this value, if one is given.
    pub(crate) fn equal_if(self, column: &str, value: Option<impl Into<Value>>) -> Select {
        match value {
            Some(value) => self.equal(column, value),
            None => self,
        }
    }

    /// Only where `column` has one of these values, if any are given.
    pub(crate) fn among<T: Into<Value>>(self, column: &str, values: Option<Vec<T>>) -> Select {
        self.among_in(&format!("{column} IN (*)"), values)
    }

    /// Only where `expression`, which has `*` for the values, holds, if any values are given. Of
    /// an empty list nothing is a member: `IN ()` is no SQL to PostgreSQL.
    pub(crate) fn among_in<T: Into<Value>>(
        mut self,
        expression: &str,
        values: Option<Vec<T>>,
    ) -> Select {
        match values {
            None => {}
            Some(values) if values.is_empty() => self.conditions.push("1 = 0".to_owned()),
            Some(values) => {
                let values = values.into_iter().map(Into::into).collect();
                let list = self.bind_list(values);
                self.conditions.push(expression.replace('*', &list));
            }
        }
        self
    }

    /// In this order.
    pub(crate) fn order(mut self, order: &str) -> Select {
        order.clone_into(&mut self.order);
        self
    }

    /// Only this page.
    pub(crate) fn page(mut self, page: Page) -> Select {
        self.page = Some(page);
        self
    }

    /// The text and its parameters.
    fn into_sql(mut self, columns: &str, table: &str) -> (String, Vec<Value>) {
        let mut sql = format!("SELECT {columns} FROM {table}");
        if !self.conditions.is_empty() {
            sql.push_str(" WHERE ");
            sql.push_str(&self.conditions.join(" AND "));
        }
        if !self.order.is_empty() {
            sql.push_str(" ORDER BY ");
            sql.push_str(&self.order);
        }
        if let Some(page) = self.page {
            let limit = self.bind(i64::from(page.size));
            let offset = self.bind(page.offset());
            sql.push_str(&format!(" LIMIT {limit} OFFSET {offset}"));
        }
        (sql, self.params)
    }

    /// Runs the query.
    pub(crate) async fn run<R: Stored>(self, reader: &Reader) -> Result<Vec<R>, StoreError> {
        self.run_with(reader, R::TABLE, R::from_row).await
    }

    /// Runs the query for rows of a table that `read` makes something of.
    pub(crate) async fn run_with<T>(
        self,
        reader: &Reader,
        table: &Table,
        read: impl Fn(&mut Columns) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let (sql, params) = self.into_sql(&table.column_list(""), table.name);
        let rows = reader.query(&sql, params).await?;
        let read = rows.into_iter().map(|row| read(&mut Columns::from(row)));
        read.collect()
    }

    /// Runs the query for the first record.
    pub(crate) async fn first<R: Stored>(self, reader: &Reader) -> Result<Option<R>, StoreError> {
        let page = Page { number: 0, size: 1 };
        Ok(self.page(page).run(reader).await?.into_iter().next())
    }
}

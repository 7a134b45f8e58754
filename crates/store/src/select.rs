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
    /// Where the records are looked for; in their table alone if this is empty.
    joined: &'static str,
    /// What is read beside the columns of the record.
    beside: &'static str,
    /// Whether the records are named, and so looked up and then sorted.
    named: bool,
    conditions: Vec<String>,
    /// Conditions of which every record meets at most one; all records if there are none.
    parts: Vec<String>,
    params: Vec<Value>,
    order: String,
    /// The order of each part, if an index has other words for it.
    order_of_parts: Option<String>,
    page: Option<Page>,
}

impl Select {
    pub(crate) fn all() -> Select {
        Select {
            joined: "",
            beside: "",
            named: false,
            conditions: Vec::new(),
            parts: Vec::new(),
            params: Vec::new(),
            order: String::new(),
            order_of_parts: None,
            page: None,
        }
    }

    /// All records that a join of tables, their own among them, comes to; `beside` is what of the
    /// others they are sorted by.
    pub(crate) fn joined(tables: &'static str, beside: &'static str) -> Select {
        Select {
            joined: tables,
            beside,
            ..Select::all()
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
        let condition = self.bound(expression, values);
        self.conditions.push(condition);
        self
    }

    /// Only where one of these holds, of which no two ever hold at once. Each is looked for by
    /// itself, so that each can have an index; what is found is merged. The order is that of
    /// columns of the record.
    pub(crate) fn either(mut self, expressions: Vec<(&str, Vec<Value>)>) -> Select {
        for (expression, values) in expressions {
            let part = self.bound(expression, values);
            self.parts.push(part);
        }
        self
    }

    fn bound(&mut self, expression: &str, values: Vec<Value>) -> String {
        let mut condition = String::new();
        let mut parts = expression.split('?');
        condition.push_str(parts.next().unwrap_or_default());
        for (part, value) in parts.zip(values) {
            condition.push_str(&self.bind(value));
            condition.push_str(part);
        }
        condition
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

    /// Only those that are named, if any are: they are looked up by this column, which alone says how
    /// many there are.
    pub(crate) fn named<T: Into<Value>>(self, column: &str, values: Option<Vec<T>>) -> Select {
        let named = self.named || values.is_some();
        let values = values.map(|values| {
            let mut values: Vec<Value> = values.into_iter().map(Into::into).collect();
            // Of a single one PostgreSQL would conclude what it means for tables that are joined,
            // and begin there.
            if let [single] = values.as_slice() {
                values.push(single.clone());
            }
            values
        });
        Select {
            named,
            ..self.among(column, values)
        }
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

    /// The same order in the words of an index, for each part of [`Select::either`].
    pub(crate) fn order_of_parts(mut self, order: String) -> Select {
        self.order_of_parts = Some(order);
        self
    }

    /// Only this page.
    pub(crate) fn page(mut self, page: Page) -> Select {
        self.page = Some(page);
        self
    }

    /// The text and its parameters.
    fn into_sql(mut self, table: &Table) -> (String, Vec<Value>) {
        let all = match self.joined {
            "" => format!("SELECT {} FROM {}", table.column_list(""), table.name),
            joined => {
                let columns = table.column_list(&format!("{}.", table.name));
                format!("SELECT {columns}{} FROM {joined}", self.beside)
            }
        };
        let filtered = |part: Option<&String>| {
            let conditions = part.into_iter().chain(&self.conditions);
            let conditions: Vec<&str> = conditions.map(String::as_str).collect();
            match conditions.is_empty() {
                true => all.clone(),
                false => format!("{all} WHERE {}", conditions.join(" AND ")),
            }
        };
        let mut parts: Vec<String> = self.parts.iter().map(|part| filtered(Some(part))).collect();
        if parts.is_empty() {
            parts.push(filtered(None));
        }
        let order_by = |order: &str| match order {
            "" => String::new(),
            order => format!(" ORDER BY {order}"),
        };
        let order = order_by(&self.order);
        let is_whole = self.joined.is_empty() && self.parts.is_empty() && !self.named;
        let mut sql = match is_whole {
            true => parts.concat(),
            false => {
                // What is named is read first and then sorted. Of anything else no part gives more
                // than is wanted of all together; without being told so PostgreSQL would read and
                // sort the whole of it.
                let (order, most) = match self.named {
                    true => (String::new(), i64::MAX),
                    false => (
                        order_by(self.order_of_parts.as_ref().unwrap_or(&self.order)),
                        self.page.map_or(i64::MAX, Page::end),
                    ),
                };
                let most = self.bind(most);
                let parts = parts.iter().enumerate().map(|(number, part)| {
                    format!("SELECT * FROM ({part}{order} LIMIT {most}) AS part_{number}")
                });
                parts.collect::<Vec<_>>().join(" UNION ALL ")
            }
        };
        sql.push_str(&order);
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
    pub(crate) async fn run_with<T: Send + 'static>(
        self,
        reader: &Reader,
        table: &Table,
        read: impl Fn(&mut Columns) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Vec<T>, StoreError> {
        let (sql, params) = self.into_sql(table);
        let read = move |row| read(&mut Columns::from(row));
        reader.read(&sql, params, read).await
    }

    /// Runs the query for the first record.
    pub(crate) async fn first<R: Stored>(self, reader: &Reader) -> Result<Option<R>, StoreError> {
        let page = Page { number: 0, size: 1 };
        Ok(self.page(page).run(reader).await?.into_iter().next())
    }
}

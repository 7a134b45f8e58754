//! The plans that the store's log tells, and what they mean: which tables are read, through which
//! index, by which columns, and what has to be sorted.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::instrument::WithSubscriber as _;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// How a database means to answer one query.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    pub(super) sql: String,
    pub(super) text: String,
}

/// One way in which a plan reads a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Access {
    pub(super) table: String,
    pub(super) index: String,
    pub(super) reading: Reading,
}

/// How much is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// All of the table.
    Whole,
    /// An index from one of its ends.
    InOrder,
    /// What an index has where these columns are equal to what is given.
    By(Vec<String>),
}

/// The plans of all queries that a future makes.
pub(super) async fn plans_of<T: Debug, E: Debug>(
    asking: impl Future<Output = Result<T, E>>,
) -> Vec<Plan> {
    let log = Log::default();
    asking
        .with_subscriber(log.clone())
        .await
        .expect("an answer");
    let plans = log.0.lock().unwrap_or_else(PoisonError::into_inner);
    plans.clone()
}

/// Keeps what is told of plans.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Plan>>>);

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "store::plans"
    }

    fn event(&self, event: &Event<'_>) {
        let mut plan = Plan::default();
        event.record(&mut plan);
        let mut plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        plans.push(plan);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

impl Visit for Plan {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "sql" => value.clone_into(&mut self.sql),
            "plan" => value.clone_into(&mut self.text),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

impl Plan {
    /// How the tables of the store are read, in the order in which the plan has it.
    pub(super) fn accesses(&self) -> Vec<Access> {
        let lines: Vec<&str> = self.text.lines().collect();
        match self.text.contains(" on ") {
            true => self.accesses_of_postgres(&lines),
            false => lines
                .iter()
                .filter_map(|line| self.access_of_sqlite(line))
                .collect(),
        }
    }

    /// `SEARCH table USING INDEX name (first=? AND second>?)`, or `SCAN`.
    fn access_of_sqlite(&self, line: &str) -> Option<Access> {
        let mut words = line.split(' ');
        let verb = words
            .next()
            .filter(|verb| ["SEARCH", "SCAN"].contains(verb))?;
        let table = self.table(words.next()?)?;
        let index = words.clone().skip_while(|word| *word != "INDEX").nth(1);
        let columns = match line.split_once('(') {
            Some((_, columns)) => columns.trim_end_matches(')').split(" AND "),
            None => "".split(" AND "),
        };
        let columns = columns.map_while(|column| column.strip_suffix("=?"));
        Some(Access {
            reading: match (verb, index) {
                ("SEARCH", _) => Reading::By(columns.map(str::to_owned).collect()),
                (_, Some(_)) => Reading::InOrder,
                (_, None) => Reading::Whole,
            },
            index: index.unwrap_or("the table itself").to_owned(),
            table,
        })
    }

    /// `Index Scan using name on table alias`, `Bitmap Index Scan on name` below
    /// `Bitmap Heap Scan on table alias`, `Seq Scan on table alias`; the next line may have an
    /// `Index Cond`.
    fn accesses_of_postgres(&self, lines: &[&str]) -> Vec<Access> {
        let mut accesses = Vec::new();
        let mut heap = None;
        for (number, line) in lines.iter().enumerate() {
            let Some((node, rest)) = line.split_once(" on ") else {
                continue;
            };
            let name = rest.split([' ', ')']).next().unwrap_or_default();
            let condition = lines.get(number + 1);
            let condition = condition.and_then(|line| line.trim().strip_prefix("Index Cond: "));
            let reading = match condition {
                Some(condition) => Reading::By(equal_columns(condition)),
                None => Reading::InOrder,
            };
            if node.ends_with("Bitmap Heap Scan") {
                heap = self.table(name);
            } else if node.ends_with("Bitmap Index Scan") {
                let table = heap.clone().expect("a table for the bitmap");
                let index = name.to_owned();
                accesses.push(Access {
                    table,
                    index,
                    reading,
                });
            } else if let Some((_, index)) = node.split_once(" using ") {
                let table = self.table(name).expect("a table for the index");
                let index = index.to_owned();
                accesses.push(Access {
                    table,
                    index,
                    reading,
                });
            } else if let (true, Some(table)) = (node.ends_with("Scan"), self.table(name)) {
                let (index, reading) = ("the table itself".to_owned(), Reading::Whole);
                accesses.push(Access {
                    table,
                    index,
                    reading,
                });
            }
        }
        accesses
    }

    /// The table that the query calls so, if it is a table.
    fn table(&self, name: &str) -> Option<String> {
        let words = self.sql.split([' ', '\n', '(', ')', ',']);
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).chain([""]).collect();
        let mut pairs = words
            .windows(3)
            .filter(|words| ["FROM", "JOIN"].contains(&words[0]));
        pairs
            .find(|words| words[1] == name || words[2] == name)
            .map(|words| words[1].to_owned())
            .filter(|table| !self.sql.contains(&format!("WITH RECURSIVE {table} ")))
    }

    /// The indexes behind which everything that was read is sorted before anything is told.
    pub(super) fn sorted(&self) -> Vec<String> {
        match self.text.contains(" on ") {
            true => self.sorted_by_postgres(),
            false => self.sorted_by_sqlite(),
        }
    }

    fn sorted_by_sqlite(&self) -> Vec<String> {
        let mut sorted = Vec::new();
        let mut last = None;
        for line in self.text.lines() {
            if line.starts_with("SCAN") || line.starts_with("SEARCH") {
                // What is sorted is what the outermost loop reads.
                let access = self.access_of_sqlite(line);
                last = last.or(access);
                if line.starts_with("SCAN part_") {
                    last = None;
                }
            } else if line == "USE TEMP B-TREE FOR ORDER BY" {
                sorted.extend(last.take().map(|access| access.index));
            } else if line.starts_with("CO-ROUTINE") {
                last = None;
            }
        }
        sorted
    }

    fn sorted_by_postgres(&self) -> Vec<String> {
        let depth = |line: &str| line.len() - line.trim_start_matches([' ', '-', '>']).len();
        let mut sorted = Vec::new();
        let lines: Vec<&str> = self.text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            if line.trim_start_matches([' ', '-', '>']) != "Sort" {
                continue;
            }
            let below = lines[number + 1..].iter();
            let below: Vec<&str> = below
                .take_while(|below| depth(below) > depth(line))
                // A part of which no more is taken than is wanted.
                .take_while(|below| !below.ends_with("Limit"))
                .copied()
                .collect();
            let first = self.accesses_of_postgres(&below).into_iter().next();
            sorted.extend(first.map(|access| access.index));
        }
        sorted
    }
}

/// The columns that a condition of PostgreSQL compares for equality.
fn equal_columns(condition: &str) -> Vec<String> {
    condition
        .split(" AND ")
        .filter_map(|part| part.split_once(" = "))
        .map(|(column, _)| column.trim_start_matches('(').to_owned())
        .collect()
}

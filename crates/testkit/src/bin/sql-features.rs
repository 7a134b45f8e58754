//! Compares the SQL that the tests made the store send to PostgreSQL with the list of it in
//! `docs/scaling.md`: what is used and not in the list, or in the list and not used, is told.
//!
//! `sql-features SERVER_LOG DOCUMENT`. The log has every statement with the names of whoever sent
//! it and of the database before it, as `./test` configures its cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::{env, fs};

/// What log lines of the store's own statements begin with; the name of the database follows.
const OWN: &str = "tidelock|";

/// A table by which databases are known in which the store's tests try out other SQL than its own.
const STRANGE: &str = "specimens";

/// Where the list is in the document.
const LIST: &str = "## The SQL that the store uses";

/// Names of ours that stand before a parenthesis like functions do.
const NAMES: [&str; 1] = ["k"];

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let (Some(log), Some(document)) = (arguments.next(), arguments.next()) else {
        eprintln!("sql-features SERVER_LOG DOCUMENT");
        return ExitCode::from(2);
    };
    let read = |path: &str| {
        let bytes = fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let statements = statements(&read(&log));
    let used: BTreeSet<String> = statements.iter().flat_map(|sql| words(sql)).collect();
    let listed = listed(&read(&document));
    let unlisted: Vec<_> = used.difference(&listed).collect();
    let unused: Vec<_> = listed.difference(&used).collect();
    println!(
        "{} different statements of the store, {} words of SQL",
        statements.len(),
        used.len()
    );
    for word in &unlisted {
        let example = statements.iter().find(|sql| words(sql).contains(*word));
        println!("used and not in {document}: {word}");
        println!("    {}", example.map(String::as_str).unwrap_or_default());
    }
    for word in &unused {
        println!("in {document} and not used by any test: {word}");
    }
    match statements.is_empty() || !unlisted.is_empty() || !unused.is_empty() {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

/// The different statements of the store in a server's log.
fn statements(log: &str) -> BTreeSet<String> {
    let mut databases: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut current: Option<(&str, String)> = None;
    for line in log.lines().chain([""]) {
        if let Some(more) = line.strip_prefix('\t') {
            if let Some((_, statement)) = &mut current {
                statement.push(' ');
                statement.push_str(more.trim());
            }
            continue;
        }
        if let Some((database, statement)) = current.take() {
            databases.entry(database).or_default().insert(statement);
        }
        current = beginning(line);
    }
    let own = |statements: &BTreeSet<String>| !statements.iter().any(|sql| sql.contains(STRANGE));
    databases.into_values().filter(own).flatten().collect()
}

/// The database and the first line of a statement of the store, if one begins here:
/// `tidelock|NAME|LOG:  statement: SELECT …` or `tidelock|NAME|LOG:  execute s12: SELECT …`.
fn beginning(line: &str) -> Option<(&str, String)> {
    let (database, said) = line.strip_prefix(OWN)?.split_once('|')?;
    let (kind, sql) = said.strip_prefix("LOG:  ")?.split_once(": ")?;
    let is_one = kind == "statement" || kind.starts_with("execute ");
    is_one.then(|| (database, sql.trim().to_owned()))
}

/// The words of SQL in a statement: what is written in capitals, functions, and types after `::`.
fn words(sql: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    // Every second part is within quotes.
    for part in sql.split('\'').step_by(2) {
        let mut rest = part;
        let mut cast = false;
        while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic() || c == '_') {
            cast |= rest[..start].ends_with("::");
            let parameter = rest[..start].ends_with('$');
            rest = &rest[start..];
            let end = rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            let keyword = word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase());
            let function = after.starts_with('(') && !NAMES.contains(&word);
            if !parameter && (keyword || function || cast) {
                words.insert(word.to_owned());
            }
            cast = false;
            rest = after;
        }
    }
    words
}

/// The words in backquotes in the list of the document.
fn listed(document: &str) -> BTreeSet<String> {
    let list = document.split_once(LIST).map(|(_, list)| list);
    let list = list.unwrap_or_default();
    let list = list.split("\n## ").next().unwrap_or_default();
    list.split('`')
        .skip(1)
        .step_by(2)
        .flat_map(|code| {
            code.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect()
}

//! What the reference says beside what the types say: of each operation what it does, when to call
//! it and which states it answers, of each of its errors the cause and the remedy, and examples.
//!
//! Texts are in `texts`, one file for each tag with a section for each operation: its prose and, at
//! the end, a line `errors:` with the names of errors that are its own, and `none-422` for a status
//! that it has for the protocol's sake and never answers. The errors are described once, in `texts/errors.md`. Examples are real answers: `tests/http/examples.rs` asks for them,
//! compares them, and writes `examples.json`.

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::openapi::{
    OpenApi, RefOr, Response,
    path::{Operation, ParameterBuilder, PathItem},
};

const INTRODUCTION: &str = include_str!("texts/introduction.md");

const OPERATIONS: [&str; 13] = [
    include_str!("texts/allocations.md"),
    include_str!("texts/balances.md"),
    include_str!("texts/clients.md"),
    include_str!("texts/connections.md"),
    include_str!("texts/developer.md"),
    include_str!("texts/disputes.md"),
    include_str!("texts/events.md"),
    include_str!("texts/operator.md"),
    include_str!("texts/partners.md"),
    include_str!("texts/server.md"),
    include_str!("texts/settlements.md"),
    include_str!("texts/statements.md"),
    include_str!("texts/trades.md"),
];

const ERRORS: &str = include_str!("texts/errors.md");

const EXAMPLES: &str = include_str!("examples.json");

/// What is written of one operation.
struct Text {
    prose: String,
    /// The names of the errors that are its own.
    errors: Vec<&'static str>,
}

/// One error of the list.
struct ErrorText {
    name: &'static str,
    status: &'static str,
    /// On which operations it can come without being named there.
    everywhere: Place,
    cause: &'static str,
    remedy: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    All,
    Network,
    Operator,
    Named,
}

/// Writes texts and examples into the document.
pub(super) fn tell(document: &mut OpenApi) {
    document.info.description = Some(INTRODUCTION.trim().to_owned());
    let (texts, errors, examples) = (texts(), errors(), examples());
    for (path, item) in &mut document.paths.paths {
        for operation in operations(item) {
            let id = operation.operation_id.clone().unwrap_or_default();
            let text = texts.get(id.as_str());
            if let Some(text) = text {
                operation.description = Some(text.prose.clone());
            }
            let named = text.map_or(&[][..], |text| &text.errors);
            for (status, response) in responses(operation) {
                let told = explained(&errors, path, named, &status);
                response.description.push_str(&told);
            }
            if let Some(example) = examples.get(&id) {
                show(operation, example);
            }
        }
    }
}

pub(super) fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem {
        get,
        put,
        post,
        delete,
        patch,
        ..
    } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

fn responses(operation: &mut Operation) -> impl Iterator<Item = (String, &mut Response)> {
    let all = operation.responses.responses.iter_mut();
    all.filter_map(|(status, response)| Some((status.clone(), own(response)?)))
}

/// What stands in the document itself; nothing of ours is only referred to.
fn own<T>(described: &mut RefOr<T>) -> Option<&mut T> {
    match described {
        RefOr::T(described) => Some(described),
        RefOr::Ref(_) => None,
    }
}

/// The errors that an operation can answer with a status, as a list for people.
fn explained(errors: &[ErrorText], path: &str, named: &[&str], status: &str) -> String {
    if is_reserved(named, status) {
        return "\n\nReserved by the protocol for this operation, and not answered at present."
            .to_owned();
    }
    let errors = possible(errors, path, named, status);
    let lines = errors.map(|error| {
        let ErrorText {
            name,
            cause,
            remedy,
            ..
        } = error;
        format!("\n- `{name}`: {cause} → {remedy}")
    });
    let lines: String = lines.collect();
    match lines.is_empty() {
        true => lines,
        false => format!("\n{lines}"),
    }
}

/// Whether the operation has a status for the protocol's sake alone: its errors have `none-422`.
fn is_reserved(named: &[&str], status: &str) -> bool {
    let reserved = named.iter().filter_map(|name| name.strip_prefix("none-"));
    reserved.into_iter().any(|reserved| reserved == status)
}

fn possible<'a>(
    errors: &'a [ErrorText],
    path: &str,
    named: &[&str],
    status: &str,
) -> impl Iterator<Item = &'a ErrorText> {
    let can_come = |error: &&ErrorText| {
        named.contains(&error.name)
            || match error.everywhere {
                Place::All => path.starts_with("/api/"),
                Place::Network => path.starts_with("/api/network/"),
                Place::Operator => path.starts_with("/api/operator/"),
                Place::Named => false,
            }
    };
    let of_status = errors.iter().filter(move |error| error.status == status);
    let found: Vec<&ErrorText> = of_status.filter(can_come).collect();
    found.into_iter()
}

/// Puts an example beside what it is one of.
fn show(operation: &mut Operation, example: &Value) {
    let parameters = operation.parameters.iter_mut().flatten();
    for parameter in parameters.filter_map(own) {
        if let Some(value) = example["path"].get(&parameter.name) {
            let with = ParameterBuilder::from(parameter.clone()).example(Some(value.clone()));
            *parameter = with.build();
        }
    }
    let body = operation.request_body.as_mut().and_then(own);
    if let (Some(body), Some(sent)) = (body, example.get("request")) {
        for content in body.content.values_mut().filter_map(own) {
            content.example = Some(sent.clone());
        }
    }
    for (status, response) in responses(operation) {
        let json = response.content.get_mut("application/json").and_then(own);
        if let (Some(content), Some(answer)) = (json, example["answers"].get(&status)) {
            content.example = Some(answer.clone());
        }
    }
}

/// The examples by operation.
fn examples() -> BTreeMap<String, Value> {
    // The file is written by a test and read by another.
    serde_json::from_str(EXAMPLES).unwrap_or_default()
}

/// What is written of each operation.
fn texts() -> BTreeMap<&'static str, Text> {
    let sections = OPERATIONS.iter().flat_map(|file| file.split("\n# "));
    let read = |section: &'static str| {
        let section = section.trim_start_matches("# ");
        let (operation, rest) = section.split_once('\n')?;
        let (prose, errors) = match rest.split_once("\nerrors: ") {
            Some((prose, errors)) => (prose, errors.trim().split(", ").collect()),
            None => (rest, Vec::new()),
        };
        let prose = prose.trim().to_owned();
        Some((operation.trim(), Text { prose, errors }))
    };
    sections.filter_map(read).collect()
}

/// The list of errors.
fn errors() -> Vec<ErrorText> {
    let rows = ERRORS.lines().filter(|line| line.starts_with("| `"));
    let read = |row: &'static str| {
        let mut cells = row.trim_matches('|').split(" | ").map(str::trim);
        Some(ErrorText {
            name: cells.next()?.trim_matches('`'),
            status: cells.next()?,
            everywhere: match cells.next()? {
                "all" => Place::All,
                "network" => Place::Network,
                "operator" => Place::Operator,
                _ => Place::Named,
            },
            cause: cells.next()?,
            remedy: cells.next()?,
        })
    };
    rows.filter_map(read).collect()
}

#[cfg(test)]
mod tests;

//! Every operation of the document has a text, an example, and each of its errors explained.

use std::{collections::BTreeSet, fs, path::Path};

use super::*;

/// What of the document concerns one operation.
struct Described {
    id: String,
    path: String,
    operation: Operation,
}

fn described() -> Vec<Described> {
    let (_, document) = crate::openapi::described();
    let mut all = Vec::new();
    for (path, mut item) in document.paths.paths {
        for operation in operations(&mut item) {
            let id = operation.operation_id.clone().expect("an id");
            all.push(Described {
                id,
                path: path.clone(),
                operation: operation.clone(),
            });
        }
    }
    all
}

/// All that is missing, at once.
fn nothing(missing: Vec<String>) {
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn every_operation_has_a_text_and_every_text_an_operation() {
    let texts = texts();
    let mut missing = Vec::new();
    let mut described = described();
    for Described { id, operation, .. } in &mut described {
        match texts.get(id.as_str()) {
            None => missing.push(format!("{id} has no section in openapi/texts")),
            Some(text) if text.prose.len() < 40 => missing.push(format!("{id} says too little")),
            Some(text) => assert_eq!(operation.description.as_ref(), Some(&text.prose), "{id}"),
        }
        if operation.summary.as_deref().unwrap_or_default().is_empty() {
            missing.push(format!("{id} has no summary"));
        }
        let parameters = operation.parameters.iter_mut().flatten();
        for parameter in parameters.filter_map(own) {
            if parameter
                .description
                .as_deref()
                .unwrap_or_default()
                .is_empty()
            {
                missing.push(format!("{id} does not describe {}", parameter.name));
            }
        }
    }
    let known = |id: &str| described.iter().any(|operation| operation.id == id);
    let orphans = texts.keys().filter(|id| !known(id));
    missing.extend(orphans.map(|id| format!("there is no operation {id}")));
    nothing(missing);
}

#[test]
fn every_error_is_explained() {
    let (texts, errors) = (texts(), errors());
    let mut missing = Vec::new();
    for Described {
        id,
        path,
        mut operation,
    } in described()
    {
        if !path.starts_with("/api/") {
            continue;
        }
        let named = texts.get(id.as_str()).map_or(&[][..], |text| &text.errors);
        let mut statuses = BTreeSet::new();
        for (status, response) in responses(&mut operation) {
            if status.starts_with(['4', '5']) {
                let names: Vec<&str> = possible(&errors, &path, named, &status)
                    .map(|error| error.name)
                    .collect();
                if names.is_empty() && !is_reserved(named, &status) {
                    missing.push(format!("{id}: {status} is not explained"));
                }
                let told = |name: &&str| response.description.contains(&format!("`{name}`"));
                assert!(
                    is_reserved(named, &status) || names.iter().all(told),
                    "{id}"
                );
                statuses.insert(status);
            }
        }
        for status in ["400", "401", "403", "413", "415", "429", "500", "503"] {
            if !statuses.contains(status) {
                missing.push(format!("{id} does not tell of {status}"));
            }
        }
        for name in named.iter().filter(|name| !name.starts_with("none-")) {
            let known = errors
                .iter()
                .any(|error| error.name == *name && statuses.contains(error.status));
            if !known {
                missing.push(format!(
                    "{id}: {name} is not in the list of errors, or its status not in the document"
                ));
            }
        }
    }
    nothing(missing);
}

/// An error that nothing can answer any more is out of the list; one that is new is in it.
#[test]
fn the_list_of_errors_is_that_of_the_program() {
    let mut source = String::new();
    for room in ["rules", "network", "partner", "server"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(room);
        read_all(&folder.join("src"), &mut source);
    }
    let errors = errors();
    let mut missing = Vec::new();
    let lower = source.to_lowercase();
    for error in &errors {
        let sentences = error.cause.ends_with('.') && error.remedy.ends_with('.');
        assert!(sentences, "{}", error.name);
        let noun = error.name.strip_suffix("_not_found").unwrap_or(error.name);
        let spelled = [error.name.to_owned(), noun.replace('_', " ")];
        let mut spelled = spelled.iter().map(|name| format!("\"{name}\""));
        if !spelled.any(|name| lower.contains(&name)) {
            missing.push(format!("nothing answers {}", error.name));
        }
    }
    // What is refused by name, in the forms in which the rules, the use-cases and the gate do it.
    for form in [
        "Class::Invalid,",
        "Class::NotAuthentic,",
        "Class::NotPermitted,",
        "Class::NotFound,",
        "Class::Conflict,",
        "Class::Unprocessable,",
        "unprocessable(",
        "refuse(",
        "not_authentic(",
        "Reason::new(",
    ] {
        for rest in source.split(form).skip(1) {
            let Some(quoted) = rest.trim_start().strip_prefix('"') else {
                continue;
            };
            let name = quoted.split('"').next().unwrap_or_default();
            let is_name = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            let known = errors.iter().any(|error| error.name == name);
            if is_name && !known && !NEVER_ANSWERED.contains(&name) {
                missing.push(format!("{name} is not in openapi/texts/errors.md"));
            }
        }
    }
    nothing(missing);
}

/// Reasons of records that are no errors, and refusals that no request of the API meets.
const NEVER_ANSWERED: [&str; 5] = [
    "no_operator",
    "on_chain_failed",
    "rejected_by_operator",
    "signing_key_taken",
    "waiting_for_partner",
];

fn read_all(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("a file").path();
        if path.is_dir() {
            read_all(&path, text);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            text.push_str(&fs::read_to_string(&path).expect("text"));
        }
    }
}

#[test]
fn every_operation_has_an_example() {
    let examples: BTreeMap<String, Value> = serde_json::from_str(EXAMPLES).expect("JSON");
    let mut missing = Vec::new();
    for Described {
        id,
        path,
        mut operation,
    } in described()
    {
        let Some(example) = examples.get(&id) else {
            missing.push(format!("{id} has no example"));
            continue;
        };
        let parameters = operation.parameters.iter_mut().flatten();
        for parameter in parameters.filter_map(own) {
            let in_path = path.contains(&format!("{{{}}}", parameter.name));
            let shown = serde_json::to_value(&*parameter).expect("JSON");
            assert_eq!(
                shown.get("example").is_some(),
                in_path,
                "{id}: {}",
                parameter.name
            );
        }
        let body = operation.request_body.as_mut().and_then(own);
        let takes_body = body.is_some_and(|body| !body.content.is_empty());
        if takes_body && example.get("request").is_none() {
            missing.push(format!("{id} has no body as an example"));
        }
        let shown = responses(&mut operation)
            .filter(|(status, _)| status.starts_with('2'))
            .flat_map(|(_, response)| response.content.values_mut().filter_map(own))
            .any(|content| content.example.is_some());
        if !shown {
            missing.push(format!("{id} has no answer as an example"));
        }
    }
    nothing(missing);
}

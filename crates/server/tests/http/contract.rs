//! The OpenAPI document says no less than the wire contract of `contract.txt`.
//!
//! Requests may accept more than the contract, never less; answers may carry more, never less.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

const CONTRACT: &str = include_str!("contract.txt");
const ENTERPRISE: &str = "/api/network/v1/enterprises/{enterpriseId}";
const ENTERPRISE_2: &str = "/api/network/v2/enterprises/{enterpriseId}";

/// How deep schemas are followed.
const DEPTH_MAX: usize = 14;

#[test]
fn the_document_keeps_the_contract() {
    let contract = Contract::read(CONTRACT);
    assert_eq!(contract.operations.len(), 45);
    let differences = contract.differences(&document());
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// A comparison that cannot fail is worth nothing: each of these changes has to be noticed.
#[test]
fn what_the_document_lacks_is_noticed() {
    type Spoil = fn(&mut Value);
    let cases: [(&str, Spoil); 11] = [
        ("POST E/partners: missing", |d| {
            drop(operation(d, "/partners", "post").take())
        }),
        ("POST E/partners: is another operation", |d| {
            operation(d, "/partners", "post")["operationId"] = "createPartner".into();
        }),
        ("query parameter ids missing", |d| {
            remove_named(&mut operation(d, "/partners", "get")["parameters"], "ids");
        }),
        ("query parameter ids must not be required", |d| {
            let parameters = operation(d, "/partners", "get")["parameters"].as_array_mut();
            let mut parameters = parameters.expect("parameters").iter_mut();
            let ids = parameters.find(|p| p["name"] == "ids").expect("ids");
            ids["required"] = true.into();
        }),
        ("no request body", |d| {
            operation(d, "/partners", "post")["requestBody"] = Value::Null;
        }),
        ("response 422 missing", |d| {
            let create = operation(d, "/partners", "post");
            create["responses"]
                .as_object_mut()
                .expect("responses")
                .remove("422");
        }),
        ("request field /broker missing", |d| {
            schema(d, "NewPartner")["properties"]
                .as_object_mut()
                .expect("members")
                .remove("broker");
        }),
        (
            "request field /topUpWindowMinutes must not be required",
            |d| {
                require(schema(d, "NewPartner"), "topUpWindowMinutes");
            },
        ),
        (
            "response 200 field /partner/clientId must be required",
            |d| {
                let required = schema(d, "Partner")["required"]
                    .as_array_mut()
                    .expect("required");
                required.retain(|name| name != "clientId");
            },
        ),
        (
            "response 200 field /partner/broker is [string], not [boolean]",
            |d| {
                schema(d, "Partner")["properties"]["broker"]["type"] = "string".into();
            },
        ),
        (
            "request field /connectionKeySchema refuses [clearloop]",
            |d| {
                let choices = schema(d, "ConnectionKeySchema")["enum"].as_array_mut();
                choices
                    .expect("choices")
                    .retain(|choice| choice != "clearloop");
            },
        ),
    ];
    let contract = Contract::read(CONTRACT);
    for (expected, spoil) in cases {
        let mut document = document();
        spoil(&mut document);
        let differences = contract.differences(&document);
        let noticed = differences.iter().any(|line| line.contains(expected));
        assert!(noticed, "{expected} not in {differences:#?}");
    }
}

fn document() -> Value {
    serde_json::from_str(&server::openapi::document()).expect("the document is JSON")
}

fn operation<'a>(document: &'a mut Value, path: &str, method: &str) -> &'a mut Value {
    &mut document["paths"][format!("{ENTERPRISE}{path}")][method]
}

fn schema<'a>(document: &'a mut Value, name: &str) -> &'a mut Value {
    &mut document["components"]["schemas"][name]
}

fn remove_named(list: &mut Value, name: &str) {
    list.as_array_mut()
        .expect("a list")
        .retain(|item| item["name"] != name);
}

fn require(schema: &mut Value, name: &str) {
    schema["required"]
        .as_array_mut()
        .expect("required")
        .push(name.into());
}

// What is said of members, by their path such as `/partner/id` or `/partners/[]/id`.

#[derive(Clone, Debug, Default)]
struct Field {
    types: BTreeSet<String>,
    values: BTreeSet<String>,
    required: bool,
}

type Fields = BTreeMap<String, Field>;

impl Field {
    /// The types that count: `null` is allowed for what may be absent, and integers are numbers.
    fn counting(&self) -> BTreeSet<&str> {
        let spelled = self.types.iter().map(|kind| match kind.as_str() {
            "integer" => "number",
            other => other,
        });
        spelled.filter(|kind| *kind != "null").collect()
    }

    fn fits(&self, other: &Field) -> bool {
        let (want, have) = (self.counting(), other.counting());
        want.is_empty() || have.is_empty() || !want.is_disjoint(&have)
    }

    fn missing_values<'a>(&'a self, of: &'a Field) -> Vec<&'a str> {
        of.values
            .difference(&self.values)
            .map(String::as_str)
            .collect()
    }
}

// The contract.

struct Contract {
    operations: Vec<Operation>,
}

#[derive(Debug)]
struct Operation {
    /// As it is named in differences.
    name: String,
    method: String,
    path: String,
    id: String,
    parameters: Vec<Parameter>,
    body: Option<Fields>,
    answers: BTreeMap<String, Option<Fields>>,
}

#[derive(Debug)]
struct Parameter {
    place: String,
    name: String,
    required: bool,
    values: BTreeSet<String>,
}

/// One line of the contract: how far it is indented, and what it says.
struct Line<'a> {
    depth: usize,
    text: &'a str,
}

impl Contract {
    fn read(text: &str) -> Contract {
        let is_said = |line: &&str| !line.trim().is_empty() && !line.starts_with('#');
        let lines: Vec<Line<'_>> = text
            .lines()
            .filter(is_said)
            .map(|line| Line {
                depth: (line.len() - line.trim_start().len()) / 2,
                text: line.trim(),
            })
            .collect();
        let mut blocks = lines.chunk_by(|_, next| next.depth > 0);
        let mut shapes: BTreeMap<&str, &[Line<'_>]> = BTreeMap::new();
        let mut operations = Vec::new();
        for block in &mut blocks {
            let (head, rest) = block.split_first().expect("a block has a line");
            match head.text.strip_prefix("shape ") {
                Some(name) => drop(shapes.insert(name, rest)),
                None => operations.push((head.text, rest)),
            }
        }
        let operations = operations
            .into_iter()
            .map(|(head, rest)| Operation::read(head, rest, &shapes))
            .collect();
        Contract { operations }
    }

    fn differences(&self, document: &Value) -> Vec<String> {
        let mut found = Vec::new();
        for operation in &self.operations {
            let name = &operation.name;
            let said = operation.differences(document);
            found.extend(
                said.into_iter()
                    .map(|difference| format!("{name}: {difference}")),
            );
        }
        found
    }
}

impl Operation {
    fn read(head: &str, rest: &[Line<'_>], shapes: &BTreeMap<&str, &[Line<'_>]>) -> Operation {
        let words: Vec<&str> = head.split(' ').collect();
        let [method, path, id] = words[..] else {
            panic!("{head}: not an operation");
        };
        let mut operation = Operation {
            name: format!("{method} {path}"),
            method: method.to_lowercase(),
            path: match path.strip_prefix("E2") {
                Some(rest) => format!("{ENTERPRISE_2}{rest}"),
                None => path.replacen('E', ENTERPRISE, 1),
            },
            id: id.to_owned(),
            parameters: Vec::new(),
            body: None,
            answers: BTreeMap::new(),
        };
        for part in rest.chunk_by(|_, next| next.depth > 1) {
            let (head, inner) = part.split_first().expect("a part has a line");
            let (kind, tail) = head.text.split_once(' ').unwrap_or((head.text, ""));
            let fields = || {
                let mut fields = Fields::from([(String::new(), object())]);
                let inner = match tail.strip_prefix("= ") {
                    Some(shape) => shapes.get(shape).expect("a known shape"),
                    None => inner,
                };
                read_members(inner, "", true, shapes, &mut fields);
                fields
            };
            match kind {
                "path" | "query" => operation.parameters.push(Parameter::read(kind, tail)),
                "body" => operation.body = Some(fields()),
                "error" => {
                    let error = Field {
                        types: BTreeSet::from(["string".to_owned()]),
                        required: true,
                        ..Field::default()
                    };
                    let body =
                        Fields::from([(String::new(), object()), ("/error".to_owned(), error)]);
                    let codes = tail
                        .split(' ')
                        .map(|code| (code.to_owned(), Some(body.clone())));
                    operation.answers.extend(codes);
                }
                "any" => {
                    let codes = tail.split(' ').map(|code| (code.to_owned(), None));
                    operation.answers.extend(codes);
                }
                code => {
                    assert!(code.parse::<u16>().is_ok(), "{code} is no status");
                    operation.answers.insert(code.to_owned(), Some(fields()));
                }
            }
        }
        operation
    }

    fn differences(&self, document: &Value) -> Vec<String> {
        let item = &document["paths"][&self.path];
        let own = &item[&self.method];
        if own.is_null() {
            return vec!["missing".to_owned()];
        }
        let mut found = Vec::new();
        if own["operationId"] != self.id.as_str() {
            found.push(format!("is another operation than {}", self.id));
        }
        self.compare_parameters(document, item, own, &mut found);
        self.compare_body(document, own, &mut found);
        self.compare_answers(document, own, &mut found);
        found
    }

    fn compare_parameters(
        &self,
        document: &Value,
        item: &Value,
        own: &Value,
        found: &mut Vec<String>,
    ) {
        let declared: Vec<&Value> = [item, own]
            .into_iter()
            .flat_map(|level| level["parameters"].as_array().into_iter().flatten())
            .map(|parameter| resolve(document, parameter))
            .collect();
        for wanted in &self.parameters {
            let Parameter { place, name, .. } = wanted;
            let is_it = |p: &&&Value| p["name"] == name.as_str() && p["in"] == place.as_str();
            let Some(have) = declared.iter().find(is_it) else {
                found.push(format!("{place} parameter {name} missing"));
                continue;
            };
            let fields = flatten(document, &have["schema"], 0);
            for leaf in ["", "/[]"] {
                let Some(field) = fields.get(leaf).filter(|field| !field.values.is_empty()) else {
                    continue;
                };
                let lost: Vec<&str> = wanted
                    .values
                    .difference(&field.values)
                    .map(String::as_str)
                    .collect();
                if !lost.is_empty() {
                    found.push(format!("{name} does not accept {lost:?}"));
                }
            }
        }
        for parameter in declared {
            let name = parameter["name"].as_str().unwrap_or_default();
            let may_be = self.parameters.iter().any(|p| p.required && p.name == name);
            if parameter["in"] == "query" && parameter["required"] == true && !may_be {
                found.push(format!("query parameter {name} must not be required"));
            }
        }
    }

    fn compare_body(&self, document: &Value, own: &Value, found: &mut Vec<String>) {
        let Some(wanted) = &self.body else { return };
        let Some(schema) = json_schema(document, &own["requestBody"]) else {
            found.push("no request body".to_owned());
            return;
        };
        let declared = flatten(document, schema, 0);
        for (path, want) in wanted {
            let Some(have) = declared.get(path) else {
                found.push(format!("request field {path} missing"));
                continue;
            };
            if !want.fits(have) {
                found.push(format!(
                    "request field {path} is {}",
                    both_types(have, want)
                ));
            } else if !have.values.is_empty() && !have.missing_values(want).is_empty() {
                let refused = have.missing_values(want).join(", ");
                found.push(format!("request field {path} refuses [{refused}]"));
            }
        }
        let required = declared.iter().filter(|(_, have)| have.required);
        for (path, _) in required.filter(|(path, _)| !path.is_empty()) {
            match wanted.get(path) {
                Some(want) if !want.required => {
                    found.push(format!("request field {path} must not be required"));
                }
                None if !path.contains("/*") => {
                    found.push(format!(
                        "request field {path} is ours alone and must not be required"
                    ));
                }
                _ => {}
            }
        }
    }

    fn compare_answers(&self, document: &Value, own: &Value, found: &mut Vec<String>) {
        for (code, wanted) in &self.answers {
            let answer = &own["responses"][code];
            if answer.is_null() {
                found.push(format!("response {code} missing"));
                continue;
            }
            let Some(wanted) = wanted else { continue };
            let Some(schema) = json_schema(document, answer) else {
                found.push(format!("response {code} has no JSON body"));
                continue;
            };
            let declared = flatten(document, schema, 0);
            for (path, want) in wanted {
                let at = format!("response {code} field {path}");
                match declared.get(path) {
                    None => found.push(format!("{at} missing")),
                    Some(have) if want.required && !have.required => {
                        found.push(format!("{at} must be required"));
                    }
                    Some(have) if !want.fits(have) => {
                        found.push(format!("{at} is {}", both_types(have, want)));
                    }
                    Some(have) if !want.values.is_empty() => {
                        let more = want.missing_values(have);
                        if !more.is_empty() {
                            found.push(format!("{at} also says {more:?}"));
                        }
                    }
                    Some(_) => {}
                }
            }
        }
    }
}

impl Parameter {
    /// Reads `name! [] {value value}`.
    fn read(place: &str, text: &str) -> Parameter {
        let (name, values) = text.split_once(" {").unwrap_or((text, ""));
        let name = name.trim_end_matches("[]");
        Parameter {
            place: place.to_owned(),
            name: name.trim_end_matches('!').to_owned(),
            required: name.ends_with('!'),
            values: read_values(values),
        }
    }
}

fn object() -> Field {
    Field {
        types: BTreeSet::from(["object".to_owned()]),
        required: true,
        ..Field::default()
    }
}

fn read_values(text: &str) -> BTreeSet<String> {
    let values = text
        .trim_end_matches('}')
        .split(' ')
        .filter(|value| !value.is_empty());
    values.map(str::to_owned).collect()
}

/// Reads lines `name! type|type {values} = shape` and what stands below them.
fn read_members(
    lines: &[Line<'_>],
    below: &str,
    required: bool,
    shapes: &BTreeMap<&str, &[Line<'_>]>,
    fields: &mut Fields,
) {
    let Some(depth) = lines.first().map(|line| line.depth) else {
        return;
    };
    for member in lines.chunk_by(|_, next| next.depth > depth) {
        let (head, inner) = member.split_first().expect("a member has a line");
        let (text, shape) = match head.text.split_once(" = ") {
            Some((text, shape)) => (text, Some(shape)),
            None => (head.text, None),
        };
        let (text, values) = text.split_once(" {").unwrap_or((text, ""));
        let (name, types) = text.split_once(' ').expect("a name and a type");
        let field = Field {
            types: types.split('|').map(str::to_owned).collect(),
            values: read_values(values),
            required: required && name.ends_with('!'),
        };
        let path = format!("{below}/{}", name.trim_end_matches('!'));
        let inner = match shape {
            Some(shape) => shapes.get(shape).expect("a known shape"),
            None => inner,
        };
        read_members(inner, &path, field.required, shapes, fields);
        fields.insert(path, field);
    }
}

// The document.

fn both_types(have: &Field, want: &Field) -> String {
    let list = |field: &Field| field.counting().into_iter().collect::<Vec<_>>().join(", ");
    format!("[{}], not [{}]", list(have), list(want))
}

fn resolve<'a>(document: &'a Value, node: &'a Value) -> &'a Value {
    let mut node = node;
    for _ in 0..DEPTH_MAX {
        let Some(reference) = node["$ref"].as_str() else {
            break;
        };
        let target = document.pointer(reference.trim_start_matches('#'));
        node = target.expect("references lead somewhere");
    }
    node
}

fn json_schema<'a>(document: &'a Value, node: &'a Value) -> Option<&'a Value> {
    let content = resolve(document, node)["content"].as_object()?;
    let mut kinds = content.iter().filter(|(kind, _)| kind.contains("json"));
    kinds.next().map(|(_, media)| &media["schema"])
}

fn types_of(node: &Value) -> BTreeSet<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match &node["type"] {
        Value::String(kind) => BTreeSet::from([kind.clone()]),
        Value::Array(kinds) => kinds.iter().filter_map(text).collect(),
        _ => match &node["const"] {
            Value::Null => BTreeSet::new(),
            Value::Bool(_) => BTreeSet::from(["boolean".to_owned()]),
            _ => BTreeSet::from(["string".to_owned()]),
        },
    }
}

fn values_of(node: &Value) -> BTreeSet<String> {
    let listed = node["enum"].as_array().into_iter().flatten();
    let all = listed
        .chain([&node["const"]])
        .filter(|value| !value.is_null());
    all.map(|value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    })
    .collect()
}

/// Everything that a schema says of the members below it.
fn flatten(document: &Value, node: &Value, depth: usize) -> Fields {
    let node = resolve(document, node);
    let mut fields = Fields::new();
    if depth > DEPTH_MAX {
        return fields;
    }
    let own = Field {
        types: types_of(node),
        values: values_of(node),
        required: true,
    };
    fields.insert(String::new(), own);
    let merge = |fields: &mut Fields, schema: &Value, name: &str, required: bool| {
        for (path, field) in flatten(document, schema, depth + 1) {
            let here = fields.entry(format!("{name}{path}")).or_default();
            here.types.extend(field.types);
            here.values.extend(field.values);
            here.required |= field.required && required;
        }
    };
    let members = node["properties"].as_object().into_iter().flatten();
    let required = node["required"].as_array().map_or(&[][..], Vec::as_slice);
    for (name, schema) in members {
        let is_required = required.iter().any(|own| own == name.as_str());
        merge(&mut fields, schema, &format!("/{name}"), is_required);
    }
    if node["additionalProperties"].is_object() {
        merge(&mut fields, &node["additionalProperties"], "/*", false);
    }
    if !node["items"].is_null() {
        merge(&mut fields, &node["items"], "/[]", true);
    }
    let list = |name: &str| node[name].as_array().into_iter().flatten();
    for schema in list("allOf") {
        merge(&mut fields, schema, "", true);
    }
    let is_null = |schema: &&Value| types_of(resolve(document, schema)).iter().eq(["null"]);
    let variants: Vec<Fields> = list("oneOf")
        .chain(list("anyOf"))
        .filter(|schema| !is_null(schema))
        .map(|schema| flatten(document, schema, depth + 1))
        .collect();
    let paths: BTreeSet<&String> = variants.iter().flat_map(BTreeMap::keys).collect();
    for path in paths {
        let said: Vec<&Field> = variants
            .iter()
            .filter_map(|variant| variant.get(path))
            .collect();
        let here = fields.entry(path.clone()).or_default();
        here.required |= said.len() == variants.len() && said.iter().all(|field| field.required);
        here.types
            .extend(said.iter().flat_map(|field| field.types.clone()));
        // Where one variant leaves the value open, it is open.
        if said.iter().all(|field| !field.values.is_empty()) {
            here.values
                .extend(said.iter().flat_map(|field| field.values.clone()));
        }
    }
    fields
}

//! The file that describes a network. An input is such a file.

use client::network_file::{NetworkFile, NetworkFileError, PartnerConfiguration};
use serde::Serialize;
use serde_json::Value;

use crate::words::text;

/// The longest complaint, in bytes: a sentence, and the line that it is about.
const WORDS_BEYOND_THE_TEXT: usize = 4_096;

pub(crate) fn hold(bytes: &[u8]) {
    let Some(sent) = text(bytes) else {
        return;
    };
    match NetworkFile::parse(sent) {
        Ok(file) => becomes_requests(sent, &file),
        Err(error) => {
            let told = error.to_string();
            assert!(!told.is_empty() && told.len() <= 4 * sent.len() + WORDS_BEYOND_THE_TEXT);
            if let NetworkFileError::Twice { .. } = error {
                assert!(toml::from_str::<toml::Table>(sent).is_ok());
            }
        }
    }
    if let Ok(agreed) = PartnerConfiguration::parse(sent) {
        becomes_a_body(&agreed);
    }
}

fn becomes_requests(sent: &str, file: &NetworkFile) {
    assert!(toml::from_str::<toml::Table>(sent).is_ok());
    all_become_bodies(&file.currencies);
    all_become_bodies(&file.users);
    all_become_bodies(&file.enterprises);
    all_become_bodies(&file.partner_configurations);
    all_become_bodies(&file.deposits);
    for enterprise in &file.enterprises {
        all_become_bodies(&enterprise.members);
        all_become_bodies(&enterprise.go_accounts);
        for account in &enterprise.go_accounts {
            all_become_bodies(&account.keys);
        }
    }
    // What is described twice can never both hold.
    let twice = format!("{sent}\n{sent}");
    let is_empty = file.currencies.is_empty()
        && file.users.is_empty()
        && file.enterprises.is_empty()
        && file.partner_configurations.is_empty();
    if let Ok(twice) = NetworkFile::parse(&twice) {
        assert!(is_empty, "{twice:?}");
    }
}

fn all_become_bodies<T: Serialize>(described: &[T]) {
    described.iter().for_each(becomes_a_body);
}

/// The spellings are those of the API, not of the file.
fn becomes_a_body(described: &impl Serialize) {
    let body = serde_json::to_value(described).expect("bodies are writable");
    is_spelled_for_the_api(&body);
}

fn is_spelled_for_the_api(body: &Value) {
    match body {
        Value::Object(members) => {
            for (name, value) in members {
                assert!(!name.contains('_'), "{name}");
                is_spelled_for_the_api(value);
            }
        }
        Value::Array(elements) => elements.iter().for_each(is_spelled_for_the_api),
        _ => {}
    }
}

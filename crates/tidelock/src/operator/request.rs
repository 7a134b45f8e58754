//! One request to the operator API: its method, path and body.

use clap::Args;
use reqwest::Url;
use serde_json::Value;

/// What a command asks for. Paths are those after `/api/operator/v1`, with their query.
#[derive(Debug, PartialEq)]
pub(super) enum Request {
    Get(String),
    Put(String, Value),
    Post(String, Value),
    Delete(String),
}

/// Which part of a list is wanted.
#[derive(Args)]
pub(super) struct Paging {
    /// The page, from 0; 0 if left out
    #[arg(long)]
    pub(super) page_number: Option<u64>,
    /// Entries per page, at most 500; 100 if left out
    #[arg(long)]
    pub(super) page_size: Option<u32>,
}

/// The path through these segments, which may hold anything.
pub(super) fn path(segments: &[&str]) -> String {
    built(segments, &[])
}

/// The path of a list, narrowed by a page and whichever of the filters is given.
pub(super) fn listed(plural: &str, paging: &Paging, filters: &[(&str, Option<&str>)]) -> String {
    let page = [
        ("pageNumber", paging.page_number.map(|n| n.to_string())),
        ("pageSize", paging.page_size.map(|n| n.to_string())),
    ];
    let page = page.iter().map(|(name, value)| (*name, value.as_deref()));
    let pairs = filters.iter().copied().chain(page);
    let given = pairs.filter_map(|(name, value)| Some((name, value?)));
    built(&[plural], &given.collect::<Vec<_>>())
}

fn built(segments: &[&str], pairs: &[(&str, &str)]) -> String {
    // Only a URL knows how segments and pairs are escaped; its host is of no consequence.
    let Ok(mut url) = Url::parse("http://operator") else {
        return String::new();
    };
    if let Ok(mut path) = url.path_segments_mut() {
        path.clear().extend(segments);
    }
    if !pairs.is_empty() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}

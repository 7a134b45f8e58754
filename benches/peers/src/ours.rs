//! Our own figures, as `tidelock bench --json` writes them.

use std::{fs::File, path::Path};

use anyhow::Context;
use serde_json::{Value, json};

/// What the report has for the first database and the first number of connections.
pub(crate) fn figures(report: &Path, workload: &str) -> anyhow::Result<Value> {
    let report: Value = serde_json::from_reader(File::open(report)?)?;
    let run = &report["databases"][0][workload][0];
    let number = |name: &str| {
        let number = run[name].as_f64();
        number.with_context(|| format!("the report has no {name} of {workload}"))
    };
    let millis = |name: &str| anyhow::Ok((number(name)? / 10.0).round() / 100.0);
    Ok(json!({
        "perSecond": number("per_second")?.round() as u64,
        "p50Ms": millis("p50_us")?,
        "p99Ms": millis("p99_us")?,
    }))
}

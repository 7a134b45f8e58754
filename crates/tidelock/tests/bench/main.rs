//! `tidelock bench --quick`: every workload on both databases, small. It shows that the benchmark
//! works; what it measures says nothing here.

use std::{
    env,
    process::Command,
    sync::{Mutex, PoisonError},
};

use serde_json::Value;

/// One benchmark at a time: beside another one a short run may end without a single answer.
static ALONE: Mutex<()> = Mutex::new(());

/// What the report has of each database.
fn report(arguments: &[&str]) -> Value {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("report.json");
    let output = Command::new(env!("CARGO_BIN_EXE_tidelock"))
        .args(["bench", "--quick", "--json"])
        .arg(&file)
        .arg("--data")
        .arg(folder.path())
        .args(arguments)
        .output()
        .expect("the benchmark runs");
    let told = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{failed}");
    let text = std::fs::read_to_string(file).expect("a report");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    assert!(
        report["machine"]["flush"]["p50_us"].as_u64() > Some(0),
        "{report}"
    );
    report["databases"][0].clone()
}

fn check(database: &Value) {
    let positive = |value: &Value| value.as_f64().is_some_and(|number| number > 0.0);
    for (name, figure) in [
        ("ceiling", &database["ceiling"]["per_second"]),
        ("reserve", &database["reserve"][0]["per_second"]),
        ("allocate", &database["allocate"]["per_second"]),
        ("hot", &database["hot"]["one_account"]["per_second"]),
        ("bare", &database["bare"][0]["transfers_per_second"]),
        ("settle", &database["settle"][1]["transfers_per_second"]),
        (
            "stage",
            &database["stage"][1]["finalized_transfers_per_second"],
        ),
        ("read", &database["read"][1]["per_second"]),
        ("overload", &database["overload"]["accepted_per_second"]),
    ] {
        assert!(positive(figure), "{name} is {figure}: {database}");
    }
    // Every reservation was committed, and the refused ones of the ceiling were not.
    assert!(
        positive(&database["reserve"][0]["commits_each"]),
        "{database}"
    );
    assert!(
        database["drains"][0]["backlog"].as_u64() > Some(0),
        "{database}"
    );
    assert_eq!(database["settle"][1]["transfers"], 100);
    assert_eq!(database["stage"][1]["settlements"], 4);
    assert_eq!(database["grow"][1]["entries"], 2_000);
    assert_eq!(
        database["grow"][1]["lists"].as_array().map(Vec::len),
        Some(14)
    );
    let longest = &database["lists"][0]["lengths"][1];
    assert_eq!(longest["entries"], 400);
    assert!(positive(&longest["hundredth_page_us"]), "{database}");
    assert_eq!(database["overload"]["failed"], Value::Null);
}

#[test]
fn it_measures_sqlite() {
    check(&report(&["--database", "sqlite"]));
}

#[test]
fn it_measures_postgres() {
    let cluster = env::var("TIDELOCK_TEST_POSTGRES").expect(
        "TIDELOCK_TEST_POSTGRES is not set: run `./test`, or `./test --cluster cargo test …`",
    );
    let database = report(&["--database", "postgres", "--postgres", &cluster]);
    check(&database);
    assert!(
        database["pgbench"]["per_second"].as_f64() > Some(0.0),
        "{database}"
    );
}

//! A thousand runs in which all laws hold and every command is met, and a seed that is the same run
//! every time.

use std::{collections::BTreeSet, fs, path::Path};

use sim::{Tally, run, run_many};

/// How many seeds the test command runs; `TIDELOCK_SIM_SEEDS` says another number.
const SEEDS: u64 = 1_000;

#[test]
fn all_laws_hold_in_every_run() {
    let seeds = match std::env::var("TIDELOCK_SIM_SEEDS") {
        Ok(number) => number.parse().expect("a number of seeds"),
        Err(_) => SEEDS,
    };
    let tally = run_many(0..seeds, None, None).expect("a tally");
    println!("{tally}");
    assert!(tally.failed.is_empty(), "{tally}");
    assert_eq!(tally.runs, seeds);
    if seeds >= SEEDS {
        assert_every_command_is_met(&tally);
    }
}

/// Commands that no run gives, and why.
const LEFT_OUT: [(&str, &str); 8] = [
    ("AdvanceClock", "time is virtual already"),
    (
        "NoteLate",
        "runs end before a settlement over the chain is late",
    ),
    (
        "PutMembership",
        "requests come with their caller, not over HTTP",
    ),
    ("IssueToken", "as memberships"),
    ("RevokeToken", "as memberships"),
    ("NoteTokenUse", "as memberships"),
    ("RevokeSigningKey", "everybody keeps the one key it has"),
    (
        "SetPartnerKey",
        "connection keys are not sealed for partners",
    ),
];

/// Every command of `rules` was accepted in some run, or is left out for a reason that still holds.
fn assert_every_command_is_met(tally: &Tally) {
    // `rules::approve::Undertake<rules::fund::BookDeposit>` is both.
    let names = tally
        .accepted
        .iter()
        .flat_map(|name| name.split(['<', '>', ',', ' ']));
    let met: BTreeSet<&str> = names.filter_map(|name| name.rsplit("::").next()).collect();
    let left_out: BTreeSet<&str> = LEFT_OUT.iter().map(|(name, _)| *name).collect();
    let mut commands = BTreeSet::new();
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/src");
    find_commands(&rules, &mut commands);
    assert!(commands.contains("Reserve"), "{commands:?}");
    let unknown: Vec<&String> = commands
        .iter()
        .filter(|name| met.contains(name.as_str()) == left_out.contains(name.as_str()))
        .collect();
    assert!(
        unknown.is_empty(),
        "neither met nor left out, or both: {unknown:?}"
    );
    let gone: Vec<&&str> = left_out
        .iter()
        .filter(|name| !commands.contains(**name))
        .collect();
    assert!(gone.is_empty(), "left out, but there are no such: {gone:?}");
}

/// The names of the types in a folder of sources that are commands.
fn find_commands(folder: &Path, commands: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            find_commands(&path, commands);
            continue;
        }
        let source = fs::read_to_string(&path).expect("a source");
        let implementations = source.lines().filter(|line| line.starts_with("impl"));
        for line in implementations {
            if let Some((_, name)) = line.split_once("Command for ") {
                let ends = |letter: char| !letter.is_alphanumeric();
                let name = name.split(ends).next();
                commands.extend(name.map(str::to_owned));
            }
        }
    }
}

#[test]
fn a_seed_is_the_same_run_every_time() {
    for seed in 0..20 {
        let once = run(seed, None, true).expect("a run");
        let again = run(seed, None, true).expect("a run");
        let pairs = once.lines.iter().zip(&again.lines);
        for (number, (one, other)) in pairs.enumerate() {
            assert_eq!(one, other, "seed {seed} goes two ways at line {number}");
        }
        assert_eq!(once.lines.len(), again.lines.len(), "seed {seed}");
        assert_eq!(once.fingerprint, again.fingerprint, "seed {seed}");
    }
}

#[test]
fn different_seeds_are_different_runs() {
    let one = run(1, None, false).expect("a run");
    let other = run(2, None, false).expect("a run");
    assert_ne!(one.fingerprint, other.fingerprint);
}

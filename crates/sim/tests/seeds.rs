//! A thousand runs in which all laws hold, and a seed that is the same run every time.

use sim::{run, run_many};

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

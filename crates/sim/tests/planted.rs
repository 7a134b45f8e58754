//! Every planted fault is found, within so many seeds.

use rules::planted::Fault;
use sim::run_many;

/// Within how many seeds each fault has to be found.
const WITHIN: u64 = 300;

#[test]
fn every_planted_fault_is_found() {
    let mut missed = Vec::new();
    println!("{:<26} {:>5}  broken law", "planted fault", "seed");
    for fault in Fault::ALL {
        let tally = run_many(0..WITHIN, Some(fault), None).expect("a tally");
        let name = format!("{fault:?}");
        match tally.failed.first() {
            Some(verdict) => {
                let violation = verdict.violation.as_ref().expect("it failed");
                println!("{name:<26} {:>5}  {}", verdict.seed, violation.law);
            }
            None => {
                println!("{name:<26} {:>5}  NOT FOUND", "-");
                missed.push(fault);
            }
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}

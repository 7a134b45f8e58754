#![no_main]

use libfuzzer_sys::fuzz_target;

// What the property makes once, it makes before an input is timed.
fuzz_target!(init: hostile::property("filters")(b""), |bytes: &[u8]| hostile::property("filters")(bytes));

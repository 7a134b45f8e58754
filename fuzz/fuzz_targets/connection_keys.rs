#![no_main]

use libfuzzer_sys::fuzz_target;

// What the property makes once, it makes before an input is timed.
fuzz_target!(init: hostile::property("connection_keys")(b""), |bytes: &[u8]| hostile::property("connection_keys")(bytes));

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::property("network_file")(bytes));

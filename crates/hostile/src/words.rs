//! What is said about bytes that are refused: few words, short ones, and no secrets.

use wire::body::{FAULTS_MAX, Fault};

/// How the texts of the corpus that must never be repeated begin.
pub(crate) const SECRET: &str = "hush-";

/// The longest field and the longest message of a fault, in bytes. A path has at most eight names
/// of 64 characters.
const FIELD_MAX: usize = 4_096;
const MESSAGE_MAX: usize = 2_048;

/// Faults are at least one, bounded in number and size, and hold no secret but in the name of a
/// member.
pub(crate) fn are_bounded(faults: &[Fault]) {
    assert!(!faults.is_empty(), "refused without a fault");
    assert!(faults.len() <= FAULTS_MAX + 1, "{} faults", faults.len());
    for fault in faults {
        assert!(fault.field.len() <= FIELD_MAX, "a long field");
        assert!(fault.message.len() <= MESSAGE_MAX, "a long message");
        assert!(!fault.message.is_empty(), "a fault without words");
    }
}

/// The lines of an input, the last of which is all the rest; missing ones are empty.
pub(crate) fn lines<const N: usize>(bytes: &[u8]) -> [&[u8]; N] {
    let mut lines = [&[][..]; N];
    for (place, line) in lines.iter_mut().zip(bytes.splitn(N, |byte| *byte == b'\n')) {
        *place = line;
    }
    lines
}

/// The bytes as text, if they are.
pub(crate) fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

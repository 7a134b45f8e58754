//! PEM (RFC 7468) as far as RSA keys need it: one block with a known label around base64 DER. What
//! the DER means is left to the cryptographic library.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Label of a public key in SPKI form.
pub(crate) const PUBLIC_KEY: &str = "PUBLIC KEY";

/// Label of a private key in PKCS#8 form.
pub(crate) const PRIVATE_KEY: &str = "PRIVATE KEY";

/// The DER as a PEM block with lines of 64 characters and a final line feed.
pub(crate) fn encode(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(STANDARD.encode(der));
    let mut pem = Zeroizing::new(format!("-----BEGIN {label}-----\n"));
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}

/// The DER of the only block in the text, if it bears the label; line lengths are free.
pub(crate) fn decode(label: &str, pem: &str) -> Option<Zeroizing<Vec<u8>>> {
    let body = pem
        .trim()
        .strip_prefix(&format!("-----BEGIN {label}-----"))?
        .strip_suffix(&format!("-----END {label}-----"))?;
    let body: Zeroizing<String> = Zeroizing::new(
        body.chars()
            .filter(|character| !character.is_ascii_whitespace())
            .collect(),
    );
    STANDARD.decode(body.as_bytes()).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_decodes_again() {
        for length in [0, 1, 47, 48, 49, 96, 300] {
            let der = vec![7; length];
            let pem = encode(PUBLIC_KEY, &der);
            assert!(pem.lines().all(|line| line.len() <= 64));
            assert_eq!(*decode(PUBLIC_KEY, &pem).unwrap(), der);
            assert_eq!(
                *decode(PUBLIC_KEY, &format!("\r\n{}", pem.replace('\n', "\r\n"))).unwrap(),
                der
            );
            assert!(decode(PRIVATE_KEY, &pem).is_none());
        }
        assert!(
            decode(
                PUBLIC_KEY,
                "-----BEGIN PUBLIC KEY-----\n*\n-----END PUBLIC KEY-----"
            )
            .is_none()
        );
    }
}

//! Recorded exchanges of existing clients: what they sign, this crate must verify and, where the
//! result is determined, make again byte for byte. `repeat` in the files is a text and how many
//! times it stands in a row.

use serde::Deserialize;
use wire::connection_key::{is_public_key, is_sealed, open, seal};
use wire::request_hmac::{
    AuthVersion, request_hmac, request_subject, response_hmac, response_subject, token_hash,
    verify_request, verify_response,
};
use wire::signature::{ExtendedKey, PublicKey, Signature, SigningKey, digest};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signed {
    xprv: String,
    xpub: String,
    public_key: String,
    private_key: String,
    repeat: (String, usize),
    digest: String,
    signature: String,
}

#[test]
fn payload_signatures() {
    let vectors: Vec<Signed> =
        serde_json::from_str(include_str!("vectors/sign-payload.json")).unwrap();
    assert_eq!(vectors.len(), 8);
    for vector in vectors {
        let payload = vector.repeat.0.repeat(vector.repeat.1);
        assert_eq!(hex::encode(digest(&payload)), vector.digest);

        let public = PublicKey::from_xpub(&vector.xpub).unwrap();
        assert_eq!(public.to_hex(), vector.public_key);
        assert!(
            Signature::parse(&vector.signature)
                .unwrap()
                .verifies(&payload, &public)
        );

        let extended = ExtendedKey::from_xprv(&vector.xprv).unwrap();
        assert_eq!(*extended.xprv(), vector.xprv);
        assert_eq!(extended.xpub(), vector.xpub);
        assert_eq!(extended.key.sign(&payload), vector.signature);

        let scalar = hex::decode(&vector.private_key)
            .unwrap()
            .try_into()
            .unwrap();
        let key = SigningKey::from_bytes(&scalar).unwrap();
        assert_eq!(key.public_key(), public);
        assert_eq!(key.sign(payload.as_bytes()), vector.signature);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Exchange {
    version: String,
    token: String,
    token_hash: String,
    method: String,
    path: String,
    timestamp: String,
    body: String,
    subject: String,
    hmac: String,
    status: u16,
    answer: String,
    answer_timestamp: String,
    answer_subject: String,
    answer_hmac: String,
}

#[test]
fn request_hmacs() {
    let vectors: Vec<Exchange> = serde_json::from_str(include_str!("vectors/hmac.json")).unwrap();
    assert_eq!(vectors.len(), 14);
    for v in vectors {
        let version = AuthVersion::parse(&v.version).unwrap();
        assert_eq!(version.as_str(), v.version);
        assert_eq!(hex::encode(token_hash(&v.token)), v.token_hash);

        let body = v.body.as_bytes();
        let subject = request_subject(version, &v.method, &v.timestamp, &v.path, body);
        assert_eq!(String::from_utf8(subject).unwrap(), v.subject);
        let hmac = request_hmac(&v.token, version, &v.method, &v.timestamp, &v.path, body);
        assert_eq!(hmac, v.hmac);
        let verifies = |hmac: &str| {
            verify_request(
                &v.token,
                version,
                &v.method,
                &v.timestamp,
                &v.path,
                body,
                hmac,
            )
        };
        assert!(verifies(&v.hmac));
        assert!(!verifies(&v.answer_hmac));

        let answer = v.answer.as_bytes();
        let at = &v.answer_timestamp;
        let subject = response_subject(version, &v.method, at, &v.path, v.status, answer);
        assert_eq!(
            String::from_utf8(subject.clone()).unwrap(),
            v.answer_subject
        );
        let hmac = response_hmac(&v.token, version, &v.method, at, &v.path, v.status, answer);
        assert_eq!(hmac, v.answer_hmac);
        assert!(verify_response(&v.token, &subject, &v.answer_hmac));
        assert!(!verify_response(&v.token, &subject, &v.hmac));
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SealedKeys {
    public_key: String,
    private_key: String,
    vectors: Vec<Sealed>,
}

#[derive(Deserialize)]
struct Sealed {
    repeat: (String, usize),
    sealed: String,
}

#[test]
fn sealed_connection_keys() {
    let keys: SealedKeys =
        serde_json::from_str(include_str!("vectors/connection-key.json")).unwrap();
    assert_eq!(keys.vectors.len(), 3);
    assert!(is_public_key(&keys.public_key));
    for vector in keys.vectors {
        let plain = vector.repeat.0.repeat(vector.repeat.1);
        assert!(is_sealed(&vector.sealed));
        assert_eq!(*open(&vector.sealed, &keys.private_key).unwrap(), plain);
        let again = seal(&plain, &keys.public_key).unwrap();
        assert_eq!(again.len(), vector.sealed.len());
        assert_eq!(*open(&again, &keys.private_key).unwrap(), plain);
    }
}

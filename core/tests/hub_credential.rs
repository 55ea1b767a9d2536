//! What a credential gives at a given moment, and what is doubted about it then.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use iothub_mqtt::hub::sas::token;
use iothub_mqtt::hub::{Credential, Identity, Proof, SasToken, SharedAccessKey};
use iothub_mqtt::{Error, ErrorKind};

/// 2026-11-01, 2027-01-15, and a clock without a battery.
const RELEASED: u64 = 1_793_491_200;
const NOW: u64 = 1_800_000_000;
const NEVER_SET: u64 = 40;
const LIFE: Duration = Duration::from_secs(3600);

fn identity() -> Identity {
    Identity::new("h.example", "d", Some("m")).unwrap()
}

fn key() -> SharedAccessKey {
    SharedAccessKey::from_base64("c2VjcmV0").unwrap()
}

fn token_until(expiry: u64) -> String {
    token(&identity().sas_resource(), &key(), expiry, None)
}

fn source(expiry: u64) -> Credential {
    Credential::Source(Arc::new(move || Ok(token_until(expiry))))
}

fn signer() -> Credential {
    Credential::Signer(Arc::new(|data| Ok(key().sign(data).to_vec())))
}

fn prove(credential: &Credential, now: u64) -> Proof {
    credential.prove(&identity(), now, LIFE).unwrap()
}

#[test]
fn a_signer_makes_the_same_token_as_its_key() {
    let by_key = prove(&Credential::Key { key: key(), policy: None }, NOW);
    let by_signer = prove(&signer(), NOW);
    assert_eq!(by_key, by_signer);
    let token: SasToken = by_signer.password.unwrap().parse().unwrap();
    assert!(token.verify(&key()));
    assert_eq!(
        (token.expiry, token.resource.as_str()),
        (NOW + 3600, "h.example%2Fdevices%2Fd%2Fmodules%2Fm")
    );
    assert_eq!(by_signer.renew_after, Some(Duration::from_secs(3060)));
}

#[test]
fn a_token_of_a_source_is_renewed_at_85_percent_of_what_is_left_of_it() {
    for (expiry, renewal) in [(NOW + 1000, Some(850)), (NOW + 20, Some(17)), (NOW, None), (NOW - 5, None)] {
        let proof = prove(&source(expiry), NOW);
        assert_eq!(proof.renew_after, renewal.map(Duration::from_secs), "{expiry}");
        assert_eq!(proof.password, Some(token_until(expiry)));
    }
    assert_eq!(prove(&Credential::token(&token_until(NOW + 1000)).unwrap(), NOW).renew_after, None);
}

/// The clock is named only where it is the reason.
#[test]
fn doubts() {
    let keys = [Credential::Key { key: key(), policy: None }, signer()];
    let tokens = |expiry| [source(expiry), Credential::token(&token_until(expiry)).unwrap()];
    for key in &keys {
        let doubt = prove(key, NEVER_SET).doubt.unwrap();
        assert!(doubt.clock && doubt.detail.contains("never set"), "{doubt:?}");
        assert!(prove(key, RELEASED - 1).doubt.unwrap().clock);
        let doubt = prove(key, RELEASED).doubt.unwrap();
        assert!(!doubt.clock && doubt.detail.contains("2026-11-01 00:00:00 UTC"), "{doubt:?}");
    }
    for (expiry, now, expected) in [
        (NOW + 1, NOW, None),
        (NOW, NOW, None),
        (NOW - 7, NOW, Some((false, "expired 7 s ago"))),
        // Made elsewhere, by a clock that is right.
        (NOW, NEVER_SET, Some((false, "cannot be seen from here"))),
        // Made here, by the same clock.
        (NEVER_SET + 3600, NEVER_SET, Some((true, "never set"))),
    ] {
        for token in tokens(expiry) {
            let doubt = prove(&token, now).doubt;
            match expected {
                None => assert_eq!(doubt, None),
                Some((clock, part)) => {
                    let doubt = doubt.unwrap();
                    assert_eq!(doubt.clock, clock, "{doubt:?}");
                    assert!(doubt.detail.contains(part), "{doubt:?}");
                }
            }
        }
    }
    // The hub looks at certificates by its own clock.
    assert_eq!(prove(&Credential::Certificate, NEVER_SET).doubt, None);
}

#[test]
fn what_callbacks_get_wrong_is_named_without_what_they_gave() {
    let failing = |text: &'static str| Error::new(ErrorKind::Internal, text);
    let refusals: [(Credential, &str); 6] = [
        (
            Credential::Signer(Arc::new(move |_| Err(failing("slot 3 is locked")))),
            "SAS signer failed: slot 3",
        ),
        (Credential::Signer(Arc::new(|_| Ok(b"SECRET".to_vec()))), "gave 6 bytes"),
        (Credential::Signer(Arc::new(|_| Ok(Vec::new()))), "gave 0 bytes"),
        (Credential::Source(Arc::new(move || Err(failing("no key vault")))), "source failed: no key vault"),
        (Credential::Source(Arc::new(|| Ok("SECRET".into()))), "gave no SAS token"),
        (Credential::Source(Arc::new(|| Ok(String::new()))), "gave no SAS token"),
    ];
    for (credential, part) in refusals {
        let error = credential.prove(&identity(), NOW, LIFE).unwrap_err();
        assert!(error.detail().contains(part), "{part:?} is not in {error}");
        assert!(!error.detail().contains("SECRET"), "{error}");
    }
}

#[test]
fn no_secret_in_debug() {
    let token = token_until(NOW);
    let signature = token.split("sig=").nth(1).unwrap().split('&').next().unwrap();
    for credential in [source(NOW), Credential::token(&token).unwrap(), signer()] {
        let shown = format!("{credential:?} {:?}", prove(&credential, NOW));
        assert!(!shown.contains(signature) && !shown.contains("c2VjcmV0"), "{shown}");
    }
}

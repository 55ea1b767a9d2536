#![allow(clippy::unwrap_used)]

use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Flags {
    #[command(flatten)]
    serve: Serve,
}

fn parse(arguments: &[&str]) -> Result<Options, String> {
    let flags = Flags::try_parse_from([&["hub"], arguments].concat()).map_err(|e| e.to_string())?;
    flags.serve.options(Options::default()).map(|(options, _)| options)
}

#[test]
fn routes_are_split_into_their_ends() {
    let options = parse(&["--route", "d/a/o=d/b/i", "--route", "d/a/p=d/b/i"]).unwrap();
    let ends = |from: &str| (from.to_owned(), "d/b/i".to_owned());
    assert_eq!(options.routes, [ends("d/a/o"), ends("d/a/p")]);
}

#[test]
fn identities_keep_the_padding_of_their_keys() {
    let options = parse(&["--device", "d=a2V5a2V5a2V5a2U=", "--module", "d/m", "--x509", "x=AB12"]).unwrap();
    let given: Vec<_> =
        options.identities.into_iter().map(|i| (i.identity.to_string(), i.credential)).collect();
    assert_eq!(
        given,
        [
            ("d".to_owned(), CredentialOptions::Key(Some("a2V5a2V5a2V5a2U=".into()))),
            ("d/m".to_owned(), CredentialOptions::Key(None)),
            ("x".to_owned(), CredentialOptions::Thumbprints(vec!["AB12".into()])),
        ]
    );
}

#[test]
fn settings_are_taken_in_order() {
    let given = &["--setting", "c2d-lock=5", "--setting", "tls=1.2", "--setting", "c2d-lock=0.5"];
    let settings = parse(given).unwrap().settings;
    assert_eq!(settings.c2d_lock, std::time::Duration::from_millis(500));
    assert_eq!(settings.tls, crate::settings::TlsVersions::Tls12);
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for arguments in [
        &["--module", "d"][..],
        &["--x509", "d"],
        &["--mqtt-port", "70000"],
        &["--route", "d/m/o"],
        &["--setting", "tls=1.1"],
    ] {
        assert!(parse(arguments).is_err(), "{arguments:?}");
    }
}

#[test]
fn enrollments_keep_the_padding_of_their_keys() {
    let key = "a2V5a2V5a2V5a2U=";
    let (one, group) = (format!("r={key}"), format!("g={key}"));
    let options =
        parse(&["--dps-scope", "0neX", "--enroll", &one, "--enroll", "s", "--enroll-group", &group]);
    let dps = options.unwrap().dps;
    assert_eq!(dps.id_scope.as_deref(), Some("0neX"));
    let given: Vec<_> = dps.enrollments.iter().map(|e| (e.registration.as_str(), e.key.as_deref())).collect();
    assert_eq!(given, [("r", Some(key)), ("s", None)]);
    assert_eq!((dps.groups[0].name.as_str(), dps.groups[0].key.as_deref()), ("g", Some(key)));
}

#[test]
fn authorities_are_files() {
    let options = parse(&["--x509-ca", "d", "--x509-root", "ca.pem"]).unwrap();
    assert_eq!(options.identities[0].credential, CredentialOptions::Authority);
    assert_eq!(options.x509_roots, [Pem::File("ca.pem".into())]);
}

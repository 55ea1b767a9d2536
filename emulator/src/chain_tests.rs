#![allow(clippy::unwrap_used)]

use crate::certificates::{Authority, Leaf};
use rcgen::{ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, date_time_ymd};

use super::*;

const NOW: u64 = 1_700_000_000;

fn roots(authorities: &[&Authority]) -> Roots {
    let pem: Vec<Pem> = authorities.iter().map(|authority| authority.pem().into()).collect();
    Roots::read(&pem).unwrap()
}

fn shown(leaf: &Leaf, rest: &[&Authority]) -> Shown {
    let rest = rest.iter().map(|authority| authority.der.clone());
    Shown::new(std::iter::once(leaf.der.clone()).chain(rest).collect()).unwrap()
}

#[test]
fn a_chain_has_to_end_at_a_trusted_authority() {
    let (root, other) = (Authority::root("root"), Authority::root("other"));
    let middle = root.intermediate("middle");
    let (direct, deep) = (root.leaf("d"), middle.leaf("d"));
    for (trusted, leaf, rest, expected) in [
        (&root, &direct, &[][..], Ok(())),
        (&root, &direct, &[&root], Ok(())),
        (&root, &deep, &[&middle], Ok(())),
        (&root, &deep, &[&middle, &root], Ok(())),
        // A trusted authority need not be a root, and needs nothing above it.
        (&middle, &deep, &[], Ok(())),
        (&middle, &deep, &[&middle, &root], Ok(())),
        (&root, &deep, &[], Err("no trusted root has issued CN=d: its issuer is CN=middle")),
        (&other, &deep, &[&middle], Err("no trusted root has issued CN=middle: its issuer is CN=root")),
        (&other, &direct, &[], Err("its issuer is CN=root")),
    ] {
        let result = roots(&[trusted]).check(&shown(leaf, rest), NOW);
        match (&result, expected) {
            (Ok(()), Ok(())) => {}
            (Err(reason), Err(part)) => assert!(reason.contains(part), "{reason}"),
            _ => panic!("{result:?} and not {expected:?}"),
        }
    }
    assert!(roots(&[&other, &root]).check(&shown(&direct, &[]), NOW).is_ok());
    let none = Roots::default().check(&shown(&direct, &[]), NOW).unwrap_err();
    assert!(none.contains("no certificate authority"), "{none}");
}

#[test]
fn an_authority_of_the_same_name_and_another_key_does_not_count() {
    let (root, namesake) = (Authority::root("root"), Authority::root("root"));
    for leaf in [namesake.leaf("d"), namesake.leaf_of_first_version("d")] {
        assert!(roots(&[&root]).check(&shown(&leaf, &[]), NOW).is_err());
        assert!(roots(&[&namesake]).check(&shown(&leaf, &[]), NOW).is_ok());
    }
}

#[test]
fn usages_count_only_where_they_are_stated() {
    let root = Authority::root("root");
    type Change = fn(&mut rcgen::CertificateParams);
    let cases: [(Change, Option<&str>); 5] = [
        (|_| (), None),
        (|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth], None),
        (|p| p.key_usages = vec![KeyUsagePurpose::KeyEncipherment], None),
        (|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth], Some("extended key usage")),
        (|p| p.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained), Some("CA:TRUE")),
    ];
    for (change, refused) in cases {
        let leaf = root.leaf_with("d", change);
        let result = roots(&[&root]).check(&shown(&leaf, &[]), NOW);
        match refused {
            None => assert_eq!(result, Ok(())),
            Some(part) => assert!(result.as_ref().is_err_and(|reason| reason.contains(part)), "{result:?}"),
        }
    }
}

#[test]
fn a_leaf_of_version_1_is_taken_from_a_trusted_authority_itself() {
    let root = Authority::root("root");
    let middle = root.intermediate("middle");
    assert_eq!(roots(&[&root]).check(&shown(&root.leaf_of_first_version("d"), &[]), NOW), Ok(()));
    let deep = shown(&middle.leaf_of_first_version("d"), &[&middle]);
    assert_eq!(roots(&[&middle]).check(&deep, NOW), Ok(()));
    assert!(roots(&[&root]).check(&deep, NOW).unwrap_err().contains("its issuer is CN=middle"));
}

#[test]
fn the_time_is_checked() {
    let root = Authority::root("root");
    let leaf = root.leaf_with("d", |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let check = |time: &str| {
        let time: jiff::Timestamp = time.parse().unwrap();
        roots(&[&root]).check(&shown(&leaf, &[]), time.as_second().unsigned_abs())
    };
    assert_eq!(check("2020-06-01T00:00:00Z"), Ok(()));
    assert!(check("2021-01-01T00:00:01Z").unwrap_err().contains("CN=d expired on"));
    assert!(check("2019-12-31T23:59:59Z").unwrap_err().contains("not valid before"));
}

#[test]
fn one_of_the_common_names_has_to_be_the_id() {
    let root = Authority::root("root");
    let check = |leaf: &Leaf, id: &str| shown(leaf, &[]).check_name(id, |name| name == id);
    assert_eq!(check(&root.leaf("d"), "d"), Ok(()));
    assert!(check(&root.leaf("d"), "D").unwrap_err().contains("is 'd' and not 'D'"));
    let nameless = root.leaf_with("", |params| params.distinguished_name = rcgen::DistinguishedName::new());
    assert!(check(&nameless, "d").unwrap_err().contains("no common name"));
}

#[test]
fn what_is_no_certificate_is_named() {
    let refused = |source: &str| Roots::read(&[source.to_owned().into()]).unwrap_err();
    assert!(refused("/nowhere/root.pem").contains("/nowhere/root.pem"));
    assert!(refused("-----BEGIN NONSENSE-----\nAAAA\n-----END NONSENSE-----\n").contains("no certificate"));
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(refused(broken).contains("cannot be trusted"));
    let unreadable = Shown::new(vec![b"x"[..].into()]).unwrap();
    let error = roots(&[&Authority::root("root")]).check(&unreadable, NOW).unwrap_err();
    assert!(error.contains("unreadable"), "{error}");
}

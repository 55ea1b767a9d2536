#![allow(clippy::unwrap_used)]

use super::*;
use crate::scratch::ScratchDir;

fn parse(text: &str) -> Result<(Options, Option<PathBuf>, ScratchDir), String> {
    let dir = ScratchDir::new().unwrap();
    let path = dir.path().join("hub.toml");
    std::fs::write(&path, text).unwrap();
    let mut options = Options::default();
    let events = read(&path, &mut options)?;
    Ok((options, events, dir))
}

#[test]
fn an_empty_file_changes_nothing() {
    let (options, events, _) = parse("").unwrap();
    assert_eq!(format!("{options:?}"), format!("{:?}", Options::default()));
    assert_eq!(events, None);
}

#[test]
fn every_option_is_read() {
    let (options, events, dir) = parse(
        r#"
        host = "127.0.0.9"
        mqtt-port = 1
        https-port = 2
        name = "hub.example"
        certs = "keys"
        events = "events.jsonl"
        state = "kept"
        fallback-route = false
        x509-roots = ["root.pem", "/etc/root.pem"]
        files = { directory = "uploads", sas-ttl-s = 60 }
        [[devices]]
        id = "d"
        key = "a2V5a2V5a2V5a2U="
        secondary-key = "c2Vjb25kYXJ5LWtleQ=="
        status = "disabled"
        edge = true
        tags = { floor = 2 }
        desired = { rate = 5 }
        [[devices.modules]]
        id = "m"
        [devices.modules.reported]
        up = true
        [[devices]]
        id = "x"
        thumbprint = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        [[devices]]
        id = "c"
        ca = true
        [[module-routes]]
        from = "d/m/out"
        to = "d/m/in"
        [[endpoints]]
        name = "storms"
        file = "storms.jsonl"
        [[routes]]
        name = "storm"
        condition = "level = 'storm'"
        endpoint = "storms"
        [dps]
        id-scope = "0neSCOPE"
        [[dps.groups]]
        name = "g"
        roots = ["group.pem"]
        [[faults]]
        name = "drop"
        "#,
    )
    .unwrap();
    let path = |name: &str| dir.path().join(name);
    assert_eq!((options.files.directory, options.files.sas_ttl_s), (Some(path("uploads")), 60));
    assert_eq!((options.host.as_str(), options.name.as_str()), ("127.0.0.9", "hub.example"));
    assert_eq!((options.mqtt_port, options.https_port), (1, 2));
    assert_eq!((options.certs, events), (Some(path("keys")), Some(path("events.jsonl"))));
    assert_eq!(options.state, Some(path("kept")));
    assert_eq!(options.x509_roots, [Pem::File(path("root.pem")), Pem::File("/etc/root.pem".into())]);
    assert_eq!(options.routes, [("d/m/out".to_owned(), "d/m/in".to_owned())]);
    assert_eq!(options.faults.len(), 1);
    assert_eq!(options.dps.id_scope.as_deref(), Some("0neSCOPE"));
    assert_eq!(options.dps.groups[0].roots, [Pem::File(path("group.pem"))]);
    assert_eq!(options.routing.endpoints[0].file, Some(path("storms.jsonl")));
    assert_eq!(options.routing.routes, [RouteOptions::new("storm", "level = 'storm'", "storms")]);
    assert!(!options.routing.fallback_route);

    let ids: Vec<_> = options.identities.iter().map(|given| given.identity.to_string()).collect();
    assert_eq!(ids, ["d", "d/m", "x", "c"]);
    let device = &options.identities[0];
    assert_eq!(device.credential, CredentialOptions::Key(Some("a2V5a2V5a2V5a2U=".into())));
    assert_eq!(device.secondary_key.as_deref(), Some("c2Vjb25kYXJ5LWtleQ=="));
    assert!(device.disabled && device.edge);
    assert_eq!((&device.tags["floor"], &device.desired["rate"]), (&2.into(), &5.into()));
    assert_eq!(options.identities[1].reported["up"], true);
    assert_eq!(options.identities[2].credential, CredentialOptions::Thumbprints(vec!["A".repeat(40)]));
    assert_eq!(options.identities[3].credential, CredentialOptions::Authority);
}

#[test]
fn what_is_wrong_is_named_with_its_line_and_no_key() {
    for (text, line, rule) in [
        ("name = 'a'\nport = 1", 2, "unknown field `port`"),
        ("mqtt-port = 70000", 1, "expected u16"),
        ("mqtt-port = ", 1, ""),
        ("\n[[devices]]\nkey = 'c2VjcmV0LXNlY3JldA=='", 2, "missing field `id`"),
        ("[[devices]]\nid = 'a b'", 1, "a b: an id has 1 to 128"),
        ("[[devices]]\nid = 'a'\n[[devices]]\nid = 'a'", 3, "a: is given twice"),
        ("[[devices]]\nid = 'a'\nkey = 'secret'", 1, "a: "),
        ("[[devices]]\nid = 'a'\nkeys = 'c2VjcmV0LXNlY3JldA=='", 3, "unknown field `keys`"),
        ("[[devices]]\nid = 'a'\nkey = 'c2VjcmV0LXNlY3JldA=='\nca = true", 1, "only one of key, thumbprint"),
        ("[[devices]]\nid = 'a'\nthumbprint = 'secret'", 1, "a: a thumbprint has 40"),
        ("[[devices]]\nid = 'a'\nca = true\nsecondary-key = 'secret'", 1, "goes with a key"),
        ("[[devices]]\nid = 'a'\nstatus = 'off'", 3, "unknown variant `off`"),
        ("[[devices]]\nid = 'a'\ndesired = { 'a.b' = 1 }", 1, "desired: Property name a.b"),
        ("[[devices]]\nid = 'a'\n[[devices.modules]]\nid = 'm'\nedge = true", 3, "a/m: edge and modules go"),
        ("[[module-routes]]\nfrom = 'd/m'\nto = 'd/m/in'", 1, "each end must be"),
        ("\n[[endpoints]]\nname = 'e'", 2, "the endpoint 'e': needs a file"),
        ("\n[[routes]]\nname = 'r'\nendpoint = 'e'", 2, "the route 'r': there is no endpoint 'e'"),
        (
            "[[routes]]\nname = 'q'\nendpoint = 'events'\n[[routes]]\nname = 'r'\nendpoint = 'events'\ncondition = 'a ='",
            4,
            "the route 'r': its condition",
        ),
        ("[[faults]]\nname = 'explode'", 1, "there is no fault"),
        ("[[fault]]\nname = 'explode'", 1, "there is no fault"),
    ] {
        let error = parse(text).map(|_| ()).unwrap_err();
        assert!(
            error.contains(&format!("hub.toml line {line}: ")) && error.contains(rule),
            "{text}: {error}"
        );
        assert!(!error.contains("secret") && !error.contains("c2Vjc"), "{error}");
    }
}

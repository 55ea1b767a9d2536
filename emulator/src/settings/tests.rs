#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn every_setting_can_be_set_to_everything_that_the_help_offers() {
    let help = Settings::help();
    for entry in TABLE {
        let (name, default) = (entry.name(), (entry.show)(&Settings::default()));
        let forms = (entry.forms)();
        assert!(help.contains(&format!("  {name}={forms} [{default}]\n")), "{name}");
        let values = match forms.as_str() {
            "SECONDS" => vec!["0", "0.25", "1767"],
            "NUMBER" => vec!["1", "65535"],
            words => words.split('|').collect(),
        };
        assert!(values.len() > 1);
        let mut seen: Vec<Settings> = Vec::new();
        for value in values {
            let mut settings = Settings::default();
            settings.set_pair(&format!("{name}={value}")).unwrap();
            assert_eq!((entry.show)(&settings), value);
            assert!(!seen.contains(&settings), "{name}={value} is like another");
            seen.push(settings);
        }
        let mut same = Settings::default();
        same.set(&name, &default).unwrap();
        assert_eq!(same, Settings::default());
    }
}

#[test]
fn what_is_no_setting_or_no_value_is_refused_and_says_what_is() {
    for (text, part) in [
        ("tls", "NAME=VALUE"),
        ("ssl=1", "there are connect-deadline, "),
        ("unknown-topic=Close", "must be close or drop or accept"),
        ("unknown_topic=close", "no setting"),
        ("c2d-lock=-1", "must be seconds"),
        ("c2d-lock=inf", "must be seconds"),
        ("c2d-lock=", "must be seconds"),
        ("filter-limit=0", "1 to 65535"),
        ("filter-limit=65536", "1 to 65535"),
    ] {
        let mut settings = Settings::default();
        let error = settings.set_pair(text).unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
        assert_eq!(settings, Settings::default());
    }
}

#[test]
fn a_table_of_a_file_is_read_by_the_same_rules() {
    let read = |text: &str| serde_json::from_str::<Settings>(text).map_err(|e| e.to_string());
    let text = r#"{"c2d-lock": 0.5, "token-skew": 60, "unknown-topic": "drop", "client-id-mismatch": 2}"#;
    let mut expected = Settings::default();
    for pair in ["c2d-lock=0.5", "token-skew=60", "unknown-topic=drop", "client-id-mismatch=2"] {
        expected.set_pair(pair).unwrap();
    }
    assert_eq!(read(text), Ok(expected));
    assert!(read(r#"{"c2d-lok": 1}"#).unwrap_err().contains("there is no setting 'c2d-lok'"));
    assert!(read(r#"{"tls": []}"#).is_err());
}

#[test]
fn the_help_fits_a_terminal() {
    assert!(Settings::help().lines().all(|line| line.len() <= 100), "{}", Settings::help());
}

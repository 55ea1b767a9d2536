//! Direct methods.

use rumqttc::mqttbytes::QoS;
use serde_json::json;

use crate::https::*;
use crate::support::*;

#[test]
fn methods_are_called_once_somebody_is_there() {
    let (hub, _events) = hub();
    for (id, path) in [("d", "/twins/d/methods"), ("d/m", "/twins/d/modules/m/methods")] {
        let line = format!("POST {path}?api-version=2021-04-12");
        std::thread::scope(|scope| {
            let call = r#"{"methodName":"reboot","payload":[1],"connectTimeoutInSeconds":20}"#;
            let (hub, line) = (&hub, &line);
            let caller = scope.spawn(move || authorized(hub, line, &[], call));
            let mut client = Client::connect(hub, id);
            client.subscribe("$iothub/methods/POST/#", QoS::AtLeastOnce);
            let request = client.expect_publish();
            client.acknowledge(request.pkid);
            assert_eq!(&request.payload[..], b"[1]");
            let (_, rid) = request.topic.split_once("?$rid=").unwrap();
            client.publish(&format!("$iothub/methods/res/404/?$rid={rid}"), 0, "");
            let answer = caller.join().unwrap();
            assert_eq!((answer.status, answer.json()), (200, json!({"status": 404, "payload": null})));
        });
    }
}

#[test]
fn a_methods_limits_are_the_hubs() {
    let (hub, _events) = hub();
    let large = format!(r#"{{"methodName":"m","payload":"{}"}}"#, "x".repeat(128 * 1024));
    for (body, expected) in [
        (large.as_str(), 413),
        (r#"{"methodName":"m","responseTimeoutInSeconds":4}"#, 400),
        (r#"{"methodName":"m","responseTimeoutInSeconds":301}"#, 400),
        (r#"{"methodName":"m","connectTimeoutInSeconds":301}"#, 400),
        (r#"{"methodName":"a/b"}"#, 400),
        (r#"{"methodName":""}"#, 400),
        (r#"{"methodName":"component*m"}"#, 404),
    ] {
        assert_eq!(authorized(&hub, "POST /twins/d/methods", &[], body).status, expected);
    }
}

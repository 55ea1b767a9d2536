//! A client of the provisioning service, on top of the bare one.

use iothub_emulator::Hub;
use iothub_mqtt::hub::sas::{self, SharedAccessKey};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{Connect, Packet};
use rustls::pki_types::PrivateKeyDer;
use serde_json::Value;

use super::certificates::Leaf;
use super::{Client, Over, Tls, unix_now};

pub(crate) const FILTER: &str = "$dps/registrations/res/#";
pub(crate) const REGISTER: &str = "$dps/registrations/PUT/iotdps-register/?$rid=1";

/// A token for `id` in the service's form, signed with `key`.
pub(crate) fn dps_token(hub: &Hub, id: &str, key: &str, life: i64) -> String {
    let resource = sas::encode_resource(&format!("{}/registrations/{id}", hub.id_scope()));
    let key = SharedAccessKey::from_base64(key).unwrap();
    sas::token(&resource, &key, unix_now().saturating_add_signed(life), Some("registration"))
}

pub(crate) fn dps_connect(hub: &Hub, id: &str, password: &str) -> Connect {
    let mut connect = Connect::new(id);
    connect.keep_alive = 60;
    let scope = hub.id_scope();
    connect.set_login(format!("{scope}/registrations/{id}/api-version=2021-06-01&ClientVersion=t"), password);
    connect
}

/// A connection of `id` that was let in and has subscribed.
pub(crate) fn enter(hub: &Hub, over: Over, tls: Tls, connect: Connect) -> Client {
    let mut client = Client::open_over(hub, over, tls);
    client.send(&Packet::Connect(connect));
    let connack = client.expect_connack();
    assert_eq!((connack.code as u8, connack.session_present), (0, false));
    client.subscribe(FILTER, QoS::AtLeastOnce);
    client
}

pub(crate) fn enter_with(hub: &Hub, id: &str, key: &str) -> Client {
    enter(hub, Over::Tls, Tls::default(), dps_connect(hub, id, &dps_token(hub, id, key, 3600)))
}

pub(crate) fn enter_enrolled(hub: &Hub, id: &str) -> Client {
    enter_with(hub, id, hub.enrollment_key(id).unwrap())
}

/// The topic and the body of the next answer.
pub(crate) fn answer(client: &mut Client) -> (String, Value) {
    let publish = client.expect_publish();
    (publish.topic.clone(), serde_json::from_slice(&publish.payload).unwrap())
}

pub(crate) fn register(client: &mut Client, body: &str) -> (String, Value) {
    client.publish(REGISTER, 0, body);
    answer(client)
}

pub(crate) fn poll(client: &mut Client, operation: &Value) -> (String, Value) {
    let operation = operation.as_str().unwrap();
    let topic = format!("$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId={operation}");
    client.publish(&topic, 0, " ");
    answer(client)
}

/// Registers and polls once: the `registrationState`.
pub(crate) fn provision(client: &mut Client, body: &str) -> Value {
    let (topic, accepted) = register(client, body);
    assert_eq!(topic, "$dps/registrations/res/202/?$rid=1&retry-after=3", "{accepted}");
    assert_eq!(accepted["status"], "assigning");
    let (topic, mut done) = poll(client, &accepted["operationId"]);
    assert_eq!(topic, "$dps/registrations/res/200/?$rid=2");
    assert_eq!(done["operationId"], accepted["operationId"]);
    assert_eq!(done["status"], done["registrationState"]["status"]);
    done["registrationState"].take()
}

pub(crate) fn return_code(hub: &Hub, tls: Tls, connect: Connect) -> u8 {
    let mut client = Client::open(hub, tls);
    client.send(&Packet::Connect(connect));
    let code = client.expect_connack().code as u8;
    if code != 0 {
        client.expect_close();
    }
    code
}

pub(crate) fn with_certificate(leaf: &Leaf) -> Tls {
    Tls {
        identity: Some((leaf.der.clone(), PrivateKeyDer::try_from(leaf.key.clone()).unwrap())),
        ..Tls::default()
    }
}

"""A device: sends three readings and prints what the hub sends to it, until it has got one message.

IOTHUB_CONNECTION_STRING names the device. A local hub also needs IOTHUB_PORT and IOTHUB_TRUSTED_ROOTS.
"""

import base64
import hashlib
import hmac
import os
import time
from urllib.parse import quote_plus, unquote

from iothub_mqtt import client as mqtt

parts = dict(part.split("=", 1) for part in os.environ["IOTHUB_CONNECTION_STRING"].split(";"))
host, device_id = parts["HostName"], parts["DeviceId"]


def sas_token(seconds=3600):
    resource, expiry = quote_plus(f"{host}/devices/{device_id}"), int(time.time()) + seconds
    key = base64.b64decode(parts["SharedAccessKey"])
    signature = base64.b64encode(hmac.new(key, f"{resource}\n{expiry}".encode(), hashlib.sha256).digest())
    return f"SharedAccessSignature sr={resource}&sig={quote_plus(signature)}&se={expiry}"


def on_connect(client, userdata, flags, reason_code, properties):
    print(f"state: {reason_code}", flush=True)
    client.subscribe(f"devices/{device_id}/messages/devicebound/#", qos=1)
    for i, reading in enumerate(['{"t":21.5}', '{"t":21.7}', '{"t":35.0}']):
        alert = "alert=too%20warm" if i == 2 else "alert"
        bag = f"%24.ct=application%2Fjson&%24.ce=utf-8&{alert}"
        client.publish(f"devices/{device_id}/messages/events/{bag}", reading, qos=1)


def on_publish(client, userdata, mid, reason_code, properties):
    print(f"acknowledged: message {mid}", flush=True)


def on_message(client, userdata, message):
    print(f"received: {message.payload.decode()}", flush=True)
    for pair in message.topic.split("/devicebound/")[1].split("&"):
        name, _, value = map(unquote, pair.partition("="))
        if not name.startswith("$") and name != "iothub-ack":
            print(f"  {name} = {value}", flush=True)
    received.append(message)


received = []
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=device_id, clean_session=False)
client.on_connect, client.on_publish, client.on_message = on_connect, on_publish, on_message
client.username_pw_set(f"{host}/{device_id}/?api-version=2021-04-12", sas_token())
client.tls_set(ca_certs=os.environ.get("IOTHUB_TRUSTED_ROOTS"))
client.connect(host, int(os.environ.get("IOTHUB_PORT", "8883")))
while not received:  # a message is acknowledged when on_message has returned, so end after that
    client.loop()
client.disconnect()

//! What `--help` says beyond the options.

pub(super) const MORE: &str = "\
The HTTPS port serves, to devices,
  GET /$iothub/websocket          MQTT over WebSocket, subprotocol mqtt; to the provisioning
                                  service too
to back-ends with a token of the service connection string
  POST /devices/ID/messages/devicebound
                                  a cloud-to-device message: the body as it is; the headers
                                  iothub-messageid, iothub-correlationid, iothub-userid,
                                  iothub-expiry, iothub-ack, content-type, content-encoding,
                                  iothub-app-NAME; emulator-properties is a JSON object of
                                  properties, emulator-bag the end of the topic as it is
  POST /devices/DEV/modules/MOD/inputs/INPUT
                                  the same to an input of a module, as another module's output
  GET, PATCH, PUT /twins/ID       the twin; /twins/DEV/modules/MOD of a module; a change is
                                  {\"properties\":{\"desired\":{...}},\"tags\":{...}}
  POST /twins/ID/methods          a direct method, {\"methodName\":NAME,\"payload\":JSON,
                                  \"responseTimeoutInSeconds\":30}; /twins/DEV/modules/MOD/methods
                                  of a module
  GET /devices, GET, PUT, DELETE /devices/ID
                                  the registry; /devices/DEV/modules[/MOD] of modules
  POST /devices/query             {\"query\":\"SELECT * FROM devices WHERE ...\"}
  and lists, bulk operations, statistics, purge and feedback as IoT Hub has them
and to everybody who reaches the port, but not to other web sites
  GET /                           a page to watch the hub and to try things out
  GET /emulator/events            what --events writes, as server-sent events; goes on after
                                  Last-Event-ID, which ?after= may carry too
  GET /emulator/devices           every device and module with its state, and who came, went
                                  and was refused lately
  GET /emulator/connection_string?id=ID
  GET /emulator/token             a token of iothubowner for ten minutes
  GET, DELETE /emulator/faults    the faults that there are and that wait; forgets those
  POST /emulator/faults           {\"fault\":NAME,\"device\":ID,\"count\":N,\"for_ms\":T,
                                  \"after_messages\":K,\"code\":C} as application/json; all but
                                  the name may be left out; ID may be DEV/MOD,
                                  a registration or *

Events, one line of JSON each, with \"event\", \"time\", \"device\" and \"module\"
  telemetry                       body (body_base64 where it is not UTF-8), system, properties
  connected, disconnected, refused
                                  how and why
  subscribed, unsubscribed        filters
  fault                           a fault was armed: its name and target, how many connections it
                                  has reached, how many uses of it wait, and in note why not
  ignored                         what (publish or filter), its topic, and the setting (rule) by
                                  which it had no effect
  c2d, input                      a message was queued, delivered, unlocked, completed, expired,
                                  purged or dropped
  twin, method                    what was changed, called and answered
  identity, provisioned, file     something was registered, assigned or uploaded
  state                           something could not be written into --state

Faults
  drop, expire, take_over         the connection is closed; drop with after_messages at the
                                  K-th message of each connection
  lose_session                    drop, and the stored session is forgotten
  truncate, corrupt               a packet that stops in the middle, bytes that are none
  half_open, delay, slow_reader   for for_ms nothing is read, or answers wait, or reading crawls
  mute                            CONNECT is not answered
  refuse                          CONNECT is answered with the return code 1 to 5
  throttle, server_error, no_answer
                                  requests, of twins and to the provisioning service, get 429,
                                  a code of 500 to 599, or nothing
A fault without a connection that it could reach waits for the next one.";

/// What `run --help` says beyond the options.
pub(super) const RUN: &str = "\
The hub has free ports, keys and certificates that go away with it, where nothing else is said.
The command finds in its environment:
  IOTHUB_DEVICE_CONNECTION_STRING       of the first device
  IOTHUB_DEVICE_CONNECTION_STRING_ID    of each, ID in capitals with _ for what is no letter and no
                                        digit
  IOTHUB_MODULE_CONNECTION_STRING       of the first module
  IOTHUB_MODULE_CONNECTION_STRING_DEV_MOD
                                        of each
  IOTHUB_SERVICE_CONNECTION_STRING      for back-ends
  IOTHUB_CA_FILE                        what to trust, in PEM
  IOTHUB_HOST, IOTHUB_MQTT_PORT, IOTHUB_HTTPS_PORT
                                        where the hub listens
  IOTHUB_CONNECTION_STRING, IOTHUB_PORT, IOTHUB_TRUSTED_ROOTS
                                        the first device, the port of MQTT and what to trust once
                                        more, as the examples of iothub-mqtt read them
  IOTHUB_DPS_ID_SCOPE                   of the provisioning service
  PROVISIONING_HOST, PROVISIONING_IDSCOPE, PROVISIONING_REGISTRATION_ID,
  PROVISIONING_SYMMETRIC_KEY, IOTHUB_DEVICE_DPS_ENDPOINT, IOTHUB_DEVICE_DPS_ID_SCOPE,
  IOTHUB_DEVICE_DPS_DEVICE_ID, IOTHUB_DEVICE_DPS_DEVICE_KEY
                                        the provisioning service and the first --enroll, as
                                        Microsoft's samples read them
  IOTHUB_EVENTS                         a file: one JSON line for each event
  IOTHUB_EMULATOR_CERTS                 by which the subcommands of iothub-emulator find the hub

The status is the command's, or
  125      the hub did not start
  126      the command cannot be started
  127      the command is not found
  128+n    signal n ended the command

For example
  iothub-emulator run --device gauge-1 -- ./gauge_test";

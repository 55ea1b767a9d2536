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
  GET, PATCH, PUT /twins/ID       the twin; /twins/DEV/modules/MOD of a module
  POST /twins/ID/methods          a direct method; /twins/DEV/modules/MOD/methods of a module
  GET, PUT, DELETE /devices/ID    the identity; /devices/DEV/modules/MOD of a module
  and lists, bulk operations, queries, statistics, purge and feedback as IoT Hub has them
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

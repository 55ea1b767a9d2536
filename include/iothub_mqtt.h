/* iothub_mqtt.h - Azure IoT Hub device client.
 *
 * Generated from the sources in ffi/src, where each function is documented; do not edit.
 *
 * STATUS    A call that can fail returns iothub_status_t: IOTHUB_OK (0) or a negative code. iothub_last_error()
 *           has the sentence that belongs to it. Outputs are written only where a call returns IOTHUB_OK.
 * HANDLES   Every struct is opaque. What *_new() gives you, *_free() takes back, once; *_free(NULL) does
 *           nothing. NULL where a handle is needed is IOTHUB_E_ARGUMENT.
 * TEXT      In: NUL-terminated UTF-8, copied before the call returns. Out: borrowed; each function says for how
 *           long. In callbacks: until they return.
 * BYTES     (pointer, length), copied before the call returns. NULL is allowed only with length 0.
 * CLOSURES  A callback is three arguments: fn, user_data, free_fn. free_fn(user_data), if it is not NULL, runs
 *           exactly once, after the last call of fn - also where the call that takes it fails, then on the
 *           calling thread before the call returns.
 * DONE      Where a call with a `done` returns IOTHUB_OK, done runs exactly once, never on the calling thread
 *           inside the call; it may run on another thread before the call has returned. iothub_client_close and
 *           iothub_client_free complete what is unfinished with IOTHUB_E_CLOSED (and a close that waits when the
 *           client is freed as its own documentation says). Where the call returns an error,
 *           done never runs. done may be NULL.
 * THREADS   Any function may be called from any thread, and inside any callback; a message or options may be
 *           changed by one thread at a time only. The callbacks of one client never overlap and keep the order of
 *           the network, but for iothub_client_free inside a callback, which says what runs inside it. No lock is
 *           held while a callback runs. Callbacks must not throw or longjmp out.
 * MODES     IOTHUB_MODE_THREADED: callbacks run on threads of the library; a slow one delays only later callbacks of
 *           the same client, and keep-alive goes on. IOTHUB_MODE_MANUAL: there is no thread of the library; wait for
 *           iothub_client_fd in your own loop, and call iothub_client_process. I/O and callbacks happen there, and
 *           in iothub_client_free, nowhere else: a loop that stays away lets the connection die. One thread there
 *           is all the same: it looks up a host that is given by name and not by address, and then ends.
 * NUMBERS   Enumerations are int32_t (so -fshort-enums changes nothing); unknown values are refused. Numbers that
 *           are published never change their meaning. Units are in the names: _s seconds, _ms milliseconds.
 * FORK      A client does not survive fork(): in a child of a process that has made one, every call that returns
 *           a status returns IOTHUB_E_FORKED, and iothub_client_free leaves the memory of its client alone. A
 *           process may fork first and make its first client then.
 * PROCESS   The library prints nothing, installs no signal handler (and raises no SIGPIPE), registers nothing with
 *           atexit(), and stays loaded after dlclose(). exit() or a return from main() while clients are
 *           connected is fine: the hub then sees their connections break.
 */


#ifndef IOTHUB_MQTT_H
#define IOTHUB_MQTT_H

#include <stddef.h>
#include <stdint.h>

#ifndef IOTHUB_API
#define IOTHUB_API
#endif

/* The version of this header, to compare with iothub_version(), which is that of the library. */
#define IOTHUB_VERSION ((IOTHUB_VERSION_MAJOR << 16) | (IOTHUB_VERSION_MINOR << 8) | IOTHUB_VERSION_PATCH)


/**
 * The version of this header.
 */
#define IOTHUB_VERSION_MAJOR 0

/**
 * See IOTHUB_VERSION_MAJOR.
 */
#define IOTHUB_VERSION_MINOR 1

/**
 * See IOTHUB_VERSION_MAJOR.
 */
#define IOTHUB_VERSION_PATCH 0

/**
 * The room that a callback has for a signature, in bytes.
 */
#define IOTHUB_MAX_SIGNATURE 1024

/**
 * The room that a callback has for a token, in bytes.
 */
#define IOTHUB_MAX_TOKEN 4096

/**
 * One device or module, connected or not.
 */
typedef struct iothub_client_t iothub_client_t;

/**
 * A message: a body, fields that IoT Hub gives a meaning, and properties of the application.
 *
 * One thread at a time may change it; several may read it.
 */
typedef struct iothub_message_t iothub_message_t;

/**
 * What a client is made from. One thread at a time may use it. A setter that fails changes nothing.
 */
typedef struct iothub_options_t iothub_options_t;

/**
 * IOTHUB_OK or one of the negative codes below. The numbers are permanent: never changed, never used
 * again. Treat a negative number that you do not know as IOTHUB_E_INTERNAL.
 */
typedef int32_t iothub_status_t;

/**
 * Why a connection ended or could not be made: 0 or one of the numbers below, which are permanent.
 * Expect new ones.
 */
typedef int32_t iothub_cause_t;

/**
 * Gets one log line: level 1 error, 2 warning, 3 info, 4 debug, 5 trace; where it comes from; the text.
 * Both texts are valid until this returns. May run on any thread, several at a time.
 */
typedef void (*iothub_log_fn)(int32_t level, const char *target, const char *text, void *user_data);

/**
 * Frees user_data. Runs exactly once, after the last call of the function beside it.
 */
typedef void (*iothub_free_fn)(void *user_data);

/**
 * A field of a message.
 */
typedef int32_t iothub_field_t;

/**
 * Signs len bytes at data with HMAC-SHA256 and the key of the device or module: writes the 32 bytes of
 * it to sig, not encoded. *sig_len is the room there (IOTHUB_MAX_SIGNATURE), and becomes what was
 * written. Any other status than IOTHUB_OK says that it could not.
 */
typedef iothub_status_t (*iothub_sign_fn)(const uint8_t *data,
                                          size_t len,
                                          uint8_t *sig,
                                          size_t *sig_len,
                                          void *user_data);

/**
 * Writes a token that is good now, "SharedAccessSignature sr=...", to token. *token_len is the room there
 * (IOTHUB_MAX_TOKEN), and becomes the length of the token; a NUL behind it does not count. Any other
 * status than IOTHUB_OK says that there is none.
 */
typedef iothub_status_t (*iothub_token_fn)(char *token, size_t *token_len, void *user_data);

/**
 * Signs len bytes at data, which are not hashed yet, by scheme, a SignatureScheme of TLS (RFC 8446,
 * 4.2.3), as TLS carries it (ECDSA in DER). *sig_len is the room at sig (IOTHUB_MAX_SIGNATURE), and
 * becomes what was written. Any other status than IOTHUB_OK says that it could not.
 */
typedef iothub_status_t (*iothub_tls_sign_fn)(int32_t scheme,
                                              const uint8_t *data,
                                              size_t len,
                                              uint8_t *sig,
                                              size_t *sig_len,
                                              void *user_data);

/**
 * What carries MQTT.
 */
typedef int32_t iothub_transport_t;

/**
 * How an operation ended. detail is "" for IOTHUB_OK, and valid until this returns.
 */
typedef void (*iothub_done_fn)(iothub_status_t status, const char *detail, void *user_data);

/**
 * What a connection is doing.
 */
typedef int32_t iothub_state_t;

/**
 * A change of the connection: its state, and why the connection before ended or could not be made, as a
 * cause, as the status code it belongs to (IOTHUB_OK where nothing went wrong and at a renewal;
 * IOTHUB_E_CLOSED once the application has closed the client) and as a sentence, which is valid until this
 * returns.
 */
typedef void (*iothub_status_fn)(iothub_state_t state,
                                 iothub_cause_t cause,
                                 iothub_status_t status,
                                 const char *detail,
                                 void *user_data);

/**
 * What becomes of a received message.
 */
typedef int32_t iothub_ack_t;

/**
 * A cloud-to-device message, borrowed until this returns, and its delivery number. Returns
 * IOTHUB_ACK_NOW or IOTHUB_ACK_LATER; any other number counts as IOTHUB_ACK_LATER.
 */
typedef iothub_ack_t (*iothub_message_fn)(const iothub_message_t *message,
                                          uint64_t delivery,
                                          void *user_data);

/**
 * Who does a client's I/O and runs its callbacks.
 */
typedef int32_t iothub_mode_t;

/**
 * A call of a direct method: its name, as it was sent ("component*command" for a command of a
 * component), its JSON, which may be empty, and the number to answer it with. Name and JSON are borrowed
 * until this returns; json is not NUL-terminated.
 */
typedef void (*iothub_method_fn)(const char *name,
                                 const void *json,
                                 size_t len,
                                 uint64_t request,
                                 void *user_data);

/**
 * The twin, or why there is none. json is {"desired":{...},"reported":{...}}, each with its "$version",
 * borrowed until this returns and not NUL-terminated; of length 0 unless status is IOTHUB_OK.
 */
typedef void (*iothub_twin_fn)(iothub_status_t status,
                               const char *detail,
                               const void *json,
                               size_t len,
                               void *user_data);

/**
 * How a report ended. version is that of the reported properties with it, 0 where the hub did not tell it
 * or status is not IOTHUB_OK.
 */
typedef void (*iothub_patch_fn)(iothub_status_t status,
                                const char *detail,
                                uint64_t version,
                                void *user_data);

/**
 * A change of the desired properties, as a JSON merge patch (null: deleted) without "$version", and the
 * version that they have with it. json is borrowed until this returns and not NUL-terminated.
 */
typedef void (*iothub_desired_fn)(const void *json, size_t len, uint64_t version, void *user_data);

/**
 * A message on an input of this module: the name of the input, the message, both borrowed until this
 * returns, and its delivery number. Returns what iothub_message_fn returns.
 */
typedef iothub_ack_t (*iothub_input_fn)(const char *input,
                                        const iothub_message_t *message,
                                        uint64_t delivery,
                                        void *user_data);

/**
 * Which counter; see iothub_client_stats.
 */
typedef int32_t iothub_stat_t;

/**
 * What iothub_doctor checks. They are made in the order OPTIONS, CLOCK, NAME, PROXY, TCP, TLS,
 * WEBSOCKET, CREDENTIALS.
 */
typedef int32_t iothub_check_t;

/**
 * How a check ended. More may come with later versions.
 */
typedef int32_t iothub_verdict_t;

/**
 * What a check has found: status is IOTHUB_OK but for IOTHUB_VERDICT_FAILED, and detail is a text for
 * people in any case, valid until this returns. It never holds a key, a token or a password.
 */
typedef void (*iothub_check_fn)(iothub_check_t check,
                                iothub_verdict_t verdict,
                                iothub_status_t status,
                                const char *detail,
                                void *user_data);

/**
 * It went well.
 */
#define IOTHUB_OK 0

/**
 * A bug in the library.
 */
#define IOTHUB_E_INTERNAL -1

/**
 * NULL, not UTF-8, out of range; the detail names the argument and the rule.
 */
#define IOTHUB_E_ARGUMENT -2

/**
 * The call is not allowed now.
 */
#define IOTHUB_E_STATE -3

/**
 * The client was closed or freed.
 */
#define IOTHUB_E_CLOSED -4

/**
 * This process is a child of the one that made the client.
 */
#define IOTHUB_E_FORKED -5

/**
 * The queue is at its limit of messages or bytes; nothing was queued.
 */
#define IOTHUB_E_FULL -6

/**
 * A deadline passed.
 */
#define IOTHUB_E_TIMEOUT -7

/**
 * An unknown delivery, one that was acknowledged already, or one of an earlier connection.
 */
#define IOTHUB_E_NOT_FOUND -8

/**
 * IoT Hub or this library does not offer it.
 */
#define IOTHUB_E_UNSUPPORTED -9

/**
 * The message's time to live ended before the hub acknowledged it.
 */
#define IOTHUB_E_EXPIRED -10

/**
 * The message was dropped by the queue's policy.
 */
#define IOTHUB_E_DROPPED -11

/**
 * Name lookup, TCP or the connection; tried again soon.
 */
#define IOTHUB_E_NETWORK -20

/**
 * A certificate or the TLS handshake; tried again slowly.
 */
#define IOTHUB_E_TLS -21

/**
 * The hub refused the credentials; tried again slowly.
 */
#define IOTHUB_E_AUTH -22

/**
 * The peer broke its protocol.
 */
#define IOTHUB_E_PROTOCOL -23

/**
 * The hub asked to slow down.
 */
#define IOTHUB_E_THROTTLED -30

/**
 * Larger than the hub takes: 256 KiB for a message with its properties.
 */
#define IOTHUB_E_TOO_LARGE -31

/**
 * The hub's copy changed meanwhile.
 */
#define IOTHUB_E_PRECONDITION -32

/**
 * Any other refusal by the hub; the detail has its number.
 */
#define IOTHUB_E_REJECTED -33

/**
 * Nothing went wrong.
 */
#define IOTHUB_CAUSE_NONE 0

/**
 * The host name has no address, or the name service gave no answer.
 */
#define IOTHUB_CAUSE_DNS 1

/**
 * Nothing listens on the port.
 */
#define IOTHUB_CAUSE_CONNECTION_REFUSED 2

/**
 * No route, network down, or a firewall that says so.
 */
#define IOTHUB_CAUSE_UNREACHABLE 3

/**
 * No answer in time while connecting.
 */
#define IOTHUB_CAUSE_CONNECT_TIMEOUT 4

/**
 * The connection broke.
 */
#define IOTHUB_CAUSE_CONNECTION_RESET 5

/**
 * Any other failure of a socket.
 */
#define IOTHUB_CAUSE_NETWORK 6

/**
 * The server's certificate is not issued by a trusted root.
 */
#define IOTHUB_CAUSE_TLS_UNTRUSTED 7

/**
 * The server's certificate has expired, or the clock of this machine is ahead.
 */
#define IOTHUB_CAUSE_TLS_EXPIRED 8

/**
 * The server's certificate is for another name.
 */
#define IOTHUB_CAUSE_TLS_NAME 9

/**
 * Any other failure of TLS.
 */
#define IOTHUB_CAUSE_TLS 10

/**
 * The proxy refused.
 */
#define IOTHUB_CAUSE_PROXY 11

/**
 * The hub refused the credentials.
 */
#define IOTHUB_CAUSE_AUTHENTICATION 12

/**
 * The clock of this machine is wrong.
 */
#define IOTHUB_CAUSE_CLOCK 13

/**
 * Another program seems to connect with the same identity: the hub has ended several connections in a
 * row soon after it had accepted them, and without a reason. Tried again slowly.
 */
#define IOTHUB_CAUSE_TAKEN_OVER 14

/**
 * The hub was silent for longer than the keep-alive allows.
 */
#define IOTHUB_CAUSE_KEEP_ALIVE 15

/**
 * The hub broke MQTT.
 */
#define IOTHUB_CAUSE_PROTOCOL 16

/**
 * The hub asked to slow down.
 */
#define IOTHUB_CAUSE_THROTTLED 17

/**
 * The hub closed the connection and gave no reason.
 */
#define IOTHUB_CAUSE_CLOSED_BY_HUB 18

/**
 * The library reconnects with fresh credentials; no failure, its status is IOTHUB_OK.
 */
#define IOTHUB_CAUSE_RENEWED 19

/**
 * The application closed the client.
 */
#define IOTHUB_CAUSE_CLOSED_BY_US 20

/**
 * The configuration contradicts itself; the only failure that is never tried again.
 */
#define IOTHUB_CAUSE_CONFIGURATION 21

/**
 * Up to 128 ASCII letters, digits and - : . + % _ # * ? ! ( ) , = @ ; $ '
 */
#define IOTHUB_MESSAGE_ID 0

/**
 * Relates an answer to its question.
 */
#define IOTHUB_CORRELATION_ID 1

/**
 * Such as "application/json"; routing reads the body as JSON only with this and an encoding.
 */
#define IOTHUB_CONTENT_TYPE 2

/**
 * Such as "utf-8".
 */
#define IOTHUB_CONTENT_ENCODING 3

/**
 * The output that a module's message leaves by. Modules only.
 */
#define IOTHUB_OUTPUT_NAME 4

/**
 * The Plug and Play component that the message is of.
 */
#define IOTHUB_COMPONENT 5

/**
 * When the message was made: ISO 8601, UTC.
 */
#define IOTHUB_CREATION_TIME 6

/**
 * Who the message is from.
 */
#define IOTHUB_USER_ID 7

/**
 * Set by the hub on what it delivers: the address of the device.
 */
#define IOTHUB_TO 8

/**
 * When the message expires: ISO 8601, UTC.
 */
#define IOTHUB_EXPIRY 9

/**
 * "urn:azureiot:Security:SecurityAgent:1" marks a security message.
 */
#define IOTHUB_INTERFACE_ID 10

/**
 * MQTT over TLS, on port 8883 unless iothub_options_set_port says another.
 */
#define IOTHUB_TRANSPORT_MQTT 0

/**
 * MQTT in a WebSocket over TLS, on port 443 unless iothub_options_set_port says another.
 */
#define IOTHUB_TRANSPORT_WEBSOCKET 1

/**
 * Ended, and not tried again: the client is being closed, or its configuration contradicts itself.
 */
#define IOTHUB_DISCONNECTED 0

/**
 * Being made, or waited for after a failure.
 */
#define IOTHUB_CONNECTING 1

/**
 * The hub has accepted it.
 */
#define IOTHUB_CONNECTED 2

/**
 * The client was closed; nothing follows.
 */
#define IOTHUB_CLOSED 3

/**
 * It is settled.
 */
#define IOTHUB_ACK_NOW 0

/**
 * iothub_client_ack settles it later.
 */
#define IOTHUB_ACK_LATER 1

/**
 * Threads of the library.
 */
#define IOTHUB_MODE_THREADED 0

/**
 * The application, which waits for iothub_client_fd in its own loop and calls iothub_client_process.
 */
#define IOTHUB_MODE_MANUAL 1

/**
 * Messages that were written to a connection, each counted once.
 */
#define IOTHUB_STAT_SENT 0

/**
 * Messages that the hub acknowledged.
 */
#define IOTHUB_STAT_ACKNOWLEDGED 1

/**
 * Messages that were written again on a later connection.
 */
#define IOTHUB_STAT_RESENT 2

/**
 * Messages whose time to live ended first.
 */
#define IOTHUB_STAT_EXPIRED 3

/**
 * Messages that were given up because the client was closed.
 */
#define IOTHUB_STAT_DROPPED 4

/**
 * Operations that are unfinished now.
 */
#define IOTHUB_STAT_QUEUED 5

/**
 * Bytes that they hold.
 */
#define IOTHUB_STAT_QUEUED_BYTES 6

/**
 * Connections that the hub accepted.
 */
#define IOTHUB_STAT_CONNECTIONS 7

/**
 * Microseconds from the writing of a message or a ping to its answer, of those that were timed last; 0
 * before the first.
 */
#define IOTHUB_STAT_LAST_ROUND_TRIP_US 8

/**
 * Identity and credential are given; the certificate of the device can be read and is good today.
 */
#define IOTHUB_CHECK_OPTIONS 0

/**
 * The host has addresses.
 */
#define IOTHUB_CHECK_NAME 1

/**
 * The proxy can be reached and opens a tunnel.
 */
#define IOTHUB_CHECK_PROXY 2

/**
 * A connection to the host can be made.
 */
#define IOTHUB_CHECK_TCP 3

/**
 * The host shows a certificate that is trusted, good today, and for its name.
 */
#define IOTHUB_CHECK_TLS 4

/**
 * The clock of this machine was set.
 */
#define IOTHUB_CHECK_CLOCK 5

/**
 * The host takes MQTT in a WebSocket.
 */
#define IOTHUB_CHECK_WEBSOCKET 6

/**
 * The hub lets the device in.
 */
#define IOTHUB_CHECK_CREDENTIALS 7

/**
 * All is well.
 */
#define IOTHUB_VERDICT_PASSED 0

/**
 * Something is wrong; the status says of which kind, and the detail what to do.
 */
#define IOTHUB_VERDICT_FAILED 1

/**
 * The options do without what is checked.
 */
#define IOTHUB_VERDICT_NOT_NEEDED 2

/**
 * It depends on a check that failed.
 */
#define IOTHUB_VERDICT_NOT_DONE 3

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The name of a status code, such as "IOTHUB_E_AUTH"; "IOTHUB_E_UNKNOWN" for a number that is none.
 * Never NULL; valid for ever.
 */
IOTHUB_API const char *iothub_status_name(iothub_status_t status);

/**
 * The detail of the last call on this thread that returned an error: a sentence for people that names
 * the argument or the peer and the rule. Never NULL, empty when no call has failed; valid until the
 * next call on this thread fails. It never holds a key, a token or a payload. What `done` and the
 * status callback are told is not found here: they get their detail as an argument.
 */
IOTHUB_API
const char *iothub_last_error(void);

/**
 * The name of a cause, such as "tls_untrusted"; "none" for 0, "unknown" for a number that is none.
 * Never NULL; valid for ever.
 */
IOTHUB_API const char *iothub_cause_name(iothub_cause_t cause);

/**
 * The version of the loaded library: major << 16 | minor << 8 | patch. Compare it with IOTHUB_VERSION,
 * which is that of the header.
 */
IOTHUB_API
uint32_t iothub_version(void);

/**
 * Sends the library's log to fn, for the whole process, in place of what was set before: level 0
 * nothing, 1 errors, 2 warnings, 3 info, 4 debug, 5 everything. Without this call nothing is logged.
 * Keys, tokens and payloads are never logged at any level. What fn itself causes is not logged. fn may call
 * the library, but must not free a client: threads that this waits for may be inside of fn.
 * free_fn of the receiver before runs when its last call, perhaps on another thread, has returned.
 *
 * IOTHUB_E_ARGUMENT: level is not 0 to 5, or fn is NULL while level is not 0.
 */
IOTHUB_API
iothub_status_t iothub_log_to(int32_t level,
                              iothub_log_fn fn,
                              void *user_data,
                              iothub_free_fn free_fn);

/**
 * A message with a copy of the len bytes at data. Free it with iothub_message_free.
 */
IOTHUB_API iothub_status_t iothub_message_new(const void *data, size_t len, iothub_message_t **out);

/**
 * Frees a message that iothub_message_new made; nothing for NULL. Not for the message that a callback
 * was given.
 */
IOTHUB_API
void iothub_message_free(iothub_message_t *message);

/**
 * Sets one of IOTHUB_MESSAGE_ID ... IOTHUB_INTERFACE_ID, in place of an earlier value.
 *
 * IOTHUB_E_ARGUMENT: an unknown field, or a value that is empty or breaks the field's rule.
 */
IOTHUB_API
iothub_status_t iothub_message_set_field(iothub_message_t *message,
                                         iothub_field_t field,
                                         const char *value);

/**
 * Sets a property of the application, in place of an earlier value; the order in which names were
 * first set is kept. A value of NULL is a property without a value, which is not the empty text.
 *
 * IOTHUB_E_ARGUMENT: the name is empty, begins with '$', or is one that IoT Hub writes itself.
 */
IOTHUB_API
iothub_status_t iothub_message_set_property(iothub_message_t *message,
                                            const char *name,
                                            const char *value);

/**
 * The body; its length is written to len, if that is not NULL. Borrowed: valid until the message is
 * freed or, in a callback, until that returns. NULL, and a length of 0, only where message is NULL.
 */
IOTHUB_API const void *iothub_message_data(const iothub_message_t *message, size_t *len);

/**
 * A field's text; NULL where it is absent, unknown, or message is NULL. Borrowed: valid until the
 * message is changed or freed or, in a callback, until that returns.
 */
IOTHUB_API const char *iothub_message_field(const iothub_message_t *message, iothub_field_t field);

/**
 * The text of a property; NULL where it is absent, has no value, or an argument is NULL. Borrowed as
 * with iothub_message_field.
 */
IOTHUB_API
const char *iothub_message_property(const iothub_message_t *message,
                                    const char *name);

/**
 * How many properties there are; 0 where message is NULL.
 */
IOTHUB_API size_t iothub_message_property_count(const iothub_message_t *message);

/**
 * Name and value of the property with this index, from 0, in the order in which they were set. value
 * is NULL for a property without a value. Both are borrowed as with iothub_message_field.
 *
 * IOTHUB_E_NOT_FOUND: there are not so many.
 */
IOTHUB_API
iothub_status_t iothub_message_property_at(const iothub_message_t *message,
                                           size_t index,
                                           const char **name,
                                           const char **value);

/**
 * Options with every default. Free them with iothub_options_free.
 */
IOTHUB_API iothub_status_t iothub_options_new(iothub_options_t **out);

/**
 * Frees options, which clients made from them do not need any more; nothing for NULL.
 */
IOTHUB_API void iothub_options_free(iothub_options_t *options);

/**
 * Host, device, module, gateway and credential as the portal prints them: "HostName=...;DeviceId=...;
 * SharedAccessKey=...". With x509=true the certificate is given by iothub_options_set_x509.
 *
 * IOTHUB_E_ARGUMENT names the part that is missing, unknown, given twice, empty or malformed.
 */
IOTHUB_API
iothub_status_t iothub_options_set_connection_string(iothub_options_t *options,
                                                     const char *connection_string);

/**
 * The hub's host name, the device, and the module or NULL.
 */
IOTHUB_API
iothub_status_t iothub_options_set_identity(iothub_options_t *options,
                                            const char *host,
                                            const char *device_id,
                                            const char *module_id);

/**
 * The key of the device or module in base64. The library makes tokens of it and renews them.
 */
IOTHUB_API
iothub_status_t iothub_options_set_sas_key(iothub_options_t *options,
                                           const char *key_base64);

/**
 * A token that somebody else made, "SharedAccessSignature sr=...". It serves until it expires.
 */
IOTHUB_API
iothub_status_t iothub_options_set_sas_token(iothub_options_t *options,
                                             const char *token);

/**
 * How long a token that the library makes is good: 10 s to one year, default 3600 s. The connection is
 * made anew at 85 % of it.
 */
IOTHUB_API
iothub_status_t iothub_options_set_sas_life_s(iothub_options_t *options,
                                              uint32_t seconds);

/**
 * The device's certificate with its chain, and its key (PKCS#8, PKCS#1 or SEC1, not encrypted), both
 * PEM, instead of a key or token.
 *
 * IOTHUB_E_ARGUMENT: one of them cannot be read, or they do not belong together.
 */
IOTHUB_API
iothub_status_t iothub_options_set_x509(iothub_options_t *options,
                                        const void *cert_pem,
                                        size_t cert_len,
                                        const void *key_pem,
                                        size_t key_len);

/**
 * PEM certificates of the authorities that are trusted instead of all others. By default those of the
 * system and the built-in bundle of Mozilla's are.
 */
IOTHUB_API
iothub_status_t iothub_options_set_trusted_roots(iothub_options_t *options,
                                                 const void *pem,
                                                 size_t len);

/**
 * The host that is dialled, and whose certificate is checked, in place of the hub's.
 */
IOTHUB_API iothub_status_t iothub_options_set_gateway(iothub_options_t *options, const char *host);

/**
 * TCP port, 1 to 65535; by default 8883, or 443 with IOTHUB_TRANSPORT_WEBSOCKET.
 */
IOTHUB_API iothub_status_t iothub_options_set_port(iothub_options_t *options, uint16_t port);

/**
 * The longest silence before the hub is asked whether it lives: 1 to 1177 s, default 60 s.
 */
IOTHUB_API
iothub_status_t iothub_options_set_keep_alive_s(iothub_options_t *options,
                                                uint32_t seconds);

/**
 * How long the hub may take to answer that: 1 to 600 s, default 30 s. It has to cover the upload of the
 * largest message. A dead connection is found within the keep-alive and this, or within the stall timeout
 * if that is later and bytes wait to go.
 */
IOTHUB_API
iothub_status_t iothub_options_set_ping_timeout_s(iothub_options_t *options,
                                                  uint32_t seconds);

/**
 * The time for one attempt to connect, from the name lookup to the hub's answer: 1 ms to 600000 ms,
 * default 30000 ms.
 */
IOTHUB_API
iothub_status_t iothub_options_set_connect_timeout_ms(iothub_options_t *options,
                                                      uint32_t timeout_ms);

/**
 * The wait before the second attempt to reconnect (the first is made at once), and the longest wait:
 * 10 ms to one hour, defaults 1000 and 120000 ms. Waits double, and are jittered.
 */
IOTHUB_API
iothub_status_t iothub_options_set_backoff_ms(iothub_options_t *options,
                                              uint32_t first_ms,
                                              uint32_t most_ms);

/**
 * The same for what a person has to cure, such as credentials, certificates and clocks: 10 ms to one
 * day, defaults 60000 and 600000 ms.
 */
IOTHUB_API
iothub_status_t iothub_options_set_slow_backoff_ms(iothub_options_t *options,
                                                   uint32_t first_ms,
                                                   uint32_t most_ms);

/**
 * What may wait for the hub: 1 to 65000 messages, default 1000, and 1 KiB to 1 GiB, default 16 MiB.
 * One more is refused with IOTHUB_E_FULL.
 */
IOTHUB_API
iothub_status_t iothub_options_set_queue_limits(iothub_options_t *options,
                                                size_t messages,
                                                size_t bytes);

/**
 * Messages that may be sent and not yet acknowledged: 1 to 65000, default 100.
 */
IOTHUB_API iothub_status_t iothub_options_set_in_flight(iothub_options_t *options, size_t messages);

/**
 * How long a message may wait for its acknowledgement before it is given up with IOTHUB_E_EXPIRED: up
 * to one year. 0, the default, is for ever.
 */
IOTHUB_API
iothub_status_t iothub_options_set_time_to_live_ms(iothub_options_t *options,
                                                   uint64_t time_ms);

/**
 * How long a request for the twin may take, with reconnects and the hub's own waits: 1 ms to 3600000 ms,
 * default 60000 ms.
 */
IOTHUB_API
iothub_status_t iothub_options_set_request_timeout_ms(iothub_options_t *options,
                                                      uint32_t timeout_ms);

/**
 * What the hub publishes as telemetry if the connection ends without a goodbye, at QoS 0 or 1. The
 * message is copied; its body has at most 65535 bytes.
 */
IOTHUB_API
iothub_status_t iothub_options_set_will(iothub_options_t *options,
                                        const iothub_message_t *message,
                                        int32_t qos);

/**
 * The Plug and Play model of the device, "dtmi:...".
 */
IOTHUB_API iothub_status_t iothub_options_set_model_id(iothub_options_t *options, const char *dtmi);

/**
 * Who signs tokens with the key of the device or module, in place of the key itself: a TPM, an HSM, a
 * key vault. The library makes the tokens, and renews them.
 *
 * fn is called for each connection and each renewal, on a thread of the library, beside the other
 * callbacks of its client but never twice at a time for one client; clients made from the same options
 * may call it at the same time. It may block, for up to the connect timeout: later it is left behind, the
 * status says so with IOTHUB_CAUSE_AUTHENTICATION, and the next attempt waits for its return. What it
 * returns as an error is such a status too; both are tried again slowly.
 *
 * Before a renewal the connection serves on until fn is done; where it fails then, it is called again
 * later, and a status comes only once the hub has ended the connection.
 *
 * iothub_client_free does not wait for fn. free_fn runs once the options and all clients made from them
 * are freed and fn has returned.
 */
IOTHUB_API
iothub_status_t iothub_options_set_sas_signer(iothub_options_t *options,
                                              iothub_sign_fn fn,
                                              void *user_data,
                                              iothub_free_fn free_fn);

/**
 * Who gives a whole token for each connection. The connection is made anew at 85 % of what is left of
 * the token's life. fn is called as that of iothub_options_set_sas_signer.
 */
IOTHUB_API
iothub_status_t iothub_options_set_sas_token_source(iothub_options_t *options,
                                                    iothub_token_fn fn,
                                                    void *user_data,
                                                    iothub_free_fn free_fn);

/**
 * As iothub_options_set_x509, from PEM files. They are read now, and again for each connection, so that
 * a certificate that was replaced is shown from the next one on. Files that cannot be used then are
 * IOTHUB_CAUSE_AUTHENTICATION, and are tried again slowly.
 *
 * IOTHUB_E_ARGUMENT, with the path: one of them cannot be read, or they do not belong together.
 */
IOTHUB_API
iothub_status_t iothub_options_set_x509_files(iothub_options_t *options,
                                              const char *cert_path,
                                              const char *key_path);

/**
 * The device's certificate with its chain in PEM, and who signs with its key. fn is called as that of
 * iothub_options_set_sas_signer, for each connection but those that resume a TLS session. The schemes
 * follow from the key: RSA 0x0804, 0x0805, 0x0806 (PSS) and 0x0401, 0x0501, 0x0601 (PKCS #1), P-256
 * 0x0403, P-384 0x0503, Ed25519 0x0807.
 *
 * IOTHUB_E_ARGUMENT: no certificate, or one with a key of another kind.
 */
IOTHUB_API
iothub_status_t iothub_options_set_x509_signer(iothub_options_t *options,
                                               const void *cert_pem,
                                               size_t cert_len,
                                               iothub_tls_sign_fn fn,
                                               void *user_data,
                                               iothub_free_fn free_fn);

/**
 * Identity, gateway, credentials and roots of a module of IoT Edge, from the environment that the Edge
 * daemon starts it with: the IOTEDGE_ variables, or for development EdgeHubConnectionString or
 * IotHubConnectionString with EdgeModuleCACertificateFile. Tokens are signed by the daemon, and it is
 * asked whom to trust, for each connection; roots set by iothub_options_set_trusted_roots replace those.
 *
 * IOTHUB_E_ARGUMENT names the variable that is missing or malformed.
 */
IOTHUB_API
iothub_status_t iothub_options_set_edge_environment(iothub_options_t *options);

/**
 * What carries MQTT; default IOTHUB_TRANSPORT_MQTT.
 *
 * IOTHUB_E_ARGUMENT: none of the IOTHUB_TRANSPORT_ numbers.
 */
IOTHUB_API
iothub_status_t iothub_options_set_transport(iothub_options_t *options,
                                             iothub_transport_t transport);

/**
 * An HTTP proxy that is asked to CONNECT: "http://[user[:password]@]host[:port]", port 80 unless given,
 * user and password percent-encoded and sent to it in clear (Basic authentication). It resolves the
 * hub's name. NULL, the default: no proxy.
 *
 * IOTHUB_E_UNSUPPORTED: an https:// or SOCKS proxy. IOTHUB_E_ARGUMENT: no such URL. Neither text repeats
 * it. What the proxy refuses later has the cause IOTHUB_CAUSE_PROXY.
 */
IOTHUB_API
iothub_status_t iothub_options_set_proxy(iothub_options_t *options,
                                         const char *url);

/**
 * The proxy that the environment names, as curl reads it: https_proxy, else all_proxy, and no_proxy with
 * names (each standing for all below it), addresses, ranges such as 10.0.0.0/8, or "*"; each also in upper
 * case, the lower-case form first. Without such a variable: no proxy. They are read at this call, which
 * must not run beside setenv().
 *
 * IOTHUB_E_UNSUPPORTED and IOTHUB_E_ARGUMENT as for iothub_options_set_proxy, with the variable named.
 */
IOTHUB_API
iothub_status_t iothub_options_set_proxy_from_environment(iothub_options_t *options);

/**
 * The address of this machine to connect from, an IPv4 or IPv6 literal. Addresses of the hub of the other
 * family are not tried. By default the system chooses.
 *
 * IOTHUB_E_ARGUMENT: no address, or one that no interface has alone, such as 0.0.0.0.
 */
IOTHUB_API
iothub_status_t iothub_options_set_local_address(iothub_options_t *options,
                                                 const char *address);

/**
 * The interface to connect through, 1 to 15 bytes as in "ip link" (SO_BINDTODEVICE). A process without
 * CAP_NET_RAW needs Linux 5.7; that it is missing shows when connecting. Name lookups go their own way.
 * By default the routes decide.
 */
IOTHUB_API
iothub_status_t iothub_options_set_interface(iothub_options_t *options,
                                             const char *name);

/**
 * How long the network may take no byte while some wait to go: 1 to 600 s, default 30 s.
 */
IOTHUB_API
iothub_status_t iothub_options_set_stall_timeout_s(iothub_options_t *options,
                                                   uint32_t seconds);

/**
 * A client with a copy of the options. Touches no network: set the handlers next, then connect. Free it
 * with iothub_client_free.
 *
 * IOTHUB_E_ARGUMENT: the options give no identity or no credential, or contradict each other.
 */
IOTHUB_API
iothub_status_t iothub_client_new(const iothub_options_t *options,
                                  iothub_client_t **out);

/**
 * Closes at once and frees; nothing for NULL. What is unfinished completes with IOTHUB_E_CLOSED; the
 * handlers are not called any more. When it returns, no callback of this client runs or will run and
 * every free_fn has run: it waits for a callback that is running (hold no lock that this needs), never
 * for the network. Callbacks of the options, which make credentials, are not waited for. In
 * IOTHUB_MODE_MANUAL the callbacks that are left run inside this call, after another thread that is inside
 * iothub_client_process has been woken and has left; the descriptor is closed.
 *
 * It may be called inside one of the client's own callbacks: pending completions then run inside this
 * call, and only the callback that called it is left, with its own free_fn after it. Two clients whose
 * callbacks free each other at the same time wait for ever.
 */
IOTHUB_API
void iothub_client_free(iothub_client_t *client);

/**
 * Connects, and stays connected until iothub_client_close or iothub_client_free. done: the first
 * success, or the first refusal by the hub or TLS; after a refusal the trying goes on all the same, as
 * it does silently while the network is missing.
 *
 * IOTHUB_E_STATE: it was called before. IOTHUB_E_CLOSED: the client was closed.
 */
IOTHUB_API
iothub_status_t iothub_client_connect(iothub_client_t *client,
                                      iothub_done_fn done,
                                      void *user_data,
                                      iothub_free_fn free_fn);

/**
 * Sends what is queued and lets handlers finish with what they got, for up to timeout_ms, then disconnects
 * for good; nothing is accepted from now on but acknowledgements and answers to methods.
 * done: IOTHUB_OK, or IOTHUB_E_TIMEOUT if something was left, which was completed with IOTHUB_E_CLOSED
 * before. A second call may shorten the time.
 *
 * IOTHUB_E_CLOSED: the client has ended already.
 */
IOTHUB_API
iothub_status_t iothub_client_close(iothub_client_t *client,
                                    uint32_t timeout_ms,
                                    iothub_done_fn done,
                                    void *user_data,
                                    iothub_free_fn free_fn);

/**
 * Calls fn for each change of the connection, in place of the function before, whose free_fn runs when
 * it is not running; NULL for none. Once the client has ended fn is not kept, and free_fn runs at once.
 */
IOTHUB_API
iothub_status_t iothub_client_on_status(iothub_client_t *client,
                                        iothub_status_fn fn,
                                        void *user_data,
                                        iothub_free_fn free_fn);

/**
 * Sends telemetry, at least once. The message is copied: it may be changed, sent again or freed. Works
 * while disconnected, up to the queue's limits. done: IOTHUB_OK when the hub has acknowledged it;
 * IOTHUB_E_EXPIRED after its time to live; IOTHUB_E_CLOSED if the client was closed before. Messages are
 * acknowledged in the order in which they were sent.
 *
 * IOTHUB_E_FULL: the queue is at its limit. IOTHUB_E_TOO_LARGE: more than 256 KiB with its properties.
 * IOTHUB_E_ARGUMENT: a field that this device or module cannot send. IOTHUB_E_CLOSED: the client was
 * closed.
 */
IOTHUB_API
iothub_status_t iothub_client_send(iothub_client_t *client,
                                   const iothub_message_t *message,
                                   iothub_done_fn done,
                                   void *user_data,
                                   iothub_free_fn free_fn);

/**
 * Calls fn for each cloud-to-device message, in order, in place of the function before, as
 * iothub_client_on_status does. The first call subscribes. With NULL messages wait for the next function; the hub keeps those that were not
 * acknowledged.
 *
 * IOTHUB_E_UNSUPPORTED: a module, to which the hub sends no such messages.
 */
IOTHUB_API
iothub_status_t iothub_client_on_message(iothub_client_t *client,
                                         iothub_message_fn fn,
                                         void *user_data,
                                         iothub_free_fn free_fn);

/**
 * Settles a message whose function returned IOTHUB_ACK_LATER; from any thread, at any time. Until then
 * the hub keeps it, and sends it again, with a new delivery number, after a reconnect.
 *
 * IOTHUB_E_NOT_FOUND: it was settled already, or came on an earlier connection.
 */
IOTHUB_API
iothub_status_t iothub_client_ack(iothub_client_t *client,
                                  uint64_t delivery);

/**
 * How many operations are unfinished - messages, and the subscription of iothub_client_on_message until
 * the hub has answered it - and how many bytes they hold.
 */
IOTHUB_API
iothub_status_t iothub_client_queued(const iothub_client_t *client,
                                     size_t *messages,
                                     size_t *bytes);

/**
 * Who does the I/O: IOTHUB_MODE_THREADED, the default, or IOTHUB_MODE_MANUAL.
 *
 * IOTHUB_E_ARGUMENT: another number.
 */
IOTHUB_API iothub_status_t iothub_options_set_mode(iothub_options_t *options, iothub_mode_t mode);

/**
 * IOTHUB_MODE_MANUAL: the descriptor to wait for, the same for the client's whole life, reconnects
 * included. It is readable (POLLIN) exactly when iothub_client_process has something to do. Only wait for
 * it - poll, select, epoll and the loops that stand on them will do - and never read, write or close it.
 * iothub_client_free closes it: take it out of the loop before.
 *
 * -1 in IOTHUB_MODE_THREADED, for NULL, and in a child process.
 */
IOTHUB_API
int32_t iothub_client_fd(const iothub_client_t *client);

/**
 * How many milliseconds the loop may wait at most before it calls iothub_client_process although the
 * descriptor is not readable; -1: as long as it likes. On Linux that is always so: the descriptor has a
 * timer in it.
 */
IOTHUB_API
int32_t iothub_client_next_timeout_ms(const iothub_client_t *client);

/**
 * IOTHUB_MODE_MANUAL: does what can be done - connecting, sending, receiving - and runs the callbacks, all
 * on the calling thread. With nothing to do it waits for the first event: not at all for 0, for up to
 * timeout_ms, or without an end for -1. A signal that the process catches ends the waiting as well, with
 * IOTHUB_OK. One call does a bounded amount of work; the descriptor stays readable if there is more.
 *
 * IOTHUB_E_CLOSED: the client has ended and everything was delivered; from then on at each call, and the
 * descriptor is not readable any more. IOTHUB_E_STATE: in IOTHUB_MODE_THREADED, inside one of the client's
 * callbacks, or while another thread is inside this function with the same client. IOTHUB_E_ARGUMENT:
 * timeout_ms is less than -1.
 */
IOTHUB_API
iothub_status_t iothub_client_process(iothub_client_t *client,
                                      int32_t timeout_ms);

/**
 * Calls fn for each direct method, in place of the function before, as iothub_client_on_status does. The
 * first call subscribes. Answer each with iothub_client_respond, inside fn or later. With NULL methods
 * are answered with status 404.
 *
 * IOTHUB_E_CLOSED: the client was closed.
 */
IOTHUB_API
iothub_status_t iothub_client_on_method(iothub_client_t *client,
                                        iothub_method_fn fn,
                                        void *user_data,
                                        iothub_free_fn free_fn);

/**
 * Answers a direct method, once: a status as in HTTP, 0 to 65535, and JSON of at most 128 KiB, or
 * nothing (NULL, 0). From any thread, at any time within 300 s, after which nobody waits; an answer given
 * while the connection is away is sent on the next. The JSON is copied.
 *
 * IOTHUB_E_NOT_FOUND: answered already, unknown, or too late. IOTHUB_E_ARGUMENT: no JSON; the call may
 * still be answered. IOTHUB_E_TOO_LARGE: likewise. IOTHUB_E_FULL: 1000 answers wait for the network.
 * IOTHUB_E_CLOSED: the client was closed.
 */
IOTHUB_API
iothub_status_t iothub_client_respond(iothub_client_t *client,
                                      uint64_t request,
                                      int32_t status,
                                      const void *json,
                                      size_t len);

/**
 * Asks for the twin. Works while disconnected; asked again after a reconnect and when the hub asks to
 * wait, for as long as iothub_options_set_request_timeout_ms says. done: IOTHUB_E_TIMEOUT where that is
 * over; IOTHUB_E_THROTTLED where the hub asked to wait until then; IOTHUB_E_REJECTED with the hub's number
 * and words; IOTHUB_E_CLOSED.
 *
 * IOTHUB_E_FULL: 1000 requests wait. IOTHUB_E_CLOSED: the client was closed.
 */
IOTHUB_API
iothub_status_t iothub_client_twin_get(iothub_client_t *client,
                                       iothub_twin_fn done,
                                       void *user_data,
                                       iothub_free_fn free_fn);

/**
 * Reports properties: a JSON object that is merged into those reported before; null deletes. Reports
 * reach the hub in the order of the calls; one whose answer a reconnect took is sent again. The JSON is
 * copied. done: as for iothub_client_twin_get, also IOTHUB_E_TOO_LARGE and IOTHUB_E_PRECONDITION, and
 * IOTHUB_E_NETWORK for a report whose answer was lost after a later one had been answered.
 *
 * IOTHUB_E_ARGUMENT: no JSON object. IOTHUB_E_FULL: 1000 requests wait. IOTHUB_E_CLOSED: the client was
 * closed.
 */
IOTHUB_API
iothub_status_t iothub_client_twin_patch(iothub_client_t *client,
                                         const void *json,
                                         size_t len,
                                         iothub_patch_fn done,
                                         void *user_data,
                                         iothub_free_fn free_fn);

/**
 * Calls fn first with all desired properties (the patch that makes them of {}), then with each change of
 * them, once, also with what was changed while there was no connection; in place of the function before,
 * as iothub_client_on_status does. A function that replaces another is told what changes from then on.
 * NULL ends that. The version falls where the device was deleted and made anew, or a local hub restarted.
 *
 * IOTHUB_E_CLOSED: the client was closed.
 */
IOTHUB_API
iothub_status_t iothub_client_on_desired(iothub_client_t *client,
                                         iothub_desired_fn fn,
                                         void *user_data,
                                         iothub_free_fn free_fn);

/**
 * Calls fn for each message on an input of this module, in order, as iothub_client_on_message does for a
 * device. What a module sends to an output is telemetry with the field IOTHUB_OUTPUT_NAME.
 *
 * IOTHUB_E_UNSUPPORTED: a device, which has no inputs. IOTHUB_E_CLOSED: the client was closed.
 */
IOTHUB_API
iothub_status_t iothub_client_on_input(iothub_client_t *client,
                                       iothub_input_fn fn,
                                       void *user_data,
                                       iothub_free_fn free_fn);

/**
 * A counter of the client, from when it was made. Twin requests and answers to methods are counted as
 * queued operations only, not as messages.
 *
 * IOTHUB_E_ARGUMENT: no such counter.
 */
IOTHUB_API
iothub_status_t iothub_client_stats(const iothub_client_t *client,
                                    iothub_stat_t stat,
                                    uint64_t *value);

/**
 * How many connections ended, or could not be made, for this cause.
 *
 * IOTHUB_E_ARGUMENT: 0, or a number that is no cause; counting from 1 up to this error visits all.
 */
IOTHUB_API
iothub_status_t iothub_client_disconnects(const iothub_client_t *client,
                                          iothub_cause_t cause,
                                          uint64_t *count);

/**
 * The name of a check, such as "tls"; "unknown" for a number that is none. Never NULL; valid for ever.
 */
IOTHUB_API
const char *iothub_check_name(iothub_check_t check);

/**
 * Goes the way to the hub once, as a client with these options would, and calls fn with what it finds:
 * each check, once, in the order of iothub_check_t. Returns the first failure; fn may be NULL where that
 * is enough.
 *
 * Blocks; each step may take the connect timeout of the options. fn runs on the calling thread, before
 * this returns, and may call anything, also change or free the options, of which a copy was made. Inside
 * a callback of a client this delays its other callbacks. The callbacks that the options have for
 * credentials run on a thread of the library, perhaps beside those of a client with the same options; one
 * that hangs is left behind and keeps its user_data.
 *
 * The last check is a real connection with the identity of the options: IoT Hub has one connection for
 * each, so that of a client that runs ends, and the client connects again. Its session at the hub is kept;
 * nothing is sent or subscribed to, and the will is left out. What the hub sends meanwhile comes again
 * after its lock of a minute; a direct method that is called at that moment is lost. Where a port or a
 * certificate is refused, a second connection finds out why.
 *
 * IOTHUB_E_ARGUMENT: an option is missing or contradicts another. IOTHUB_E_NETWORK: name, proxy or TCP.
 * IOTHUB_E_TLS: a certificate. IOTHUB_E_AUTH: the clock, or the hub refused the credentials.
 * IOTHUB_E_PROTOCOL: the peer is no IoT Hub.
 */
IOTHUB_API
iothub_status_t iothub_doctor(const iothub_options_t *options,
                              iothub_check_fn fn,
                              void *user_data);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* IOTHUB_MQTT_H */

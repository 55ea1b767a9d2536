/* Every function with NULL for each of its pointers: an error that names the argument, or nothing. */
#include "check.h"

#define NULL_IS(name, call)         \
  do {                              \
    REFUSED(IOTHUB_E_ARGUMENT, call); \
    NAMES(name ": ");               \
  } while (0)

static void options(void) {
  NULL_IS("out", iothub_options_new(NULL));
  iothub_options_free(NULL);
  NULL_IS("options", iothub_options_set_connection_string(NULL, "HostName=h;DeviceId=d;SharedAccessKey=AAAA"));
  NULL_IS("options", iothub_options_set_identity(NULL, "h", "d", NULL));
  NULL_IS("options", iothub_options_set_sas_key(NULL, "AAAA"));
  NULL_IS("options", iothub_options_set_sas_token(NULL, "SharedAccessSignature sr=h&sig=AAAA&se=1"));
  NULL_IS("options", iothub_options_set_sas_life_s(NULL, 60));
  NULL_IS("options", iothub_options_set_x509(NULL, "a", 1, "b", 1));
  NULL_IS("options", iothub_options_set_trusted_roots(NULL, "a", 1));
  NULL_IS("options", iothub_options_set_gateway(NULL, "h"));
  NULL_IS("options", iothub_options_set_port(NULL, 1));
  NULL_IS("options", iothub_options_set_keep_alive_s(NULL, 1));
  NULL_IS("options", iothub_options_set_ping_timeout_s(NULL, 1));
  NULL_IS("options", iothub_options_set_stall_timeout_s(NULL, 1));
  NULL_IS("options", iothub_options_set_transport(NULL, IOTHUB_TRANSPORT_MQTT));
  NULL_IS("options", iothub_options_set_proxy(NULL, NULL));
  NULL_IS("options", iothub_options_set_proxy_from_environment(NULL));
  NULL_IS("options", iothub_options_set_local_address(NULL, "127.0.0.1"));
  NULL_IS("options", iothub_options_set_interface(NULL, "lo"));
  NULL_IS("options", iothub_options_set_connect_timeout_ms(NULL, 1));
  NULL_IS("options", iothub_options_set_backoff_ms(NULL, 10, 10));
  NULL_IS("options", iothub_options_set_slow_backoff_ms(NULL, 10, 10));
  NULL_IS("options", iothub_options_set_queue_limits(NULL, 1, 1024));
  NULL_IS("options", iothub_options_set_in_flight(NULL, 1));
  NULL_IS("options", iothub_options_set_time_to_live_ms(NULL, 1));
  NULL_IS("options", iothub_options_set_model_id(NULL, "dtmi:a;1"));
  NULL_IS("options", iothub_options_set_x509_files(NULL, "a", "b"));
  NULL_IS("options", iothub_options_set_edge_environment(NULL));

  iothub_options_t *o;
  OK(iothub_options_new(&o));
  NULL_IS("connection_string", iothub_options_set_connection_string(o, NULL));
  NULL_IS("host", iothub_options_set_identity(o, NULL, "d", NULL));
  NULL_IS("device_id", iothub_options_set_identity(o, "h", NULL, NULL));
  NULL_IS("key_base64", iothub_options_set_sas_key(o, NULL));
  NULL_IS("token", iothub_options_set_sas_token(o, NULL));
  NULL_IS("cert_pem", iothub_options_set_x509(o, NULL, 1, "b", 1));
  NULL_IS("key_pem", iothub_options_set_x509(o, "a", 1, NULL, 1));
  NULL_IS("pem", iothub_options_set_trusted_roots(o, NULL, 1));
  NULL_IS("gateway", iothub_options_set_gateway(o, ""));
  NULL_IS("address", iothub_options_set_local_address(o, NULL));
  NULL_IS("name", iothub_options_set_interface(o, NULL));
  OK(iothub_options_set_proxy(o, NULL));
  NULL_IS("host", iothub_options_set_gateway(o, NULL));
  NULL_IS("message", iothub_options_set_will(o, NULL, 1));
  NULL_IS("dtmi", iothub_options_set_model_id(o, NULL));
  NULL_IS("cert_path", iothub_options_set_x509_files(o, NULL, "b"));
  NULL_IS("key_path", iothub_options_set_x509_files(o, "a", NULL));
  iothub_message_t *will = message_of("gone");
  NULL_IS("options", iothub_options_set_request_timeout_ms(NULL, 1));
  NULL_IS("options", iothub_options_set_will(NULL, will, 1));
  iothub_message_free(will);
  iothub_client_t *client = (iothub_client_t *)o;
  NULL_IS("options", iothub_client_new(NULL, &client));
  CHECK(client == (iothub_client_t *)o); /* written only on IOTHUB_OK */
  NULL_IS("out", iothub_client_new(o, NULL));
  NULL_IS("identity", iothub_client_new(o, &client));
  CHECK(client == (iothub_client_t *)o);
  iothub_options_free(o);
}

static void messages(void) {
  iothub_message_t *m = NULL;
  NULL_IS("out", iothub_message_new("a", 1, NULL));
  NULL_IS("data", iothub_message_new(NULL, 1, &m));
  CHECK(m == NULL);
  iothub_message_free(NULL);
  NULL_IS("message", iothub_message_set_field(NULL, IOTHUB_MESSAGE_ID, "1"));
  NULL_IS("message", iothub_message_set_property(NULL, "a", "b"));
  size_t len = 7;
  CHECK(iothub_message_data(NULL, &len) == NULL && len == 0);
  CHECK(iothub_message_data(NULL, NULL) == NULL);
  CHECK(iothub_message_field(NULL, IOTHUB_MESSAGE_ID) == NULL);
  CHECK(iothub_message_property(NULL, "a") == NULL);
  CHECK(iothub_message_property_count(NULL) == 0);
  const char *name = "untouched", *value = name;
  NULL_IS("message", iothub_message_property_at(NULL, 0, &name, &value));

  OK(iothub_message_new(NULL, 0, &m));
  CHECK(iothub_message_data(m, NULL) != NULL);
  NULL_IS("value", iothub_message_set_field(m, IOTHUB_MESSAGE_ID, NULL));
  NULL_IS("name", iothub_message_set_property(m, NULL, "b"));
  CHECK(iothub_message_property(m, NULL) == NULL);
  NULL_IS("name", iothub_message_property_at(m, 0, NULL, &value));
  NULL_IS("value", iothub_message_property_at(m, 0, &name, NULL));
  REFUSED(IOTHUB_E_NOT_FOUND, iothub_message_property_at(m, 0, &name, &value));
  CHECK(strcmp(name, "untouched") == 0 && value == name);
  iothub_message_free(m);
}

static iothub_ack_t later(const iothub_message_t *message, uint64_t delivery, void *user_data) {
  (void)message, (void)delivery, (void)user_data;
  return IOTHUB_ACK_LATER;
}

static void above_telemetry(void) {
  record_t *record = record_new();
  uint64_t value = 5;
  NULL_IS("client", iothub_client_on_method(NULL, NULL, record, on_free));
  NULL_IS("client", iothub_client_on_desired(NULL, NULL, record, on_free));
  NULL_IS("client", iothub_client_on_input(NULL, NULL, record, on_free));
  NULL_IS("client", iothub_client_twin_get(NULL, NULL, record, on_free));
  NULL_IS("client", iothub_client_twin_patch(NULL, "{}", 2, NULL, record, on_free));
  CHECK(record->frees == 5);
  NULL_IS("client", iothub_client_respond(NULL, 0, 200, NULL, 0));
  NULL_IS("client", iothub_client_stats(NULL, IOTHUB_STAT_SENT, &value));
  NULL_IS("client", iothub_client_disconnects(NULL, IOTHUB_CAUSE_DNS, &value));

  iothub_client_t *client = local_client();
  NULL_IS("value", iothub_client_stats(client, IOTHUB_STAT_SENT, NULL));
  NULL_IS("count", iothub_client_disconnects(client, IOTHUB_CAUSE_DNS, NULL));
  CHECK(value == 5);
  OK(iothub_client_on_method(client, NULL, NULL, NULL));
  OK(iothub_client_on_desired(client, NULL, NULL, NULL));
  OK(iothub_client_on_input(client, NULL, NULL, NULL));
  REFUSED(IOTHUB_E_ARGUMENT, iothub_client_twin_patch(client, NULL, 0, NULL, record, on_free));
  OK(iothub_client_twin_get(client, NULL, record, on_free));
  OK(iothub_client_twin_patch(client, "{}", 2, NULL, NULL, NULL));
  iothub_client_free(client);
  CHECK(record->frees == 7 && record->calls == 0);
  record_drop(record);
}

static void clients(void) {
  iothub_client_free(NULL);
  record_t *record = record_new();
  iothub_message_t *m = message_of("m");
  NULL_IS("client", iothub_client_connect(NULL, CLOSURE(record)));
  NULL_IS("client", iothub_client_close(NULL, 0, CLOSURE(record)));
  NULL_IS("client", iothub_client_on_status(NULL, on_status, record, on_free));
  NULL_IS("client", iothub_client_send(NULL, m, CLOSURE(record)));
  NULL_IS("client", iothub_client_on_message(NULL, later, record, on_free));
  CHECK(record->calls == 0 && record->frees == 5);
  NULL_IS("client", iothub_client_ack(NULL, 0));
  size_t messages = 5, bytes = 5;
  NULL_IS("client", iothub_client_queued(NULL, &messages, &bytes));

  iothub_client_t *client = local_client();
  NULL_IS("message", iothub_client_send(client, NULL, CLOSURE(record)));
  CHECK(record->calls == 0 && record->frees == 6);
  NULL_IS("messages", iothub_client_queued(client, NULL, &bytes));
  NULL_IS("bytes", iothub_client_queued(client, &messages, NULL));
  CHECK(messages == 5 && bytes == 5);
  OK(iothub_client_queued(client, &messages, &bytes));
  CHECK(messages == 0 && bytes == 0);
  /* A callback may be NULL, with and without the rest of its closure. */
  OK(iothub_client_on_status(client, NULL, NULL, NULL));
  OK(iothub_client_on_status(client, NULL, record, on_free));
  CHECK(record->frees == 7);
  OK(iothub_client_on_message(client, NULL, record, on_free));
  CHECK(record->frees == 8);
  OK(iothub_client_send(client, m, NULL, NULL, NULL));
  OK(iothub_client_send(client, m, NULL, record, on_free));
  OK(iothub_client_close(client, 0, NULL, NULL, NULL));
  WAIT(record, record->frees == 9);
  CHECK(record->calls == 0);
  iothub_client_free(client);
  iothub_message_free(m);

  NULL_IS("fn", iothub_log_to(1, NULL, record, on_free));
  CHECK(record->frees == 10);
  OK(iothub_log_to(0, NULL, record, on_free));
  CHECK(record->frees == 11);
  record_drop(record);
}

int main(void) {
  CHECK(iothub_last_error()[0] == 0);
  CHECK(iothub_version() == IOTHUB_VERSION);
  options();
  messages();
  clients();
  above_telemetry();
  return 0;
}

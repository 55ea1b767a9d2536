/* Every function may be called inside every callback: status, message, done, log, and inside free_fn. */
#include "check.h"

static iothub_client_t *client;
static record_t *inner; /* of the closures that are given inside callbacks */
static int accepted;    /* how many of them the library has taken */
static int depth;

static iothub_ack_t on_message(const iothub_message_t *message, uint64_t delivery, void *user_data);

static void count_status(iothub_state_t state, iothub_cause_t cause, iothub_status_t status, const char *detail,
                         void *user_data) {
  (void)state, (void)cause, (void)status, (void)detail, (void)user_data;
}

static void log_line(int32_t level, const char *target, const char *text, void *user_data) {
  record_t *record = (record_t *)user_data;
  CHECK(level >= 1 && level <= 5 && target[0] != 0 && text != NULL);
  pthread_mutex_lock(&record->lock);
  record->calls++;
  pthread_mutex_unlock(&record->lock);
}

/* Calls every function there is, but those that end the client. Callbacks of one client never overlap. */
static void call_everything(void) {
  iothub_options_t *o;
  iothub_client_t *other;
  iothub_message_t *m;
  const char *name, *value;
  size_t messages, bytes;
  CHECK(depth++ == 0);
  CHECK(iothub_version() == IOTHUB_VERSION);
  CHECK(iothub_status_name(-1) && iothub_cause_name(1) && iothub_last_error());

  o = local_options(given("HUB_DEVICE"));
  OK(iothub_options_set_identity(o, "localhost", "device", NULL));
  OK(iothub_options_set_sas_key(o, "AAAA"));
  OK(iothub_options_set_sas_token(o, "SharedAccessSignature sr=localhost%2Fdevices%2Fdevice&sig=AAAA&se=4000000000"));
  OK(iothub_options_set_sas_life_s(o, 60));
  REFUSED(IOTHUB_E_ARGUMENT, iothub_options_set_x509(o, "x", 1, "y", 1));
  OK(iothub_options_set_gateway(o, "localhost"));
  OK(iothub_options_set_keep_alive_s(o, 30));
  OK(iothub_options_set_ping_timeout_s(o, 10));
  OK(iothub_options_set_connect_timeout_ms(o, 1000));
  OK(iothub_options_set_slow_backoff_ms(o, 1000, 2000));
  OK(iothub_options_set_queue_limits(o, 10, 100000));
  OK(iothub_options_set_in_flight(o, 10));
  OK(iothub_options_set_time_to_live_ms(o, 0));
  OK(iothub_options_set_model_id(o, "dtmi:com:example:Thermostat;1"));

  m = message_of("from a callback");
  OK(iothub_message_set_field(m, IOTHUB_CONTENT_TYPE, "text/plain"));
  OK(iothub_message_set_property(m, "k", "v"));
  CHECK(iothub_message_data(m, &bytes) && iothub_message_field(m, IOTHUB_CONTENT_TYPE));
  CHECK(iothub_message_property(m, "k") && iothub_message_property_count(m) == 1);
  OK(iothub_message_property_at(m, 0, &name, &value));
  OK(iothub_options_set_will(o, m, 1));

  /* A client made, used and freed here. */
  OK(iothub_client_new(o, &other));
  OK(iothub_client_on_status(other, count_status, NULL, NULL));
  OK(iothub_client_send(other, m, CLOSURE(inner)));
  OK(iothub_client_connect(other, CLOSURE(inner)));
  OK(iothub_client_close(other, 0, CLOSURE(inner)));
  iothub_client_free(other);
  accepted += 3;
  iothub_options_free(o);

  OK(iothub_client_send(client, m, CLOSURE(inner)));
  accepted++;
  REFUSED(IOTHUB_E_STATE, iothub_client_connect(client, NULL, NULL, NULL));
  REFUSED(IOTHUB_E_NOT_FOUND, iothub_client_ack(client, 1000));
  OK(iothub_client_queued(client, &messages, &bytes));
  iothub_message_free(m);
  depth--;
}

static void on_state(iothub_state_t state, iothub_cause_t cause, iothub_status_t status, const char *detail,
                     void *user_data) {
  if (state == IOTHUB_CONNECTING || state == IOTHUB_CONNECTED) {
    call_everything();
    /* Its own replacement, too: this function again. */
    on_status(state, cause, status, detail, user_data);
    OK(iothub_client_on_status(client, on_state, user_data, NULL));
  } else {
    on_status(state, cause, status, detail, user_data);
  }
}

static iothub_ack_t on_message(const iothub_message_t *message, uint64_t delivery, void *user_data) {
  record_t *record = (record_t *)user_data;
  size_t len;
  CHECK(iothub_message_data(message, &len) && len > 0);
  call_everything();
  OK(iothub_client_ack(client, delivery)); /* before it says the same */
  OK(iothub_client_on_message(client, on_message, record, NULL));
  on_done(IOTHUB_OK, "", record);
  return IOTHUB_ACK_NOW;
}

static void sent(iothub_status_t status, const char *detail, void *user_data) {
  call_everything();
  on_done(status, detail, user_data);
}

static void release(void *user_data) {
  call_everything();
  on_free(user_data);
}

int main(void) {
  record_t *status = record_new(), *done = record_new(), *message = record_new(), *closed = record_new();
  record_t *log = record_new();
  inner = record_new();
  client = local_client();
  OK(iothub_log_to(5, log_line, log, on_free));
  OK(iothub_client_on_status(client, on_state, status, NULL));
  OK(iothub_client_on_message(client, on_message, message, NULL));
  OK(iothub_client_connect(client, NULL, NULL, NULL));
  iothub_message_t *m = message_of("first");
  OK(iothub_client_send(client, m, sent, done, release));
  iothub_message_free(m);
  WAIT(done, done->frees == 1);
  WAIT(message, message->calls == 2);
  WAIT(status, status->calls >= 1);
  CHECK(done->calls == 1 && done->status == IOTHUB_OK);
  OK(iothub_client_close(client, 60000, CLOSURE(closed)));
  WAIT(closed, closed->frees == 1);
  check_status(closed->status, IOTHUB_OK, closed->detail, __FILE__, __LINE__);
  CHECK(status->state == IOTHUB_CLOSED && depth == 0);
  iothub_client_free(client);
  OK(iothub_log_to(0, NULL, NULL, NULL));
  CHECK(log->frees == 1 && log->calls > 0);
  CHECK(inner->calls == accepted && inner->frees == accepted);
  record_drop(status);
  record_drop(done);
  record_drop(message);
  record_drop(closed);
  record_drop(log);
  record_drop(inner);
  return 0;
}

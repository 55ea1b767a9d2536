/* A call that is refused never runs its fn, and runs its free_fn once before it returns. */
#include "check.h"

static record_t *record;
static int refusals;

/* The closure of the refused call. */
#define REFUSED_CLOSURE(expected, call)                        \
  do {                                                         \
    REFUSED(expected, call);                                   \
    refusals++;                                                \
    CHECK(record->calls == 0 && record->frees == refusals);    \
  } while (0)

static iothub_ack_t now(const iothub_message_t *message, uint64_t delivery, void *user_data) {
  (void)message, (void)delivery;
  on_done(IOTHUB_OK, "", user_data);
  return IOTHUB_ACK_NOW;
}

static void log_line(int32_t level, const char *target, const char *text, void *user_data) {
  (void)level, (void)target, (void)text;
  on_done(IOTHUB_OK, "", user_data);
}

int main(void) {
  record = record_new();
  REFUSED_CLOSURE(IOTHUB_E_ARGUMENT, iothub_log_to(6, log_line, record, on_free));
  REFUSED_CLOSURE(IOTHUB_E_ARGUMENT, iothub_log_to(-1, log_line, record, on_free));

  iothub_options_t *options = local_options(given("HUB_DEVICE"));
  OK(iothub_options_set_queue_limits(options, 2, 300000));
  iothub_client_t *client;
  OK(iothub_client_new(options, &client));
  iothub_options_free(options);

  size_t size = 262145;
  char *body = (char *)calloc(size, 1);
  iothub_message_t *large, *small = message_of("m");
  OK(iothub_message_new(body, size, &large));
  REFUSED_CLOSURE(IOTHUB_E_TOO_LARGE, iothub_client_send(client, large, CLOSURE(record)));
  NAMES("262144");
  iothub_message_free(large);
  /* Its properties count. */
  OK(iothub_message_new(body, 262144, &large));
  OK(iothub_message_set_property(large, "k", "v"));
  REFUSED_CLOSURE(IOTHUB_E_TOO_LARGE, iothub_client_send(client, large, CLOSURE(record)));
  iothub_message_free(large);
  OK(iothub_message_new(body, 262144, &large));
  free(body);
  iothub_message_t *wrong = message_of("m");
  OK(iothub_message_set_field(wrong, IOTHUB_OUTPUT_NAME, "out"));
  REFUSED_CLOSURE(IOTHUB_E_ARGUMENT, iothub_client_send(client, wrong, CLOSURE(record)));
  iothub_message_free(wrong);

  record_t *taken = record_new();
  OK(iothub_client_send(client, large, CLOSURE(taken)));
  REFUSED_CLOSURE(IOTHUB_E_FULL, iothub_client_send(client, large, CLOSURE(record))); /* bytes */
  OK(iothub_client_send(client, small, CLOSURE(taken)));
  REFUSED_CLOSURE(IOTHUB_E_FULL, iothub_client_send(client, small, CLOSURE(record))); /* messages */

  OK(iothub_client_connect(client, CLOSURE(taken)));
  REFUSED_CLOSURE(IOTHUB_E_STATE, iothub_client_connect(client, CLOSURE(record)));
  WAIT(taken, taken->frees == 3);
  CHECK(taken->calls == 3 && taken->status == IOTHUB_OK);

  OK(iothub_client_close(client, 60000, CLOSURE(taken)));
  WAIT(taken, taken->frees == 4);
  REFUSED_CLOSURE(IOTHUB_E_CLOSED, iothub_client_send(client, small, CLOSURE(record)));
  REFUSED_CLOSURE(IOTHUB_E_CLOSED, iothub_client_connect(client, CLOSURE(record)));
  REFUSED_CLOSURE(IOTHUB_E_CLOSED, iothub_client_close(client, 0, CLOSURE(record)));
  REFUSED_CLOSURE(IOTHUB_E_CLOSED, iothub_client_on_message(client, now, record, on_free));
  /* A handler is not refused, but is not kept either. */
  REFUSED_CLOSURE(IOTHUB_OK, iothub_client_on_status(client, on_status, record, on_free));
  REFUSED(IOTHUB_E_NOT_FOUND, iothub_client_ack(client, 0));
  iothub_client_free(client);

  options = local_options(given("HUB_MODULE"));
  OK(iothub_client_new(options, &client));
  iothub_options_free(options);
  REFUSED_CLOSURE(IOTHUB_E_UNSUPPORTED, iothub_client_on_message(client, now, record, on_free));
  iothub_client_free(client);
  CHECK(record->calls == 0 && record->frees == refusals);

  iothub_message_free(large);
  iothub_message_free(small);
  record_drop(taken);
  record_drop(record);
  return 0;
}

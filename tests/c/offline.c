/* Without a connection: messages wait, the queue has an end, and a time to live ends what waits too long. */
#include "check.h"

static void waits(void) {
  iothub_client_t *client = local_client();
  record_t *sent = record_new();
  size_t messages, bytes;
  int number;
  for (number = 0; number < 1000; number++) {
    char text[20];
    snprintf(text, sizeof text, "%d", number);
    iothub_message_t *m = message_of(text);
    OK(iothub_client_send(client, m, CLOSURE(sent)));
    iothub_message_free(m);
  }
  OK(iothub_client_queued(client, &messages, &bytes));
  CHECK(messages == 1000 && bytes > 1000 && sent->calls == 0);
  iothub_message_t *m = message_of("one more");
  REFUSED(IOTHUB_E_FULL, iothub_client_send(client, m, NULL, NULL, NULL));
  OK(iothub_client_connect(client, NULL, NULL, NULL));
  WAIT(sent, sent->frees == 1000);
  CHECK(sent->calls == 1000 && sent->status == IOTHUB_OK);
  OK(iothub_client_queued(client, &messages, &bytes));
  CHECK(messages == 0 && bytes == 0);
  /* There is room again. */
  OK(iothub_client_send(client, m, CLOSURE(sent)));
  WAIT(sent, sent->frees == 1001);
  iothub_message_free(m);
  iothub_client_free(client);
  record_drop(sent);
}

static void expires(void) {
  iothub_options_t *options = local_options(given("HUB_DEVICE"));
  OK(iothub_options_set_time_to_live_ms(options, 30));
  iothub_client_t *client;
  OK(iothub_client_new(options, &client));
  iothub_options_free(options);
  record_t *sent = record_new();
  iothub_message_t *m = message_of("too late");
  OK(iothub_client_send(client, m, CLOSURE(sent)));
  iothub_message_free(m);
  WAIT(sent, sent->frees == 1);
  CHECK(sent->calls == 1 && sent->status == IOTHUB_E_EXPIRED && sent->detail[0] != 0);
  iothub_client_free(client);
  record_drop(sent);
}

static void closes(void) {
  iothub_client_t *client = local_client();
  record_t *sent = record_new(), *closed = record_new();
  iothub_message_t *m = message_of("nowhere to go");
  OK(iothub_client_send(client, m, CLOSURE(sent)));
  iothub_message_free(m);
  OK(iothub_client_close(client, 0, CLOSURE(closed)));
  WAIT(closed, closed->frees == 1);
  CHECK(closed->calls == 1 && closed->status == IOTHUB_E_TIMEOUT);
  CHECK(sent->calls == 1 && sent->frees == 1 && sent->status == IOTHUB_E_CLOSED);
  iothub_client_free(client);
  record_drop(sent);
  record_drop(closed);
}

int main(void) {
  waits();
  expires();
  closes();
  return 0;
}

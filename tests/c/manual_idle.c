/* A connected client with nothing to do: run under strace, which counts what it asks of the system. */
#include "manual.h"

static iothub_ack_t receive(const iothub_message_t *m, uint64_t delivery, void *user_data) {
  (void)m, (void)delivery;
  on_done(IOTHUB_OK, "", user_data);
  return IOTHUB_ACK_NOW;
}

int main(void) {
  record_t *sent = record_new(), *message = record_new();
  iothub_options_t *options = local_options(given("HUB_DEVICE"));
  iothub_client_t *client;
  int number;
  OK(iothub_options_set_mode(options, IOTHUB_MODE_MANUAL));
  OK(iothub_options_set_keep_alive_s(options, 1177));
  OK(iothub_options_set_connect_timeout_ms(options, 600000));
  OK(iothub_client_new(options, &client));
  iothub_options_free(options);
  loop_thread = pthread_self();
  OK(iothub_client_on_message(client, receive, message, free_here));
  connect_by_loop(client);
  send_text(client, "first", sent);
  LOOP(client, sent->frees == 1);
  is_quiet(client);
  say("busy");
  for (number = 2; number <= 101; number++) {
    send_text(client, "one by one", sent);
    LOOP(client, sent->frees == number);
  }
  is_quiet(client);
  say("quiet");
  LOOP(client, message->calls == 1);
  say("woken");
  iothub_client_free(client);
  record_drop(sent);
  record_drop(message);
  return 0;
}

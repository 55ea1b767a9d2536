/* The client freed inside its own callback - status, done, message, free_fn - or inside that of another client, or
 * outside of all, connected or not: what is pending completes once with CLOSED, every free_fn has run
 * once, nothing is called afterwards. The argument says where. */
#include "check.h"

enum { PENDING = 900 };

static iothub_client_t *client;
static record_t *pending, *status, *message, *trigger, *done;

/* After it: 1 = the handlers' free_fn ran inside iothub_client_free, 0 = the one that is running comes after it. */
static void end_it(int own_status, int own_message) {
  iothub_message_t *m = message_of("never sent");
  int number;
  for (number = 0; number < PENDING; number++) OK(iothub_client_send(client, m, CLOSURE(pending)));
  iothub_message_free(m);
  iothub_client_free(client);
  CHECK(pending->calls == PENDING && pending->frees == PENDING);
  /* A connection may have delivered some, but not the last of so many, one round trip after the other. */
  CHECK(pending->status == IOTHUB_E_CLOSED);
  CHECK(status->frees == 1 - own_status);
  CHECK(message->frees == 1 - own_message);
}

static int armed(const char *where) { return strcmp(given("FREE_IN"), where) == 0; }

static void on_state(iothub_state_t state, iothub_cause_t cause, iothub_status_t why, const char *detail,
                     void *user_data) {
  on_status(state, cause, why, detail, user_data);
  CHECK(trigger->calls == 0);
  if (state == IOTHUB_CONNECTED && armed("status")) {
    end_it(1, 0);
    on_done(IOTHUB_OK, "", trigger);
  }
}

static iothub_ack_t on_message(const iothub_message_t *m, uint64_t delivery, void *user_data) {
  (void)m, (void)delivery;
  on_done(IOTHUB_OK, "", user_data);
  CHECK(trigger->calls == 0);
  if (armed("message")) {
    end_it(0, 1);
    on_done(IOTHUB_OK, "", trigger);
  }
  return IOTHUB_ACK_NOW;
}

static void connected(iothub_status_t result, const char *detail, void *user_data) {
  CHECK(result == IOTHUB_OK && detail[0] == 0);
  on_done(result, detail, user_data);
  if (armed("done")) {
    end_it(0, 0);
    on_done(IOTHUB_OK, "", trigger);
  }
}

static void release(void *user_data) {
  on_free(user_data);
  if (armed("free_fn")) {
    end_it(0, 0);
    on_done(IOTHUB_OK, "", trigger);
  }
}

/* Goes on until another thread is inside iothub_client_free, which waits for this. */
static void uses_the_client(iothub_status_t result, const char *detail, void *user_data) {
  iothub_message_t *m = message_of("m");
  iothub_status_t status;
  (void)result, (void)detail;
  on_done(IOTHUB_OK, "", trigger);
  do status = iothub_client_send(client, m, NULL, NULL, NULL);
  while (status == IOTHUB_OK || status == IOTHUB_E_FULL);
  CHECK(status == IOTHUB_E_CLOSED);
  iothub_message_free(m);
  on_done(IOTHUB_OK, "", user_data);
}

static void others_status(iothub_state_t state, iothub_cause_t cause, iothub_status_t why, const char *detail,
                          void *user_data) {
  (void)cause, (void)why, (void)detail, (void)user_data;
  if (state == IOTHUB_CONNECTED) {
    end_it(0, 0);
    on_done(IOTHUB_OK, "", trigger);
  }
}

int main(void) {
  done = record_new();
  pending = record_new();
  status = record_new();
  message = record_new();
  trigger = record_new();
  iothub_options_t *options = local_options(given("HUB_DEVICE"));
  OK(iothub_options_set_in_flight(options, 1));
  OK(iothub_client_new(options, &client));
  iothub_options_free(options);
  OK(iothub_client_on_status(client, on_state, status, on_free));
  OK(iothub_client_on_message(client, on_message, message, on_free));
  if (armed("before")) { /* it was connected */
    end_it(0, 0);
  } else if (armed("while connecting")) {
    OK(iothub_client_connect(client, CLOSURE(done)));
    end_it(0, 0);
    CHECK(done->calls == 1 && done->frees == 1);
  } else if (armed("while a callback runs")) {
    OK(iothub_client_connect(client, uses_the_client, done, on_free));
    WAIT(trigger, trigger->calls == 1);
    iothub_client_free(client);
    CHECK(done->calls == 1 && done->frees == 1 && status->frees == 1 && message->frees == 1);
  } else if (armed("after close")) {
    record_t *closed = record_new();
    connect_now(client);
    OK(iothub_client_close(client, 60000, CLOSURE(closed)));
    WAIT(closed, closed->frees == 1);
    iothub_client_free(client);
    CHECK(closed->calls == 1 && status->frees == 1 && message->frees == 1);
    record_drop(closed);
  } else if (armed("during close")) {
    record_t *closed = record_new();
    connect_now(client);
    OK(iothub_client_close(client, 60000, CLOSURE(closed)));
    iothub_client_free(client);
    CHECK(closed->calls == 1 && closed->frees == 1 && status->frees == 1 && message->frees == 1);
    record_drop(closed);
  } else if (armed("another client")) { /* 's callback */
    options = local_options(given("HUB_SECOND"));
    iothub_client_t *second;
    OK(iothub_client_new(options, &second));
    iothub_options_free(options);
    connect_now(client);
    OK(iothub_client_on_status(second, others_status, NULL, NULL));
    OK(iothub_client_connect(second, NULL, NULL, NULL));
    WAIT(trigger, trigger->calls == 1);
    iothub_client_free(second);
  } else {
    OK(iothub_client_connect(client, connected, done, release));
    WAIT(trigger, trigger->calls == 1);
    WAIT(status, status->frees == 1);
    WAIT(message, message->frees == 1);
    WAIT(done, done->frees == 1);
    CHECK(done->calls == 1);
  }
  /* The callback that freed it may still be on its way out with one of these; the process owns them. */
  if (!armed("status") && !armed("message") && !armed("done") && !armed("free_fn")) {
    record_drop(done);
    record_drop(pending);
    record_drop(status);
    record_drop(message);
    record_drop(trigger);
  }
  return 0;
}

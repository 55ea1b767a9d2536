/* A client in manual mode, freed in every place: what is pending completes with CLOSED inside the call and on its
 * thread, every free_fn runs once, nothing waits for the network. FREE_IN says where. */
#include "manual.h"

enum { PENDING = 900 };

static iothub_client_t *client;
static record_t *pending, *status, *message, *trigger, *done;

static int armed(const char *where) { return strcmp(given("FREE_IN"), where) == 0; }

/* 1: the handler that is running is freed when it has returned. */
static void end_it(int own_status, int own_message) {
  int number;
  CHECK(trigger->calls == 0);
  loop_thread = pthread_self();
  for (number = 0; number < PENDING; number++) send_text(client, "never sent", pending);
  iothub_client_free(client);
  CHECK(pending->calls == PENDING && pending->frees == PENDING && pending->status == IOTHUB_E_CLOSED);
  CHECK(status->frees == 1 - own_status && message->frees == 1 - own_message);
  on_done(IOTHUB_OK, "", trigger);
}

static void on_state(iothub_state_t state, iothub_cause_t cause, iothub_status_t why, const char *detail,
                     void *user_data) {
  status_here(state, cause, why, detail, user_data);
  CHECK(trigger->calls == 0);
  if (state == IOTHUB_CONNECTED && armed("status")) end_it(1, 0);
}

static iothub_ack_t on_message(const iothub_message_t *m, uint64_t delivery, void *user_data) {
  (void)m, (void)delivery;
  done_here(IOTHUB_OK, "", user_data);
  if (armed("message")) end_it(0, 1);
  return IOTHUB_ACK_NOW;
}

static void connected(iothub_status_t result, const char *detail, void *user_data) {
  done_here(result, detail, user_data);
  if (armed("done")) end_it(0, 0);
}

static void release(void *user_data) {
  free_here(user_data);
  if (armed("free_fn")) end_it(0, 0);
}

static void others_status(iothub_state_t state, iothub_cause_t cause, iothub_status_t why, const char *detail,
                          void *user_data) {
  (void)cause, (void)why, (void)detail, (void)user_data;
  if (state == IOTHUB_CONNECTED) end_it(0, 0);
}

/* Goes on until another thread is inside iothub_client_free, which waits for this. */
static void uses_the_client(iothub_status_t result, const char *detail, void *user_data) {
  iothub_message_t *m = message_of("m");
  iothub_status_t now;
  CHECK(!pthread_equal(pthread_self(), loop_thread));
  on_done(result, detail, user_data);
  OK(iothub_client_send(client, m, done_here, pending, NULL)); /* completed by the thread that frees */
  on_done(IOTHUB_OK, "", trigger);
  do now = iothub_client_send(client, m, done_here, pending, NULL);
  while (now == IOTHUB_OK || now == IOTHUB_E_FULL);
  CHECK(now == IOTHUB_E_CLOSED);
  iothub_message_free(m);
}

static void *waits_inside(void *user_data) {
  iothub_status_t ended;
  (void)user_data;
  do ended = iothub_client_process(client, -1);
  while (ended == IOTHUB_OK || ended == IOTHUB_E_STATE);
  CHECK(ended == IOTHUB_E_CLOSED);
  return NULL;
}

int main(void) {
  pending = record_new();
  status = record_new();
  message = record_new();
  trigger = record_new();
  done = record_new();
  iothub_options_t *options = local_options(given("HUB_DEVICE"));
  OK(iothub_options_set_mode(options, IOTHUB_MODE_MANUAL));
  OK(iothub_options_set_in_flight(options, 1));
  if (armed("while reconnecting") || armed("after a refusal")) {
    OK(iothub_options_set_port(options, (uint16_t)atoi(given("CLOSED_PORT"))));
    if (armed("while reconnecting")) OK(iothub_options_set_backoff_ms(options, 3600000, 3600000));
  }
  OK(iothub_client_new(options, &client));
  iothub_options_free(options);
  loop_thread = pthread_self();
  OK(iothub_client_on_status(client, on_state, status, free_here));
  OK(iothub_client_on_message(client, on_message, message, free_here));
  if (armed("before")) { /* any call of process */
    end_it(0, 0);
  } else if (armed("while connecting")) {
    OK(iothub_client_connect(client, HERE(done)));
    OK(pass(client));
    end_it(0, 0);
    CHECK(done->calls == 1 && done->frees == 1 && done->status == IOTHUB_E_CLOSED);
  } else if (armed("while reconnecting") || armed("after a refusal")) {
    OK(iothub_client_connect(client, HERE(done)));
    LOOP(client, status->cause != 0);
    LOOP(client, status->calls >= 3 || armed("while reconnecting"));
    end_it(0, 0);
    CHECK(done->calls == 1 && done->frees == 1 && done->status == IOTHUB_E_CLOSED);
  } else if (armed("connected")) {
    connect_by_loop(client);
    say("connected");
    hear("free"); /* the hub waits for the goodbye */
    end_it(0, 0);
  } else if (armed("during close")) {
    connect_by_loop(client);
    OK(iothub_client_close(client, 60000, HERE(done)));
    iothub_client_free(client);
    CHECK(done->calls == 1 && done->frees == 1 && status->frees == 1 && message->frees == 1);
  } else if (armed("after close")) {
    connect_by_loop(client);
    OK(iothub_client_close(client, 60000, HERE(done)));
    while (pass(client) == IOTHUB_OK) {}
    CHECK(done->frees == 1 && status->frees == 1 && message->frees == 1);
    iothub_client_free(client);
    CHECK(done->calls == 1 && status->frees == 1 && message->frees == 1);
  } else if (armed("while another thread is inside")) {
    pthread_t thread;
    iothub_status_t now;
    connect_by_loop(client);
    LOOP(client, message->calls == 1); /* so that nothing comes any more */
    is_quiet(client);
    CHECK(pthread_create(&thread, NULL, waits_inside, NULL) == 0);
    do now = iothub_client_process(client, 0);
    while (now == IOTHUB_OK);
    CHECK(now == IOTHUB_E_STATE);
    iothub_client_free(client);
    CHECK(pthread_join(thread, NULL) == 0 && status->frees == 1 && message->frees == 1);
  } else if (armed("while a callback runs")) {
    pthread_t thread;
    iothub_client_on_status(client, NULL, NULL, NULL);
    iothub_client_on_message(client, NULL, NULL, NULL);
    while (status->frees + message->frees < 2) OK(pass(client));
    OK(iothub_client_connect(client, uses_the_client, done, on_free));
    CHECK(pthread_create(&thread, NULL, waits_inside, NULL) == 0);
    WAIT(trigger, trigger->calls == 1);
    iothub_client_free(client);
    CHECK(pending->status == IOTHUB_E_CLOSED && done->calls == 1 && done->frees == 1);
    CHECK(pthread_join(thread, NULL) == 0);
  } else if (armed("another client")) { /* 's callback */
    iothub_client_t *second = manual_client(given("HUB_SECOND"));
    connect_by_loop(client);
    OK(iothub_client_on_status(second, others_status, NULL, NULL));
    OK(iothub_client_connect(second, NULL, NULL, NULL));
    LOOP(second, trigger->calls == 1);
    iothub_client_free(second);
  } else {
    iothub_status_t ended;
    OK(iothub_client_connect(client, connected, done, release));
    do ended = pass(client);
    while (ended == IOTHUB_OK);
    CHECK(ended == IOTHUB_E_CLOSED && trigger->calls == 1);
    CHECK(status->frees == 1 && message->frees == 1 && done->calls == 1 && done->frees == 1);
  }
  record_drop(pending);
  record_drop(status);
  record_drop(message);
  record_drop(trigger);
  record_drop(done);
  return 0;
}

/* What the programs in manual mode share: a loop, and callbacks that insist on its thread. */
#ifndef MANUAL_H
#define MANUAL_H
#include "check.h"
#include <errno.h>
#include <poll.h>

static pthread_t loop_thread;
static int passes; /* calls of process */

static inline iothub_client_t *manual_client(const char *connection_string) {
  iothub_options_t *options = local_options(connection_string);
  iothub_client_t *client;
  OK(iothub_options_set_mode(options, IOTHUB_MODE_MANUAL));
  OK(iothub_client_new(options, &client));
  iothub_options_free(options);
  CHECK(iothub_client_fd(client) >= 0 && iothub_client_next_timeout_ms(client) == -1);
  loop_thread = pthread_self();
  return client;
}

static inline int readable(iothub_client_t *client) {
  struct pollfd wait = {iothub_client_fd(client), POLLIN, 0};
  CHECK(poll(&wait, 1, 0) >= 0);
  return wait.revents != 0;
}

/* Waits for the descriptor, then processes. Only a hang takes a minute. */
static inline iothub_status_t pass(iothub_client_t *client) {
  struct pollfd wait = {iothub_client_fd(client), POLLIN, 0};
  int ready;
  do ready = poll(&wait, 1, 60000);
  while (ready < 0 && errno == EINTR);
  CHECK(ready == 1 && wait.revents == POLLIN);
  passes++;
  return iothub_client_process(client, 0);
}

#define LOOP(client, condition) \
  while (!(condition)) OK(pass(client))

/* Nothing is left to do; a timer that lapses for nothing may be. */
static inline void is_quiet(iothub_client_t *client) {
  int more;
  for (more = 0; more < 3 && readable(client); more++) OK(pass(client));
  CHECK(!readable(client));
}

static inline void done_here(iothub_status_t status, const char *detail, void *user_data) {
  CHECK(pthread_equal(pthread_self(), loop_thread));
  on_done(status, detail, user_data);
}

static inline void status_here(iothub_state_t state, iothub_cause_t cause, iothub_status_t status, const char *detail,
                               void *user_data) {
  CHECK(pthread_equal(pthread_self(), loop_thread));
  on_status(state, cause, status, detail, user_data);
}

static inline void free_here(void *user_data) {
  CHECK(pthread_equal(pthread_self(), loop_thread));
  on_free(user_data);
}

#define HERE(record) done_here, (record), free_here

static inline void connect_by_loop(iothub_client_t *client) {
  record_t *connected = record_new();
  OK(iothub_client_connect(client, HERE(connected)));
  LOOP(client, connected->frees == 1);
  CHECK(connected->calls == 1);
  check_status(connected->status, IOTHUB_OK, connected->detail, __FILE__, __LINE__);
  record_drop(connected);
}

static inline void send_text(iothub_client_t *client, const char *text, record_t *sent) {
  iothub_message_t *m = message_of(text);
  OK(iothub_client_send(client, m, HERE(sent)));
  iothub_message_free(m);
}
#endif

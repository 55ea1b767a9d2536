/* Manual mode: all I/O and every callback in process(), on the thread of the loop; the descriptor is readable when
 * there is something to do and only then. */
#include "manual.h"
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void refuses(void) {
  iothub_options_t *options = local_options(given("HUB_DEVICE"));
  iothub_client_t *client;
  REFUSED(IOTHUB_E_ARGUMENT, iothub_options_set_mode(NULL, IOTHUB_MODE_MANUAL));
  REFUSED(IOTHUB_E_ARGUMENT, iothub_options_set_mode(options, 2));
  NAMES("mode: 2");
  REFUSED(IOTHUB_E_ARGUMENT, iothub_options_set_mode(options, -1));
  OK(iothub_options_set_mode(options, IOTHUB_MODE_MANUAL));
  OK(iothub_options_set_mode(options, IOTHUB_MODE_THREADED));
  OK(iothub_client_new(options, &client));
  iothub_options_free(options);
  REFUSED(IOTHUB_E_STATE, iothub_client_process(client, 0));
  NAMES("IOTHUB_MODE_THREADED");
  CHECK(iothub_client_fd(client) == -1 && iothub_client_next_timeout_ms(client) == -1);
  iothub_client_free(client);
  REFUSED(IOTHUB_E_ARGUMENT, iothub_client_process(NULL, 0));
  CHECK(iothub_client_fd(NULL) == -1 && iothub_client_next_timeout_ms(NULL) == -1);
  client = manual_client(given("HUB_DEVICE"));
  REFUSED(IOTHUB_E_ARGUMENT, iothub_client_process(client, -2));
  NAMES("timeout_ms");
  CHECK(!readable(client));
  OK(iothub_client_process(client, 0));
  OK(iothub_client_process(client, 1)); /* nothing comes */
  iothub_client_free(client);
}

static iothub_ack_t receive(const iothub_message_t *m, uint64_t delivery, void *user_data) {
  size_t len;
  const void *body = iothub_message_data(m, &len);
  (void)delivery;
  CHECK(pthread_equal(pthread_self(), loop_thread));
  CHECK(len == 5 && memcmp(body, "hello", 5) == 0);
  on_done(IOTHUB_OK, "", user_data);
  return IOTHUB_ACK_NOW;
}

/* The loop of every manual: until process says that it is over. */
static void close_by_loop(iothub_client_t *client) {
  record_t *closed = record_new();
  iothub_status_t status;
  OK(iothub_client_close(client, 60000, HERE(closed)));
  do status = pass(client);
  while (status == IOTHUB_OK);
  CHECK(status == IOTHUB_E_CLOSED);
  CHECK(closed->calls == 1 && closed->frees == 1 && closed->status == IOTHUB_OK);
  REFUSED(IOTHUB_E_CLOSED, iothub_client_process(client, 0));
  REFUSED(IOTHUB_E_CLOSED, iothub_client_process(client, -1));
  CHECK(!readable(client));
  record_drop(closed);
}

static void talks(void) {
  enum { ROUNDS = 100, BURST = 500 };
  iothub_client_t *client = manual_client(given("HUB_DEVICE"));
  record_t *sent = record_new(), *status = record_new(), *message = record_new();
  int fd = iothub_client_fd(client), number;
  OK(iothub_client_on_status(client, status_here, status, free_here));
  OK(iothub_client_on_message(client, receive, message, free_here));
  CHECK(status->frees == 0 && message->frees == 0);
  connect_by_loop(client);
  CHECK(status->state == IOTHUB_CONNECTED);
  LOOP(client, message->calls == 1); /* the runner has queued one */
  send_text(client, "first", sent);
  LOOP(client, sent->frees == 1);
  is_quiet(client);
  passes = 0;
  for (number = 1; number <= ROUNDS; number++) {
    send_text(client, "one by one", sent);
    CHECK(readable(client));
    LOOP(client, sent->frees == 1 + number);
  }
  /* One to write, one to read, and some that read the half of a record. */
  CHECK(passes <= 3 * ROUNDS);
  is_quiet(client);
  passes = 0;
  for (number = 0; number < BURST; number++) send_text(client, "many at once", sent);
  LOOP(client, sent->frees == 1 + ROUNDS + BURST);
  CHECK(passes <= BURST);
  is_quiet(client);
  /* The same by waiting inside. */
  send_text(client, "by waiting", sent);
  while (sent->frees < 2 + ROUNDS + BURST) OK(iothub_client_process(client, -1));
  CHECK(sent->calls == sent->frees && sent->status == IOTHUB_OK && iothub_client_fd(client) == fd);
  is_quiet(client);
  close_by_loop(client);
  CHECK(status->state == IOTHUB_CLOSED && status->frees == 1 && message->frees == 1);
  CHECK(iothub_client_fd(client) == fd);
  iothub_client_free(client);
  record_drop(sent);
  record_drop(status);
  record_drop(message);
}

static iothub_client_t *nested;

static void processes(iothub_state_t state, iothub_cause_t cause, iothub_status_t why, const char *detail,
                      void *user_data) {
  (void)cause, (void)why, (void)detail;
  REFUSED(IOTHUB_E_STATE, iothub_client_process(nested, 0));
  NAMES("inside a callback");
  REFUSED(IOTHUB_E_STATE, iothub_client_process(nested, -1));
  if (state == IOTHUB_CONNECTING) {
    /* Nobody waits for the descriptor now, so these make no system call. */
    OK(iothub_client_on_message(nested, NULL, NULL, NULL));
    CHECK(!readable(nested));
  }
  on_done(IOTHUB_OK, "", user_data);
}

static void not_inside_a_callback(void) {
  record_t *status = record_new();
  nested = manual_client(given("HUB_DEVICE"));
  OK(iothub_client_on_status(nested, processes, status, free_here));
  connect_by_loop(nested);
  CHECK(status->calls == 2);
  iothub_client_free(nested);
  CHECK(status->calls == 2 && status->frees == 1); /* muted by free */
  record_drop(status);
}

static void *from_elsewhere(void *user_data) {
  record_t *tried = (record_t *)user_data;
  iothub_message_t *m = message_of("from elsewhere");
  int number;
  for (number = 0; number < 200; number++) OK(iothub_client_send(nested, m, HERE(tried)));
  iothub_message_free(m);
  return NULL;
}

static void other_threads_wake_the_loop(void) {
  record_t *sent = record_new();
  pthread_t thread;
  nested = manual_client(given("HUB_DEVICE"));
  connect_by_loop(nested);
  is_quiet(nested);
  CHECK(pthread_create(&thread, NULL, from_elsewhere, sent) == 0);
  LOOP(nested, sent->frees == 200);
  CHECK(pthread_join(thread, NULL) == 0 && sent->calls == 200 && sent->status == IOTHUB_OK);
  is_quiet(nested);
  close_by_loop(nested);
  iothub_client_free(nested);
  record_drop(sent);
}

/* Gets in when the other is out, and waits inside until somebody sends. */
static void *waits_inside(void *user_data) {
  record_t *sent = (record_t *)user_data;
  while (sent->frees == 0) {
    iothub_status_t status = iothub_client_process(nested, -1);
    CHECK(status == IOTHUB_OK || status == IOTHUB_E_STATE);
  }
  return NULL;
}

static void one_thread_at_a_time(void) {
  record_t *sent = record_new();
  pthread_t thread;
  iothub_status_t status;
  nested = manual_client(given("HUB_DEVICE"));
  connect_by_loop(nested);
  is_quiet(nested);
  CHECK(pthread_create(&thread, NULL, waits_inside, sent) == 0);
  loop_thread = thread;
  do status = iothub_client_process(nested, 0); /* until the other is inside */
  while (status == IOTHUB_OK);
  CHECK(status == IOTHUB_E_STATE);
  NAMES("another thread");
  send_text(nested, "wake up", sent);
  CHECK(pthread_join(thread, NULL) == 0 && sent->calls == 1 && sent->status == IOTHUB_OK);
  loop_thread = pthread_self();
  OK(iothub_client_process(nested, 0));
  iothub_client_free(nested);
  record_drop(sent);
}

static void a_child_has_no_client(void) {
  record_t *sent = record_new();
  iothub_client_t *client = manual_client(given("HUB_DEVICE"));
  int status;
  connect_by_loop(client);
  pid_t child = fork();
  if (child == 0) {
    REFUSED(IOTHUB_E_FORKED, iothub_client_process(client, 0));
    CHECK(iothub_client_fd(client) == -1);
    iothub_client_free(client);
    exit(0);
  }
  CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  send_text(client, "from the parent", sent);
  LOOP(client, sent->frees == 1);
  CHECK(sent->calls == 1 && sent->status == IOTHUB_OK);
  /* A child that lives holds copies of the socket; nothing of that may come out of the parent's descriptor. */
  child = fork();
  if (child == 0) {
    alarm(100);
    pause();
    _Exit(0);
  }
  close_by_loop(client);
  CHECK(kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child);
  iothub_client_free(client);
  record_drop(sent);
}

int main(void) {
  refuses();
  talks();
  not_inside_a_callback();
  other_threads_wake_the_loop();
  one_thread_at_a_time();
  a_child_has_no_client();
  return 0;
}

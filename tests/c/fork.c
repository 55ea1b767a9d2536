/* fork: a child refuses to work with what it has not, may free it, and may leave; the parent does not notice. A
 * process that forked before its first client is as good as any. */
#include "check.h"
#include <sys/wait.h>
#include <unistd.h>

static iothub_ack_t now(const iothub_message_t *message, uint64_t delivery, void *user_data) {
  (void)message, (void)delivery, (void)user_data;
  return IOTHUB_ACK_NOW;
}

static void child_of_a_client(iothub_client_t *client, iothub_message_t *m, iothub_options_t *options) {
  record_t *record = record_new();
  iothub_client_t *other = NULL;
  iothub_message_t *made = NULL;
  size_t messages, bytes;
  REFUSED(IOTHUB_E_FORKED, iothub_client_new(options, &other));
  REFUSED(IOTHUB_E_FORKED, iothub_client_connect(client, CLOSURE(record)));
  REFUSED(IOTHUB_E_FORKED, iothub_client_send(client, m, CLOSURE(record)));
  REFUSED(IOTHUB_E_FORKED, iothub_client_close(client, 0, CLOSURE(record)));
  REFUSED(IOTHUB_E_FORKED, iothub_client_on_status(client, on_status, record, on_free));
  REFUSED(IOTHUB_E_FORKED, iothub_client_on_message(client, now, record, on_free));
  CHECK(record->calls == 0 && record->frees == 5);
  REFUSED(IOTHUB_E_FORKED, iothub_client_ack(client, 0));
  REFUSED(IOTHUB_E_FORKED, iothub_client_queued(client, &messages, &bytes));
  REFUSED(IOTHUB_E_FORKED, iothub_message_new("m", 1, &made));
  REFUSED(IOTHUB_E_FORKED, iothub_options_set_port(options, 1));
  CHECK(strstr(iothub_last_error(), "child") != NULL && other == NULL && made == NULL);
  iothub_client_free(client);
  iothub_message_free(m);
  iothub_options_free(options);
  record_drop(record);
}

static void wait_for(pid_t child) {
  int status;
  CHECK(child > 0 && waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void send_one(iothub_client_t *client, iothub_message_t *m) {
  record_t *sent = record_new();
  OK(iothub_client_send(client, m, CLOSURE(sent)));
  WAIT(sent, sent->frees == 1);
  CHECK(sent->calls == 1 && sent->status == IOTHUB_OK);
  record_drop(sent);
}

int main(void) {
  iothub_message_t *m = message_of("m");
  iothub_options_t *options = local_options(given("HUB_DEVICE"));
  pid_t child = fork();
  if (child == 0) { /* a daemon forks first */
    iothub_client_t *own = local_client();
    connect_now(own);
    send_one(own, m);
    iothub_client_free(own);
    iothub_message_free(m);
    iothub_options_free(options);
    exit(0);
  }
  wait_for(child);

  iothub_client_t *client = local_client();
  connect_now(client);
  child = fork();
  if (child == 0) {
    child_of_a_client(client, m, options);
    _Exit(0);
  }
  wait_for(child);
  child = fork();
  if (child == 0) exit(0); /* with everything that exit() does */
  wait_for(child);
  send_one(client, m);
  iothub_client_free(client);
  iothub_message_free(m);
  iothub_options_free(options);
  return 0;
}

/* Two clients in one process: the callbacks of one that waits do not hold up the other's. */
#include "check.h"

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void waits_at_the_gate(iothub_status_t status, const char *detail, void *user_data) {
  pthread_mutex_lock(&gate);
  pthread_mutex_unlock(&gate);
  on_done(status, detail, user_data);
}

int main(void) {
  iothub_options_t *options = local_options(given("HUB_SECOND"));
  iothub_client_t *first = local_client(), *second;
  OK(iothub_client_new(options, &second));
  iothub_options_free(options);
  record_t *slow = record_new(), *fast = record_new();
  connect_now(first);
  connect_now(second);
  iothub_message_t *m = message_of("m");
  pthread_mutex_lock(&gate);
  int number;
  OK(iothub_client_send(first, m, waits_at_the_gate, slow, on_free));
  for (number = 0; number < 100; number++) {
    OK(iothub_client_send(first, m, CLOSURE(slow)));
    OK(iothub_client_send(second, m, CLOSURE(fast)));
  }
  WAIT(fast, fast->frees == 100);
  CHECK(slow->calls == 0);
  pthread_mutex_unlock(&gate);
  WAIT(slow, slow->frees == 101);
  CHECK(slow->calls == 101 && fast->calls == 100);
  iothub_message_free(m);
  iothub_client_free(first);
  OK(iothub_client_send(second, m = message_of("still there"), CLOSURE(fast)));
  iothub_message_free(m);
  WAIT(fast, fast->frees == 101);
  CHECK(fast->status == IOTHUB_OK);
  iothub_client_free(second);
  record_drop(slow);
  record_drop(fast);
  return 0;
}

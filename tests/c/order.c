/* Completions come in the order of the sends, each once; the hub gets the messages in that order. */
#include "check.h"

enum { COUNT = 1000 };

typedef struct {
  record_t *all;
  int number;
} one_t;

static void done(iothub_status_t status, const char *detail, void *user_data) {
  one_t *one = (one_t *)user_data;
  CHECK(status == IOTHUB_OK && detail[0] == 0);
  pthread_mutex_lock(&one->all->lock);
  CHECK(one->all->calls == one->number);
  one->all->calls++;
  pthread_mutex_unlock(&one->all->lock);
}

static void release(void *user_data) {
  one_t *one = (one_t *)user_data;
  pthread_mutex_lock(&one->all->lock);
  CHECK(one->all->calls == one->number + 1);
  one->all->frees++;
  pthread_cond_broadcast(&one->all->changed);
  pthread_mutex_unlock(&one->all->lock);
  free(one);
}

int main(void) {
  iothub_client_t *client = local_client();
  record_t *status = record_new(), *all = record_new(), *closed = record_new();
  OK(iothub_client_on_status(client, on_status, status, on_free));
  connect_now(client);
  int number;
  for (number = 0; number < COUNT; number++) {
    char text[20];
    one_t *one = (one_t *)malloc(sizeof *one);
    CHECK(one != NULL);
    one->all = all;
    one->number = number;
    snprintf(text, sizeof text, "%d", number);
    iothub_message_t *m = message_of(text);
    if (number % 2) OK(iothub_message_set_property(m, "odd", "yes"));
    OK(iothub_client_send(client, m, done, one, release));
    iothub_message_free(m);
  }
  OK(iothub_client_close(client, 60000, CLOSURE(closed)));
  WAIT(closed, closed->frees == 1);
  CHECK(closed->calls == 1);
  check_status(closed->status, IOTHUB_OK, closed->detail, __FILE__, __LINE__);
  CHECK(all->calls == COUNT && all->frees == COUNT);
  CHECK(status->state == IOTHUB_CLOSED && status->cause == IOTHUB_CAUSE_CLOSED_BY_US);
  iothub_client_free(client);
  CHECK(status->frees == 1);
  record_drop(status);
  record_drop(all);
  record_drop(closed);
  return 0;
}

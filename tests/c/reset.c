/* The peer resets the connection while we write: no signal ends a program that handles none. */
#include "check.h"
#include <signal.h>

enum { COUNT = 400, SIZE = 20000 };

int main(void) {
  struct sigaction action;
  CHECK(sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
  iothub_client_t *client = local_client();
  record_t *sent = record_new(), *status = record_new();
  char *body = (char *)malloc(SIZE);
  CHECK(body != NULL);
  memset(body, 'x', SIZE);
  iothub_message_t *m;
  OK(iothub_message_new(body, SIZE, &m));
  free(body);
  OK(iothub_client_on_status(client, on_status, status, on_free));
  connect_now(client);
  int number;
  for (number = 0; number < COUNT; number++) OK(iothub_client_send(client, m, CLOSURE(sent)));
  iothub_message_free(m);
  WAIT(sent, sent->frees == COUNT);
  CHECK(sent->calls == COUNT && sent->status == IOTHUB_OK);
  /* The library has changed no disposition either. */
  CHECK(sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
  iothub_client_free(client);
  CHECK(status->calls > 4);
  record_drop(sent);
  record_drop(status);
  return 0;
}

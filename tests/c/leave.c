/* The program ends while the library is at work: nothing crashes, hangs or is printed. */
#include "check.h"

static iothub_client_t *client; /* never freed, nor lost */
static record_t *sent;

static void also_at_exit(void) { printf("left\n"); }

static void leave_inside(iothub_status_t status, const char *detail, void *user_data) {
  (void)status, (void)detail, (void)user_data;
  exit(0);
}

int main(int count, char **arguments) {
  CHECK(count == 3);
  const char *when = arguments[1], *how = arguments[2];
  CHECK(atexit(also_at_exit) == 0);
  client = local_client();
  sent = record_new();
  iothub_message_t *m = message_of("m");
  if (strcmp(when, "connected") == 0) {
    int number;
    connect_now(client);
    for (number = 0; number < 500; number++) OK(iothub_client_send(client, m, CLOSURE(sent)));
  } else if (strcmp(when, "connecting") == 0) {
    OK(iothub_client_connect(client, NULL, NULL, NULL));
    say("connecting");
    hear("accepted");
  } else if (strcmp(when, "closing") == 0) {
    connect_now(client);
    OK(iothub_client_send(client, m, CLOSURE(sent)));
    OK(iothub_client_close(client, 60000, NULL, NULL, NULL));
  } else if (strcmp(when, "inside") == 0) {
    OK(iothub_client_connect(client, leave_inside, NULL, NULL));
    WAIT(sent, sent->calls > 0); /* for ever */
  } else {
    CHECK(strcmp(when, "unused") == 0);
  }
  iothub_message_free(m);
  if (strcmp(how, "exit") == 0) exit(0);
  return 0;
}

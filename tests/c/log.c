/* The log goes where it is asked to go, holds no secret, and gives back what it was given. */
#include "check.h"

static int secrets;
static const char *key;

static void line(int32_t level, const char *target, const char *text, void *user_data) {
  record_t *record = (record_t *)user_data;
  iothub_message_t *m;
  CHECK(level >= 1 && level <= 5 && strstr(target, "iothub") != NULL);
  if (strstr(text, key) || strstr(text, "sig=") || strstr(text, "payload in the log")) secrets++;
  REFUSED(IOTHUB_E_ARGUMENT, iothub_message_new(NULL, 1, &m)); /* the library may be called */
  on_done(IOTHUB_OK, "", record);
}

int main(void) {
  record_t *first = record_new(), *second = record_new(), *sent = record_new();
  key = strstr(given("HUB_DEVICE"), "SharedAccessKey=") + strlen("SharedAccessKey=");
  OK(iothub_log_to(5, line, first, on_free));
  iothub_client_t *client = local_client();
  iothub_message_t *m = message_of("payload in the log");
  connect_now(client);
  OK(iothub_client_send(client, m, CLOSURE(sent)));
  WAIT(sent, sent->frees == 1);
  WAIT(first, first->calls > 0);
  OK(iothub_log_to(5, line, second, on_free));
  WAIT(first, first->frees == 1);
  int lines = first->calls;
  iothub_client_free(client);
  WAIT(second, second->calls > 0);
  CHECK(first->calls == lines && secrets == 0);
  OK(iothub_log_to(0, NULL, NULL, NULL));
  WAIT(second, second->frees == 1);
  iothub_message_free(m);
  record_drop(first);
  record_drop(second);
  record_drop(sent);
  return 0;
}

/* Direct methods: answered inside the callback, later from another thread, once, and not at all. */
#include "check.h"

static iothub_client_t *client;
static record_t *calls;
static uint64_t late;

static void on_method(const char *name, const void *json, size_t len, uint64_t request, void *user_data) {
  CHECK(user_data == calls);
  if (strcmp(name, "now") == 0) {
    CHECK(len == 11 && memcmp(json, "{\"delay\":5}", 11) == 0);
    REFUSED(IOTHUB_E_ARGUMENT, iothub_client_respond(client, request, 200, "{", 1));
    NAMES("json");
    REFUSED(IOTHUB_E_ARGUMENT, iothub_client_respond(client, request, 65536, NULL, 0));
    NAMES("status: 65536");
    REFUSED(IOTHUB_E_ARGUMENT, iothub_client_respond(client, request, -1, NULL, 0));
    OK(iothub_client_respond(client, request, 200, "{\"ok\":true}", 11));
    REFUSED(IOTHUB_E_NOT_FOUND, iothub_client_respond(client, request, 200, NULL, 0));
    NAMES("answered already");
  } else {
    CHECK(strcmp(name, "valve*close") == 0 && len == 0);
    late = request;
    on_done(IOTHUB_OK, "", calls);
    say("called");
  }
}

int main(void) {
  client = local_client();
  calls = record_new();
  OK(iothub_client_on_method(client, on_method, calls, on_free));
  connect_now(client);
  say("ready"); /* the runner calls "now", then "valve*close" */
  WAIT(calls, calls->calls == 1);
  OK(iothub_client_respond(client, late, 202, NULL, 0));
  WAIT(calls, calls->calls == 2);
  hear("reconnect"); /* the connection was cut with the call open */
  OK(iothub_client_respond(client, late, 200, "\"late\"", 6));
  WAIT(calls, calls->calls == 3); /* stays unanswered */
  REFUSED(IOTHUB_E_NOT_FOUND, iothub_client_respond(client, late + 1, 200, NULL, 0));
  OK(iothub_client_on_method(client, NULL, NULL, NULL));
  WAIT(calls, calls->frees == 1);
  say("no handler"); /* the runner's next call is answered with 404 */
  hear("end");
  iothub_client_free(client);
  record_drop(calls);
  return 0;
}

/* A loop through all that the network does: the descriptor stays the same, nothing is lost, and no call of process
 * is made for nothing. The runner breaks the connection where it is told to. */
#include "manual.h"

static iothub_client_t *client;
static record_t *status, *sent;

/* The runner breaks it, and says so when it has. */
static void broken(const char *how) {
  int before = status->calls, fd = iothub_client_fd(client), sent_before = sent->calls, number;
  is_quiet(client);
  passes = 0;
  say(how);
  LOOP(client, status->calls > before && status->state == IOTHUB_CONNECTING);
  for (number = 0; number < 50; number++) send_text(client, how, sent);
  hear("cured");
  LOOP(client, status->state == IOTHUB_CONNECTED && sent->frees == sent_before + 50);
  CHECK(sent->calls == sent->frees && sent->status == IOTHUB_OK && iothub_client_fd(client) == fd);
  /* Each attempt takes a few: dialled, connected, greeted, lost. */
  CHECK(passes <= 20 * (status->calls - before) + 100);
  is_quiet(client);
}

int main(void) {
  iothub_status_t ended;
  status = record_new();
  sent = record_new();
  client = manual_client(given("HUB_DEVICE"));
  OK(iothub_client_on_status(client, status_here, status, free_here));
  connect_by_loop(client);
  send_text(client, "first", sent);
  LOOP(client, sent->frees == 1);
  broken("drop");
  broken("lose_session");
  broken("restart");
  broken("drop");
  OK(iothub_client_close(client, 60000, NULL, NULL, NULL));
  do ended = pass(client);
  while (ended == IOTHUB_OK);
  CHECK(ended == IOTHUB_E_CLOSED && status->state == IOTHUB_CLOSED && status->frees == 1);
  iothub_client_free(client);
  CHECK(sent->calls == 201 && sent->frees == 201);
  record_drop(status);
  record_drop(sent);
  return 0;
}

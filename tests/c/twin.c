/* The twin: read, reported, refused, watched; counters; and what a close completes. */
#include "check.h"

typedef struct {
  record_t *record;
  char json[400];
  uint64_t version;
} document_t;

static void keep(document_t *document, const void *json, size_t len) {
  CHECK(len < sizeof document->json);
  if (len > 0) memcpy(document->json, json, len);
  document->json[len] = 0;
}

static void on_twin(iothub_status_t status, const char *detail, const void *json, size_t len, void *user_data) {
  document_t *document = (document_t *)user_data;
  CHECK((status == IOTHUB_OK) == (len > 0));
  keep(document, json, len);
  on_done(status, detail, document->record);
}

static void on_patch(iothub_status_t status, const char *detail, uint64_t version, void *user_data) {
  document_t *document = (document_t *)user_data;
  CHECK(status == IOTHUB_OK || version == 0);
  document->version = version;
  on_done(status, detail, document->record);
}

static void on_desired(const void *json, size_t len, uint64_t version, void *user_data) {
  document_t *document = (document_t *)user_data;
  keep(document, json, len);
  document->version = version;
  on_done(IOTHUB_OK, "", document->record);
}

static void free_document(void *user_data) { on_free(((document_t *)user_data)->record); }

static document_t *document_new(void) {
  document_t *document = (document_t *)calloc(1, sizeof *document);
  CHECK(document != NULL);
  document->record = record_new();
  return document;
}

static void document_drop(document_t *document) {
  record_drop(document->record);
  free(document);
}

#define WITH(document) (document), free_document
#define ENDED(document, n) WAIT((document)->record, (document)->record->frees == (n))

static uint64_t stat(iothub_client_t *client, iothub_stat_t which) {
  uint64_t value = 77;
  OK(iothub_client_stats(client, which, &value));
  return value;
}

int main(void) {
  iothub_client_t *client = local_client();
  document_t *twin = document_new(), *patch = document_new(), *desired = document_new();

  document_t *refused = document_new();
  REFUSED(IOTHUB_E_ARGUMENT, iothub_client_twin_patch(client, "[1]", 3, on_patch, WITH(refused)));
  NAMES("json: must be an object");
  REFUSED(IOTHUB_E_ARGUMENT, iothub_client_twin_patch(client, NULL, 3, on_patch, WITH(refused)));
  NAMES("json");
  CHECK(refused->record->calls == 0 && refused->record->frees == 2);
  document_drop(refused);

  OK(iothub_client_on_desired(client, on_desired, WITH(desired)));
  connect_now(client);
  WAIT(desired->record, desired->record->calls == 1);
  CHECK(strcmp(desired->json, "{\"interval\":5}") == 0 && desired->version == 2);

  OK(iothub_client_twin_get(client, on_twin, WITH(twin)));
  ENDED(twin, 1);
  CHECK(twin->record->status == IOTHUB_OK && strstr(twin->json, "\"interval\":5") != NULL);

  OK(iothub_client_twin_patch(client, "{\"interval\":5}", 14, on_patch, WITH(patch)));
  ENDED(patch, 1);
  CHECK(patch->record->calls == 1 && patch->record->status == IOTHUB_OK && patch->version == 2);
  OK(iothub_client_twin_patch(client, "{\"a.b\":5}", 9, on_patch, WITH(patch)));
  ENDED(patch, 2);
  CHECK(patch->record->status == IOTHUB_E_REJECTED && strstr(patch->record->detail, "400") != NULL);

  say("change"); /* and the connection is cut before */
  WAIT(desired->record, desired->record->calls == 2);
  CHECK(strcmp(desired->json, "{\"interval\":7,\"old\":[1]}") == 0 && desired->version == 3);

  CHECK(stat(client, IOTHUB_STAT_CONNECTIONS) == 2 && stat(client, IOTHUB_STAT_QUEUED) == 0);
  iothub_message_t *message = message_of("m");
  record_t *sent = record_new();
  OK(iothub_client_send(client, message, CLOSURE(sent)));
  WAIT(sent, sent->frees == 1);
  record_drop(sent);
  iothub_message_free(message);
  CHECK(stat(client, IOTHUB_STAT_SENT) == 1 && stat(client, IOTHUB_STAT_ACKNOWLEDGED) == 1);
  CHECK(stat(client, IOTHUB_STAT_LAST_ROUND_TRIP_US) > 0 && stat(client, IOTHUB_STAT_RESENT) == 0);
  CHECK(stat(client, IOTHUB_STAT_EXPIRED) == 0 && stat(client, IOTHUB_STAT_DROPPED) == 0);
  CHECK(stat(client, IOTHUB_STAT_QUEUED_BYTES) == 0);
  uint64_t count = 0, value = 77;
  for (iothub_cause_t cause = IOTHUB_CAUSE_DNS; cause <= IOTHUB_CAUSE_CONFIGURATION; cause++) {
    OK(iothub_client_disconnects(client, cause, &value));
    count += value;
  }
  CHECK(count == 1);
  value = 77;
  REFUSED(IOTHUB_E_ARGUMENT, iothub_client_disconnects(client, IOTHUB_CAUSE_NONE, &value));
  REFUSED(IOTHUB_E_ARGUMENT, iothub_client_disconnects(client, 1000, &value));
  REFUSED(IOTHUB_E_ARGUMENT, iothub_client_stats(client, -1, &value));
  REFUSED(IOTHUB_E_ARGUMENT, iothub_client_stats(client, 1000, &value));
  CHECK(value == 77);

  say("deaf"); /* the hub answers no more */
  hear("deaf");
  OK(iothub_client_twin_get(client, on_twin, WITH(twin)));
  OK(iothub_client_twin_patch(client, "{}", 2, on_patch, WITH(patch)));
  iothub_client_free(client);
  CHECK(twin->record->status == IOTHUB_E_CLOSED && twin->record->frees == 2 && twin->record->calls == 2);
  CHECK(patch->record->status == IOTHUB_E_CLOSED && patch->record->frees == 3 && patch->record->calls == 3);
  CHECK(desired->record->frees == 1);
  document_drop(twin);
  document_drop(patch);
  document_drop(desired);
  return 0;
}

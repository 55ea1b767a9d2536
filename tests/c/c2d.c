/* Cloud-to-device messages: settled now, settled later, never settled twice, and whole. */
#include "check.h"

static record_t *now_record, *later_record;

static iothub_ack_t receive(const iothub_message_t *m, uint64_t delivery, void *user_data) {
  size_t len;
  const char *body = (const char *)iothub_message_data(m, &len);
  (void)user_data;
  if (len == 3 && memcmp(body, "now", 3) == 0) {
    const char *name, *value;
    CHECK(strcmp(iothub_message_field(m, IOTHUB_MESSAGE_ID), "id-now") == 0);
    CHECK(strcmp(iothub_message_field(m, IOTHUB_TO), "/devices/device/messages/deviceBound") == 0);
    CHECK(iothub_message_field(m, IOTHUB_CORRELATION_ID) == NULL);
    CHECK(strcmp(iothub_message_property(m, "grad"), "21 \xc2\xb0""C & more=/") == 0);
    CHECK(iothub_message_property(m, "null") == NULL);
    OK(iothub_message_property_at(m, 1, &name, &value));
    CHECK(strcmp(name, "null") == 0 && value == NULL);
    on_done(IOTHUB_OK, "", now_record);
    return IOTHUB_ACK_NOW;
  }
  if (len == 5 && memcmp(body, "wrong", 5) == 0) {
    later_record->delivery = delivery;
    on_done(IOTHUB_OK, "", later_record);
    return 77; /* no such answer: not settled */
  }
  CHECK(len == 5 && memcmp(body, "later", 5) == 0);
  later_record->delivery = delivery;
  on_done(IOTHUB_OK, "", later_record);
  say("received");
  return IOTHUB_ACK_LATER;
}

int main(void) {
  iothub_client_t *client = local_client();
  record_t *handler = record_new();
  now_record = record_new();
  later_record = record_new();
  OK(iothub_client_on_message(client, receive, handler, on_free));
  connect_now(client);
  WAIT(now_record, now_record->calls == 1); /* the runner has queued: now, later */
  WAIT(later_record, later_record->calls == 1);
  hear("go on"); /* after it has seen that only one is settled */
  uint64_t first = later_record->delivery;
  REFUSED(IOTHUB_E_NOT_FOUND, iothub_client_ack(client, first + 1));
  REFUSED(IOTHUB_E_NOT_FOUND, iothub_client_ack(client, UINT64_MAX));
  OK(iothub_client_ack(client, first));
  REFUSED(IOTHUB_E_NOT_FOUND, iothub_client_ack(client, first));
  hear("cut"); /* a second "later" was received, and the connection cut then */
  WAIT(later_record, later_record->calls >= 3);
  REFUSED(IOTHUB_E_NOT_FOUND, iothub_client_ack(client, first + 1)); /* that of the connection before */
  OK(iothub_client_ack(client, later_record->delivery));
  hear("wrong"); /* is sent */
  WAIT(later_record, later_record->calls >= 4);
  OK(iothub_client_ack(client, later_record->delivery));
  hear("end"); /* when the hub has that, too */
  iothub_client_free(client);
  CHECK(handler->frees == 1 && now_record->calls == 1);
  record_drop(handler);
  record_drop(now_record);
  record_drop(later_record);
  return 0;
}

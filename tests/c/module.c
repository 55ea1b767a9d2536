/* A module: inputs, outputs, and what it has not. */
#include "check.h"

static iothub_ack_t on_input(const char *input, const iothub_message_t *message, uint64_t delivery, void *user_data) {
  record_t *record = (record_t *)user_data;
  size_t len;
  const char *body = (const char *)iothub_message_data(message, &len);
  CHECK(strcmp(input, "frames in") == 0);
  CHECK(len == 5 && memcmp(body, "frame", 5) == 0);
  CHECK(strcmp(iothub_message_property(message, "camera"), "left & right") == 0);
  record->delivery = delivery;
  on_done(IOTHUB_OK, "", record);
  return record->calls == 1 ? IOTHUB_ACK_NOW : IOTHUB_ACK_LATER;
}

static iothub_ack_t on_message(const iothub_message_t *message, uint64_t delivery, void *user_data) {
  (void)message, (void)delivery, (void)user_data;
  return IOTHUB_ACK_NOW;
}

int main(void) {
  iothub_client_t *device = local_client(), *module;
  iothub_options_t *options = local_options(given("HUB_MODULE"));
  OK(iothub_client_new(options, &module));
  iothub_options_free(options);

  record_t *refused = record_new(), *inputs = record_new();
  REFUSED(IOTHUB_E_UNSUPPORTED, iothub_client_on_input(device, on_input, refused, on_free));
  NAMES("inputs");
  REFUSED(IOTHUB_E_UNSUPPORTED, iothub_client_on_message(module, on_message, refused, on_free));
  CHECK(refused->frees == 2 && refused->calls == 0);
  record_drop(refused);
  OK(iothub_client_on_input(module, on_input, inputs, on_free));
  connect_now(module);
  say("ready");
  WAIT(inputs, inputs->calls == 2);
  OK(iothub_client_ack(module, inputs->delivery));

  iothub_message_t *message = message_of("seen");
  record_t *sent = record_new();
  OK(iothub_message_set_field(message, IOTHUB_OUTPUT_NAME, "results"));
  OK(iothub_client_send(module, message, CLOSURE(sent)));
  WAIT(sent, sent->frees == 1);
  CHECK(sent->status == IOTHUB_OK);
  iothub_message_free(message);
  record_drop(sent);
  iothub_client_free(module);
  iothub_client_free(device);
  CHECK(inputs->frees == 1 && inputs->calls == 2);
  record_drop(inputs);
  return 0;
}

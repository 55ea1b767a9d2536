/* Text that is not UTF-8 is refused wherever text is taken, and names its argument. */
#include "check.h"

#define BAD "a\xff"
#define BAD_IS(name, call)            \
  do {                                \
    REFUSED(IOTHUB_E_ARGUMENT, call); \
    NAMES(name ": must be UTF-8");    \
  } while (0)

static void *another_thread(void *unused) {
  (void)unused;
  CHECK(iothub_last_error()[0] == 0); /* it has failed at nothing yet */
  REFUSED(IOTHUB_E_ARGUMENT, iothub_options_set_port(NULL, 1));
  NAMES("options: must not be NULL");
  return NULL;
}

int main(void) {
  iothub_options_t *o;
  OK(iothub_options_new(&o));
  BAD_IS("connection_string", iothub_options_set_connection_string(o, BAD));
  BAD_IS("host", iothub_options_set_identity(o, BAD, "d", NULL));
  BAD_IS("device_id", iothub_options_set_identity(o, "h", BAD, NULL));
  BAD_IS("module_id", iothub_options_set_identity(o, "h", "d", BAD));
  BAD_IS("key_base64", iothub_options_set_sas_key(o, BAD));
  BAD_IS("token", iothub_options_set_sas_token(o, BAD));
  BAD_IS("host", iothub_options_set_gateway(o, BAD));
  BAD_IS("dtmi", iothub_options_set_model_id(o, BAD));
  iothub_options_free(o);

  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, another_thread, NULL) == 0 && pthread_join(thread, NULL) == 0);
  NAMES("dtmi: must be UTF-8"); /* each thread has its own */

  iothub_message_t *m = message_of("\xff\xfe is a fine body");
  BAD_IS("value", iothub_message_set_field(m, IOTHUB_CONTENT_TYPE, BAD));
  BAD_IS("name", iothub_message_set_property(m, BAD, "v"));
  BAD_IS("value", iothub_message_set_property(m, "n", BAD));
  CHECK(iothub_message_property(m, BAD) == NULL);
  CHECK(iothub_message_property_count(m) == 0);
  /* Overlong, surrogate, beyond Unicode. */
  BAD_IS("value", iothub_message_set_property(m, "n", "\xc0\x80"));
  BAD_IS("value", iothub_message_set_property(m, "n", "\xed\xa0\x80"));
  BAD_IS("value", iothub_message_set_property(m, "n", "\xf5\x80\x80\x80"));
  OK(iothub_message_set_property(m, "grad", "21 \xc2\xb0""C"));
  CHECK(strcmp(iothub_message_property(m, "grad"), "21 \xc2\xb0""C") == 0);
  iothub_message_free(m);
  return 0;
}

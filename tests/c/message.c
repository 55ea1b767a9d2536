/* What is set is what is read: bodies with any bytes, fields, properties in order, null values. */
#include "check.h"

int main(void) {
  iothub_message_t *m;
  const char body[] = "a\0b";
  OK(iothub_message_new(body, sizeof body, &m));
  size_t len = 0;
  CHECK(memcmp(iothub_message_data(m, &len), body, sizeof body) == 0 && len == sizeof body);

  int32_t field;
  for (field = IOTHUB_MESSAGE_ID; field <= IOTHUB_INTERFACE_ID; field++) {
    char text[20];
    CHECK(iothub_message_field(m, field) == NULL);
    snprintf(text, sizeof text, "value-%d", (int)field);
    OK(iothub_message_set_field(m, field, text));
    CHECK(strcmp(iothub_message_field(m, field), text) == 0);
    OK(iothub_message_set_field(m, field, "again"));
    CHECK(strcmp(iothub_message_field(m, field), "again") == 0);
  }
  REFUSED(IOTHUB_E_ARGUMENT, iothub_message_set_field(m, -1, "x"));
  NAMES("field: -1");
  REFUSED(IOTHUB_E_ARGUMENT, iothub_message_set_field(m, 11, "x"));
  REFUSED(IOTHUB_E_ARGUMENT, iothub_message_set_field(m, INT32_MAX, "x"));
  CHECK(iothub_message_field(m, 11) == NULL && iothub_message_field(m, INT32_MIN) == NULL);
  REFUSED(IOTHUB_E_ARGUMENT, iothub_message_set_field(m, IOTHUB_MESSAGE_ID, ""));
  REFUSED(IOTHUB_E_ARGUMENT, iothub_message_set_field(m, IOTHUB_MESSAGE_ID, "with space"));
  CHECK(strcmp(iothub_message_field(m, IOTHUB_MESSAGE_ID), "again") == 0);

  OK(iothub_message_set_property(m, "first", "1"));
  OK(iothub_message_set_property(m, "null", NULL));
  OK(iothub_message_set_property(m, "empty", ""));
  OK(iothub_message_set_property(m, "first", "one"));
  REFUSED(IOTHUB_E_ARGUMENT, iothub_message_set_property(m, "", "x"));
  REFUSED(IOTHUB_E_ARGUMENT, iothub_message_set_property(m, "$.mid", "x"));
  REFUSED(IOTHUB_E_ARGUMENT, iothub_message_set_property(m, "iothub-operation", "x"));
  CHECK(iothub_message_property_count(m) == 3);
  CHECK(iothub_message_property(m, "absent") == NULL);
  CHECK(iothub_message_property(m, "null") == NULL);
  CHECK(iothub_message_property(m, "empty")[0] == 0);
  const char *name, *value;
  OK(iothub_message_property_at(m, 0, &name, &value));
  CHECK(strcmp(name, "first") == 0 && strcmp(value, "one") == 0);
  OK(iothub_message_property_at(m, 1, &name, &value));
  CHECK(strcmp(name, "null") == 0 && value == NULL);
  OK(iothub_message_property_at(m, 2, &name, &value));
  CHECK(strcmp(name, "empty") == 0 && value[0] == 0);
  REFUSED(IOTHUB_E_NOT_FOUND, iothub_message_property_at(m, 3, &name, &value));
  REFUSED(IOTHUB_E_NOT_FOUND, iothub_message_property_at(m, SIZE_MAX, &name, &value));
  /* Getters borrow until the message is changed, not until the next getter. */
  value = iothub_message_property(m, "first");
  CHECK(iothub_message_property(m, "empty") != value);
  CHECK(strcmp(value, "one") == 0);
  iothub_message_free(m);

  REFUSED(IOTHUB_E_ARGUMENT, iothub_message_new(body, SIZE_MAX, &m));
  return 0;
}

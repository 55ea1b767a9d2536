/* Between JSON and what the library takes and gives. */
#ifndef CODEC_H
#define CODEC_H

#include <iothub_mqtt.h>
#include <jansson.h>

/* A member's text, or NULL. */
const char *text_of(const json_t *object, const char *name);
/* A member's number, or 0. */
json_int_t integer_of(const json_t *object, const char *name);
/* Prints one line, whole whatever other threads say, and frees it. */
void say(json_t *line);
/* The name of a status without its prefix. */
const char *status_word(iothub_status_t status);
/* Lower-case hexadecimal digits, to be freed. */
char *to_hex(const void *data, size_t len);
/* Writes up to len bytes that the digits say; how many. */
size_t from_hex(const char *digits, char *out, size_t len);
/* Sets every option that the object names. */
iothub_status_t set_options(iothub_options_t *options, const json_t *object);
/* A message with its fields and properties. */
iothub_status_t message_of(const json_t *object, iothub_message_t **out);
/* Adds body, fields and properties to an event. */
void describe(json_t *told, const iothub_message_t *message);

#endif

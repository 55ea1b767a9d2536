#include "codec.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vault.h"

const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

json_int_t integer_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

void say(json_t *line)
{
    static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
    char *text = json_dumps(line, JSON_COMPACT);
    pthread_mutex_lock(&turn);
    puts(text ? text : "{\"event\":\"unspeakable\"}");
    fflush(stdout);
    pthread_mutex_unlock(&turn);
    free(text);
    json_decref(line);
}

const char *status_word(iothub_status_t status)
{
    const char *name = iothub_status_name(status);
    const char *prefix = status == IOTHUB_OK ? "IOTHUB_" : "IOTHUB_E_";
    return name + strlen(prefix);
}

static const struct {
    const char *name;
    iothub_field_t field;
} fields[] = {{"message_id", IOTHUB_MESSAGE_ID},
              {"correlation_id", IOTHUB_CORRELATION_ID},
              {"content_type", IOTHUB_CONTENT_TYPE},
              {"content_encoding", IOTHUB_CONTENT_ENCODING},
              {"output_name", IOTHUB_OUTPUT_NAME},
              {"component", IOTHUB_COMPONENT},
              {"creation_time", IOTHUB_CREATION_TIME},
              {"user_id", IOTHUB_USER_ID},
              {"to", IOTHUB_TO},
              {"expiry", IOTHUB_EXPIRY},
              {"interface_id", IOTHUB_INTERFACE_ID}};
enum { FIELDS = sizeof fields / sizeof *fields };

static int digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

size_t from_hex(const char *digits, char *out, size_t len)
{
    size_t count = 0;
    for (; count < len && digits[2 * count] && digits[2 * count + 1]; count++)
        out[count] = (char)(digit(digits[2 * count]) << 4 | digit(digits[2 * count + 1]));
    return count;
}

char *to_hex(const void *data, size_t len)
{
    const unsigned char *bytes = data;
    char *digits = malloc(2 * len + 1);
    digits[0] = '\0';
    for (size_t i = 0; i < len; i++)
        sprintf(digits + 2 * i, "%02x", bytes[i]);
    return digits;
}

iothub_status_t message_of(const json_t *object, iothub_message_t **out)
{
    const json_t *body = json_object_get(object, "body");
    const char *hex = text_of(object, "body_hex");
    iothub_status_t status;
    if (hex) {
        char *bytes = malloc(strlen(hex) + 1);
        size_t len = from_hex(hex, bytes, strlen(hex) / 2);
        status = iothub_message_new(bytes, len, out);
        free(bytes);
    } else {
        status = iothub_message_new(json_string_value(body), json_string_length(body), out);
    }
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(object, "fields"), name, value)
        for (int i = 0; i < FIELDS && status == IOTHUB_OK; i++)
            if (strcmp(fields[i].name, name) == 0)
                status = iothub_message_set_field(*out, fields[i].field, json_string_value(value));
    json_object_foreach(json_object_get(object, "properties"), name, value)
        if (status == IOTHUB_OK)
            status = iothub_message_set_property(*out, name, json_string_value(value));
    if (status != IOTHUB_OK)
        iothub_message_free(*out);
    return status;
}

void describe(json_t *told, const iothub_message_t *message)
{
    size_t len;
    const char *data = iothub_message_data(message, &len);
    json_t *body = json_stringn(data, len);
    if (body) {
        json_object_set_new(told, "body", body);
    } else {
        char *hex = to_hex(data, len);
        json_object_set_new(told, "body_hex", json_string(hex));
        free(hex);
    }
    json_t *present = json_object(), *properties = json_object();
    for (int i = 0; i < FIELDS; i++) {
        const char *value = iothub_message_field(message, fields[i].field);
        if (value)
            json_object_set_new(present, fields[i].name, json_string(value));
    }
    const char *name, *value;
    for (size_t i = 0; iothub_message_property_at(message, i, &name, &value) == IOTHUB_OK; i++)
        json_object_set_new(properties, name, value ? json_string(value) : json_null());
    json_object_set_new(told, "fields", present);
    json_object_set_new(told, "properties", properties);
}

static iothub_status_t set_will(iothub_options_t *options, const json_t *will)
{
    iothub_message_t *message;
    iothub_status_t status = message_of(json_object_get(will, "message"), &message);
    if (status == IOTHUB_OK) {
        status = iothub_options_set_will(options, message, (int32_t)integer_of(will, "qos"));
        iothub_message_free(message);
    }
    return status;
}

/* Gives its tokens one after the other, and the last one from then on. Never called twice at a time. */
struct source {
    json_t *tokens;
    size_t next;
};

static iothub_status_t next_token(char *token, size_t *len, void *user_data)
{
    struct source *source = user_data;
    const json_t *value = json_array_get(source->tokens, source->next);
    if (source->next + 1 < json_array_size(source->tokens))
        source->next++;
    if (json_string_length(value) > *len)
        return IOTHUB_E_TOO_LARGE;
    *len = json_string_length(value);
    memcpy(token, json_string_value(value), *len);
    return IOTHUB_OK;
}

static void free_source(void *user_data)
{
    struct source *source = user_data;
    json_decref(source->tokens);
    free(source);
}

static iothub_status_t set_token_source(iothub_options_t *options, const json_t *tokens)
{
    struct source *source = calloc(1, sizeof *source);
    source->tokens = json_deep_copy(tokens);
    return iothub_options_set_sas_token_source(options, next_token, source, free_source);
}

static iothub_status_t set_option(iothub_options_t *options, const char *name, const json_t *value)
{
    const json_t *first = json_array_get(value, 0), *second = json_array_get(value, 1);
    const char *text = json_string_value(json_is_array(value) ? first : value);
    const char *text2 = json_string_value(second);
    const json_int_t n = json_integer_value(json_is_array(value) ? first : value);
    const json_int_t n2 = json_integer_value(second);
#define IS(word) (strcmp(name, word) == 0)
    if (IS("connection_string"))
        return iothub_options_set_connection_string(options, text);
    if (IS("identity"))
        return iothub_options_set_identity(options, text, text2, json_string_value(json_array_get(value, 2)));
    if (IS("sas_key"))
        return iothub_options_set_sas_key(options, text);
    if (IS("sas_token"))
        return iothub_options_set_sas_token(options, text);
    if (IS("sas_signer"))
        return set_signer(options, text);
    if (IS("sas_token_source"))
        return set_token_source(options, value);
    if (IS("x509_files"))
        return iothub_options_set_x509_files(options, text, text2);
    if (IS("sas_life_s"))
        return iothub_options_set_sas_life_s(options, (uint32_t)n);
    if (IS("x509"))
        return iothub_options_set_x509(options, text, strlen(text), text2, strlen(text2));
    if (IS("trusted_roots"))
        return iothub_options_set_trusted_roots(options, text, strlen(text));
    if (IS("gateway"))
        return iothub_options_set_gateway(options, text);
    if (IS("port"))
        return iothub_options_set_port(options, (uint16_t)n);
    if (IS("transport"))
        return iothub_options_set_transport(options, strcmp(text, "websocket") == 0 ? IOTHUB_TRANSPORT_WEBSOCKET
                                                                                    : IOTHUB_TRANSPORT_MQTT);
    if (IS("proxy"))
        return iothub_options_set_proxy(options, text);
    if (IS("local_address"))
        return iothub_options_set_local_address(options, text);
    if (IS("keep_alive_s"))
        return iothub_options_set_keep_alive_s(options, (uint32_t)n);
    if (IS("ping_timeout_s"))
        return iothub_options_set_ping_timeout_s(options, (uint32_t)n);
    if (IS("connect_timeout_ms"))
        return iothub_options_set_connect_timeout_ms(options, (uint32_t)n);
    if (IS("request_timeout_ms"))
        return iothub_options_set_request_timeout_ms(options, (uint32_t)n);
    if (IS("backoff_ms"))
        return iothub_options_set_backoff_ms(options, (uint32_t)n, (uint32_t)n2);
    if (IS("slow_backoff_ms"))
        return iothub_options_set_slow_backoff_ms(options, (uint32_t)n, (uint32_t)n2);
    if (IS("queue_limits"))
        return iothub_options_set_queue_limits(options, (size_t)n, (size_t)n2);
    if (IS("in_flight"))
        return iothub_options_set_in_flight(options, (size_t)n);
    if (IS("time_to_live_ms"))
        return iothub_options_set_time_to_live_ms(options, (uint64_t)n);
    if (IS("will"))
        return set_will(options, value);
    if (IS("model_id"))
        return iothub_options_set_model_id(options, text);
    return IOTHUB_E_UNSUPPORTED;
}

iothub_status_t set_options(iothub_options_t *options, const json_t *object)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)object, name, value)
    {
        iothub_status_t status = set_option(options, name, value);
        if (status != IOTHUB_OK)
            return status;
    }
    return IOTHUB_OK;
}

/* The agent of C: does what the lines on its standard input say, and tells on its standard output what
 * it was told. "agent threaded" leaves the I/O to the library, "agent manual" does it in its own loop;
 * nothing else differs. */
#include <errno.h>
#include <iothub_mqtt.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codec.h"
#include "vault.h"

static bool manual;

struct client {
    char *name;
    iothub_client_t *handle;
    struct client *next;
};
static struct client *clients;

/* What a callback is about. */
struct watch {
    char *client;
    json_int_t id;
    iothub_client_t *handle;
    iothub_ack_t ack;
    /* How a method is answered at once; -1: later. */
    int32_t status;
    char *json;
};
/* Those that free_fn has not freed. */
static atomic_int watches;

static struct watch *watch_new(const struct client *client, const json_t *command)
{
    struct watch *watch = calloc(1, sizeof *watch);
    const json_t *status = json_object_get(command, "status");
    const char *json = text_of(command, "json"), *ack = text_of(command, "ack");
    watch->client = strdup(client->name);
    watch->id = integer_of(command, "id");
    watch->handle = client->handle;
    watch->ack = ack && strcmp(ack, "now") == 0 ? IOTHUB_ACK_NOW : IOTHUB_ACK_LATER;
    watch->status = status ? (int32_t)json_integer_value(status) : -1;
    watch->json = json ? strdup(json) : NULL;
    atomic_fetch_add(&watches, 1);
    return watch;
}

static void watch_free(void *user_data)
{
    struct watch *watch = user_data;
    free(watch->client);
    free(watch->json);
    free(watch);
    atomic_fetch_sub(&watches, 1);
}

static json_t *event(const char *kind, const struct watch *watch)
{
    return json_pack("{s:s, s:s}", "event", kind, "client", watch->client);
}

static json_t *done_event(const struct watch *watch, iothub_status_t status, const char *detail)
{
    return json_pack("{s:s, s:s, s:I, s:s, s:s}", "event", "done", "client", watch->client, "id", watch->id,
                     "status", status_word(status), "detail", detail);
}

static void on_done(iothub_status_t status, const char *detail, void *user_data)
{
    say(done_event(user_data, status, detail));
}

static void on_twin(iothub_status_t status, const char *detail, const void *json, size_t len, void *user_data)
{
    json_t *told = done_event(user_data, status, detail);
    if (status == IOTHUB_OK)
        json_object_set_new(told, "twin", json_stringn(json, len));
    say(told);
}

static void on_patch(iothub_status_t status, const char *detail, uint64_t version, void *user_data)
{
    json_t *told = done_event(user_data, status, detail);
    if (status == IOTHUB_OK)
        json_object_set_new(told, "version", json_integer((json_int_t)version));
    say(told);
}

static void on_status(iothub_state_t state, iothub_cause_t cause, iothub_status_t status, const char *detail,
                      void *user_data)
{
    static const char *const states[] = {"disconnected", "connecting", "connected", "closed"};
    json_t *told = event("state", user_data);
    json_object_set_new(told, "state", json_string(states[state]));
    json_object_set_new(told, "cause", json_string(iothub_cause_name(cause)));
    json_object_set_new(told, "status", json_string(status_word(status)));
    json_object_set_new(told, "detail", json_string(detail));
    say(told);
}

static iothub_ack_t on_message(const iothub_message_t *message, uint64_t delivery, void *user_data)
{
    const struct watch *watch = user_data;
    json_t *told = event("message", watch);
    describe(told, message);
    json_object_set_new(told, "delivery", json_integer((json_int_t)delivery));
    say(told);
    return watch->ack;
}

static iothub_ack_t on_input(const char *input, const iothub_message_t *message, uint64_t delivery,
                             void *user_data)
{
    const struct watch *watch = user_data;
    json_t *told = event("input", watch);
    describe(told, message);
    json_object_set_new(told, "input", json_string(input));
    json_object_set_new(told, "delivery", json_integer((json_int_t)delivery));
    say(told);
    return watch->ack;
}

static void on_method(const char *name, const void *json, size_t len, uint64_t request, void *user_data)
{
    const struct watch *watch = user_data;
    json_t *told = event("method", watch);
    json_object_set_new(told, "name", json_string(name));
    json_object_set_new(told, "json", json_stringn(json ? json : "", len));
    json_object_set_new(told, "request", json_integer((json_int_t)request));
    say(told);
    if (watch->status >= 0 && iothub_client_respond(watch->handle, request, watch->status, watch->json,
                                                    watch->json ? strlen(watch->json) : 0) != IOTHUB_OK) {
        told = event("failed", watch);
        json_object_set_new(told, "detail", json_string(iothub_last_error()));
        say(told);
    }
}

static void on_desired(const void *json, size_t len, uint64_t version, void *user_data)
{
    json_t *told = event("desired", user_data);
    json_object_set_new(told, "json", json_stringn(json, len));
    json_object_set_new(told, "version", json_integer((json_int_t)version));
    say(told);
}

static iothub_status_t new_client(const json_t *command)
{
    iothub_options_t *options;
    iothub_status_t status = iothub_options_new(&options);
    if (status != IOTHUB_OK)
        return status;
    struct client *client = calloc(1, sizeof *client);
    client->name = strdup(text_of(command, "client"));
    status = set_options(options, json_object_get(command, "options"));
    if (status == IOTHUB_OK && manual)
        status = iothub_options_set_mode(options, IOTHUB_MODE_MANUAL);
    if (status == IOTHUB_OK)
        status = iothub_client_new(options, &client->handle);
    iothub_options_free(options);
    if (status == IOTHUB_OK) {
        iothub_client_on_status(client->handle, on_status, watch_new(client, command), watch_free);
        client->next = clients;
        clients = client;
        return IOTHUB_OK;
    }
    free(client->name);
    free(client);
    return status;
}

static void free_client(struct client *client)
{
    struct client **link = &clients;
    while (*link != client)
        link = &(*link)->next;
    *link = client->next;
    iothub_client_free(client->handle);
    free(client->name);
    free(client);
}

static iothub_status_t send(const struct client *client, const json_t *command)
{
    iothub_message_t *message;
    iothub_status_t status = message_of(json_object_get(command, "message"), &message);
    if (status == IOTHUB_OK) {
        status = iothub_client_send(client->handle, message, on_done, watch_new(client, command), watch_free);
        iothub_message_free(message);
    }
    return status;
}

static void add_stats(json_t *answer, const iothub_client_t *client)
{
    static const struct {
        const char *name;
        iothub_stat_t stat;
    } counters[] = {{"sent", IOTHUB_STAT_SENT},
                    {"acknowledged", IOTHUB_STAT_ACKNOWLEDGED},
                    {"resent", IOTHUB_STAT_RESENT},
                    {"expired", IOTHUB_STAT_EXPIRED},
                    {"dropped", IOTHUB_STAT_DROPPED},
                    {"queued", IOTHUB_STAT_QUEUED},
                    {"queued_bytes", IOTHUB_STAT_QUEUED_BYTES},
                    {"connections", IOTHUB_STAT_CONNECTIONS}};
    uint64_t value = 0;
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++) {
        iothub_client_stats(client, counters[i].stat, &value);
        json_object_set_new(answer, counters[i].name, json_integer((json_int_t)value));
    }
    iothub_client_stats(client, IOTHUB_STAT_LAST_ROUND_TRIP_US, &value);
    json_object_set_new(answer, "timed", json_boolean(value > 0));
    json_t *disconnects = json_object();
    for (iothub_cause_t cause = IOTHUB_CAUSE_DNS; cause <= IOTHUB_CAUSE_CONFIGURATION; cause++)
        if (iothub_client_disconnects(client, cause, &value) == IOTHUB_OK && value > 0)
            json_object_set_new(disconnects, iothub_cause_name(cause), json_integer((json_int_t)value));
    json_object_set_new(answer, "disconnects", disconnects);
}

static iothub_status_t obey(const struct client *client, const json_t *command, json_t *answer)
{
    const char *action = text_of(command, "do"), *json = text_of(command, "json");
    const size_t len = json ? strlen(json) : 0;
    iothub_client_t *handle = client->handle;
    const char *ack = text_of(command, "ack");
    /* Whether there is to be a handler. */
    const bool on = json_is_true(json_object_get(command, "on")) || (ack && strcmp(ack, "off") != 0);
#define WATCH watch_new(client, command), watch_free
#define HANDLER(fn) on ? fn : NULL, WATCH
#define IS(word) (strcmp(action, word) == 0)
    if (IS("connect"))
        return iothub_client_connect(handle, on_done, WATCH);
    if (IS("close"))
        return iothub_client_close(handle, (uint32_t)integer_of(command, "timeout_ms"), on_done, WATCH);
    if (IS("send"))
        return send(client, command);
    if (IS("on_message"))
        return iothub_client_on_message(handle, HANDLER(on_message));
    if (IS("on_input"))
        return iothub_client_on_input(handle, HANDLER(on_input));
    if (IS("ack"))
        return iothub_client_ack(handle, (uint64_t)integer_of(command, "delivery"));
    if (IS("on_method"))
        return iothub_client_on_method(handle, HANDLER(on_method));
    if (IS("respond"))
        return iothub_client_respond(handle, (uint64_t)integer_of(command, "request"),
                                     (int32_t)integer_of(command, "status"), json, len);
    if (IS("twin_get"))
        return iothub_client_twin_get(handle, on_twin, WATCH);
    if (IS("twin_patch"))
        return iothub_client_twin_patch(handle, json, len, on_patch, WATCH);
    if (IS("on_desired"))
        return iothub_client_on_desired(handle, HANDLER(on_desired));
    if (IS("stats")) {
        add_stats(answer, handle);
        return IOTHUB_OK;
    }
    return IOTHUB_E_UNSUPPORTED;
}

/* Whether more commands are to come. */
static bool obey_line(const char *line, size_t len)
{
    json_t *command = json_loadb(line, len, JSON_ALLOW_NUL, NULL);
    const char *action = text_of(command, "do"), *name = text_of(command, "client");
    json_t *answer = json_object();
    iothub_status_t status = IOTHUB_OK;
    bool more = true;
    if (action && strcmp(action, "signed") == 0) {
        vault_signed(command);
        json_decref(command);
        json_decref(answer);
        return true;
    }
    struct client *client = clients;
    while (client && name && strcmp(client->name, name) != 0)
        client = client->next;
    if (!action)
        status = IOTHUB_E_ARGUMENT;
    else if (strcmp(action, "end") == 0)
        more = false;
    else if (strcmp(action, "new") == 0)
        status = new_client(command);
    else if (strcmp(action, "sync") == 0)
        ;
    else if (!name || !client)
        status = IOTHUB_E_ARGUMENT;
    else if (strcmp(action, "free") == 0)
        free_client(client);
    else
        status = obey(client, command, answer);
    if (status == IOTHUB_OK)
        say(json_pack("{s:O}", "ok", answer));
    else
        say(json_pack("{s:{s:s, s:s}}", "error", "status", status_word(status), "detail", iothub_last_error()));
    json_decref(answer);
    json_decref(command);
    return more;
}

/* Waits for a command and, in manual mode, for what the clients wait for. */
static void wait_for_input(void)
{
    enum { MOST = 64 };
    for (;;) {
        struct pollfd waits[MOST] = {{.fd = STDIN_FILENO, .events = POLLIN}};
        nfds_t count = 1;
        for (struct client *client = clients; manual && client && count < MOST; client = client->next)
            waits[count++] = (struct pollfd){.fd = iothub_client_fd(client->handle), .events = POLLIN};
        if (poll(waits, count, -1) < 0 && errno != EINTR)
            exit(2);
        struct client *client = clients;
        for (nfds_t i = 1; i < count; i++, client = client->next)
            if (waits[i].revents)
                iothub_client_process(client->handle, 0);
        if (waits[0].revents)
            return;
    }
}

int main(int argc, char **argv)
{
    manual = argc > 1 && strcmp(argv[1], "manual") == 0;
    char *text = NULL;
    size_t len = 0, room = 0;
    for (bool more = true; more;) {
        wait_for_input();
        if (room - len < 65536) {
            room = 2 * room + 65536;
            text = realloc(text, room);
        }
        ssize_t n = read(STDIN_FILENO, text + len, room - len);
        if (n <= 0)
            break;
        len += (size_t)n;
        char *begin = text, *end;
        while (more && (end = memchr(begin, '\n', len - (size_t)(begin - text)))) {
            more = obey_line(begin, (size_t)(end - begin));
            begin = end + 1;
        }
        len -= (size_t)(begin - text);
        memmove(text, begin, len);
    }
    free(text);
    while (clients)
        free_client(clients);
    /* Every free_fn has run. */
    return atomic_load(&watches) == 0 ? 0 : 3;
}

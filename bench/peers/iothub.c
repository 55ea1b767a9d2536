/* This library from C, threaded: a message and a completion for each publish, as a firmware would write it.
 * The caller keeps at most --window messages outstanding and counts the completions. */

#include <iothub_mqtt.h>

#include "task.h"

/* Any key will do: the sink checks nothing. */
static const char *const KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

static void connected(iothub_status_t status, const char *detail, void *user_data) {
    (void)detail;
    set_connected(user_data, status == IOTHUB_OK);
}

static void sent(iothub_status_t status, const char *detail, void *user_data) {
    if (status != IOTHUB_OK) {
        fprintf(stderr, "%s: %s\n", iothub_status_name(status), detail);
        exit(1);
    }
    acknowledged(user_data);
}

static void check(iothub_status_t status) {
    if (status != IOTHUB_OK) {
        fprintf(stderr, "%s: %s\n", iothub_status_name(status), iothub_last_error());
        exit(1);
    }
}

static char *contents(const char *path, size_t *len) {
    static char text[65536];
    FILE *file = fopen(path, "r");
    *len = file == NULL ? 0 : fread(text, 1, sizeof text, file);
    if (file != NULL) {
        fclose(file);
    }
    return text;
}

int main(int argc, char **argv) {
    struct task task = task_from(argc, argv);
    struct progress progress = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    iothub_options_t *options;
    iothub_client_t *client;
    size_t ca_len;
    const char *ca = contents(task.ca, &ca_len);
    char *payload = malloc(task.size + 1);
    memset(payload, 'x', task.size);
    check(iothub_options_new(&options));
    check(iothub_options_set_identity(options, task.host, "bench-device", NULL));
    check(iothub_options_set_sas_key(options, KEY));
    check(iothub_options_set_port(options, (uint16_t)task.port));
    check(iothub_options_set_trusted_roots(options, ca, ca_len));
    check(iothub_options_set_in_flight(options, task.window));
    check(iothub_client_new(options, &client));
    iothub_options_free(options);
    check(iothub_client_connect(client, connected, &progress, NULL));
    wait_connected(&progress);

    int64_t cpu = cpu_us(), wall = wall_us();
    for (uint64_t i = 0; i < task.count; i++) {
        iothub_message_t *message;
        wait_for_room(&progress, i, task.window - 1);
        check(iothub_message_new(payload, task.size, &message));
        check(iothub_client_send(client, message, sent, &progress, NULL));
        iothub_message_free(message);
    }
    wait_for_room(&progress, task.count, 0);
    report(&task, cpu_us() - cpu, wall_us() - wall);

    iothub_client_free(client);
    free(payload);
    return 0;
}

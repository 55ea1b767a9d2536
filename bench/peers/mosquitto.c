/* libmosquitto with its network thread (mosquitto_loop_start), as a contender of the bench.
 * The caller keeps at most --window messages outstanding and counts what on_publish reports. */

#include <mosquitto.h>

#include "task.h"

static const char *const TOPIC = "devices/bench-device/messages/events/";

static void on_connect(struct mosquitto *client, void *user_data, int code) {
    (void)client;
    set_connected(user_data, code == 0);
}

static void on_disconnect(struct mosquitto *client, void *user_data, int code) {
    (void)client;
    if (code != 0) {
        set_connected(user_data, false);
    }
}

static void on_publish(struct mosquitto *client, void *user_data, int id) {
    (void)client;
    (void)id;
    acknowledged(user_data);
}

static void check(const char *what, int code) {
    if (code != MOSQ_ERR_SUCCESS) {
        fprintf(stderr, "%s: %s\n", what, mosquitto_strerror(code));
        exit(1);
    }
}

int main(int argc, char **argv) {
    struct task task = task_from(argc, argv);
    struct progress progress = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    mosquitto_lib_init();
    struct mosquitto *client = mosquitto_new("bench-device", true, &progress);
    char *payload = malloc(task.size + 1);
    check("start", client == NULL || payload == NULL ? MOSQ_ERR_NOMEM : MOSQ_ERR_SUCCESS);
    memset(payload, 'x', task.size);
    mosquitto_connect_callback_set(client, on_connect);
    mosquitto_disconnect_callback_set(client, on_disconnect);
    mosquitto_publish_callback_set(client, on_publish);
    mosquitto_max_inflight_messages_set(client, (unsigned)task.inflight);
    check("mosquitto_tls_set", mosquitto_tls_set(client, task.ca, NULL, NULL, NULL, NULL));
    check("mosquitto_connect", mosquitto_connect(client, task.host, task.port, 240));
    check("mosquitto_loop_start", mosquitto_loop_start(client));
    wait_connected(&progress);

    int64_t cpu = cpu_us(), wall = wall_us();
    for (uint64_t i = 0; i < task.count; i++) {
        wait_for_room(&progress, i, task.window - 1);
        check("mosquitto_publish", mosquitto_publish(client, NULL, TOPIC, (int)task.size, payload, 1, false));
    }
    wait_for_room(&progress, task.count, 0);
    report(&task, cpu_us() - cpu, wall_us() - wall);

    mosquitto_disconnect(client);
    mosquitto_loop_stop(client, false);
    mosquitto_destroy(client);
    mosquitto_lib_cleanup();
    free(payload);
    return 0;
}

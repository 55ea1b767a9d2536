/* libmosquitto with its network thread (mosquitto_loop_start), as a contender of the bench.
 * The caller keeps at most --window messages outstanding and counts what on_publish reports.
 * Prints one JSON line: what the timed section cost. */

#include <getopt.h>
#include <inttypes.h>
#include <mosquitto.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static const char *const TOPIC = "devices/bench-device/messages/events/";

struct progress {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool connected;
    bool failed;
    bool waiting;
    uint64_t wake_at;
    uint64_t acknowledged;
};

static void on_connect(struct mosquitto *client, void *user_data, int code) {
    struct progress *progress = user_data;
    (void)client;
    pthread_mutex_lock(&progress->lock);
    progress->connected = code == 0;
    progress->failed = code != 0;
    pthread_cond_signal(&progress->changed);
    pthread_mutex_unlock(&progress->lock);
}

static void on_disconnect(struct mosquitto *client, void *user_data, int code) {
    struct progress *progress = user_data;
    (void)client;
    pthread_mutex_lock(&progress->lock);
    progress->failed = code != 0;
    pthread_cond_signal(&progress->changed);
    pthread_mutex_unlock(&progress->lock);
}

static void on_publish(struct mosquitto *client, void *user_data, int id) {
    struct progress *progress = user_data;
    (void)client;
    (void)id;
    pthread_mutex_lock(&progress->lock);
    progress->acknowledged++;
    if (progress->waiting && progress->acknowledged >= progress->wake_at) {
        pthread_cond_signal(&progress->changed);
    }
    pthread_mutex_unlock(&progress->lock);
}

static void fail(const char *what, int code) {
    fprintf(stderr, "%s: %s\n", what, mosquitto_strerror(code));
    exit(1);
}

/* Waits when more than `most` messages are outstanding, until half as many are: to be woken for each acknowledgement
 * costs a caller as much again as the library. Only the publishing thread counts what it published. */
static void wait_for_room(struct progress *progress, uint64_t published, uint64_t most) {
    pthread_mutex_lock(&progress->lock);
    progress->waiting = true;
    progress->wake_at = published - most / 2;
    while (published - progress->acknowledged > most && !progress->failed) {
        pthread_cond_wait(&progress->changed, &progress->lock);
    }
    progress->waiting = false;
    bool failed = progress->failed;
    pthread_mutex_unlock(&progress->lock);
    if (failed) {
        fail("the connection", MOSQ_ERR_CONN_LOST);
    }
}

static int64_t cpu_us(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (int64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

static int64_t wall_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Not ru_maxrss: that one still counts the process that started this one. */
static long peak_rss_kib(void) {
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    long peak = 0;
    while (status != NULL && fgets(line, sizeof line, status) != NULL) {
        if (sscanf(line, "VmHWM: %ld", &peak) == 1) {
            break;
        }
    }
    if (status != NULL) {
        fclose(status);
    }
    return peak;
}

int main(int argc, char **argv) {
    const char *host = "localhost", *ca = NULL;
    int port = 0, inflight = 20;
    uint64_t count = 0, window = 20;
    size_t size = 256;
    static const struct option options[] = {
        {"host", required_argument, NULL, 'h'},     {"port", required_argument, NULL, 'p'}, {"ca", required_argument, NULL, 'a'},
        {"count", required_argument, NULL, 'c'},    {"window", required_argument, NULL, 'w'}, {"size", required_argument, NULL, 's'},
        {"inflight", required_argument, NULL, 'i'}, {NULL, 0, NULL, 0},
    };
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 'h': host = optarg; break;
        case 'p': port = atoi(optarg); break;
        case 'a': ca = optarg; break;
        case 'c': count = strtoull(optarg, NULL, 10); break;
        case 'w': window = strtoull(optarg, NULL, 10); break;
        case 's': size = strtoull(optarg, NULL, 10); break;
        case 'i': inflight = atoi(optarg); break;
        default: return 2;
        }
    }
    if (port == 0 || ca == NULL || count == 0 || window == 0) {
        fprintf(stderr, "--port, --ca, --count and --window are needed\n");
        return 2;
    }

    struct progress progress = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    mosquitto_lib_init();
    struct mosquitto *client = mosquitto_new("bench-device", true, &progress);
    char *payload = malloc(size + 1);
    if (client == NULL || payload == NULL) {
        fail("start", MOSQ_ERR_NOMEM);
    }
    memset(payload, 'x', size);
    mosquitto_connect_callback_set(client, on_connect);
    mosquitto_disconnect_callback_set(client, on_disconnect);
    mosquitto_publish_callback_set(client, on_publish);
    mosquitto_max_inflight_messages_set(client, (unsigned)inflight);
    int code = mosquitto_tls_set(client, ca, NULL, NULL, NULL, NULL);
    if (code != MOSQ_ERR_SUCCESS) {
        fail("mosquitto_tls_set", code);
    }
    code = mosquitto_connect(client, host, port, 240);
    if (code != MOSQ_ERR_SUCCESS) {
        fail("mosquitto_connect", code);
    }
    code = mosquitto_loop_start(client);
    if (code != MOSQ_ERR_SUCCESS) {
        fail("mosquitto_loop_start", code);
    }
    pthread_mutex_lock(&progress.lock);
    while (!progress.connected && !progress.failed) {
        pthread_cond_wait(&progress.changed, &progress.lock);
    }
    pthread_mutex_unlock(&progress.lock);

    int64_t cpu = cpu_us(), wall = wall_us();
    for (uint64_t i = 0; i < count; i++) {
        wait_for_room(&progress, i, window - 1);
        code = mosquitto_publish(client, NULL, TOPIC, (int)size, payload, 1, false);
        if (code != MOSQ_ERR_SUCCESS) {
            fail("mosquitto_publish", code);
        }
    }
    wait_for_room(&progress, count, 0);
    cpu = cpu_us() - cpu;
    wall = wall_us() - wall;

    printf("{\"messages\":%" PRIu64 ",\"cpu_us\":%" PRId64 ",\"wall_us\":%" PRId64 ",\"peak_rss_kib\":%ld}\n", count, cpu, wall, peak_rss_kib());
    mosquitto_disconnect(client);
    mosquitto_loop_stop(client, false);
    mosquitto_destroy(client);
    mosquitto_lib_cleanup();
    free(payload);
    return 0;
}

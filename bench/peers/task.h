/* What every contender in C does the same way: its arguments, the window, and what it reports. */
#ifndef TASK_H
#define TASK_H

#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

struct task {
    const char *host, *ca;
    int port, inflight;
    uint64_t count, window;
    size_t size;
};

struct progress {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool connected;
    bool failed;
    bool waiting;
    uint64_t wake_at;
    uint64_t acknowledged;
};

/* One message more is acknowledged. */
static void acknowledged(struct progress *progress) {
    pthread_mutex_lock(&progress->lock);
    progress->acknowledged++;
    if (progress->waiting && progress->acknowledged >= progress->wake_at) {
        pthread_cond_signal(&progress->changed);
    }
    pthread_mutex_unlock(&progress->lock);
}

static void set_connected(struct progress *progress, bool connected) {
    pthread_mutex_lock(&progress->lock);
    progress->connected = connected;
    progress->failed = !connected;
    pthread_cond_signal(&progress->changed);
    pthread_mutex_unlock(&progress->lock);
}

static void wait_connected(struct progress *progress) {
    pthread_mutex_lock(&progress->lock);
    while (!progress->connected && !progress->failed) {
        pthread_cond_wait(&progress->changed, &progress->lock);
    }
    pthread_mutex_unlock(&progress->lock);
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
        fprintf(stderr, "the connection broke\n");
        exit(1);
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

static struct task task_from(int argc, char **argv) {
    struct task task = {.host = "localhost", .inflight = 20, .window = 20, .size = 256};
    static const struct option options[] = {
        {"host", required_argument, NULL, 'h'},     {"port", required_argument, NULL, 'p'}, {"ca", required_argument, NULL, 'a'},
        {"count", required_argument, NULL, 'c'},    {"window", required_argument, NULL, 'w'}, {"size", required_argument, NULL, 's'},
        {"inflight", required_argument, NULL, 'i'}, {NULL, 0, NULL, 0},
    };
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 'h': task.host = optarg; break;
        case 'p': task.port = atoi(optarg); break;
        case 'a': task.ca = optarg; break;
        case 'c': task.count = strtoull(optarg, NULL, 10); break;
        case 'w': task.window = strtoull(optarg, NULL, 10); break;
        case 's': task.size = strtoull(optarg, NULL, 10); break;
        case 'i': task.inflight = atoi(optarg); break;
        default: exit(2);
        }
    }
    if (task.port == 0 || task.ca == NULL || task.count == 0 || task.window == 0) {
        fprintf(stderr, "--port, --ca, --count and --window are needed\n");
        exit(2);
    }
    return task;
}

static void report(const struct task *task, int64_t cpu, int64_t wall) {
    printf("{\"messages\":%" PRIu64 ",\"cpu_us\":%" PRId64 ",\"wall_us\":%" PRId64 ",\"peak_rss_kib\":%ld}\n", task->count, cpu, wall,
           peak_rss_kib());
}

#endif

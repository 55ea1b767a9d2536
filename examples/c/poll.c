/* A device in a loop around poll(): sends a reading every second, prints what the hub sends, ends on SIGTERM. */

#define _GNU_SOURCE
#include "device.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <time.h>

static volatile sig_atomic_t terminated;

static void on_signal(int number) {
    (void)number;
    terminated = 1;
}

static long long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

int main(int argc, char **argv) {
    iothub_client_t *client = new_device();
    struct pollfd wait = {iothub_client_fd(client), POLLIN, 0};
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t blocked, before;
    long long next = now_ms();
    int closing = 0;

    /* Delivered only while ppoll waits, so that none comes between the question and the wait. */
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    sigaction(SIGTERM, &action, NULL);

    do {
        if (terminated && !closing) {
            closing = 1;
            check(iothub_client_close(client, CLOSE_MS, NULL, NULL, NULL));
        }
        if (!closing && now_ms() >= next) {
            send_reading(client);
            next = now_ms() + interval_ms(argc, argv);
        }
        long long left = next - now_ms();
        struct timespec timeout = {left > 0 ? left / 1000 : 0, left > 0 ? left % 1000 * 1000000 : 0};
        if (ppoll(&wait, 1, closing ? NULL : &timeout, &before) < 0 && errno != EINTR) {
            perror("ppoll");
            return 1;
        }
    } while (process(client));
    iothub_client_free(client);
    return 0;
}

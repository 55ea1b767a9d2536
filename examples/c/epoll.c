/* A device in a loop around epoll, with a timer and signals as descriptors: sends a reading every second, prints what
 * the hub sends, ends on SIGTERM. */

#include "device.h"
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

static void must(int ok, const char *what) {
    if (!ok) {
        perror(what);
        exit(1);
    }
}

static void watch(int set, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
    must(fd >= 0 && epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0, "epoll");
}

int main(int argc, char **argv) {
    iothub_client_t *client = new_device();
    int interval = interval_ms(argc, argv), alive = 1;
    struct itimerspec every = {{interval / 1000, interval % 1000 * 1000000}, {0, 1}};
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);

    int set = epoll_create1(EPOLL_CLOEXEC), timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    int term = signalfd(-1, &signals, SFD_CLOEXEC), device = iothub_client_fd(client);
    watch(set, device);
    watch(set, timer);
    watch(set, term);
    must(timerfd_settime(timer, 0, &every, NULL) == 0, "timerfd");

    while (alive) {
        struct epoll_event event;
        if (epoll_wait(set, &event, 1, -1) != 1) {
            continue; /* a signal that is not blocked */
        }
        if (event.data.fd == device) {
            alive = process(client);
        } else if (event.data.fd == timer) {
            uint64_t lapses;
            must(read(timer, &lapses, sizeof lapses) == sizeof lapses, "timer");
            send_reading(client);
        } else {
            struct signalfd_siginfo info;
            must(read(term, &info, sizeof info) == sizeof info, "signal");
            close(timer);
            check(iothub_client_close(client, CLOSE_MS, NULL, NULL, NULL));
        }
    }
    iothub_client_free(client);
    close(term);
    close(set);
    return 0;
}

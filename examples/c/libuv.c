/* A device in a loop of libuv: sends a reading every second, prints what the hub sends, ends on SIGTERM. */

#include "device.h"
#include <signal.h>
#include <uv.h>

static iothub_client_t *client;
static uv_poll_t device;
static uv_timer_t timer;
static uv_signal_t term;

static void on_readable(uv_poll_t *handle, int status, int events) {
    (void)status, (void)events;
    if (!process(client)) {
        uv_close((uv_handle_t *)handle, NULL); /* the last one: uv_run returns */
    }
}

static void on_timer(uv_timer_t *handle) {
    (void)handle;
    send_reading(client);
}

static void on_term(uv_signal_t *handle, int number) {
    (void)number;
    uv_close((uv_handle_t *)handle, NULL);
    uv_close((uv_handle_t *)&timer, NULL);
    check(iothub_client_close(client, CLOSE_MS, NULL, NULL, NULL));
}

static void must(int error) {
    if (error) {
        fprintf(stderr, "%s\n", uv_strerror(error));
        exit(1);
    }
}

int main(int argc, char **argv) {
    uv_loop_t *loop = uv_default_loop();
    uint64_t interval = (uint64_t)interval_ms(argc, argv);
    client = new_device();
    must(uv_poll_init(loop, &device, iothub_client_fd(client)));
    must(uv_poll_start(&device, UV_READABLE, on_readable));
    must(uv_timer_init(loop, &timer));
    must(uv_timer_start(&timer, on_timer, 0, interval));
    must(uv_signal_init(loop, &term));
    must(uv_signal_start(&term, on_term, SIGTERM));
    uv_run(loop, UV_RUN_DEFAULT);
    iothub_client_free(client);
    must(uv_loop_close(loop));
    return 0;
}

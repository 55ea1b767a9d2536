/* A device in a main loop of GLib: sends a reading every second, prints what the hub sends, ends on SIGTERM. */

#include "device.h"
#include <glib-unix.h>
#include <signal.h>

static iothub_client_t *client;
static GMainLoop *loop;
static guint timer;

static gboolean on_readable(gint fd, GIOCondition condition, gpointer user_data) {
    (void)fd, (void)condition, (void)user_data;
    if (process(client)) {
        return G_SOURCE_CONTINUE;
    }
    g_main_loop_quit(loop);
    return G_SOURCE_REMOVE;
}

static gboolean on_timer(gpointer user_data) {
    (void)user_data;
    send_reading(client);
    return G_SOURCE_CONTINUE;
}

static gboolean on_term(gpointer user_data) {
    (void)user_data;
    g_source_remove(timer);
    check(iothub_client_close(client, CLOSE_MS, NULL, NULL, NULL));
    return G_SOURCE_REMOVE;
}

int main(int argc, char **argv) {
    client = new_device();
    loop = g_main_loop_new(NULL, FALSE);
    g_unix_fd_add(iothub_client_fd(client), G_IO_IN, on_readable, NULL);
    timer = g_timeout_add((guint)interval_ms(argc, argv), on_timer, NULL);
    g_unix_signal_add(SIGTERM, on_term, NULL); /* GLib starts a thread of its own for it */
    g_main_loop_run(loop);
    iothub_client_free(client);
    g_main_loop_unref(loop);
    return 0;
}

/* What the examples with a loop of their own share: a device in manual mode, what it sends and what it prints. */
#ifndef DEVICE_H
#define DEVICE_H
#include <iothub_mqtt.h>
#include <stdio.h>
#include <stdlib.h>

static inline void check(iothub_status_t status) {
    if (status != IOTHUB_OK) {
        fprintf(stderr, "%s: %s\n", iothub_status_name(status), iothub_last_error());
        exit(1);
    }
}

static inline void on_status(iothub_state_t state, iothub_cause_t cause, iothub_status_t status, const char *detail,
                             void *user_data) {
    static const char *const names[] = {"disconnected", "connecting", "connected", "closed"};
    (void)status, (void)user_data;
    printf("state: %s\n", names[state]);
    if (cause) {
        printf("  %s: %s\n", iothub_cause_name(cause), detail);
    }
}

static inline void on_sent(iothub_status_t status, const char *detail, void *user_data) {
    (void)user_data;
    if (status == IOTHUB_OK) {
        printf("acknowledged\n");
    } else {
        printf("not sent: %s: %s\n", iothub_status_name(status), detail);
    }
}

static inline iothub_ack_t on_message(const iothub_message_t *message, uint64_t delivery, void *user_data) {
    size_t len;
    const char *body = iothub_message_data(message, &len);
    (void)delivery, (void)user_data;
    printf("received: %.*s\n", (int)len, body);
    return IOTHUB_ACK_NOW;
}

static inline void send_reading(iothub_client_t *client) {
    static int number;
    char reading[40];
    int len = snprintf(reading, sizeof reading, "{\"number\":%d,\"t\":21.5}", ++number);
    iothub_message_t *message;
    check(iothub_message_new(reading, (size_t)len, &message));
    check(iothub_message_set_field(message, IOTHUB_CONTENT_TYPE, "application/json"));
    check(iothub_message_set_field(message, IOTHUB_CONTENT_ENCODING, "utf-8"));
    iothub_status_t status = iothub_client_send(client, message, on_sent, NULL, NULL);
    iothub_message_free(message);
    if (status == IOTHUB_E_FULL) {
        printf("not sent: %s\n", iothub_last_error()); /* after a long time without a connection */
    } else {
        check(status);
    }
}

/* Does what there is to do. Returns 0 when the client has ended. */
static inline int process(iothub_client_t *client) {
    iothub_status_t status = iothub_client_process(client, 0);
    if (status == IOTHUB_E_CLOSED) {
        return 0;
    }
    check(status);
    return 1;
}

/* What is queued may take this long to be sent when the device ends. */
enum { CLOSE_MS = 5000 };

/* A device that is about to connect. The local hub listens on a port of its own and has an authority of its own; a hub
 * in Azure needs neither. */
static inline iothub_client_t *new_device(void) {
    static char pem[65536];
    const char *port = getenv("IOTHUB_PORT"), *roots = getenv("IOTHUB_TRUSTED_ROOTS");
    FILE *file = roots ? fopen(roots, "r") : NULL;
    iothub_options_t *options;
    iothub_client_t *client;
    setvbuf(stdout, NULL, _IOLBF, 0);
    check(iothub_options_new(&options));
    check(iothub_options_set_connection_string(options, getenv("IOTHUB_CONNECTION_STRING")));
    check(iothub_options_set_mode(options, IOTHUB_MODE_MANUAL));
    if (port) {
        check(iothub_options_set_port(options, (uint16_t)atoi(port)));
    }
    if (file) {
        check(iothub_options_set_trusted_roots(options, pem, fread(pem, 1, sizeof pem, file)));
        fclose(file);
    }
    check(iothub_client_new(options, &client));
    iothub_options_free(options);
    check(iothub_client_on_status(client, on_status, NULL, NULL));
    check(iothub_client_on_message(client, on_message, NULL, NULL));
    check(iothub_client_connect(client, NULL, NULL, NULL));
    return client;
}

/* Milliseconds between two readings: the argument of the program, or a second. */
static inline int interval_ms(int argc, char **argv) {
    int ms = argc > 1 ? atoi(argv[1]) : 0;
    return ms > 0 ? ms : 1000;
}
#endif

/* A device: sends three readings and prints what the hub sends to it, until it has got one message. */

#include <iothub_mqtt.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

static iothub_client_t *client;
static sem_t sent, received;

static void check(iothub_status_t status) {
    if (status != IOTHUB_OK) {
        fprintf(stderr, "%s: %s\n", iothub_status_name(status), iothub_last_error());
        exit(1);
    }
}

static void on_status(iothub_state_t state, iothub_cause_t cause, iothub_status_t status, const char *detail, void *user_data) {
    static const char *const names[] = {"disconnected", "connecting", "connected", "closed"};
    (void)status, (void)user_data;
    printf("state: %s%s%s%s%s\n", names[state], cause ? ", cause: " : "", cause ? iothub_cause_name(cause) : "", *detail ? ": " : "", detail);
}

static void on_sent(iothub_status_t status, const char *detail, void *user_data) {
    if (status == IOTHUB_OK) {
        printf("acknowledged: %s\n", (const char *)user_data);
    } else {
        printf("not sent: %s: %s\n", iothub_status_name(status), detail);
    }
    sem_post(&sent);
}

static iothub_ack_t on_message(const iothub_message_t *message, uint64_t delivery, void *user_data) {
    size_t len;
    const char *body = iothub_message_data(message, &len);
    (void)user_data;
    printf("received: %.*s\n", (int)len, body);
    for (size_t i = 0; i < iothub_message_property_count(message); i++) {
        const char *name, *value;
        check(iothub_message_property_at(message, i, &name, &value));
        printf("  %s = %s\n", name, value ? value : "(null)");
    }
    /* Now, not by the return: the main thread ends the client as soon as it is told. */
    check(iothub_client_ack(client, delivery));
    sem_post(&received);
    return IOTHUB_ACK_LATER;
}

/* The local hub listens on a port of its own and has an authority of its own; a hub in Azure needs neither. */
static void use_local_hub(iothub_options_t *options) {
    static char pem[65536];
    const char *port = getenv("IOTHUB_PORT"), *roots = getenv("IOTHUB_TRUSTED_ROOTS");
    FILE *file = roots ? fopen(roots, "r") : NULL;
    if (port) {
        check(iothub_options_set_port(options, (uint16_t)atoi(port)));
    }
    if (file) {
        check(iothub_options_set_trusted_roots(options, pem, fread(pem, 1, sizeof pem, file)));
        fclose(file);
    }
}

int main(void) {
    static const char *const readings[] = {"{\"t\":21.5}", "{\"t\":21.7}", "{\"t\":35.0}"};
    iothub_options_t *options;
    setvbuf(stdout, NULL, _IOLBF, 0);
    sem_init(&sent, 0, 0);
    sem_init(&received, 0, 0);
    check(iothub_options_new(&options));
    check(iothub_options_set_connection_string(options, getenv("IOTHUB_CONNECTION_STRING")));
    use_local_hub(options);
    check(iothub_client_new(options, &client));
    iothub_options_free(options);
    check(iothub_client_on_status(client, on_status, NULL, NULL));
    check(iothub_client_on_message(client, on_message, NULL, NULL));
    check(iothub_client_connect(client, NULL, NULL, NULL));

    for (int i = 0; i < 3; i++) {
        iothub_message_t *message;
        check(iothub_message_new(readings[i], 10, &message));
        check(iothub_message_set_field(message, IOTHUB_CONTENT_TYPE, "application/json"));
        check(iothub_message_set_field(message, IOTHUB_CONTENT_ENCODING, "utf-8"));
        check(iothub_message_set_property(message, "alert", i == 2 ? "too warm" : NULL));
        check(iothub_client_send(client, message, on_sent, (void *)readings[i], NULL));
        iothub_message_free(message);
    }
    for (int i = 0; i < 3; i++) {
        sem_wait(&sent);
    }
    sem_wait(&received);
    iothub_client_free(client);
    return 0;
}

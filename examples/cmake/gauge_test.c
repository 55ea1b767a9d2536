/* A test against the hub that iothub_emulator_add_test() starts: a reading is sent and acknowledged. */
#include <iothub_mqtt.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

static sem_t sent;
static iothub_status_t result;

static void check(iothub_status_t status) {
    if (status != IOTHUB_OK) {
        fprintf(stderr, "%s: %s\n", iothub_status_name(status), iothub_last_error());
        exit(1);
    }
}

static const char *variable(const char *name) {
    const char *value = getenv(name);
    if (!value) {
        fprintf(stderr, "%s is not set: start this with iothub-emulator run\n", name);
        exit(1);
    }
    return value;
}

static void on_sent(iothub_status_t status, const char *detail, void *user_data) {
    (void)user_data;
    if (status != IOTHUB_OK) {
        fprintf(stderr, "not sent: %s: %s\n", iothub_status_name(status), detail);
    }
    result = status;
    sem_post(&sent);
}

int main(void) {
    static char pem[65536];
    FILE *file = fopen(variable("IOTHUB_CA_FILE"), "r");
    if (!file) {
        perror("IOTHUB_CA_FILE");
        return 1;
    }
    size_t len = fread(pem, 1, sizeof pem, file);
    fclose(file);
    sem_init(&sent, 0, 0);

    iothub_options_t *options;
    iothub_client_t *client;
    iothub_message_t *message;
    check(iothub_options_new(&options));
    check(iothub_options_set_connection_string(options, variable("IOTHUB_DEVICE_CONNECTION_STRING")));
    check(iothub_options_set_port(options, (uint16_t)atoi(variable("IOTHUB_MQTT_PORT"))));
    check(iothub_options_set_trusted_roots(options, pem, len));
    check(iothub_client_new(options, &client));
    iothub_options_free(options);
    check(iothub_client_connect(client, NULL, NULL, NULL));
    check(iothub_message_new("{\"t\":21.5}", 10, &message));
    check(iothub_client_send(client, message, on_sent, NULL, NULL));
    iothub_message_free(message);
    sem_wait(&sent);
    iothub_client_free(client);
    return result == IOTHUB_OK ? 0 : 1;
}

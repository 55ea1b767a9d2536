/* Says what is wrong between this machine and its hub. The exit code is 0 if all is well.
 *
 * IOTHUB_CONNECTION_STRING is the device's; a proxy is taken from https_proxy and its relatives. With the
 * argument --websocket the way is that of a WebSocket on port 443. */

#include <iothub_mqtt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(iothub_status_t status) {
    if (status != IOTHUB_OK) {
        fprintf(stderr, "%s: %s\n", iothub_status_name(status), iothub_last_error());
        exit(1);
    }
}

static void on_check(iothub_check_t which, iothub_verdict_t verdict, iothub_status_t status, const char *detail, void *user_data) {
    static const char *const words[] = {"ok", "FAILED", "not needed", "not done"};
    const char *word = verdict >= 0 && verdict < 4 ? words[verdict] : "?";
    (void)user_data;
    printf("%-12s %-10s %s%s%s\n", iothub_check_name(which), word, detail, status ? "; " : "", status ? iothub_status_name(status) : "");
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

int main(int argc, char **argv) {
    iothub_options_t *options;
    iothub_status_t status;
    setvbuf(stdout, NULL, _IOLBF, 0);
    check(iothub_options_new(&options));
    check(iothub_options_set_connection_string(options, getenv("IOTHUB_CONNECTION_STRING")));
    check(iothub_options_set_proxy_from_environment(options));
    if (argc > 1 && strcmp(argv[1], "--websocket") == 0) {
        check(iothub_options_set_transport(options, IOTHUB_TRANSPORT_WEBSOCKET));
    }
    use_local_hub(options);
    status = iothub_doctor(options, on_check, NULL);
    iothub_options_free(options);
    return status == IOTHUB_OK ? 0 : 1;
}

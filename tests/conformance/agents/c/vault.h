/* Signatures from somewhere else. */
#ifndef VAULT_H
#define VAULT_H

#include <iothub_mqtt.h>
#include <jansson.h>
#include <stdbool.h>

/* Has each signature asked for by the name of the key. */
iothub_status_t set_signer(iothub_options_t *options, const char *key);
/* A signature has come. */
void vault_signed(const json_t *command);

#endif

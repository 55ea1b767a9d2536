/* Signatures from somewhere else: here from whoever reads what the agent says. */
#include "vault.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "codec.h"

enum { SIGNATURE = 32 };

/* Who waits for a signature. */
struct waiting {
    json_int_t id;
    bool ready;
    char signature[SIGNATURE];
    struct waiting *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t change = PTHREAD_COND_INITIALIZER;
static struct waiting *waiting;
static json_int_t last;

static iothub_status_t sign(const uint8_t *data, size_t len, uint8_t *sig, size_t *sig_len, void *user_data)
{
    struct waiting mine = {0};
    pthread_mutex_lock(&lock);
    mine.id = ++last;
    mine.next = waiting;
    waiting = &mine;
    pthread_mutex_unlock(&lock);
    char *hex = to_hex(data, len);
    say(json_pack("{s:s, s:I, s:s, s:s}", "event", "sign", "id", mine.id, "key", user_data, "data", hex));
    free(hex);
    pthread_mutex_lock(&lock);
    while (!mine.ready)
        pthread_cond_wait(&change, &lock);
    struct waiting **link = &waiting;
    while (*link != &mine)
        link = &(*link)->next;
    *link = mine.next;
    pthread_mutex_unlock(&lock);
    memcpy(sig, mine.signature, SIGNATURE);
    *sig_len = SIGNATURE;
    return IOTHUB_OK;
}

iothub_status_t set_signer(iothub_options_t *options, const char *key)
{
    return iothub_options_set_sas_signer(options, sign, strdup(key), free);
}

void vault_signed(const json_t *command)
{
    pthread_mutex_lock(&lock);
    for (struct waiting *each = waiting; each; each = each->next)
        if (each->id == integer_of(command, "id")) {
            from_hex(text_of(command, "signature"), each->signature, SIGNATURE);
            each->ready = true;
        }
    pthread_cond_broadcast(&change);
    pthread_mutex_unlock(&lock);
}

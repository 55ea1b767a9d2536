/* Credentials of each kind but keys: argv[1] says which. What is signed goes to the runner, which has the key. */
#include "check.h"

static int freed;

static void count(void *user_data) {
  CHECK(user_data == &freed);
  freed++;
}

/* One line from the runner; the library calls from threads of its own, one at a time. */
static void hear_line(char *line, size_t size) {
  CHECK(fgets(line, (int)size, stdin) != NULL);
  line[strcspn(line, "\n")] = 0;
}

static iothub_status_t ask(int32_t scheme, const uint8_t *data, size_t len, uint8_t *sig, size_t *sig_len,
                           void *user_data) {
  CHECK(user_data == &freed && freed == 0);
  CHECK(*sig_len == IOTHUB_MAX_SIGNATURE);
  printf("sign %04x ", (unsigned)scheme);
  for (size_t i = 0; i < len; i++) printf("%02x", data[i]);
  printf("\n");
  fflush(stdout);
  char line[2 * IOTHUB_MAX_SIGNATURE + 2];
  hear_line(line, sizeof line);
  if (strcmp(line, "locked") == 0) return IOTHUB_E_STATE;
  if (strcmp(line, "far off") == 0) return -1000;
  if (strcmp(line, "too long") == 0) {
    *sig_len = *sig_len + 1;
    return IOTHUB_OK;
  }
  *sig_len = strlen(line) / 2;
  for (size_t i = 0; i < *sig_len; i++) {
    unsigned byte;
    CHECK(sscanf(line + 2 * i, "%2x", &byte) == 1);
    sig[i] = (uint8_t)byte;
  }
  return IOTHUB_OK;
}

static iothub_status_t ask_hmac(const uint8_t *data, size_t len, uint8_t *sig, size_t *sig_len, void *user_data) {
  return ask(0, data, len, sig, sig_len, user_data);
}

static iothub_status_t token(char *out, size_t *len, void *user_data) {
  CHECK(user_data == &freed && freed == 0);
  CHECK(*len == IOTHUB_MAX_TOKEN);
  const char *text = given("TOKEN");
  *len = strlen(text);
  memcpy(out, text, *len + 1);
  return IOTHUB_OK;
}

static void tell(iothub_state_t state, iothub_cause_t cause, iothub_status_t status, const char *detail,
                 void *user_data) {
  (void)state, (void)user_data;
  if (cause == IOTHUB_CAUSE_CLOSED_BY_US || status == IOTHUB_OK) return;
  printf("%s %s %s\n", iothub_status_name(status), iothub_cause_name(cause), detail);
  fflush(stdout);
}

/* Set again and again: each closure that was replaced is freed at once. */
static void configure(iothub_options_t *options, const char *kind) {
  const char *cert = getenv("CERT");
  if (strcmp(kind, "signer") == 0) {
    OK(iothub_options_set_sas_signer(options, ask_hmac, &freed, count));
  } else if (strcmp(kind, "source") == 0) {
    OK(iothub_options_set_sas_token_source(options, token, &freed, count));
  } else if (strcmp(kind, "files") == 0) {
    OK(iothub_options_set_x509_files(options, given("CERT_FILE"), given("KEY_FILE")));
  } else if (strcmp(kind, "tls") == 0) {
    OK(iothub_options_set_x509_signer(options, cert, strlen(cert), ask, &freed, count));
  } else {
    OK(iothub_options_set_edge_environment(options));
  }
}

static void refusals(void) {
  iothub_options_t *options;
  OK(iothub_options_new(&options));
  REFUSED(IOTHUB_E_ARGUMENT, iothub_options_set_sas_signer(options, NULL, &freed, count));
  NAMES("fn: must not be NULL");
  REFUSED(IOTHUB_E_ARGUMENT, iothub_options_set_sas_token_source(options, NULL, &freed, count));
  NAMES("fn: must not be NULL");
  REFUSED(IOTHUB_E_ARGUMENT, iothub_options_set_x509_signer(options, "", 0, NULL, &freed, count));
  NAMES("fn: must not be NULL");
  CHECK(freed == 3);
  REFUSED(IOTHUB_E_ARGUMENT, iothub_options_set_sas_signer(NULL, ask_hmac, &freed, count));
  REFUSED(IOTHUB_E_ARGUMENT, iothub_options_set_sas_token_source(NULL, token, &freed, count));
  REFUSED(IOTHUB_E_ARGUMENT, iothub_options_set_x509_signer(NULL, "", 0, ask, &freed, count));
  CHECK(freed == 6);
  REFUSED(IOTHUB_E_ARGUMENT, iothub_options_set_x509_signer(options, NULL, 1, ask, &freed, count));
  NAMES("cert_pem: ");
  REFUSED(IOTHUB_E_ARGUMENT, iothub_options_set_x509_signer(options, "no PEM", 6, ask, &freed, count));
  NAMES("certificate: no certificate in it");
  CHECK(freed == 8);
  REFUSED(IOTHUB_E_ARGUMENT, iothub_options_set_x509_files(options, "/nowhere/cert.pem", "/nowhere/key.pem"));
  NAMES("certificate: /nowhere/cert.pem: ");
  REFUSED(IOTHUB_E_ARGUMENT, iothub_options_set_edge_environment(options));
  NAMES("IOTEDGE_AUTHSCHEME: is not set");
  /* One that is replaced is freed, and the last one with its options. */
  OK(iothub_options_set_sas_signer(options, ask_hmac, &freed, count));
  OK(iothub_options_set_sas_token_source(options, token, &freed, count));
  CHECK(freed == 9);
  iothub_options_free(options);
  CHECK(freed == 10);
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  if (strcmp(argv[1], "refused") == 0) {
    refusals();
    return 0;
  }
  int edge = strcmp(argv[1], "edge") == 0;
  iothub_options_t *options;
  OK(iothub_options_new(&options));
  if (!edge) {
    OK(iothub_options_set_identity(options, given("HUB_NAME"), given("DEVICE"), NULL));
    trust(options);
  }
  OK(iothub_options_set_port(options, given_port()));
  OK(iothub_options_set_backoff_ms(options, 10, 50));
  OK(iothub_options_set_slow_backoff_ms(options, 50, 100));
  configure(options, argv[1]);
  iothub_client_t *client;
  OK(iothub_client_new(options, &client));
  iothub_options_free(options);
  CHECK(freed == 0);
  OK(iothub_client_on_status(client, tell, NULL, NULL));
  record_t *record = record_new();
  OK(iothub_client_connect(client, NULL, NULL, NULL));
  iothub_message_t *message = message_of(argv[1]);
  OK(iothub_client_send(client, message, CLOSURE(record)));
  iothub_message_free(message);
  WAIT(record, record->frees == 1);
  check_status(record->status, IOTHUB_OK, record->detail, __FILE__, __LINE__);
  say("sent");
  iothub_client_free(client);
  record_drop(record);
  return 0;
}

/* What people meet: one line for each mistake, with its code, its cause and its detail. The runner compares. */
#include "check.h"

static void row(const char *what, iothub_status_t status, iothub_cause_t cause, const char *detail) {
  printf("%s | %s | %s | %s\n", what, iothub_status_name(status), iothub_cause_name(cause), detail);
}

/* A setter's refusal. */
static void at_once(const char *what, iothub_status_t status) {
  CHECK(status != IOTHUB_OK);
  row(what, status, IOTHUB_CAUSE_NONE, iothub_last_error());
}

static void strings(void) {
  static const char *const broken[][2] = {
      {"empty", ""},
      {"no host", "DeviceId=d;SharedAccessKey=c2VjcmV0"},
      {"no device", "HostName=h.azure-devices.net;SharedAccessKey=c2VjcmV0"},
      {"no credential", "HostName=h.azure-devices.net;DeviceId=d"},
      {"a service's", "HostName=h.azure-devices.net;SharedAccessKeyName=iothubowner;SharedAccessKey=c2VjcmV0"},
      {"unknown part", "HostName=h.azure-devices.net;DeviceId=d;Colour=red;SharedAccessKey=c2VjcmV0"},
      {"part without =", "HostName=h.azure-devices.net;DeviceId;SharedAccessKey=c2VjcmV0"},
      {"empty part", "HostName=h.azure-devices.net;;DeviceId=d;SharedAccessKey=c2VjcmV0"},
      {"part twice", "HostName=h.azure-devices.net;DeviceId=d;DeviceId=e;SharedAccessKey=c2VjcmV0"},
      {"blank value", "HostName=h.azure-devices.net;DeviceId=;SharedAccessKey=c2VjcmV0"},
      {"key not base64", "HostName=h.azure-devices.net;DeviceId=d;SharedAccessKey=c2Vj*mV0"},
      {"key and x509", "HostName=h.azure-devices.net;DeviceId=d;SharedAccessKey=c2VjcmV0;x509=true"},
      {"bad device id", "HostName=h.azure-devices.net;DeviceId=a/b;SharedAccessKey=c2VjcmV0"},
  };
  size_t i;
  for (i = 0; i < sizeof broken / sizeof broken[0]; i++) {
    iothub_options_t *o;
    iothub_client_t *client;
    char what[60];
    OK(iothub_options_new(&o));
    snprintf(what, sizeof what, "connection string: %s", broken[i][0]);
    iothub_status_t status = iothub_options_set_connection_string(o, broken[i][1]);
    if (status == IOTHUB_OK) status = iothub_client_new(o, &client); /* what only the whole shows */
    at_once(what, status);
    /* A secret is never repeated. */
    CHECK(strstr(iothub_last_error(), "c2Vj") == NULL);
    iothub_options_free(o);
  }
}

static void settings(void) {
  iothub_options_t *o;
  iothub_client_t *client;
  const char *cert = given("CERT"), *key = given("KEY"), *other = given("OTHER_KEY");
  OK(iothub_options_new(&o));
  at_once("roots: not PEM", iothub_options_set_trusted_roots(o, "nonsense", 8));
  at_once("roots: empty", iothub_options_set_trusted_roots(o, "", 0));
  at_once("roots: a key", iothub_options_set_trusted_roots(o, key, strlen(key)));
  at_once("x509: not PEM", iothub_options_set_x509(o, "nonsense", 8, key, strlen(key)));
  at_once("x509: key missing", iothub_options_set_x509(o, cert, strlen(cert), cert, strlen(cert)));
  at_once("x509: key of another", iothub_options_set_x509(o, cert, strlen(cert), other, strlen(other)));
  OK(iothub_options_set_x509(o, cert, strlen(cert), key, strlen(key)));
  at_once("no identity", iothub_client_new(o, &client));
  at_once("port 0", iothub_options_set_port(o, 0));
  at_once("keep alive", iothub_options_set_keep_alive_s(o, 1178));
  at_once("ping timeout", iothub_options_set_ping_timeout_s(o, 0));
  at_once("connect timeout", iothub_options_set_connect_timeout_ms(o, 600001));
  at_once("backoff", iothub_options_set_backoff_ms(o, 100, 99));
  at_once("slow backoff", iothub_options_set_slow_backoff_ms(o, 9, 99));
  at_once("queue messages", iothub_options_set_queue_limits(o, 0, 2048));
  at_once("queue bytes", iothub_options_set_queue_limits(o, 1, 1023));
  at_once("in flight", iothub_options_set_in_flight(o, 65001));
  at_once("time to live", iothub_options_set_time_to_live_ms(o, 31536000001));
  at_once("sas life", iothub_options_set_sas_life_s(o, 9));
  at_once("sas key", iothub_options_set_sas_key(o, "c2Vj*mV0"));
  at_once("sas token", iothub_options_set_sas_token(o, "SharedAccessSignature sig=c2VjcmV0"));
  at_once("host", iothub_options_set_identity(o, "not a host", "d", NULL));
  at_once("gateway", iothub_options_set_gateway(o, "not a host"));
  at_once("model", iothub_options_set_model_id(o, "com:example"));
  iothub_message_t *m = message_of("gone");
  at_once("will at QoS 2", iothub_options_set_will(o, m, 2));
  at_once("will at QoS 256", iothub_options_set_will(o, m, 256));
  iothub_message_free(m);
  iothub_options_free(o);
}

/* A connection that cannot be made: the first status that has a cause. */
static void attempt(const char *what, iothub_options_t *options) {
  iothub_client_t *client;
  record_t *status = record_new();
  OK(iothub_client_new(options, &client));
  iothub_options_free(options);
  OK(iothub_client_on_status(client, on_status, status, on_free));
  OK(iothub_client_connect(client, NULL, NULL, NULL));
  WAIT(status, status->cause != IOTHUB_CAUSE_NONE);
  pthread_mutex_lock(&status->lock);
  CHECK(status->state == IOTHUB_CONNECTING); /* it goes on trying */
  row(what, status->status, status->cause, status->detail);
  pthread_mutex_unlock(&status->lock);
  iothub_client_free(client);
  record_drop(status);
}

static iothub_options_t *good(void) {
  iothub_options_t *options = local_options(given("HUB_DEVICE"));
  OK(iothub_options_set_backoff_ms(options, 3600000, 3600000));
  OK(iothub_options_set_slow_backoff_ms(options, 3600000, 3600000));
  return options;
}

static void connections(void) {
  iothub_options_t *o = good();
  OK(iothub_options_set_sas_key(o, "d3JvbmcgIGtleQ=="));
  attempt("wrong key", o);
  o = good();
  OK(iothub_options_set_sas_token(o, "SharedAccessSignature sr=localhost%2Fdevices%2Fdevice&sig=AAAA&se=1000000000"));
  attempt("expired token", o);
  o = good();
  OK(iothub_options_set_identity(o, "localhost", "nobody", NULL));
  attempt("unknown device", o);
  o = good();
  OK(iothub_options_set_trusted_roots(o, given("CERT"), strlen(given("CERT"))));
  attempt("untrusted root", o);
  o = good();
  OK(iothub_options_set_gateway(o, "127.0.0.2"));
  OK(iothub_options_set_port(o, (uint16_t)atoi(given("OTHER_NAME_PORT"))));
  attempt("wrong host name", o);
  o = good();
  OK(iothub_options_set_port(o, (uint16_t)atoi(given("CLOSED_PORT"))));
  attempt("refused port", o);
  o = good();
  OK(iothub_options_set_gateway(o, "no-such-host.invalid"));
  attempt("unknown host", o);
  o = good();
  OK(iothub_options_set_port(o, (uint16_t)atoi(given("SILENT_PORT"))));
  OK(iothub_options_set_connect_timeout_ms(o, 50));
  attempt("silent server", o);
}

static void too_large(void) {
  iothub_client_t *client = local_client();
  size_t size = 257 * 1024;
  void *body = calloc(size, 1);
  iothub_message_t *m;
  OK(iothub_message_new(body, size, &m));
  free(body);
  at_once("257 KiB", iothub_client_send(client, m, NULL, NULL, NULL));
  iothub_message_free(m);
  iothub_client_free(client);
}

int main(void) {
  strings();
  settings();
  connections();
  too_large();
  return 0;
}

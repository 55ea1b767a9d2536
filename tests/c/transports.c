/* Each way to the hub, and what is refused on it. */
#include "check.h"

static char url[100];

static void proxy_url(const char *user) {
  snprintf(url, sizeof url, "http://%s127.0.0.1:%s", user, given("PROXY_PORT"));
}

static iothub_options_t *way(iothub_transport_t transport) {
  iothub_options_t *options = local_options(given("HUB_DEVICE"));
  OK(iothub_options_set_transport(options, transport));
  if (transport == IOTHUB_TRANSPORT_WEBSOCKET) {
    OK(iothub_options_set_port(options, (uint16_t)atoi(given("HUB_WEBSOCKET_PORT"))));
  }
  return options;
}

/* Sends the name of the way over it. */
static void go(iothub_options_t *options, const char *name) {
  iothub_client_t *client;
  OK(iothub_client_new(options, &client));
  iothub_options_free(options);
  connect_now(client);
  record_t *sent = record_new();
  iothub_message_t *message = message_of(name);
  OK(iothub_client_send(client, message, CLOSURE(sent)));
  WAIT(sent, sent->frees == 1);
  check_status(sent->status, IOTHUB_OK, sent->detail, __FILE__, __LINE__);
  iothub_message_free(message);
  record_drop(sent);
  iothub_client_free(client);
  say(name);
}

static void refusals(void) {
  iothub_options_t *o = local_options(given("HUB_DEVICE"));
  REFUSED(IOTHUB_E_ARGUMENT, iothub_options_set_transport(o, 2));
  NAMES("transport: 2 ");
  REFUSED(IOTHUB_E_ARGUMENT, iothub_options_set_transport(o, -1));
  REFUSED(IOTHUB_E_UNSUPPORTED, iothub_options_set_proxy(o, "https://me:secret@proxy"));
  CHECK(strstr(iothub_last_error(), "secret") == NULL);
  REFUSED(IOTHUB_E_UNSUPPORTED, iothub_options_set_proxy(o, "socks5://proxy"));
  REFUSED(IOTHUB_E_ARGUMENT, iothub_options_set_proxy(o, "proxy:3128"));
  NAMES("begins with http://");
  REFUSED(IOTHUB_E_ARGUMENT, iothub_options_set_local_address(o, "localhost"));
  NAMES("local_address: ");
  REFUSED(IOTHUB_E_ARGUMENT, iothub_options_set_interface(o, "sixteen-bytes-up"));
  NAMES("interface: ");
  REFUSED(IOTHUB_E_ARGUMENT, iothub_options_set_stall_timeout_s(o, 601));
  NAMES("stall_timeout: 601 is not in 1..=600");
  OK(iothub_options_set_stall_timeout_s(o, 600));
  setenv("https_proxy", "socks5://proxy", 1);
  REFUSED(IOTHUB_E_UNSUPPORTED, iothub_options_set_proxy_from_environment(o));
  NAMES("https_proxy: ");
  unsetenv("https_proxy");
  iothub_options_free(o);
}

/* The cause of what a connection without the proxy's password meets. */
static void wrong_password(void) {
  iothub_options_t *options = way(IOTHUB_TRANSPORT_MQTT);
  proxy_url("me:secret@");
  OK(iothub_options_set_proxy(options, url));
  iothub_client_t *client;
  OK(iothub_client_new(options, &client));
  iothub_options_free(options);
  record_t *record = record_new(), *connected = record_new();
  OK(iothub_client_on_status(client, on_status, record, on_free));
  OK(iothub_client_connect(client, CLOSURE(connected)));
  WAIT(record, record->cause != IOTHUB_CAUSE_NONE);
  pthread_mutex_lock(&record->lock);
  CHECK(record->cause == IOTHUB_CAUSE_PROXY && record->status == IOTHUB_E_NETWORK);
  CHECK(strstr(record->detail, "does not take the user name and password") != NULL);
  CHECK(strstr(record->detail, "secret") == NULL);
  pthread_mutex_unlock(&record->lock);
  iothub_client_free(client);
  WAIT(connected, connected->frees == 1);
  record_drop(connected);
  WAIT(record, record->frees == 1);
  record_drop(record);
}

int main(void) {
  const char *inherited[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"};
  for (size_t i = 0; i < sizeof inherited / sizeof *inherited; i++) unsetenv(inherited[i]);
  refusals();

  iothub_options_t *options = way(IOTHUB_TRANSPORT_MQTT);
  OK(iothub_options_set_local_address(options, "127.0.0.1"));
  go(options, "mqtt");
  go(way(IOTHUB_TRANSPORT_WEBSOCKET), "websocket");

  proxy_url("me:p%40ss@");
  options = way(IOTHUB_TRANSPORT_MQTT);
  OK(iothub_options_set_proxy(options, url));
  go(options, "mqtt, proxy");
  options = way(IOTHUB_TRANSPORT_WEBSOCKET);
  OK(iothub_options_set_proxy(options, url));
  go(options, "websocket, proxy");

  setenv("ALL_PROXY", url, 1);
  options = way(IOTHUB_TRANSPORT_WEBSOCKET);
  OK(iothub_options_set_proxy_from_environment(options));
  /* It was read already. */
  setenv("ALL_PROXY", "http://nowhere.invalid", 1);
  go(options, "proxy of the environment");
  setenv("NO_PROXY", "example.com, localhost", 1);
  options = way(IOTHUB_TRANSPORT_MQTT);
  OK(iothub_options_set_proxy_from_environment(options));
  go(options, "no proxy");

  wrong_password();
  return 0;
}

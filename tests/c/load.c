/* Loaded by hand, and unloaded: unused, used, and while a client is connected. */
#include "check.h"
#include <dlfcn.h>

/* A program that loads a library by hand cannot call it by name. */
#define LOAD(name) (*(void **)&name = dlsym(library, "iothub_" #name), CHECK(name != NULL))

const char *iothub_last_error(void) { return ""; }
const char *iothub_status_name(iothub_status_t status) { return status == IOTHUB_OK ? "OK" : "an error"; }

static void *load(void) {
  void *library = dlopen(given("LIBRARY"), RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) FAIL(dlerror());
  return library;
}

static void use(int keep) {
  iothub_status_t (*options_new)(iothub_options_t **);
  iothub_status_t (*options_set_connection_string)(iothub_options_t *, const char *);
  iothub_status_t (*options_set_port)(iothub_options_t *, uint16_t);
  iothub_status_t (*options_set_trusted_roots)(iothub_options_t *, const void *, size_t);
  void (*options_free)(iothub_options_t *);
  iothub_status_t (*client_new)(const iothub_options_t *, iothub_client_t **);
  iothub_status_t (*client_connect)(iothub_client_t *, iothub_done_fn, void *, iothub_free_fn);
  void (*client_free)(iothub_client_t *);
  void *library = load();
  LOAD(options_new);
  LOAD(options_set_connection_string);
  LOAD(options_set_port);
  LOAD(options_set_trusted_roots);
  LOAD(options_free);
  LOAD(client_new);
  LOAD(client_connect);
  LOAD(client_free);
  iothub_options_t *o;
  iothub_client_t *client;
  const char *ca = given("HUB_CA");
  record_t *connected = record_new();
  OK(options_new(&o));
  OK(options_set_connection_string(o, given("HUB_DEVICE")));
  OK(options_set_port(o, given_port()));
  OK(options_set_trusted_roots(o, ca, strlen(ca)));
  OK(client_new(o, &client));
  options_free(o);
  OK(client_connect(client, CLOSURE(connected)));
  WAIT(connected, connected->frees == 1);
  CHECK(connected->calls == 1 && connected->status == IOTHUB_OK);
  if (keep) {
    CHECK(dlclose(library) == 0);
    client_free(client); /* it is still there */
  } else {
    client_free(client);
    CHECK(dlclose(library) == 0);
  }
  record_drop(connected);
}

int main(void) {
  CHECK(dlclose(load()) == 0);
  void *first = load(), *second = load();
  CHECK(dlclose(first) == 0 && dlclose(second) == 0);
  use(0);
  use(1);
  CHECK(dlclose(load()) == 0);
  return 0;
}

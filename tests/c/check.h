/* What the test programs share: checks that say where they failed, and records of what callbacks were told.
 * Each program is compiled as C and as C++. */
#ifndef CHECK_H
#define CHECK_H
#include <iothub_mqtt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FAIL(what) \
  (fprintf(stderr, "%s:%d: %s (last error: %s)\n", __FILE__, __LINE__, what, iothub_last_error()), _Exit(1))
#define CHECK(condition) ((condition) ? (void)0 : FAIL(#condition))
#define OK(call) check_status((call), IOTHUB_OK, #call, __FILE__, __LINE__)
#define REFUSED(expected, call) check_status((call), (expected), #call, __FILE__, __LINE__)

static inline void check_status(iothub_status_t actual, iothub_status_t expected, const char *call, const char *file,
                                int line) {
  if (actual == expected) return;
  fprintf(stderr, "%s:%d: %s: %s instead of %s (last error: %s)\n", file, line, call, iothub_status_name(actual),
          iothub_status_name(expected), iothub_last_error());
  _Exit(1);
}

/* The last call that failed named this. */
#define NAMES(part) \
  (strstr(iothub_last_error(), part) ? (void)0 : FAIL("the last error does not hold \"" part "\""))

/* What a closure has seen. Zero is a good start, but for the lock: use record_new. */
typedef struct {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  int calls;
  int frees;
  int state; /* of the last status */
  iothub_cause_t cause;
  iothub_status_t status;
  uint64_t delivery;
  char detail[400];
} record_t;

static inline record_t *record_new(void) {
  record_t *record = (record_t *)calloc(1, sizeof *record);
  CHECK(record != NULL);
  pthread_mutex_init(&record->lock, NULL);
  pthread_cond_init(&record->changed, NULL);
  record->state = -1;
  return record;
}

static inline void record_drop(record_t *record) {
  pthread_mutex_destroy(&record->lock);
  pthread_cond_destroy(&record->changed);
  free(record);
}

static inline void record_text(record_t *record, const char *detail) {
  CHECK(detail != NULL);
  snprintf(record->detail, sizeof record->detail, "%s", detail);
}

static inline void on_done(iothub_status_t status, const char *detail, void *user_data) {
  record_t *record = (record_t *)user_data;
  pthread_mutex_lock(&record->lock);
  CHECK(record->frees <= record->calls); /* several closures may share it */
  CHECK(status != IOTHUB_OK || detail[0] == 0);
  record->calls++;
  record->status = status;
  record_text(record, detail);
  pthread_cond_broadcast(&record->changed);
  pthread_mutex_unlock(&record->lock);
}

static inline void on_status(iothub_state_t state, iothub_cause_t cause, iothub_status_t status, const char *detail,
                             void *user_data) {
  record_t *record = (record_t *)user_data;
  pthread_mutex_lock(&record->lock);
  CHECK(record->frees == 0);
  record->calls++;
  record->state = state;
  record->cause = cause;
  record->status = status;
  record_text(record, detail);
  pthread_cond_broadcast(&record->changed);
  pthread_mutex_unlock(&record->lock);
}

static inline void on_free(void *user_data) {
  record_t *record = (record_t *)user_data;
  pthread_mutex_lock(&record->lock);
  record->frees++;
  pthread_cond_broadcast(&record->changed);
  pthread_mutex_unlock(&record->lock);
}

/* Waits until `condition` on record holds; only a hang takes a minute. */
#define WAIT(record, condition)                                                                     \
  do {                                                                                              \
    struct timespec until_;                                                                         \
    clock_gettime(CLOCK_REALTIME, &until_);                                                         \
    until_.tv_sec += 60;                                                                            \
    pthread_mutex_lock(&(record)->lock);                                                            \
    while (!(condition)) {                                                                          \
      if (pthread_cond_timedwait(&(record)->changed, &(record)->lock, &until_) != 0) FAIL(#condition); \
    }                                                                                               \
    pthread_mutex_unlock(&(record)->lock);                                                          \
  } while (0)

#define CLOSURE(record) on_done, (record), on_free

/* What the runner gives each program. */
static inline const char *given(const char *name) {
  const char *value = getenv(name);
  if (value == NULL) {
    fprintf(stderr, "%s is not set: run `cargo test -p iothub-mqtt-ffi --test c_programs`\n", name);
    _Exit(1);
  }
  return value;
}

static inline uint16_t given_port(void) { return (uint16_t)atoi(given("HUB_PORT")); }

static inline void trust(iothub_options_t *options) {
  const char *ca = given("HUB_CA");
  OK(iothub_options_set_trusted_roots(options, ca, strlen(ca)));
}

/* Options for a device of the local hub, impatient enough for a test. */
static inline iothub_options_t *local_options(const char *connection_string) {
  iothub_options_t *options;
  OK(iothub_options_new(&options));
  OK(iothub_options_set_connection_string(options, connection_string));
  OK(iothub_options_set_port(options, given_port()));
  trust(options);
  OK(iothub_options_set_backoff_ms(options, 10, 50));
  OK(iothub_options_set_slow_backoff_ms(options, 50, 100));
  return options;
}

static inline iothub_client_t *local_client(void) {
  iothub_options_t *options = local_options(given("HUB_DEVICE"));
  iothub_client_t *client;
  OK(iothub_client_new(options, &client));
  iothub_options_free(options);
  return client;
}

static inline void connect_now(iothub_client_t *client) {
  record_t *connected = record_new();
  OK(iothub_client_connect(client, CLOSURE(connected)));
  WAIT(connected, connected->frees == 1);
  CHECK(connected->calls == 1);
  check_status(connected->status, IOTHUB_OK, connected->detail, __FILE__, __LINE__);
  record_drop(connected);
}

static inline iothub_message_t *message_of(const char *text) {
  iothub_message_t *message;
  OK(iothub_message_new(text, strlen(text), &message));
  return message;
}

/* One line to the runner. */
static inline void say(const char *line) {
  printf("%s\n", line);
  fflush(stdout);
}

/* Waits for a line of the runner. */
static inline void hear(const char *expected) {
  char line[100];
  CHECK(fgets(line, sizeof line, stdin) != NULL);
  line[strcspn(line, "\n")] = 0;
  CHECK(strcmp(line, expected) == 0);
}
#endif

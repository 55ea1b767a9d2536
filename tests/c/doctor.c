/* Every check is told once, in its order; the result is the first that failed. */
#include "check.h"

static const iothub_check_t ORDER[] = {IOTHUB_CHECK_OPTIONS, IOTHUB_CHECK_CLOCK,     IOTHUB_CHECK_NAME,
                                       IOTHUB_CHECK_PROXY,   IOTHUB_CHECK_TCP,       IOTHUB_CHECK_TLS,
                                       IOTHUB_CHECK_WEBSOCKET, IOTHUB_CHECK_CREDENTIALS};
#define CHECKS (sizeof ORDER / sizeof *ORDER)

typedef struct {
  size_t calls;
  iothub_verdict_t verdicts[CHECKS];
  iothub_status_t failure;
  char detail[2000];
  iothub_options_t *to_free;
  pthread_t caller;
} seen_t;

static void on_check(iothub_check_t check, iothub_verdict_t verdict, iothub_status_t status, const char *detail,
                     void *user_data) {
  seen_t *seen = (seen_t *)user_data;
  CHECK(pthread_equal(pthread_self(), seen->caller));
  CHECK(seen->calls < CHECKS && check == ORDER[seen->calls]);
  CHECK(detail != NULL && detail[0] != 0);
  CHECK((verdict == IOTHUB_VERDICT_FAILED) == (status != IOTHUB_OK));
  CHECK(strcmp(iothub_check_name(check), "unknown") != 0);
  seen->verdicts[check] = verdict;
  seen->calls++;
  if (status != IOTHUB_OK && seen->failure == IOTHUB_OK) {
    seen->failure = status;
    snprintf(seen->detail, sizeof seen->detail, "%s", detail);
  }
  /* A copy was made of them. */
  iothub_options_free(seen->to_free);
  seen->to_free = NULL;
}

static seen_t examine(iothub_options_t *options, iothub_status_t expected) {
  seen_t seen;
  memset(&seen, 0, sizeof seen);
  seen.to_free = options;
  seen.caller = pthread_self();
  REFUSED(expected, iothub_doctor(options, on_check, &seen));
  CHECK(seen.calls == CHECKS && seen.failure == expected);
  if (expected != IOTHUB_OK) CHECK(strcmp(iothub_last_error(), seen.detail) == 0);
  return seen;
}

int main(void) {
  seen_t seen = examine(local_options(given("HUB_DEVICE")), IOTHUB_OK);
  CHECK(seen.verdicts[IOTHUB_CHECK_CREDENTIALS] == IOTHUB_VERDICT_PASSED);
  CHECK(seen.verdicts[IOTHUB_CHECK_PROXY] == IOTHUB_VERDICT_NOT_NEEDED);

  iothub_options_t *options = local_options(given("HUB_DEVICE"));
  OK(iothub_options_set_sas_key(options, "d3Jvbmctc2VjcmV0"));
  seen = examine(options, IOTHUB_E_AUTH);
  CHECK(seen.verdicts[IOTHUB_CHECK_CREDENTIALS] == IOTHUB_VERDICT_FAILED);
  NAMES("primary or secondary key");
  CHECK(strstr(seen.detail, "d3Jvbmctc2VjcmV0") == NULL);

  OK(iothub_options_new(&options));
  seen = examine(options, IOTHUB_E_ARGUMENT);
  CHECK(seen.verdicts[IOTHUB_CHECK_OPTIONS] == IOTHUB_VERDICT_FAILED);
  CHECK(seen.verdicts[IOTHUB_CHECK_TCP] == IOTHUB_VERDICT_NOT_DONE);

  /* For its result alone, as often as anybody likes. */
  options = local_options(given("HUB_MODULE"));
  OK(iothub_doctor(options, NULL, NULL));
  OK(iothub_doctor(options, NULL, NULL));
  iothub_options_free(options);

  memset(&seen, 0, sizeof seen);
  REFUSED(IOTHUB_E_ARGUMENT, iothub_doctor(NULL, on_check, &seen));
  NAMES("options");
  CHECK(seen.calls == 0);
  CHECK(strcmp(iothub_check_name(IOTHUB_CHECK_WEBSOCKET), "websocket") == 0);
  return 0;
}

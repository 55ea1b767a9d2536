/* Sends many messages while the runner cuts the connection: every completion comes once, and in order. Arguments:
 * how many, then the numbers of the messages at which the runner is asked for a cut. */
#include "check.h"

enum { SIZE = 256 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t room = PTHREAD_COND_INITIALIZER;
static unsigned char *ended; /* how often each message has */
static size_t completed, freed, full, refused;

static void done(iothub_status_t status, const char *detail, void *user_data) {
  unsigned char *mine = (unsigned char *)user_data;
  check_status(status, IOTHUB_OK, detail, __FILE__, __LINE__);
  pthread_mutex_lock(&lock);
  CHECK((size_t)(mine - ended) == completed); /* in the order of the sends */
  ++*mine;
  completed++;
  pthread_cond_signal(&room);
  pthread_mutex_unlock(&lock);
}

static void release(void *user_data) {
  unsigned char *mine = (unsigned char *)user_data;
  pthread_mutex_lock(&lock);
  if (*mine == 0) {
    refused++; /* the queue was full */
  } else {
    CHECK(*mine == 1 && (size_t)(mine - ended) == freed);
    freed++;
  }
  pthread_cond_signal(&room);
  pthread_mutex_unlock(&lock);
}

int main(int arguments, char **argument) {
  int next = 2;
  CHECK(arguments >= 2);
  size_t count = (size_t)atol(argument[1]), number;
  ended = (unsigned char *)calloc(count, 1);
  CHECK(ended != NULL);
  iothub_client_t *client = local_client(); /* its back-off: 10 to 50 ms */
  record_t *closed = record_new();
  OK(iothub_client_connect(client, NULL, NULL, NULL));
  for (number = 0; number < count; number++) {
    if (next < arguments && (size_t)atol(argument[next]) == number) {
      say("cut"); /* and goes on */
      next++;
    }
    char body[SIZE + 1];
    memset(body, '.', SIZE);
    body[snprintf(body, SIZE, "%08lu", (unsigned long)number)] = '.';
    iothub_message_t *m;
    OK(iothub_message_new(body, SIZE, &m));
    iothub_status_t status;
    while ((status = iothub_client_send(client, m, done, ended + number, release)) == IOTHUB_E_FULL) {
      pthread_mutex_lock(&lock);
      size_t seen = completed;
      full++;
      while (completed == seen && seen < number) pthread_cond_wait(&room, &lock);
      pthread_mutex_unlock(&lock);
    }
    OK(status);
    iothub_message_free(m);
  }
  pthread_mutex_lock(&lock);
  while (freed < count) pthread_cond_wait(&room, &lock);
  pthread_mutex_unlock(&lock);
  OK(iothub_client_close(client, 60000, CLOSURE(closed)));
  WAIT(closed, closed->frees == 1);
  check_status(closed->status, IOTHUB_OK, closed->detail, __FILE__, __LINE__);
  iothub_client_free(client);
  CHECK(refused == full);
  for (number = 0; number < count; number++) CHECK(ended[number] == 1);
  printf("%lu completed, each once; %lu sends had to wait\n", (unsigned long)completed, (unsigned long)full);
  record_drop(closed);
  free(ended);
  return 0;
}

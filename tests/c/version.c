/* The smallest program: the library that it is run with is the one whose header it was compiled with. */
#include <iothub_mqtt.h>
#include <stdio.h>

int main(void) {
  iothub_options_t *options;
  iothub_client_t *client;
  if (iothub_version() != IOTHUB_VERSION || iothub_options_new(&options) != IOTHUB_OK) return 1;
  if (iothub_options_set_connection_string(options, "HostName=localhost;DeviceId=d;SharedAccessKey=AAAA")) return 1;
  if (iothub_client_new(options, &client) != IOTHUB_OK) return 1;
  iothub_options_free(options);
  iothub_client_free(client);
  printf("%x\n", (unsigned)iothub_version());
  return 0;
}

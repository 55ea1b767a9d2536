// A program outside: compiled against what is installed, with and without exceptions.
#include <iothub_mqtt.hpp>

#include <cstdio>

int main() {
  using namespace iothub;
  if (version() != IOTHUB_VERSION) return 1;
  const Result<codes::Options> options = codes::Options::make();
  if (!options) return 1;
  const Status refused = codes::Client::make(options.value).status;
  if (refused.code() != Code::argument) return 1;
#ifdef __cpp_exceptions
  try {
    Client client{Options()};
    return 1;
  } catch (const Error &error) {
    if (error.code() != Code::argument) return 1;
  }
#endif
  std::printf("%s\n", refused.name());
  return 0;
}
